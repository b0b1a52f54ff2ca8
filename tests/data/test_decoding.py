import io

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf

from aa_keras.data import decoding, served_decoding, upright

# TensorFlow takes libjpeg's fast transform, Pillow the exact one.
TOLERANCE = {"JPEG": 6, "PNG": 0, "BMP": 0, "GIF": 0}


def picture(picture_format, channels=3, size=(23, 31)):
    """A smooth picture, which JPEG keeps nearly as it is."""
    y, x = np.mgrid[: size[0], : size[1]]
    levels = np.stack([4 * y + 3 * x, 7 * y, 5 * x], axis=-1).astype(np.uint8)
    image = PIL.Image.fromarray(levels if channels == 3 else levels[..., 0])
    stream = io.BytesIO()
    options = {"quality": 100, "subsampling": 0} if picture_format == "JPEG" else {}
    image.save(stream, picture_format, **options)
    return stream.getvalue(), np.asarray(PIL.Image.open(stream).convert(image.mode))


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "BMP", "GIF"])
def test_decode_agrees_with_pillow(picture_format):
    encoded, expected = picture(picture_format)
    image = decoding.decode(tf.constant(encoded), 3)
    np.testing.assert_allclose(image, expected, atol=TOLERANCE[picture_format])
    assert decoding.shape(tf.constant(encoded), 3).numpy().tolist() == [23, 31, 3]


def test_decode_grey():
    encoded, expected = picture("PNG", channels=1)
    np.testing.assert_array_equal(
        decoding.decode(tf.constant(encoded), 1)[..., 0], expected
    )


@pytest.mark.parametrize("picture_format", ["PNG", "BMP"])
def test_colors_of_a_palette_are_right_or_refused(picture_format):
    """TensorFlow's decoder returns the indices of a BMP."""
    stream = io.BytesIO()
    red = PIL.Image.new("RGB", (4, 4), (255, 0, 0))
    red.quantize().save(stream, picture_format)
    nothing = tf.zeros((0, 0, 3), tf.uint8)
    files = tf.data.Dataset.from_tensors(stream.getvalue())
    images = files.map(
        lambda file: decoding.attempt(lambda e: decoding.decode(e, 3), file, nothing)
    )
    (image,) = images.as_numpy_iterator()
    expected = np.asarray(red) if picture_format == "PNG" else nothing
    np.testing.assert_array_equal(image, expected)
    gray, expected = picture(picture_format, channels=1)  # in a BMP a palette as well
    image = decoding.decode(tf.constant(gray), 3)
    np.testing.assert_array_equal(image, np.stack([expected] * 3, axis=-1))


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG"])
def test_a_window_is_that_part_of_the_picture(picture_format):
    encoded, expected = picture(picture_format)
    part = decoding.decode(tf.constant(encoded), 3, tf.constant([5, 7, 11, 13]))
    np.testing.assert_allclose(
        part, expected[5:16, 7:20], atol=TOLERANCE[picture_format]
    )


def test_attempt_gives_the_fallback_where_the_function_fails():
    encoded, expected = picture("PNG")
    pictures = tf.data.Dataset.from_tensor_slices([encoded, b"no picture", encoded])
    nothing = tf.zeros((0, 0, 3), tf.uint8)
    images = pictures.map(
        lambda p: decoding.attempt(lambda e: decoding.decode(e, 3), p, nothing)
    )
    first, second, third = images.as_numpy_iterator()
    np.testing.assert_array_equal(first, expected)
    assert second.shape == (0, 0, 3)
    np.testing.assert_array_equal(third, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_is_upright_and_so_are_its_windows(orientation):
    y, x = np.mgrid[:24, :40]
    levels = np.stack([4 * y + 3 * x, 7 * y, 5 * x], axis=-1).astype(np.uint8)
    image = PIL.Image.fromarray(levels)
    exif = image.getexif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=100, subsampling=0, exif=exif)
    expected = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(stream)))
    encoded = tf.constant(stream.getvalue())
    assert tuple(upright.shape(encoded, 3).numpy()) == expected.shape
    image = upright.decode(encoded, 3)
    np.testing.assert_allclose(image, expected, atol=TOLERANCE["JPEG"])
    # As predict and an export decode it.
    np.testing.assert_array_equal(image, served_decoding.decode_picture(encoded, 3))
    part = upright.decode(encoded, 3, tf.constant([5, 7, 11, 13]))
    np.testing.assert_allclose(part, expected[5:16, 7:20], atol=TOLERANCE["JPEG"])
