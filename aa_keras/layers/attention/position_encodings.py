"""Encodings of absolute positions, the paper's alternatives to relative logits."""

import math

from keras import ops


def sine_encoding(size, channels):
    """Sines and cosines of the position along each axis.

    Every axis gets an equal share of the channels, height first; within a share the
    sines of all wavelengths, then the cosines, wavelengths from 2 pi to 20000 pi in
    a geometric series. Channels that do not divide evenly stay 0.

    Args:
        size: sequence of axis lengths, ints or scalar tensors.
        channels: int, at least two for every axis.

    Returns:
        float32 tensor (*size, channels).

    Reference: Vaswani et al. 2017, section 3.5; Parmar et al. 2018, section 3.1.
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
    """The coordinates of every position, each axis from -1 to 1.

    Args:
        size: sequence of axis lengths, ints or scalar tensors.

    Returns:
        float32 tensor (*size, len(size)), height first; 0 on an axis of length 1.

    Reference: Liu et al. 2018, "An intriguing failing of convolutional neural
    networks and the CoordConv solution".
    """
    axes = []
    for length in size:
        last = ops.cast(ops.maximum(length - 1, 1), "float32")
        doubled = 2 * ops.arange(length, dtype="float32")
        axes.append((doubled - ops.cast(length - 1, "float32")) / last)
    return ops.stack(ops.meshgrid(*axes, indexing="ij"), axis=-1)
