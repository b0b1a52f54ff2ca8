"""One self-contained HTML page to click in.

The page holds each layer's queries, keys and relative embeddings and computes the row
of attention of the clicked pixel itself. All rows together would be as large as the
square of the map.
"""

import base64
import hashlib
import io
import json
import re
from importlib import resources
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from aa_keras.visualization.figures import SHARES, picture_of
from aa_keras.visualization.projections import projections

COARSE_PIXELS = 96  # below this height, pixels of a picture are shown as squares


def write_attention_page(
    path, model, image, *, layers=None, picture=None, query=None, title="Attention maps"
) -> None:
    """Writes a page that shows the attention of any pixel of one image.

    The file needs neither network nor server. Its size is that of the queries and
    keys: about 11 bytes for each cell, head and key channel.

    Args:
        path: path of the `.html` file to write.
        model: `keras.Model`, as of `attention_scores`.
        image: array (height, width, channels) as the network takes it.
        layers: list of names of the layers to choose from, the page opens on the
            first. Defaults to all.
        picture: array of any height and width, the same section as people see it, grey
            or with 1 or 3 channels. Defaults to `image`.
        query: pair (y, x), the pixel marked at first. Defaults to the centre.
        title: str, the heading of the page.

    Raises:
        ValueError: if a name is no attention layer, or a query is outside of the image.
    """
    height, width = np.shape(image)[:2]
    query = (height // 2, width // 2) if query is None else tuple(query)
    if not (0 <= query[0] < height and 0 <= query[1] < width):
        raise ValueError(
            f"query: received {query}; allowed: (y, x) with y from 0 to {height - 1} "
            f"and x from 0 to {width - 1}"
        )
    picture = picture_of(image if picture is None else picture)
    data = {
        "title": title,
        "height": height,
        "width": width,
        "query": [int(position) for position in query],
        "picture": f"data:image/png;base64,{_png(picture)}",
        "coarse": picture.shape[0] < COARSE_PIXELS,
        "colors": _base64(matplotlib.colormaps[SHARES](range(256), bytes=True)[:, :3]),
        "layers": [
            _layer(name, layer)
            for name, layer in projections(model, image[np.newaxis], layers).items()
        ],
    }
    template = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    # "</" would end the script element that holds the data, "<!--" hide its end.
    values = {"DATA": json.dumps(data).replace("<", "\\u003c")}
    # The browser runs and applies what has these hashes, and nothing that a title adds.
    values |= {tag.upper(): _content_hash(template, tag) for tag in ("style", "script")}
    text = re.sub("__([A-Z]+)__", lambda match: values[match[1]], template)
    Path(path).write_text(text, encoding="utf-8")


def _content_hash(page, tag):
    (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _layer(name, layer):
    _, heads, _, depth = layer.queries.shape
    height, width = layer.size
    relative_height, relative_width = layer.tables
    return {
        "name": name,
        "heads": heads,
        "height": height,
        "width": width,
        "depth": depth,
        "queries": _floats(layer.queries * depth**-0.5),
        "keys": _floats(layer.keys),
        "relative_height": _floats(relative_height),
        "relative_width": _floats(relative_width),
    }


def _floats(array):
    return None if array is None else _base64(array.astype("<f4"))


def _base64(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def _png(picture):
    if picture.dtype != np.uint8:
        picture = np.round(picture * 255).astype("uint8")
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="png")
    return base64.b64encode(file.getvalue()).decode("ascii")
