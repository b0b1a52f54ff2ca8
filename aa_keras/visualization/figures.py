"""Figures of attention, for print and screen.

Every function returns a `matplotlib.figure.Figure` (`figure.savefig(path)` writes it)
with `title`, a str, above the pictures. Only matplotlib's object interface is used: no
figure manager, no style and no backend changes. `style.py` has their look.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from aa_keras.visualization.scores import query_cells
from aa_keras.visualization.style import (
    INK,
    MECHANISMS,
    PALE,
    SHARES,
    SIGNED,
    SMALL,
    TEXT,
    finish,
    new_figure,
)

CELL_INCHES = 1.35  # width of one picture of many
COMBINED: dict[Any, Any] = {"mean": np.mean, "max": np.max}  # over heads
OUTLINE = (("black", 2.6), ("white", 1.2))  # white within black shows on any colour


def draw_attention_maps(
    image, scores, queries, *, heads=None, opacity=1.0, title=None
) -> Figure:
    """Draws where each head looks from each query pixel.

    One row for each query, one column for each head, the image with the query (a ring)
    in front, as in the appendix of the paper. The query's cell is outlined in the maps.
    All maps of a row share one scale, from 0 to the largest share of attention in it.
    With `attention_received` in place of scores, it shows who looks at the pixels.

    Args:
        image: array (height, width) or (height, width, 1 or 3). uint8 is shown as it
            is, any other type scaled from its smallest to its largest value.
        scores: array (heads, queries, map height, map width), one image's part of one
            layer's `attention_scores`.
        queries: sequence of pairs (y, x), the queries of `scores`, in pixels.
        heads: sequence of ints, the heads to draw, counted from 0, or of `"mean"` and
            `"max"`, taken over all heads. Defaults to all heads.
        opacity: float from 0 to 1 of the maps; below 1 they lie over the image.
            Defaults to `1`.
        title: str, a line above the pictures. Defaults to `None`.

    Raises:
        ValueError: if shapes do not match, a head does not exist, or `opacity` is not
            from 0 to 1.
    """
    image, scores = picture_of(image), np.asarray(scores)
    heads = _check_heads(scores, queries, heads, COMBINED)
    check_opacity(opacity)
    scores = np.stack([head_of(scores, head) for head in heads])
    height, width = image.shape[:2]
    figure, axes = picture_grid(len(queries), 1 + len(heads), height / width, title)
    # Map cells and pixels are drawn on the same coordinates, whatever their numbers.
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    cells = query_cells(queries, (height, width), scores.shape[-2:])
    for row, (query, cell) in enumerate(zip(queries, cells, strict=True)):
        axes[row, 0].imshow(image, cmap="gray", extent=extent)
        ring(axes[row, 0], query)
        axes[row, 0].set_ylabel(f"({query[0]}, {query[1]})", color=INK, fontsize=TEXT)
        limit = scores[:, row].max()
        for axis, one in zip(axes[row, 1:], scores[:, row], strict=True):
            if opacity < 1:
                axis.imshow(image, cmap="gray", extent=extent)
            shares = axis.imshow(
                one, cmap=SHARES, vmin=0, vmax=limit, extent=extent, alpha=opacity
            )
            outline(axis, cell, scores.shape[-2:], (height, width))
        _bar(figure, axes[row, -1], shares, "attention")
    axes[0, 0].set_title("query (y, x)", color=INK, fontsize=TEXT)
    name_heads(axes[0, 1:], heads)
    return figure


def draw_relative_fields(
    fields, queries, image_size, *, heads=None, title=None
) -> Figure:
    """Draws what the relative embeddings add to the logits of a query's keys.

    One row for each query, one column for each head, distance 0 (the cross) in the
    middle. The outline contains the distances at which this query has keys. All fields
    of a row share one scale, symmetric about 0.

    Args:
        fields: array (heads, queries, 2H-1, 2W-1), one image's part of one layer's
            `relative_fields`.
        queries, heads: as of `draw_attention_maps`.
        image_size: pair (height, width) of the image in pixels.
        title: str, a line above the pictures. Defaults to `None`.
    """
    fields = np.asarray(fields)
    heads = _check_heads(fields, queries, heads)
    height, width = ((length + 1) // 2 for length in fields.shape[-2:])
    aspect = fields.shape[-2] / fields.shape[-1]
    figure, axes = picture_grid(len(queries), len(heads), aspect, title)
    extent = (0.5 - width, width - 0.5, height - 0.5, 0.5 - height)
    cells = query_cells(queries, image_size, (height, width))
    for row, (query, (y, x)) in enumerate(zip(queries, cells, strict=True)):
        limit = np.nanmax(np.abs(fields[heads, row]))
        for axis, head in zip(axes[row], heads, strict=True):
            shown = axis.imshow(
                fields[head, row], cmap=SIGNED, vmin=-limit, vmax=limit, extent=extent
            )
            met = Rectangle((-x - 0.5, -y - 0.5), width, height, fill=False, ec=INK)
            axis.add_patch(met)
            axis.plot(0, 0, "+", color=INK, markersize=5)
        axes[row, 0].set_ylabel(f"({query[0]}, {query[1]})", color=INK, fontsize=TEXT)
        _bar(figure, axes[row, -1], shown, "logit")
    name_heads(axes[0], heads)
    for axis in axes[-1]:
        axis.set_xticks([1 - width, 0, width - 1])
    for axis in axes[:, 0]:
        axis.set_yticks([1 - height, 0, height - 1])
    for axis in axes.flat:
        axis.tick_params(labelsize=SMALL, colors=INK)
    return figure


def draw_relative_tables(tables, *, title=None) -> Figure:
    """Draws relative embeddings as they are stored: one row for each distance.

    Args:
        tables: dictionary from a label to an array (2L-1, D), row `key - query + L-1`.
        title: str, a line above the pictures. Defaults to `None`.
    """
    figure = new_figure(1.2 + 2.4 * len(tables), 3.2, title)
    axes = figure.subplots(1, len(tables), squeeze=False)[0]
    limit = max(np.abs(table).max() for table in tables.values())
    for axis, (label, table) in zip(axes, tables.items(), strict=True):
        last = (len(table) - 1) // 2
        extent = (-0.5, table.shape[1] - 0.5, last + 0.5, -last - 0.5)
        scale: dict[str, Any] = {
            "cmap": SIGNED,
            "vmin": -limit,
            "vmax": limit,
            "aspect": "auto",
        }
        shown = axis.imshow(table, interpolation="nearest", extent=extent, **scale)
        axis.set_title(label, color=INK, fontsize=TEXT)
        axis.set_xlabel("channel", color=INK, fontsize=SMALL)
        axis.set_ylabel("key − query", color=INK, fontsize=SMALL)
        axis.tick_params(labelsize=SMALL, colors=INK)
    _bar(figure, axes[-1], shown, "embedding")
    return figure


def draw_matrices(matrices, *, signed=False, title=None) -> Figure:
    """Draws small matrices side by side with their numbers, on one scale.

    Args:
        matrices: dictionary from a label to an array (rows, columns).
        signed: bool, whether colours are symmetric about 0. Defaults to `False`.
        title: str, a line above the pictures. Defaults to `None`.
    """
    matrices = {label: np.asarray(matrix) for label, matrix in matrices.items()}
    num_rows = max(len(matrix) for matrix in matrices.values())
    num_columns = sum(matrix.shape[1] + 1 for matrix in matrices.values()) - 1
    low = min(matrix.min() for matrix in matrices.values())
    high = max(matrix.max() for matrix in matrices.values())
    if signed:
        low, high = min(low, -high), max(-low, high)
    num_lines = 1 + max(label.count("\n") for label in matrices)
    height = 0.42 * num_rows + 0.2 * num_lines + 0.2
    figure = new_figure(0.42 * num_columns + 0.4, height, title)
    axis = figure.subplots()  # one for all, so that cells have one size
    scale: dict[str, Any] = {
        "cmap": SIGNED if signed else SHARES,
        "vmin": low,
        "vmax": high,
    }
    left = 0
    for label, matrix in matrices.items():
        rows, columns = matrix.shape
        edges = np.arange(left, left + columns + 1), np.arange(rows + 1)
        shown = axis.pcolormesh(*edges, matrix, edgecolors="white", **scale)
        for (row, column), value in np.ndenumerate(matrix):
            red, green, blue, _ = shown.cmap(shown.norm(value))
            ink = INK if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
            text = f"{value:.3g}" if float(value).is_integer() else f"{value:.2g}"
            style: dict = {
                "ha": "center",
                "va": "center",
                "fontsize": SMALL,
                "color": ink,
            }
            axis.text(left + column + 0.5, row + 0.5, text, **style)
        style = {
            "ha": "center",
            "va": "bottom",
            "fontsize": TEXT,
            "color": INK,
        }
        axis.text(left + columns / 2, -0.2, label, **style)
        left += columns + 1
    axis.set(xlim=(0, num_columns), ylim=(num_rows, -0.5 * num_lines), aspect="equal")
    axis.axis("off")
    return figure


def draw_heads(values, *, label, limits=None, title=None) -> Figure:
    """Draws one number for each head, layer by layer.

    Args:
        values: dictionary from the name of a layer to a sequence, a number per head.
        label: str at the axis of the numbers.
        limits: dictionary from the name of a layer to a number to mark, such as the
            largest possible one. Defaults to none.
        title: str, a line above the pictures. Defaults to `None`.
    """
    figure = new_figure(6.2, 0.9 + 0.42 * len(values), title)
    axis = figure.subplots()
    near = 0.02 * max(map(max, values.values()))  # heads that share one text
    for row, (layer, heads) in enumerate(values.items()):
        axis.axhline(row, color=PALE, linewidth=0.8, zorder=0)
        color, marker = MECHANISMS["relative"]
        axis.plot(heads, [row] * len(heads), marker, color=color, alpha=0.85)
        order = np.argsort(heads)
        apart = np.flatnonzero(np.diff(np.take(heads, order)) > near) + 1
        for rank, group in enumerate(np.split(order, apart)):
            style: dict = {
                "xytext": (0, -13 if rank % 2 else 5),  # neighbours do not collide
                "textcoords": "offset points",
                "ha": "center",
                "fontsize": SMALL,
            }
            place = (np.take(heads, group).mean(), row)
            axis.annotate(" ".join(map(str, group)), place, color=INK, **style)
        if limits:
            axis.plot(limits[layer], row, "|", color=INK, markersize=12)
    axis.set_yticks(range(len(values)), list(values))
    axis.set_ylim(len(values) - 0.4, -0.7)
    axis.set_xlim(left=0)
    finish(axis, label, None, legend=False)
    axis.spines["left"].set_visible(False)
    return figure


def check_opacity(opacity) -> None:
    """Raises ValueError if an opacity is not from 0 to 1."""
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity: received {opacity}; allowed: 0 to 1")


def head_of(scores, head) -> np.ndarray:
    """Returns one head of scores (heads, ...), or their `"mean"` or `"max"`."""
    return COMBINED[head](scores, axis=0) if head in COMBINED else scores[head]


def _check_heads(scores, queries, heads, combined=()):
    if scores.ndim != 4 or scores.shape[1] != len(queries):
        raise ValueError(
            f"scores must be (heads, {len(queries)} queries, height, width) of one "
            f"image; received shape {scores.shape}"
        )
    last = len(scores) - 1
    heads = list(range(last + 1)) if heads is None else list(heads)
    for head in heads:
        if head not in combined and head not in range(last + 1):
            allowed = ", ".join([f"0 to {last}", *map(repr, combined)])
            raise ValueError(f"heads: received {head!r}; allowed: {allowed}")
    if not heads or not len(queries):
        raise ValueError("heads and queries must each name at least one")
    return heads


def picture_of(image) -> np.ndarray:
    """Returns an image as uint8, or as floats from 0 to 1; grey has two axes."""
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"image must be (height, width) or (height, width, 1 or 3); received shape "
            f"{image.shape}"
        )
    if image.dtype != np.uint8:
        image = image.astype("float32")
        image = (image - image.min()) / (np.ptp(image) or 1)
    return image


def picture_grid(num_rows, num_columns, aspect, title):
    # Constrained layout needs room for labels and bars, or it shrinks the pictures.
    inches = max(CELL_INCHES, 2.7 / num_columns)
    height = num_rows * inches * aspect + 0.35 + (0.3 if title else 0)
    figure = new_figure(num_columns * inches + 1.1, height, title)
    axes = figure.subplots(num_rows, num_columns, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    return figure, axes


def name_heads(axes, heads):
    for axis, head in zip(axes, heads, strict=True):
        name = head if head in COMBINED else f"head {head}"
        axis.set_title(name, color=INK, fontsize=TEXT)


def ring(axis, query):
    for color, width in OUTLINE:
        axis.plot(query[1], query[0], "o", ms=8, mfc="none", mec=color, mew=width)


def outline(axis, cell, map_size, image_size):
    """Draws the border of a cell of a map that is stretched over an image."""
    height, width = (pixels / n for pixels, n in zip(image_size, map_size, strict=True))
    corner = (cell[1] * width - 0.5, cell[0] * height - 0.5)
    for color, line_width in OUTLINE:
        line: dict[str, Any] = {"ec": color, "lw": line_width, "clip_on": False}
        axis.add_patch(Rectangle(corner, width, height, fill=False, **line))


def _bar(figure, axis, shown, label):
    bar = figure.colorbar(shown, ax=axis, fraction=0.08, pad=0.04)
    bar.set_label(label, color=INK, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL, colors=INK)
    bar.outline.set_visible(False)
