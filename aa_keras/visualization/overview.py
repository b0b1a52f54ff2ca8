"""One figure of all attention layers and heads."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from aa_keras.visualization.figures import (
    COMBINED,
    check_opacity,
    head_of,
    name_heads,
    outline,
    picture_grid,
    picture_of,
    ring,
)
from aa_keras.visualization.scores import query_cells
from aa_keras.visualization.style import INK, SHARES, SMALL, TEXT


def draw_attention_overview(image, scores, query, *, opacity=0.5, title=None) -> Figure:
    """Draws where every head of every layer looks from one pixel.

    One row for each layer: the image under the mean over heads, the mean, the maximum,
    then each head. The pixel is a ring on the image, its cell is outlined in the maps.
    Each map has a scale of its own, from 0 to its largest share.

    Args:
        image: array, as of `draw_attention_maps`.
        scores: dictionary from the name of a layer to an array (heads, map height, map
            width), one image's and one query's part of `attention_scores` or
            `attention_received`.
        query: pair (y, x), the query of `scores`, in pixels.
        opacity: float from 0 to 1 of the mean over the image. Defaults to `0.5`.
        title: str, a line above the pictures. Defaults to `None`.

    Raises:
        ValueError: if an array has another number of axes, or `opacity` is not from 0
            to 1.

    Example:

    >>> scores = attention_scores(model, images, [(3, 3)])
    >>> scores = {name: layer[0, :, 0] for name, layer in scores.items()}
    >>> draw_attention_overview(images[0], scores, (3, 3)).savefig("overview.png")
    """
    image = picture_of(image)
    check_opacity(opacity)
    for name, heads in scores.items():
        if np.ndim(heads) != 3:
            raise ValueError(
                f"scores must be (heads, height, width) of one query; received shape "
                f"{np.shape(heads)} of {name!r}"
            )
    height, width = image.shape[:2]
    most = max(map(len, scores.values()))
    names = [*COMBINED, *range(most)]
    figure, axes = picture_grid(len(scores), 1 + len(names), height / width, title)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    for row, (layer, heads) in zip(axes, scores.items(), strict=True):
        map_size = np.shape(heads)[1:]
        (cell,) = query_cells([query], (height, width), map_size)
        row[0].imshow(image, cmap="gray", extent=extent)
        _draw(row[0], head_of(heads, "mean"), extent, alpha=opacity)
        ring(row[0], query)
        row[0].set_ylabel(
            layer, color=INK, fontsize=SMALL, rotation=0, ha="right", va="center"
        )
        for axis, name in zip(row[1:], names, strict=True):
            if name not in COMBINED and name >= len(heads):
                axis.set_visible(False)
                continue
            _draw(axis, head_of(heads, name), extent)
            outline(axis, cell, map_size, (height, width))
    axes[0, 0].set_title("mean on image", color=INK, fontsize=TEXT)
    name_heads(axes[np.argmax([len(heads) for heads in scores.values()]), 1:], names)
    return figure


def _draw(axis, shares, extent, **options: Any):
    axis.imshow(shares, cmap=SHARES, vmin=0, extent=extent, **options)
