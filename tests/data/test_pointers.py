"""The pointer task: its maps, its labels, and the bound on what a cell can know."""

import numpy as np
import pytest
import tensorflow as tf

from aa_keras import data
from aa_keras.data import dense_batches, pointers

# Of 1 to 7 convolutions of 3x3, worked out apart from the code.
BOUNDS = {
    16: [0.183, 0.271, 0.387, 0.524, 0.675, 0.835, 1.0],
    24: [0.174, 0.254, 0.362, 0.495, 0.648, 0.817, 1.0],
}
KEY = tf.constant([3, 4])


@pytest.mark.parametrize("hops", [1, 2])
def test_each_label_is_the_color_behind_the_pointers(hops):
    maps, labels = (x.numpy() for x in pointers.draw_maps(KEY, 2, 9, hops))
    assert maps.shape == (2, 9, 9, 38)
    for part in (maps[..., :8], maps[..., 8:23], maps[..., 23:]):
        assert (part.sum(-1) == 1).all()
    for image, *start in np.ndindex(*labels.shape):
        y, x = start
        for _ in range(hops):
            dy, dx = (maps[image, y, x, n : n + 15].argmax() - 7 for n in (8, 23))
            y, x = y + dy, x + dx
            assert {y, x} <= set(range(9))
        assert labels[image, *start] == maps[image, y, x, :8].argmax()


def test_pointers_and_colors_are_uniform_among_those_allowed():
    maps, _ = pointers.draw_maps(KEY, 4000, 10)
    counts = maps.numpy().sum(0)
    allowed = np.abs(np.arange(10)[:, None] - np.arange(10)) <= 7
    for position in range(10):
        for counted in (counts[position, 5, 8:23], counts[5, position, 23:]):
            targets = np.arange(15) - 7 + position
            inside = (targets >= 0) & (targets < 10)
            share = np.where(inside, 1 / allowed[position].sum(), 0)
            deviation = np.sqrt(4000 * share * (1 - share))
            assert (np.abs(counted - 4000 * share) <= 5 * deviation).all()
    assert np.abs(counts[..., :8].sum((0, 1)) - 50_000).max() < 5 * 210


@pytest.mark.parametrize("size", BOUNDS)
def test_the_bound_counts_the_pointers_within_reach(size):
    bounds = [pointers.accuracy_bound(radius, size) for radius in range(1, 8)]
    np.testing.assert_allclose(bounds, BOUNDS[size], atol=5e-4)
    places = range(size)
    for radius, bound in enumerate(bounds, start=1):
        seen = np.mean(
            [
                np.mean(
                    [
                        max(abs(y - i), abs(x - j)) <= radius
                        for i in places
                        for j in places
                        if max(abs(y - i), abs(x - j)) <= 7
                    ]
                )
                for y in places
                for x in places
            ]
        )
        assert bound == pytest.approx(seen + (1 - seen) / 8)


def test_training_maps_are_fresh_at_each_step_and_follow_from_seed_and_epoch():
    source = data.open_source("pointers")
    preprocessing = data.MapPreprocessing(16, source.mean, source.std)

    def first(epochs, seed=0, steps=2, **options):
        batches = dense_batches.build_training(
            source, preprocessing, batch_size=4, seed=seed, epochs=epochs, **options
        )
        skipped = options.get("first_batch", 0)
        assert batches.cardinality() == 1200 * len(epochs) - skipped
        return [maps.numpy() for maps, _ in batches.take(steps)]

    once = first(range(1, 2))
    np.testing.assert_array_equal(once, first(range(1, 3)))
    np.testing.assert_array_equal(once[1], first(range(1, 2), first_batch=1)[0])
    others = [once[1], first(range(0, 1))[0], first(range(1, 2), seed=1)[0]]
    assert all((once[0] != other).any() for other in others)


def test_the_splits_are_fixed_and_differ():
    source = data.open_source("pointers")
    preprocessing = data.MapPreprocessing(16, source.mean, source.std)

    def read(split):
        batches = dense_batches.build_evaluation(
            source, preprocessing, split=split, batch_size=100
        )
        return np.concatenate([maps.numpy() for maps, _ in batches])

    test = read("test")
    assert test.shape == (1024, 16, 16, 38)
    np.testing.assert_array_equal(test, read("test"))
    assert (test[:256] != read("validation")).any()
    assert read("test_larger").shape == (1024, 24, 24, 38)
    with pytest.raises(ValueError, match=r"split: received 'other'; allowed: train"):
        read("other")
    with pytest.raises(ValueError, match=r"data.validation_examples: received 5"):
        data.open_source("pointers", validation_examples=5)
