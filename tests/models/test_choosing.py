"""Which convolutions of a model get attention, and what is refused."""

import keras
import numpy as np
import pytest
from keras import layers

from aa_keras import augment
from aa_keras.layers import AugmentedConv2D
from tests.layers.comparison import draw


def chain(*kinds, size=(16, 16)):
    return keras.Sequential([keras.Input((*size, 4)), *kinds], name="chain")


def small():
    return chain(
        layers.Conv2D(8, 3, padding="same", name="a_1"),
        layers.Conv2D(8, 3, padding="same", strides=2, name="a_2"),
        layers.Conv2D(8, 1, name="b_1"),
        layers.Conv2D(8, 3, padding="same", name="b_2"),
        layers.Conv2D(8, 1, strides=2, name="c_1"),
        layers.Conv2D(8, 4, name="d_1"),
    )


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("last_stage", ["c_1"]),  # 4 x 4; d_1 has one position
        (4, ["c_1"]),
        (np.int64(4), ["c_1"]),
        (8, ["a_2", "b_2"]),
        (16, ["a_1", "a_2", "b_2"]),
        ("?_1", ["a_1", "b_1", "c_1", "d_1"]),
        (lambda layer: layer.strides == (2, 2), ["a_2", "c_1"]),
    ],
)
def test_where(where, names):
    augmented = augment(small(), where)
    found = [x.name for x in augmented.layers if isinstance(x, AugmentedConv2D)]
    assert found == names


class Subclass(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (Subclass, {}, "model: received Subclass .* allowed: a functional or Seq"),
        (lambda: keras.Sequential([layers.Conv2D(2, 3)]), {}, "allowed: a built model"),
        (small, {"mode": "both"}, "mode must be one of 'replace', 'add'; received 'bo"),
        (small, {"where": 2.5}, "where: received 2.5; allowed: a pattern"),
        (small, {"where": True}, "where: received True; allowed: a pattern"),
        (small, {"where": 3}, "received 3, which chooses no .* 6 Conv2D .*, a_1, a_2,"),
        (small, {"where": "conv*"}, "received 'conv.*', which chooses no convolution"),
        (small, {"num_heads": 9}, "layer c_1: num_heads=9 does not fit in filters=8"),
        (small, {"value_ratio": 2}, r"layer c_1: value_ratio must be in \(0, 1\]"),
        (small, {"filters": 4}, "layer c_1: .*multiple values .* 'filters'"),
        (small, {"wrong": 4}, "layer c_1: .*'wrong'"),
        (
            lambda: chain(layers.Conv2D(8, 3, groups=2, name="c")),
            {"where": "c"},
            "chooses c, which has 2 groups; allowed: only Conv2D",
        ),
        (
            lambda: chain(layers.DepthwiseConv2D(3, name="c")),
            {"where": lambda layer: True},
            "chooses c, a DepthwiseConv2D; allowed",
        ),
        (
            lambda: chain(layers.DepthwiseConv2D(3), layers.Dense(2)),
            {},
            "chooses no convolution of chain; allowed: .* 0 Conv2D without groups$",
        ),
        (
            lambda: chain(layers.Conv2D(8, 3), size=(None, 16)),
            {},
            "leaves the size of images open; allowed: a pattern",
        ),
        (
            lambda: chain(layers.Conv2D(8, 3, name="c"), size=(None, 16)),
            {"where": "c"},
            "max_size is needed for position_encoding='relative'",
        ),
    ],
)
def test_what_cannot_be_augmented(build, options, message):
    with pytest.raises(ValueError, match=message) as error:
        augment(build(), **options)
    assert "\n" not in str(error.value)


def test_open_sizes_with_a_largest_one():
    model = chain(layers.Conv2D(8, 3, name="c"), size=(None, None))
    augmented = augment(model, "c", "add", max_size=(9, 8))
    x = draw((1, 9, 7, 4))
    np.testing.assert_array_equal(augmented(x), model(x))
