"""Pictures in, names out: as the training's pipeline and the data set have them."""

import keras
import numpy as np
import pytest

from aa_keras import data, models


@pytest.fixture(scope="module")
def source(data_dir):
    return data.open_source("cifar100", data_dir=str(data_dir))


def test_preprocessing_is_that_of_the_pipeline(source):
    preprocessing = data.Preprocessing(32, source.mean, source.std)
    batches = data.build_evaluation(source, preprocessing, split="test", batch_size=4)
    expected, _ = next(iter(batches))
    images, _ = source.load_arrays("test")
    got = models.preprocess_input(images[:4])
    assert isinstance(got, np.ndarray)
    assert got.dtype == "float32"
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
    tensor = models.preprocess_input(keras.ops.convert_to_tensor(images[:4]))
    np.testing.assert_allclose(tensor, expected, rtol=1e-6, atol=1e-6)


def test_names_are_the_fine_labels_of_the_data_set(source):
    order = np.random.default_rng(0).permutation(100)
    scores = np.empty((2, 100), "float32")
    scores[0, order] = np.linspace(1, 0, 100)
    scores[1] = np.eye(100)[42]
    first, second = models.decode_predictions(scores, top=100)
    assert [index for index, *_ in first] == order.tolist()
    for index, name, score in first:
        assert (name, score) == (source.class_names[index], scores[0, index])
    assert second[0] == (42, source.class_names[42], 1.0)
    tensor = keras.ops.convert_to_tensor(scores)
    assert models.decode_predictions(tensor, top=3)[0] == first[:3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.preprocess_input(np.ones((2, 32, 32, 1))), r"x: received \(2"),
        (lambda: models.preprocess_input([[1, 2, 3]]), r"x: received list; .*\.\., 3"),
        (lambda: models.preprocess_input(np.ones(3), "mnist"), "'mnist'.*: cifar100"),
        (lambda: models.decode_predictions(np.ones((2, 10))), r"preds: .*\(2, 10\)"),
        (lambda: models.decode_predictions(np.ones(100)), r"allowed: \(pictures, 100"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
