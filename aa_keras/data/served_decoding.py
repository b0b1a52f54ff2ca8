"""Decodes picture files to upright pixels, within a served graph."""

import functools
from pathlib import Path

import numpy as np
import tensorflow as tf

from aa_keras.data import decoding

# Why a picture has no answer, in the output `errors` of an export.
NOT_A_PICTURE = "not a JPEG or PNG"
TOO_LARGE = "too large"
TOO_MANY_SCANS = "too many scans"
BROKEN = "cannot be decoded"
REQUEST_TOO_LARGE = "request too large"

# Bounds that are checked before anything is decompressed: a file of some kilobytes can
# claim a terabyte of pixels, or to be drawn anew a thousand times.
MAX_BYTES = 2**25
MAX_SIDE = 65_535  # that of a JPEG; a longer row is resized through gigabytes
MAX_PIXELS = 2**26  # 192 MiB in RGB
MAX_SCANS = 100
MAX_WORK = 2**28  # pixels times scans: 10 scans of 26 megapixels
MAX_REQUEST = 8.0  # files as costly as one may be

# The time that a PNG takes, in pixels of one scan of a JPEG.
PNG_WORK = 2  # a pixel
PNG_16_BITS = 4  # times as much, from two bytes a channel
PNG_INTERLACED = 4  # times as much
PNG_TEXT = 2**24  # a compressed text: 8 MB are decompressed, and thrown away

EXIF = int.from_bytes(b"Exif")
ORIENTATION = 0x0112  # the number of the entry
LIMITS = {
    TOO_LARGE: f"{MAX_BYTES} bytes, {MAX_PIXELS} pixels, sides of {MAX_SIDE}",
    TOO_MANY_SCANS: f"{MAX_SCANS}, and {MAX_WORK} pixels in all scans",
}


def read_picture(path, channels) -> np.ndarray:
    """Decodes a file as an export does, or raises ValueError with its name."""
    try:
        # A tensor, because a value of Python would be traced again for each file.
        encoded = tf.constant(Path(path).read_bytes())
        reason, pixels = read_in_graph(encoded, channels)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except tf.errors.OpError:
        reason, pixels = tf.constant(BROKEN), None
    reason = reason.numpy().decode()
    if reason:
        allowed = f"; allowed: {LIMITS[reason]}" if reason in LIMITS else ""
        raise ValueError(f"{path}: {reason}{allowed}")
    return pixels.numpy()


# In a graph, `tf.cond` computes only the branch that is needed.
@functools.partial(tf.function, autograph=False)
def read_in_graph(encoded, channels) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns why a file is refused, and its pixels if it is not."""
    reason, _ = screen_one(encoded)
    pixels = tf.cond(
        reason == "",
        lambda: decode_picture(encoded, channels),
        lambda: tf.zeros((0, 0, channels), tf.uint8),
    )
    return reason, pixels


def screen(files) -> tuple[tf.Tensor, tf.Tensor]:
    """Looks at files (B,) without decompressing them.

    Returns:
        Why a file is refused, (B,) strings, empty where it is not; and what it costs to
        decode, (B,) floats, where 1 is the most that one file may cost.

    Raises:
        tf.errors.InvalidArgumentError: if the header of a JPEG is broken.
    """
    png = tf.strings.substr(files, 0, 8) == b"\x89PNG\r\n\x1a\n"
    jpeg = tf.io.is_jpeg(files)
    sizes, bits, interlaced = _png_header(files)
    jpeg_sizes = tf.map_fn(
        lambda encoded: tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.int64),
        tf.boolean_mask(files, jpeg),
        fn_output_signature=tf.TensorSpec((2,), tf.int64),
    )
    sizes = tf.tensor_scatter_nd_update(sizes, tf.where(jpeg), jpeg_sizes)
    # Clipped, so that no product overflows.
    pixels = tf.reduce_prod(tf.minimum(sizes, MAX_SIDE + 1), axis=1)
    num_bytes = tf.strings.length(files)

    # The start of a scan and its length, which is below 256 in every sound file.
    jpegs = tf.where(jpeg, files, "")
    scans = _count(jpegs, b"\xff\xda\0", MAX_SCANS + 1)
    # Frames in arithmetic coding, which no browser shows: each byte costs 130 ns.
    arithmetic = _count(jpegs, b"\xff\xc9\0", 1) + _count(jpegs, b"\xff\xca\0", 1)
    texts = _count(tf.where(png, files, ""), b"TXt", 2 * MAX_WORK // PNG_TEXT)
    factor = tf.where(bits == 16, PNG_16_BITS, 1) * tf.where(
        interlaced, PNG_INTERLACED, 1
    )
    png_work = pixels * PNG_WORK * tf.cast(factor, tf.int64) + texts * PNG_TEXT
    work = tf.where(jpeg, pixels * scans, png_work)

    reasons = tf.fill(tf.shape(files), "")
    for condition, reason in (  # of several, the last one is told
        (tf.reduce_min(sizes, axis=1) <= 0, BROKEN),
        (arithmetic > 0, BROKEN),
        (work > MAX_WORK, tf.where(jpeg, TOO_MANY_SCANS, TOO_LARGE)),
        (scans > MAX_SCANS, TOO_MANY_SCANS),
        (pixels > MAX_PIXELS, TOO_LARGE),
        (tf.reduce_max(sizes, axis=1) > MAX_SIDE, TOO_LARGE),
        (num_bytes > MAX_BYTES, TOO_LARGE),
        (~(png | jpeg), NOT_A_PICTURE),
    ):
        reasons = tf.where(condition, reason, reasons)
    costs = tf.maximum(work / MAX_WORK, num_bytes / MAX_BYTES)
    costs = tf.where(reasons == "", costs, tf.zeros_like(costs))
    return reasons, tf.cast(costs, tf.float32)


def screen_one(encoded) -> tuple[tf.Tensor, tf.Tensor]:
    """Looks at one file as `screen` does."""
    reasons, costs = screen(encoded[tf.newaxis])
    return reasons[0], costs[0]


def is_covered(costs) -> tf.Tensor:
    """Returns whether `MAX_REQUEST` covers the sum of the costs (B,)."""
    return tf.reduce_sum(costs) <= MAX_REQUEST


def covered(costs) -> tf.Tensor:
    """Returns which of the costs (B,), from the least on, `MAX_REQUEST` covers."""
    order = tf.argsort(costs, stable=True)
    sums = tf.gather(tf.cumsum(tf.gather(costs, order)), tf.argsort(order))
    return sums <= MAX_REQUEST


def decode_picture(encoded, channels) -> tf.Tensor:
    """Decodes a JPEG or PNG to uint8 (height, width, channels) as a person sees it.

    Decodes as training does. Transparency is dropped, 16 bits become 8, CMYK becomes
    RGB, and a JPEG is rotated by its EXIF orientation. `screen` comes before it.

    Raises:
        tf.errors.InvalidArgumentError: if it is broken.
    """
    pixels = decoding.decode(encoded, channels)
    return tf.cond(
        tf.io.is_jpeg(encoded), lambda: upright(pixels, encoded), lambda: pixels
    )


# Not inlined, because a PNG would pay for the operations of the branch not taken.
@functools.partial(
    tf.function, autograph=False, experimental_attributes={"_noinline": True}
)
def upright(pixels, encoded) -> tf.Tensor:
    """Turns the pixels of a JPEG by its EXIF orientation."""
    return turn(pixels, exif_orientation(encoded))


def _png_header(files):
    """Returns height and width (B, 2), bits of a channel and whether interlaced (B,).

    A PNG begins with its header. Of a file that is too short all are zero.
    """
    header = tf.strings.substr(files, 0, 29) + b"\0" * 29
    header = tf.io.decode_raw(tf.strings.substr(header, 16, 13), tf.uint8)
    sides = tf.reshape(tf.cast(header[:, :8], tf.int64), (-1, 2, 4))
    sides = tf.reduce_sum(sides * [256**3, 256**2, 256, 1], axis=2)
    return tf.reverse(sides, [1]), header[:, 8], header[:, 12] > 0


def _count(files, text, most):
    """Returns how often files (B,) contain a text, at most `most` times."""
    return tf.strings.split(files, text, maxsplit=most).row_lengths() - 1


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
