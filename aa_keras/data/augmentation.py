"""Random changes to one training image, each a pure function of image and seed."""

import tensorflow as tf


def pad_and_crop(image, seed, *, padding):
    """Pads with zeros on every side and cuts the original size out of it anywhere."""
    padded = tf.pad(image, [[padding, padding], [padding, padding], [0, 0]])
    return tf.image.stateless_random_crop(padded, tf.shape(image), seed)


def flip(image, seed):
    """Mirrors left and right with probability one half."""
    return tf.image.stateless_random_flip_left_right(image, seed)


def _crop(image, seed):
    return pad_and_crop(image, seed, padding=image.shape[0] // 8)


def _cifar(image, seed):
    # Section 4.1 of the paper: flip, pad to 40 pixels and crop 32.
    crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
    return flip(pad_and_crop(image, crop_seed, padding=4), flip_seed)


AUGMENTATIONS = {
    "none": lambda image, seed: image,
    "crop": _crop,
    "cifar": _cifar,
}
