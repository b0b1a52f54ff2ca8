"""Random changes to training images, each a pure function of images and a seed.

Images are (batch, height, width, channels), a seed is integers of shape (2,). A change
takes a whole batch, which costs far less for small images than one call for each. The
crop of the Inception papers selects a window before an image is decoded, so that only
the window is decoded.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


def pad_and_crop(images, seed, *, padding) -> tf.Tensor:
    """Pads every side with zeros and crops the original size at a random place."""
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    padded = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    corners = tf.random.stateless_uniform(
        (2, batch, 1), seed, maxval=2 * padding + 1, dtype=tf.int32
    )
    rows, columns = corners[0] + tf.range(height), corners[1] + tf.range(width)
    cropped = tf.gather(padded, rows, batch_dims=1)
    cropped = tf.gather(cropped, columns, axis=2, batch_dims=1)
    return tf.ensure_shape(cropped, images.shape)


def flip(images, seed) -> tf.Tensor:
    """Mirrors left and right, each image with probability one half."""
    coins = tf.random.stateless_uniform((tf.shape(images)[0],), seed)
    # Whole images are selected, which takes half the time of `where` on each value.
    return tf.raw_ops.Select(condition=coins < 0.5, x=tf.reverse(images, [2]), y=images)


def inception_window(shape, seed) -> tf.Tensor:
    """Selects (y, x, height, width) of 8 to 100 % of the area, aspect ratio 3/4 to 4/3.

    As in the TPU ResNet code a window must also cover 10 % of the whole image.

    Reference:
        - Szegedy et al., "Going deeper with convolutions", section 6.
    """
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        tf.zeros((1, 0, 4)),
        seed,
        min_object_covered=0.1,
        aspect_ratio_range=(3 / 4, 4 / 3),
        area_range=(0.08, 1.0),
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.concat([begin[:2], size[:2]], axis=0)


def _nothing(images, seed):
    return images


def _crop(images, seed):
    return pad_and_crop(images, seed, padding=images.shape[1] // 8)


def _cifar(images, seed):
    # Section 4.1 of the paper: flip, pad to 40 pixels and crop 32.
    crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
    return flip(pad_and_crop(images, crop_seed, padding=4), flip_seed)


class Augmentation(NamedTuple):
    """The functions behind a name in an experiment file: `(images or shape, seed)`."""

    change: Callable
    window: Callable | None = None


AUGMENTATIONS = {
    "none": Augmentation(_nothing),
    "crop": Augmentation(_crop),
    "flip": Augmentation(flip),
    "cifar": Augmentation(_cifar),
    "inception": Augmentation(flip, inception_window),
}
