"""What augmenting a model replaced, and what it costs."""

from typing import NamedTuple

import keras

from aa_keras.counting.operations import (
    image_shape,
    layer_calls,
    multiply_adds,
    spatial_size,
)
from aa_keras.layers.augmented_conv import AugmentedConv
from aa_keras.plain_text import as_table


class Replacement(NamedTuple):
    """A convolution that was augmented, or the whole model, before and after.

    Args:
        layer: str, the name of the convolution, or of the model.
        map: tuple (height, width) of the output map, of its first call.
        filters: int, the output channels.
        attention: int, those of them that attention computes or is added to.
        params: pair of ints, the parameters before and after, with the statistics of
            batch normalisation.
        gflops: pair of floats, 1e9 operations for one image before and after, as
            `Counts.gflops` counts them.
    """

    layer: str
    map: tuple | None
    filters: int | None
    attention: int | None
    params: tuple[int, int]
    gflops: tuple[float, float]


def replacements(model, augmented, input_shape=None) -> list[Replacement]:
    """Returns what `augment` replaced and what it costs, the whole model last.

    Args:
        model: the `keras.Model` that was augmented.
        augmented: the `keras.Model` that `augment` returned.
        input_shape: tuple (height, width, channels) of one image. Defaults to the
            model's, which must then be known.

    Raises:
        ValueError: as `count`.

    Example:

    >>> *rows, total = replacements(model, augmented)
    >>> total.params
    (25636712, 25537736)
    """
    rows: dict[int, Replacement] = {}  # a layer that is called twice has one row
    shape = image_shape(model, input_shape)
    for before, after in _paired_calls(model, augmented, shape):
        old, new = before[0], after[0]
        if isinstance(old, AugmentedConv) or not isinstance(new, AugmentedConv):
            continue
        gflops = tuple(multiply_adds(*call).gflops for call in (before, after))
        row = rows.get(id(new))
        if row:
            gflops = tuple(map(sum, zip(gflops, row.gflops, strict=True)))
        rows[id(new)] = Replacement(
            layer=new.name,
            map=row.map if row else tuple(spatial_size(after[2], new.data_format)),
            filters=new.filters,
            attention=new.attention.value_depth,
            params=(old.count_params(), new.count_params()),
            gflops=gflops,
        )
    total = Replacement(
        layer=model.name,
        map=None,
        filters=None,
        attention=None,
        params=(model.count_params(), augmented.count_params()),
        gflops=tuple(multiply_adds(m, shape, None).gflops for m in (model, augmented)),
    )
    return [*rows.values(), total]


def print_replacements(model, augmented, input_shape=None, report=print) -> None:
    """Prints the rows of `replacements` as a table.

    Args:
        model: the `keras.Model` that was augmented.
        augmented: the `keras.Model` that `augment` returned.
        input_shape: tuple (height, width, channels) of one image. Defaults to the
            model's, which must then be known.
        report: callable, called with each line. Defaults to `print`.
    """
    rows = [
        {
            "layer": row.layer,
            "map": "x".join(map(str, row.map or ())),
            "filters": str(row.filters or ""),
            "of attention": str(row.attention or ""),
            "parameters": f"{row.params[0]:,}",
            "augmented": f"{row.params[1]:,}",
            "GFLOPs": f"{row.gflops[0]:.4g}",
            "augmented GFLOPs": f"{row.gflops[1]:.4g}",
        }
        for row in replacements(model, augmented, input_shape)
    ]
    for line in as_table(rows):
        report(line)


def _paired_calls(model, augmented, input_shape):
    """Yields the calls of layers in both models, those in nested models included."""
    calls = (layer_calls(m, input_shape) for m in (model, augmented))
    for before, after in zip(*calls, strict=True):
        if isinstance(before[0], (keras.Sequential, keras.Function)):
            yield from _paired_calls(before[0], after[0], before[1])
        else:
            yield before, after
