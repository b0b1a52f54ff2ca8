"""Decodes picture files as a person sees them: turned by their EXIF orientation.

Serving does the same; see `served_decoding.decode_picture`.
"""

import tensorflow as tf

from aa_keras.data import decoding
from aa_keras.data.served_decoding import exif_orientation, turn


# Traced once, not anew in every pipeline.
@tf.function(autograph=False)
def decode(encoded, channels, window=None) -> tf.Tensor:
    """Decodes as `decoding.decode` and turns a JPEG by its EXIF orientation.

    `window` (y, x, height, width) is the part of the upright picture to decode.
    """

    def turned():
        orientation = exif_orientation(encoded)
        part = window
        if window is not None:
            shape = decoding.shape(encoded, channels)
            part = _stored_window(window, shape, orientation)
        return turn(decoding.decode(encoded, channels, part), orientation)

    return tf.cond(
        _may_be_turned(encoded),
        turned,
        lambda: decoding.decode(encoded, channels, window),
    )


@tf.function(autograph=False)
def shape(encoded, channels) -> tf.Tensor:
    """Returns the height, width and channels of the upright picture."""
    stored = decoding.shape(encoded, channels)

    def turned():
        is_transposed = exif_orientation(encoded) >= 5
        return tf.where(is_transposed, tf.gather(stored, [1, 0, 2]), stored)

    return tf.cond(_may_be_turned(encoded), turned, lambda: stored)


def _may_be_turned(encoded):
    # To look for the word alone takes a quarter of the time of reading the segments.
    # `\C` is any byte: `.` is a character of UTF-8.
    has_exif = tf.strings.regex_full_match(encoded, r"\C*Exif\x00\x00\C*")
    return tf.io.is_jpeg(encoded) & has_exif


def _stored_window(window, stored_shape, orientation):
    """Returns the part of the stored picture that is `window` once it is turned."""
    y, x, height, width = tf.unstack(window)
    is_transposed = orientation >= 5
    size = stored_shape[:2]
    size = tf.where(is_transposed, size[::-1], size)  # of the upright picture
    is_mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
    is_upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
    x = tf.where(is_mirrored, size[1] - x - width, x)
    y = tf.where(is_upside_down, size[0] - y - height, y)
    return tf.where(is_transposed, [x, y, width, height], [y, x, height, width])
