"""Decodes picture files to upright pixels, within a served graph."""

import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from aa_keras.data import decoding

# Larger pictures are refused before they are decompressed: a file of some kilobytes can
# claim a terabyte of pixels. 64 megapixels in RGB are 192 MiB.
MAX_PIXELS = 2**26

EXIF = int.from_bytes(b"Exif")
ORIENTATION = 0x0112  # the number of the entry


def read_picture(path, channels) -> np.ndarray:
    """Decodes a file with `decode_picture`, or raises ValueError with its name."""
    try:
        # A tensor, because a value of Python would be traced again for each file.
        return decode_in_graph(tf.constant(Path(path).read_bytes()), channels).numpy()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"{path}: {_reason(error)}") from None


def _reason(error):
    """The reason in a message of TensorFlow, without the place in the graph."""
    lines = [line.strip() for line in error.message.splitlines()]
    reason = [line for line in lines if line and not line.startswith("[[")][-1]
    if reason.startswith("assertion failed:"):
        reason = " ".join(re.findall(r"\[([^\[\]]*)\]", reason))
    return reason


def decode_picture(encoded, channels) -> tf.Tensor:
    """Decodes a JPEG or PNG to uint8 (height, width, channels) as a person sees it.

    Decodes as training does. Transparency is dropped, 16 bits become 8, CMYK becomes
    RGB, and a JPEG is rotated by its EXIF orientation.

    Raises:
        tf.errors.InvalidArgumentError: if it is no such file, is broken, or has more
            than `MAX_PIXELS`.
    """
    png = tf.strings.substr(encoded, 0, 8) == b"\x89PNG\r\n\x1a\n"
    jpeg = tf.io.is_jpeg(encoded)
    known = tf.debugging.Assert(
        png | jpeg, ["not a JPEG or PNG file; bytes:", tf.strings.length(encoded)]
    )
    with tf.control_dependencies([known]):
        encoded = tf.identity(encoded)
    size = tf.cond(
        jpeg,
        lambda: tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.int64),
        lambda: _png_size(encoded),
    )
    small = tf.debugging.Assert(
        (tf.reduce_min(size) > 0) & (tf.reduce_prod(size) <= MAX_PIXELS),
        ["an image of", size, "pixels; allowed: 1 to", MAX_PIXELS, "in all"],
    )
    with tf.control_dependencies([small]):
        pixels = decoding.decode(tf.identity(encoded), channels)
    return tf.cond(
        jpeg, lambda: turn(pixels, exif_orientation(encoded)), lambda: pixels
    )


# In a graph, `tf.cond` computes only the branch that is needed.
decode_in_graph = tf.function(decode_picture, autograph=False)


def _png_size(encoded):
    # A PNG begins with its header. The size of a file that is too short is zero.
    header = tf.strings.substr(encoded + b"\0" * 24, 16, 8)
    size = tf.io.decode_raw(header, tf.int32, little_endian=False)
    return tf.cast(tf.reverse(size, [0]), tf.int64)


def exif_orientation(encoded) -> tf.Tensor:
    """Returns the EXIF orientation of a JPEG, 1 to 8, and 1 where it has none."""
    size = tf.cast(tf.strings.length(encoded), tf.int64)
    data = tf.io.decode_raw(encoded + b"\0" * 4, tf.uint8)

    def number(position, length, little_endian=False):
        position = tf.minimum(position, size)
        digits = tf.cast(data[position : position + length], tf.int64)
        weights = [256**i for i in range(length)]
        weights = tf.where(little_endian, weights, weights[::-1])
        return tf.reduce_sum(digits * tf.cast(weights, tf.int64))

    def is_exif(position):
        return (number(position, 2) == 0xFFE1) & (number(position + 4, 4) == EXIF)

    def is_other_segment(position):
        marker = number(position, 2)
        scan = 0xFFDA  # the picture itself follows
        return (marker > 0xFF00) & (marker != scan) & ~is_exif(position)

    (start,) = tf.while_loop(
        is_other_segment,
        lambda position: (position + 2 + number(position + 2, 2),),
        (tf.constant(2, tf.int64),),
        maximum_iterations=64,
    )

    def orientation():
        tiff = start + 10
        little_endian = number(tiff, 2) == 0x4949
        entries = tiff + number(tiff + 4, 4, little_endian) + 2
        count = number(entries - 2, 2, little_endian)

        (entry,) = tf.while_loop(
            lambda entry: (
                (entry < entries + 12 * count)
                & (number(entry, 2, little_endian) != ORIENTATION)
            ),
            lambda entry: (entry + 12,),
            (entries,),
            maximum_iterations=64,
        )
        stated = number(entry, 2, little_endian) == ORIENTATION
        value = number(entry + 8, 2, little_endian)
        valid = stated & (value >= 1) & (value <= 8)
        return tf.where(valid, value, tf.constant(1, tf.int64))

    return tf.cond(is_exif(start), orientation, lambda: tf.constant(1, tf.int64))


def turn(pixels, orientation) -> tf.Tensor:
    """Rotates and mirrors pixels (height, width, channels) by an EXIF orientation."""

    def when(condition, change, image):
        return tf.cond(condition, lambda: change(image), lambda: image)

    def is_one_of(*values):
        return tf.reduce_any(orientation == tf.constant(values, orientation.dtype))

    image = when(orientation >= 5, lambda x: tf.transpose(x, (1, 0, 2)), pixels)
    image = when(is_one_of(3, 4, 7, 8), lambda x: tf.reverse(x, [0]), image)
    return when(is_one_of(2, 3, 6, 7), lambda x: tf.reverse(x, [1]), image)
