"""Decodes picture files."""

import tensorflow as tf

# The only palette of a BMP of which TensorFlow's decoder returns the right colors.
GRAY_PALETTE = b"".join(bytes((level, level, level, 0)) for level in range(256))


def decode(encoded, channels, window=None) -> tf.Tensor:
    """Decodes a JPEG, a PNG, a BMP or the first frame of a GIF to uint8 pixels.

    `channels` is 1 for gray, 3 for RGB. `window` (y, x, height, width) is the part to
    decode, of a JPEG the only one that is decompressed. Defaults to the whole picture.
    """
    if window is None:
        encoded = tf.cond(
            tf.strings.substr(encoded, 0, 2) == b"BM",
            lambda: _without_palette(encoded),
            lambda: tf.identity(encoded),
        )
        image = tf.io.decode_image(encoded, channels, expand_animations=False)
    else:
        image = tf.cond(
            tf.io.is_jpeg(encoded),
            lambda: tf.io.decode_and_crop_jpeg(encoded, window, channels),
            lambda: crop(decode(encoded, channels), window),
        )
    return tf.ensure_shape(image, (None, None, channels))


def _without_palette(encoded):
    """Returns a BMP, or fails where TensorFlow would take its indices for colors."""
    header = tf.io.decode_raw(tf.strings.substr(encoded, 14, 4), tf.int32)[0]
    bits = tf.io.decode_raw(tf.strings.substr(encoded, 28, 2), tf.uint16)[0]
    palette = tf.strings.substr(encoded, 14 + header, len(GRAY_PALETTE))
    is_right = tf.logical_or(bits > 8, palette == GRAY_PALETTE)
    with tf.control_dependencies([tf.debugging.Assert(is_right, ["a BMP's palette"])]):
        return tf.identity(encoded)


def crop(image, window) -> tf.Tensor:
    """Returns the part (y, x, height, width) of an image (height, width, channels)."""
    y, x, height, width = tf.unstack(window)
    return image[y : y + height, x : x + width]


def shape(encoded, channels) -> tf.Tensor:
    """Returns height, width, channels of a picture; a JPEG is not decompressed."""
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.extract_jpeg_shape(encoded),
        lambda: tf.shape(decode(encoded, channels)),
    )


def attempt(function, element, fallback):
    """Returns `function(element)`, or `fallback` where that raises, within a graph.

    TensorFlow has no operation for this, but a data set of one element may drop it.
    """
    return (
        tf.data.Dataset.from_tensors(element)
        .map(function)
        .ignore_errors()
        .concatenate(tf.data.Dataset.from_tensors(fallback))
        .take(1)
        .get_single_element()
    )
