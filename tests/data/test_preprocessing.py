import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from aa_keras import data

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_normalize():
    preprocessing = data.Preprocessing(2, (0.5,), (0.25,))
    values = preprocessing(np.array([[[0], [255]], [[51], [102]]], np.uint8))
    np.testing.assert_allclose(values[..., 0], [[-2, 2], [-1.2, -0.4]], rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "part", "rows", "columns"),
    [
        ((16, 24, 3), 0.875, slice(1, 15), slice(5, 19)),  # a square of 14
        ((24, 16, 3), 0.875, slice(5, 19), slice(1, 15)),
        ((17, 11, 3), 1.0, slice(3, 14), slice(0, 11)),
        ((7, 7, 3), 0.5, slice(1, 5), slice(1, 5)),  # 3.5, rounded to even
    ],
)
def test_central_crop(shape, part, rows, columns):
    images = noise(*shape)
    preprocessing = data.Preprocessing(5, MEAN, STD, central_crop=part)
    np.testing.assert_array_equal(preprocessing.crop(images), images[rows, columns])


@pytest.mark.parametrize("shape", [(37, 53, 3), (11, 13, 3)])
def test_resize_agrees_with_pillow(shape):
    images = noise(*shape)
    expected = PIL.Image.fromarray(images).resize(
        (19, 19), PIL.Image.Resampling.BILINEAR
    )
    resized = data.Preprocessing(19, MEAN, STD).resize(images)
    # Pillow rounds to whole levels after each of two passes.
    np.testing.assert_allclose(resized, np.asarray(expected), atol=1.5)


def test_serves_batches_of_any_size():
    preprocessing = data.Preprocessing(8, MEAN, STD, central_crop=0.875)
    spec = tf.TensorSpec((None, None, None, 3), tf.uint8)
    serve = tf.function(preprocessing, input_signature=[spec])
    for shape in ((2, 21, 13, 3), (1, 8, 8, 3)):
        images = noise(*shape)
        expected = np.stack([preprocessing(image) for image in images])
        np.testing.assert_allclose(serve(images), expected, rtol=1e-5, atol=1e-5)
