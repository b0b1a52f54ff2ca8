import keras
import numpy as np
import pytest
import tensorflow as tf

from aa_keras.data import augmentation, mixing

SEED = tf.constant([3, 5])


def noise(*shape):
    return np.random.default_rng(0).integers(1, 256, shape, np.uint8)


def test_pad_and_crop_cuts_windows_of_the_padded_image():
    images, padding = noise(200, 5, 7, 2), 2
    result = augmentation.pad_and_crop(images, SEED, padding=padding).numpy()
    padded = np.pad(images, [(0, 0), (padding,) * 2, (padding,) * 2, (0, 0)])
    corners = set()
    for number, image in enumerate(result):
        found = [
            (y, x)
            for y in range(2 * padding + 1)
            for x in range(2 * padding + 1)
            if np.array_equal(padded[number, y : y + 5, x : x + 7], image)
        ]
        assert len(found) == 1
        corners.update(found)
    assert len(corners) == 25  # each of them occurs


def test_flip_mirrors_about_half_of_the_images():
    images = noise(400, 2, 3, 1)
    result = augmentation.flip(images, SEED).numpy()
    mirrored = np.array(
        [not np.array_equal(*pair) for pair in zip(images, result, strict=True)]
    )
    np.testing.assert_array_equal(result[mirrored], images[mirrored, :, ::-1])
    assert 160 < mirrored.sum() < 240  # four standard deviations


def test_inception_windows_lie_in_the_image_and_vary():
    height, width = 120, 90
    windows = np.array(
        [
            augmentation.inception_window((height, width, 3), (seed, 0))
            for seed in range(300)
        ]
    )
    y, x, rows, columns = windows.T
    assert (y >= 0).all()
    assert (x >= 0).all()
    assert (y + rows <= height).all()
    assert (x + columns <= width).all()
    area, ratio = rows * columns / (height * width), columns / rows
    # At least 10 % of the image, with sides of whole pixels.
    assert area.min() > 0.095
    assert area.min() < 0.2
    assert area.max() > 0.8
    assert 0.73 < ratio.min() < 0.8
    assert 1.25 < ratio.max() < 1.37


@pytest.mark.parametrize("name", list(augmentation.AUGMENTATIONS))
def test_eager_equals_tf_data(name):
    change = augmentation.AUGMENTATIONS[name].change
    images = noise(6, 32, 32, 3)
    inside = tf.data.Dataset.from_tensors(images).map(lambda x: change(x, SEED))
    np.testing.assert_array_equal(
        change(tf.constant(images), SEED), inside.get_single_element()
    )


def test_rand_augment_is_keras_own():
    images = tf.cast(noise(4, 16, 16, 3), tf.float32)
    layer = mixing.SeededRandAugment(value_range=(0, 255), factor=0.7)
    changed = 0
    for number in range(6):
        layer.with_generator(mixing.FoldedSeeds(tf.constant([number, 1])))
        how = layer.get_random_transformation(images)
        expected = keras.layers.RandAugment.transform_images(layer, images, how)
        result = layer.transform_images(images, how)
        np.testing.assert_allclose(result, expected, atol=1e-3)
        changed += not np.allclose(result, images)
    assert changed >= 4


def test_rand_augment_is_a_function_of_the_seed():
    images, apply = noise(4, 16, 16, 3), mixing.rand_augment(0.5)
    inside = tf.data.Dataset.from_tensors(images).map(lambda x: apply(x, SEED))
    first = apply(images, SEED)
    np.testing.assert_allclose(first, inside.get_single_element(), atol=1e-3)
    assert not np.allclose(first, apply(images, SEED + 1))


@pytest.mark.parametrize(
    ("options", "tolerance"),
    # CutMix rounds its box to pixels, but not the labels: a row and a column of 16.
    [
        ({"mixup": 0.4}, 1e-5),
        ({"cutmix": 1.0}, 0.13),
        ({"mixup": 1, "cutmix": 1}, 0.13),
    ],
)
def test_mixed_labels_say_what_is_in_the_images(options, tolerance):
    classes = 5
    labels = np.eye(classes, dtype=np.float32)
    # Image n is one in channel n: the mean over the pixels of a mix is its label.
    images = np.broadcast_to(labels[:, None, None], (classes, 16, 16, classes))
    mix = mixing.mix(**options)
    mixed = 0
    for number in range(8):
        batch = mix(tf.constant(images), tf.constant(labels), tf.constant([number, 2]))
        new_images, new_labels = (part.numpy() for part in batch)
        np.testing.assert_allclose(new_labels.sum(-1), 1, rtol=1e-5)
        np.testing.assert_allclose(new_images.mean((1, 2)), new_labels, atol=tolerance)
        mixed += (new_labels.max(-1) < 0.9).sum()
    assert mixed > 5
