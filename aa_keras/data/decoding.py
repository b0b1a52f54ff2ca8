"""From the bytes of a picture file to pixels, and what to do about a broken one."""

import sys

import tensorflow as tf


def decode(encoded, channels, window=None):
    """The pixels of a JPEG, PNG, BMP or the first frame of a GIF.

    Args:
        encoded: Scalar string, the file's bytes.
        channels: 1 for grey, 3 for RGB; the picture is converted.
        window: Integers (y, x, height, width), the part that is wanted; `None` for
            all of it. Of a JPEG only that part is decompressed.

    Returns:
        uint8 (height, width, channels).

    Raises:
        tf.errors.InvalidArgumentError: If the bytes are no such picture.
    """
    if window is None:
        image = tf.io.decode_image(encoded, channels, expand_animations=False)
    else:
        image = tf.cond(
            tf.io.is_jpeg(encoded),
            lambda: tf.io.decode_and_crop_jpeg(encoded, window, channels),
            lambda: crop(decode(encoded, channels), window),
        )
    return tf.ensure_shape(image, (None, None, channels))


def crop(image, window):
    """The part (y, x, height, width) of an image (height, width, channels)."""
    y, x, height, width = tf.unstack(window)
    return image[y : y + height, x : x + width]


def shape(encoded, channels):
    """Height, width and channels of a picture, for a JPEG without decompressing it."""
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.extract_jpeg_shape(encoded),
        lambda: tf.shape(decode(encoded, channels)),
    )


def attempt(function, element, fallback):
    """`function(element)`, or `fallback` where that raises: a try within a graph.

    TensorFlow has no such operation, but a data set of one element may drop it.
    """
    return (
        tf.data.Dataset.from_tensors(element)
        .map(function)
        .ignore_errors()
        .concatenate(tf.data.Dataset.from_tensors(fallback))
        .take(1)
        .get_single_element()
    )


def require(images, names, policy):
    """Names the images that could not be decoded, and stops where they should stop it.

    Args:
        images: Tensor whose size is zero if it could not be decoded.
        names: Scalar string, where the image is stored.
        policy: `"stop"` or `"skip"`.

    Returns:
        Scalar boolean, whether the image can be used; with `"stop"` it is `True`, or
        an `InvalidArgumentError` that names the image.
    """
    usable = tf.size(images) > 0
    if policy == "stop":
        message = "corrupt image (data.corrupt_images=skip leaves it out):"
        with tf.control_dependencies([tf.debugging.Assert(usable, [message, names])]):
            return tf.identity(usable)
    report = tf.strings.join(["Skipped a corrupt image: ", names])

    def skip():
        with tf.control_dependencies([tf.print(report, output_stream=sys.stderr)]):
            return tf.constant(False)

    return tf.cond(usable, lambda: tf.constant(True), skip)
