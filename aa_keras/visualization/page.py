"""One self-contained HTML page to explore the attention of some images.

The page holds each layer's queries, keys, relative embeddings and the logarithms of
the softmax's sums. From these it computes any row and any column of the scores itself,
exactly. All scores together would be as large as the square of the map.
"""

import base64
import hashlib
import html
import io
import json
import math
import re
from importlib import resources
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from aa_keras.visualization.figures import picture_of
from aa_keras.visualization.projections import projections
from aa_keras.visualization.scores import query_cells, query_logits, row_blocks
from aa_keras.visualization.style import SHARES

COARSE_PIXELS = 96  # below this height, pixels of a picture are shown as squares
MOST_BYTES = 200e6  # of a page; browsers hold texts of about 500 MB
MOST_CELLS = 128 * 128  # of a map: the sums take the square of it


def write_attention_page(
    path,
    model,
    images,
    *,
    layers=None,
    pictures=None,
    names=None,
    predictions=None,
    query=None,
    title="Attention maps",
) -> None:
    """Writes a page to explore where each head of each layer looks, and who looks back.

    The page shows the rows and columns of the scores for any pixel, all layers and
    heads at once, their mean and maximum over heads, and what the network answered.
    The file needs neither network nor server. Its size is that of the queries and
    keys: about 11 bytes for each image, cell, head and key channel.

    Args:
        path: path of the `.html` file to write.
        model: `keras.Model`, as of `attention_scores`.
        images: array (images, height, width, channels) as the network takes them.
        layers: list of names of the layers to choose from, the page opens on the
            first. Defaults to all.
        pictures: sequence of arrays of any height and width, the same sections as
            people see them, grey or with 1 or 3 channels. Defaults to `images`.
        names: sequence of str, one for each image. Defaults to their numbers.
        predictions: sequence of dictionaries, one for each image: `class_names` and
            `scores`, the best first, and for a detector `boxes`, left, top, right,
            bottom in pixels of `images`. Defaults to none.
        query: pair (y, x), the pixel marked at first. Defaults to the centre.
        title: str, the heading of the page.

    Raises:
        ValueError: if a name is no attention layer, a query is outside of the image,
            the number of pictures, names or predictions is not that of the images, a
            map has more than 16384 cells, or queries and keys would exceed 200 MB.

    Example:

    >>> write_attention_page("maps.html", model, images, names=["cat", "dog"])
    """
    text = _page(model, images, layers, pictures, names, predictions, query, title)
    Path(path).write_text(text, encoding="utf-8")


def display_attention_page(model, images, *, height=900, **options):
    """Shows the page of `write_attention_page` in the output of a notebook's cell.

    Args:
        model, images: as of `write_attention_page`.
        height: int, the height of the output in pixels. Defaults to `900`.
        options: the other arguments of `write_attention_page`, but `path`.

    Returns:
        An `IPython.display.IFrame` that contains the whole page. It needs IPython.
    """
    from IPython.display import IFrame

    defaults = dict.fromkeys(("layers", "pictures", "names", "predictions", "query"))
    text = _page(model, images, **(defaults | {"title": "Attention maps"} | options))
    # The page itself in place of an address: no file, and no server that must run.
    source = f'srcdoc="{html.escape(text)}"'
    return IFrame("about:blank", "100%", height, extras=[source])


def _page(model, images, layers, pictures, names, predictions, query, title):
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(
            f"images must be (images, height, width, channels); received shape "
            f"{images.shape}"
        )
    num_images, height, width, _ = images.shape
    query = (height // 2, width // 2) if query is None else tuple(query)
    query_cells([query], (height, width), (height, width))  # is it a pixel?
    pictures = images if pictures is None else pictures
    names = [f"image {i}" for i in range(num_images)] if names is None else names
    predictions = [None] * num_images if predictions is None else predictions
    given = {"pictures": pictures, "names": names, "predictions": predictions}
    for key, values in given.items():
        if len(values) != num_images:
            allowed = f"{num_images}, one for each image"
            raise ValueError(f"{key}: received {len(values)}; allowed: {allowed}")
    projected = projections(model, images, layers)
    _check_size(projected)
    data = {
        "title": title,
        "height": height,
        "width": width,
        "query": [int(position) for position in query],
        "colors": _base64(matplotlib.colormaps[SHARES](range(256), bytes=True)[:, :3]),
        "layers": [_layer(name, layer) for name, layer in projected.items()],
        "images": [
            {"name": name, "prediction": prediction, **_picture(picture)}
            for name, prediction, picture in zip(
                names, predictions, pictures, strict=True
            )
        ],
    }
    for layer in projected.values():
        for image, one in zip(data["images"], _of_images(layer), strict=True):
            image.setdefault("projections", []).append(one)
    return _fill(data)


def _check_size(projected):
    for name, layer in projected.items():
        if math.prod(layer.size) > MOST_CELLS:
            received = f"a map of {' x '.join(map(str, layer.size))} cells"
            raise ValueError(
                f"layers: received {name!r}, {received}; allowed: {MOST_CELLS} cells"
            )
    # base64 needs 4 characters for 3 bytes.
    size = sum(2 * layer.queries.nbytes * 4 / 3 for layer in projected.values())
    if size > MOST_BYTES:
        raise ValueError(
            f"layers: received {', '.join(projected)}, a page of {size / 1e6:.0f} MB; "
            f"allowed: {MOST_BYTES / 1e6:.0f} MB, with fewer layers or images"
        )


def _fill(data):
    """Returns the page: the template with its style, its script and the data."""
    folder = resources.files(__package__)
    style, script, template = (
        folder.joinpath(f"page.{suffix}").read_text("utf-8")
        for suffix in ("css", "js", "html")
    )
    values = {
        # "</" would end the script element that holds the data, "<!--" hide its end.
        "DATA": json.dumps(data, default=_plain).replace("<", "\\u003c"),
        "STYLE": style,
        "SCRIPT": script,
        # The browser runs and applies what has these hashes, and nothing that a title
        # adds.
        "STYLEHASH": _content_hash(style),
        "SCRIPTHASH": _content_hash(script),
    }
    return re.sub("__([A-Z]+)__", lambda match: values[match[1]], template)


def _plain(value):
    return value.tolist()  # of NumPy's arrays and numbers, in predictions


def _content_hash(content):
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
        "relative_height": _floats(relative_height),
        "relative_width": _floats(relative_width),
    }


def _of_images(layer):
    """Returns what the page needs of a layer for each image of a batch."""
    # In float64, as the browser computes: the logits of a sharp head are large, and
    # their rounding in float32 would change its scores.
    wide = layer._replace(queries=layer.queries.astype("float64"))
    logits = (query_logits(wide, cells) for cells in row_blocks(layer))
    sums = np.concatenate([np.logaddexp.reduce(x, (-2, -1)) for x in logits], axis=-1)
    return [
        {
            "queries": _floats(queries),
            "keys": _floats(keys),
            "log_sums": _base64(log_sums.astype("<f8")),
        }
        for queries, keys, log_sums in zip(layer.queries, layer.keys, sums, strict=True)
    ]


def _floats(array):
    return None if array is None else _base64(array.astype("<f4"))


def _base64(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def _picture(picture):
    picture = picture_of(picture)
    if picture.dtype != np.uint8:
        picture = np.round(picture * 255).astype("uint8")
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="png")
    encoded = base64.b64encode(file.getvalue()).decode("ascii")
    return {
        "picture": f"data:image/png;base64,{encoded}",
        "coarse": picture.shape[0] < COARSE_PIXELS,
    }
