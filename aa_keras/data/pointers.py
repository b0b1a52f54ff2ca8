"""The pointer task: maps of cells, each of which asks for the color of another cell.

A cell has a color and a pointer, an offset (dy, dx) of at most `RADIUS` cells in each
direction to a cell of the map. The label of every cell is the color of the cell that it
points to. Nothing else about the map helps: colors and pointers are independent. A
network solves the task only if each cell can read any place near it, by content that
the cell itself states.
"""

import numpy as np
import tensorflow as tf

RADIUS = 7
COLORS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
CHANNELS = len(COLORS) + 2 * (2 * RADIUS + 1)  # one-hot color, dy, dx


def draw_maps(key, num_maps, size, hops=1) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws maps and their labels, a pure function of the key.

    Pointers are uniform among those that stay inside the map.

    Args:
        key: int tensor (2,), a random seed.
        num_maps: int.
        size: int, height and width of a map in cells.
        hops: int, how many pointers are followed, one after the other, to the color
            that is the label. Defaults to `1`.

    Returns:
        Maps (num_maps, size, size, `CHANNELS`), float32: color, dy and dx, each
        one-hot; and labels (num_maps, size, size), int32.
    """
    keys = tf.unstack(tf.random.split(key, 3))
    shape = (num_maps, size, size)
    colors = tf.random.stateless_uniform(
        shape, keys[0], maxval=len(COLORS), dtype=tf.int32
    )
    positions = tf.range(size)
    rows = _reachable(keys[1], shape, positions[:, tf.newaxis])
    columns = _reachable(keys[2], shape, positions)
    offsets = (rows - positions[:, tf.newaxis], columns - positions)
    maps = tf.concat(
        [
            tf.one_hot(colors, len(COLORS)),
            *(tf.one_hot(offset + RADIUS, 2 * RADIUS + 1) for offset in offsets),
        ],
        axis=-1,
    )
    targets = tf.reshape(rows * size + columns, (num_maps, -1))
    labels = tf.reshape(colors, (num_maps, -1))
    for _ in range(hops):
        labels = tf.gather(labels, targets, batch_dims=1)
    return maps, tf.reshape(labels, shape)


def _reachable(key, shape, position):
    """Draws a target on one axis for each cell, uniform among those within reach."""
    first = tf.maximum(position - RADIUS, 0)
    last = tf.minimum(position + RADIUS, shape[-1] - 1)
    share = tf.random.stateless_uniform(shape, key)
    return first + tf.cast(share * tf.cast(last - first + 1, share.dtype), tf.int32)


def accuracy_bound(radius: int, size: int) -> float:
    """Returns the accuracy that no network can exceed whose cells see `radius` cells.

    A cell that points within the radius can be answered. The color behind any other
    pointer is independent of all that the cell sees, so that a guess is right once in
    `len(COLORS)`. `n` convolutions of 3x3 see `n` cells in each direction.

    Args:
        radius: int, how far a cell sees in rows and in columns.
        size: int, height and width of a map in cells.
    """
    position, target = np.arange(size)[:, np.newaxis], np.arange(size)
    distance = np.abs(target - position)
    allowed = (distance <= RADIUS).sum(axis=1)
    seen = (distance <= min(radius, RADIUS)).sum(axis=1)
    answered = np.mean(seen / allowed) ** 2
    return float(answered + (1 - answered) / len(COLORS))
