"""Position encodings of the attention. A new one is a function and a line in the table.

Shape letters: B batch, `*size` the lengths of the attended axes, C channels.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from keras import ops


class PositionEncoding(NamedTuple):
    """What an encoding does to the attention's input (B, *size, C).

    It may add channels. `has_tables`: whether the logits contain relative terms from
    tables.
    """

    encode: Callable = lambda x: x
    has_tables: bool = False


def add_sines(x):
    """Adds `sine_encoding` to x."""
    _, *size, channels = ops.shape(x)
    return x + ops.cast(sine_encoding(size, channels), x.dtype)


def append_coordinates(x):
    """Appends `coordinate_encoding` to x, one channel for each axis."""
    batch, *size, _ = ops.shape(x)
    coordinates = ops.cast(coordinate_encoding(size), x.dtype)
    coordinates = ops.broadcast_to(coordinates, (batch, *size, len(size)))
    return ops.concatenate([x, coordinates], axis=-1)


def sine_encoding(size, channels):
    """Sines and cosines of the position along each axis, float32 (*size, channels).

    Every axis gets an equal share of the channels, height first. A share holds the
    sines of all wavelengths, then the cosines. Wavelengths are a geometric series from
    2 pi to 20000 pi. Channels that do not divide evenly stay 0.

    Reference:
        - Vaswani et al. 2017, section 3.5; Parmar et al. 2018, section 3.1.
    """
    num_waves = channels // (2 * len(size))
    if num_waves == 0:
        raise ValueError(
            f"position_encoding='sine' needs at least {2 * len(size)} input channels; "
            f"received {channels}"
        )
    step = math.log(10000.0) / max(num_waves - 1, 1)
    frequencies = ops.exp(-step * ops.arange(num_waves, dtype="float32"))
    encoding = 0
    for axis, length in enumerate(size):
        angles = ops.arange(length, dtype="float32")[:, None] * frequencies
        waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)
        before = 2 * num_waves * axis
        waves = ops.pad(waves, ((0, 0), (before, channels - before - 2 * num_waves)))
        shape = [1] * len(size)
        shape[axis] = length
        encoding = encoding + ops.reshape(waves, (*shape, channels))
    return encoding


def coordinate_encoding(size):
    """Coordinates from -1 to 1 along each axis, float32 (*size, len(size)); 0 if alone.

    Reference:
        - Liu et al. 2018, "An intriguing failing of convolutional neural networks and
          the CoordConv solution".
    """
    axes = []
    for length in size:
        last = ops.cast(ops.maximum(length - 1, 1), "float32")
        doubled = 2 * ops.arange(length, dtype="float32")
        axes.append((doubled - ops.cast(length - 1, "float32")) / last)
    return ops.stack(ops.meshgrid(*axes, indexing="ij"), axis=-1)


ENCODINGS = {
    "relative": PositionEncoding(has_tables=True),
    "none": PositionEncoding(),
    "sine": PositionEncoding(add_sines),
    "coordconv": PositionEncoding(append_coordinates),
}
POSITION_ENCODINGS = tuple(ENCODINGS)
