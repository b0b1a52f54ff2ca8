import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from aa_keras import data

RGB = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def digits():
    source = data.open_source("digits")
    return source, data.Preprocessing(8, source.mean, source.std)


def images_in_files(written):
    source = data.open_source("imagenet2012", written[0])
    return source, data.Preprocessing(16, *RGB, central_crop=0.875)


def training(source_and_preprocessing, epochs, **options):
    options = {"augmentation": "none", "batch_size": 8, "seed": 0, **options}
    return data.build_training(*source_and_preprocessing, epochs=epochs, **options)


def read(batches):
    return [(x, y) for x, y in batches.as_numpy_iterator()]


def labels(batches):
    return np.concatenate([y.argmax(-1) for _, y in batches])


def assert_equal(some, others):
    assert len(some) == len(others) > 0
    for (x, y), (other_x, other_y) in zip(some, others, strict=True):
        np.testing.assert_array_equal(x, other_x)
        np.testing.assert_array_equal(y, other_y)


def test_an_epoch_holds_every_image_once_in_another_order(written):
    setup = images_in_files(written)
    batches = training(setup, range(3))
    assert batches.cardinality() == 9
    first, second, third = np.split(labels(read(batches)), 3)
    for epoch in (first, second, third):
        assert sorted(epoch) == list(range(24))
    assert len({tuple(epoch) for epoch in (first, second, third)}) == 3
    assert list(first) != sorted(first)


def test_windows_of_images_in_memory_are_refused():
    message = "received 'inception'; allowed for 'digits', .*: none, crop, flip, cifar$"
    with pytest.raises(ValueError, match=message):
        training(digits(), range(1), augmentation="inception")


def test_an_epoch_of_arrays_holds_every_image_once():
    source, preprocessing = digits()
    (images, _), *others = read(
        training((source, preprocessing), range(1), batch_size=1258)
    )
    assert not others
    stored = preprocessing(source.arrays("train")[0]).numpy()
    as_bytes = [
        sorted(image.tobytes() for image in column) for column in (images, stored)
    ]
    assert as_bytes[0] == as_bytes[1]


@pytest.mark.parametrize(
    ("files", "options"),
    [
        (False, {"augmentation": "crop", "batch_size": 400}),
        (True, {"augmentation": "inception"}),
        (True, {"augmentation": "cifar", "mixup": 0.2, "cutmix": 1.0}),
        (True, {"augmentation": "flip", "rand_augment": 0.5}),
    ],
)
def test_a_resumed_run_sees_what_an_uninterrupted_one_sees(written, files, options):
    setup = images_in_files(written) if files else digits()
    keras.utils.set_random_seed(1)
    whole = read(training(setup, range(4), **options))
    keras.utils.set_random_seed(2)  # the state of generators must not matter
    for batch in (0, 2):  # at the start of an epoch, and inside it
        resumed = training(setup, range(2, 4), first_batch=batch, **options)
        assert resumed.cardinality() == 6 - batch
        assert_equal(read(resumed), whole[6 + batch :])


SUM_OF_EPOCHS = """
import sys
from aa_keras import data
source = data.open_source("imagenet2012", sys.argv[1])
batches = data.build_training(
    source,
    data.Preprocessing(16, (0.5,) * 3, (0.5,) * 3),
    augmentation="inception", batch_size=8, seed=3, epochs=range(2),
)
batches = enumerate(batches.as_numpy_iterator(), start=1)
print(sum((number * images.sum()).item() for number, (images, _) in batches))
"""


def test_another_process_sees_the_same(written):
    setup = images_in_files(written)
    batches = read(training(setup, range(2), augmentation="inception", seed=3))
    expected = sum((n + 1) * x.sum() for n, (x, _) in enumerate(batches))
    root = Path(__file__).parents[2]
    printed = subprocess.run(
        [sys.executable, "-c", SUM_OF_EPOCHS, written[0]],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    np.testing.assert_allclose(float(printed.split()[-1]), expected, rtol=1e-6)


@pytest.mark.parametrize("files", [False, True])
def test_seeds_give_other_orders(written, files):
    setup = images_in_files(written) if files else digits()
    orders = [
        tuple(labels(read(training(setup, epochs, seed=seed).take(3))))
        # Seed 1 is not seed 0 an epoch later.
        for seed, epochs in (
            (0, range(1)),
            (0, range(1, 2)),
            (1, range(1)),
            (2, range(1)),
        )
    ]
    assert len(set(orders)) == 4


def test_augmentation_differs_between_epochs_and_images():
    _, preprocessing = digits()
    image = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    same = data.Source(
        name="same",
        class_names=("a", "b"),
        mean=(0.5,),
        std=(0.5,),
        num_examples={"train": 4},
        arrays=lambda split: (np.repeat(image, 4, 0), np.zeros(4, np.int64)),
    )
    batches = read(
        training((same, preprocessing), range(8), augmentation="cifar", batch_size=4)
    )
    different = {image.tobytes() for x, _ in batches for image in x}
    assert len(different) > 20  # of 32; there are 9 * 9 * 2 ways


@pytest.mark.parametrize("files", [False, True])
def test_evaluation_holds_every_image_once_in_order(written, files):
    source, preprocessing = images_in_files(written) if files else digits()
    split_labels = [int(label) for _, label in source.load("test").as_numpy_iterator()]
    evaluation = data.build_evaluation(
        source, preprocessing, split="test", batch_size=7
    )
    batches = read(evaluation)
    assert evaluation.cardinality() == len(batches)  # or Keras warns at its end
    sizes = [len(y) for _, y in batches]
    assert set(sizes[:-1]) == {7}
    assert sum(sizes) == source.num_examples["test"]
    assert sizes[-1] == source.num_examples["test"] % 7
    assert list(labels(batches)) == split_labels
    images = np.concatenate([x for x, _ in batches])
    expected = [preprocessing(image) for image, _ in source.load("test")]
    np.testing.assert_allclose(images, np.stack(expected), rtol=1e-5, atol=1e-5)


def test_one_order_is_shared_by_workers():
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    setup = digits()
    alone = read(training(setup, range(1), batch_size=400))
    shared = strategy.experimental_distribute_dataset(
        training(setup, range(1), batch_size=400)
    )
    assert_equal([(x.numpy(), y.numpy()) for x, y in shared], alone)


def test_a_batch_larger_than_the_split():
    with pytest.raises(ValueError, match="received 1259; allowed: at most 1258"):
        training(digits(), range(1), batch_size=1259)


def test_an_augmentation_for_detection_is_refused():
    with pytest.raises(ValueError, match="'scale_jitter'; allowed for classification"):
        training(digits(), range(1), augmentation="scale_jitter")
