"""Random changes to an image and its boxes, each a pure function of a seed.

Boxes of a stored image are (top, left, bottom, right) as fractions of height and width;
boxes of a network's input are (left, top, right, bottom) in pixels.
"""

import tensorflow as tf

from aa_keras.data.preprocessing import scaled_size

AUGMENTATIONS = ("none", "flip", "scale_jitter")


def augment(name, image, boxes, preprocessing, scale_range, seed) -> tuple:
    """Augments an image and its boxes, and fits both into the network's input.

    Args:
        name: str, one of `AUGMENTATIONS`; `"scale_jitter"` flips as well.
        scale_range: pair of floats, factors on the scale that makes the image fit.

    Returns:
        The network's input, boxes in its pixels, and booleans (boxes,), whether a part
        of the box is visible.
    """
    flip_seed, jitter_seed = tf.unstack(tf.random.split(seed, 2))
    size = tf.shape(image)[:2]
    scale, corner = preprocessing.scale(size), tf.zeros((2,), tf.int32)
    if name != "none":
        image, boxes = flip(image, boxes, flip_seed)
    if name == "scale_jitter":
        scale, corner = jitter(size, preprocessing, scale_range, jitter_seed)
    boxes, visible = place_boxes(boxes, size, scale, corner, preprocessing.image_size)
    return preprocessing.fit(image, scale, corner), boxes, visible


def flip(image, boxes, seed) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors an image and its boxes left and right with probability one half."""
    top, left, bottom, right = tf.unstack(boxes, axis=-1)
    mirrored = tf.stack([top, 1 - right, bottom, 1 - left], axis=-1)
    coin = tf.random.stateless_uniform((), seed) < 0.5
    return (
        tf.where(coin, tf.reverse(image, [1]), image),
        tf.where(coin, mirrored, boxes),
    )


def jitter(size, preprocessing, scale_range, seed) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a random scale and the corner (y, x) of a random square in the result."""
    scale_seed, corner_seed = tf.unstack(tf.random.split(seed, 2))
    smallest, largest = scale_range
    factor = tf.random.stateless_uniform((), scale_seed, smallest, largest)
    scale = preprocessing.scale(size) * factor
    beyond = tf.maximum(scaled_size(size, scale) - preprocessing.image_size, 0)
    position = tf.random.stateless_uniform((2,), corner_seed)
    return scale, tf.cast(position * tf.cast(beyond + 1, tf.float32), tf.int32)


def place_boxes(boxes, size, scale, corner, image_size) -> tuple[tf.Tensor, tf.Tensor]:
    """Converts boxes to pixels of the square, clips them, and tells the visible ones.

    `size` is that of the stored image; `scale` and `corner` (y, x) are those of
    `jitter`.
    """
    scaled = tf.cast(scaled_size(size, scale), tf.float32)
    offset = tf.cast(corner, tf.float32)
    boxes = boxes * tf.tile(scaled, [2]) - tf.tile(offset, [2])
    boxes = tf.clip_by_value(boxes, 0.0, tf.cast(image_size, tf.float32))
    top, left, bottom, right = tf.unstack(boxes, axis=-1)
    visible = (bottom - top >= 1) & (right - left >= 1)
    return tf.stack([left, top, right, bottom], axis=-1), visible
