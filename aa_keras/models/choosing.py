"""Which convolutions of a network to augment: by name, map size or a function."""

import math
import numbers

import keras

from aa_keras.keras_internals import call_shapes
from aa_keras.layers.inspection import matches
from aa_keras.layers.shapes import channels_last

GRAPHS = (keras.Sequential, keras.Function)
# Only the first can be augmented; the others are refused by name.
CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
)
LAST_STAGE = "last_stage"


def choose_convolutions(model, where) -> list[keras.layers.Conv2D]:
    """Returns the convolutions that `where` of `augment` means.

    Raises:
        ValueError: if there are none, or one cannot be augmented.
    """
    found = dict(_convolutions(model, (), set()))
    is_integer = isinstance(where, numbers.Integral) and not isinstance(where, bool)
    if is_integer or (isinstance(where, str) and where == LAST_STAGE):
        chosen = _on_small_maps(found.values(), where)
    elif callable(where):
        chosen = [layer for layer in found.values() if where(layer)]
    elif isinstance(where, str):
        chosen = [layer for path, layer in found.items() if matches(path, where)]
    else:
        raise ValueError(
            f"where: received {where!r}; allowed: a pattern of names, the largest "
            f"height and width of a map, {LAST_STAGE!r} or a function of a layer"
        )
    if not chosen:
        paths = [path for path, layer in found.items() if not _obstacle(layer)]
        names = ", ".join(paths[:3]) + ", ..." * (len(paths) > 3)
        raise ValueError(
            f"where: received {where!r}, which chooses no convolution of {model.name}; "
            f"allowed: what chooses some of its {len(paths)} Conv2D without groups"
            + (f", {names}" if paths else "")
        )
    for layer in chosen:
        if _obstacle(layer):
            raise ValueError(
                f"where: received {where!r}, which chooses {layer.name}, "
                f"{_obstacle(layer)}; allowed: only Conv2D without groups and without "
                "activity_regularizer"
            )
    return chosen


def map_sizes(layer, *, of_output: bool) -> list[tuple]:
    """Returns the (height, width) of a layer's input or output in each call."""
    return [
        tuple(channels_last(shapes[of_output], layer.data_format, 2)[1:-1])
        for shapes in call_shapes(layer)
    ]


def _convolutions(model, path, seen):
    """Yields `(path, layer)` of each convolution of a graph, nested ones included."""
    for layer in model.layers:
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        inner = (*path, layer.name)
        if isinstance(layer, GRAPHS):
            yield from _convolutions(layer, inner, seen)
        elif isinstance(layer, CONVOLUTIONS):
            yield "/".join(inner), layer


def _obstacle(layer):
    """Why a convolution cannot be augmented; None if it can."""
    if type(layer) is not keras.layers.Conv2D:
        return f"a {type(layer).__name__}"
    if layer.groups > 1:
        return f"which has {layer.groups} groups"
    if layer.activity_regularizer is not None:
        return "which has an activity_regularizer"
    return None


def _on_small_maps(layers, where):
    """Those with output maps of at most `where`, or the smallest of all."""
    sizes = [
        (layer, size)
        for layer in layers
        if not _obstacle(layer)
        for size in [max(map_sizes(layer, of_output=True), key=_positions)]
    ]
    # The mean over one position says nothing of others.
    sizes = [(layer, size) for layer, size in sizes if _positions(size) > 1]
    if any(None in size for _, size in sizes):
        raise ValueError(
            f"where: received {where!r} for a model that leaves the size of images "
            "open; allowed: a pattern of names or a function of a layer, with max_size"
        )
    if where == LAST_STAGE:
        least = min((_positions(size) for _, size in sizes), default=0)
        small = [layer for layer, size in sizes if _positions(size) == least]
    else:
        small = [layer for layer, size in sizes if max(size) <= where]
    return [layer for layer in small if max(layer.kernel_size) > 1] or small


def _positions(size):
    return math.inf if None in size else math.prod(size)
