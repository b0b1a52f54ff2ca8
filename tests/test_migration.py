"""docs/migration.md: its programs, against independent statements of the formulas."""

import re

import keras
import numpy as np
import pytest

from tests import reference
from tests.conftest import ROOT

PAGE = (ROOT / "docs/migration.md").read_text("utf-8")
FLIPPED, CARRIED = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
HEADS, KEYS, VALUES, FILTERS = 3, 6, 9, 14


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_the_test_of_the_page_tells_a_scrambling_layer_from_a_right_one():
    names = {}
    exec(FLIPPED, names)  # a right one
    *_, last = FLIPPED.strip().splitlines()

    def scrambling(x):
        """Uniform attention; the heads are joined as leaderj1001's code joins them."""
        values = np.mean(x, axis=(1, 2), keepdims=True) + x
        heads = np.moveaxis(values.reshape(*x.shape[:3], 4, 2), 3, 1)
        return heads.reshape(x.shape)

    with pytest.raises(AssertionError):
        exec(last, {**names, "layer": scrambling})


def carried_formula(x, kernel, qkv, tables, projection):
    """One image of titu1994's block in loops: every pixel asks every other one."""
    of_width, of_height = tables
    same = {"strides": (1, 1), "padding": "same", "dilation_rate": (1, 1)}
    convolved = reference.convolution(x[None], kernel, None, **same)[0]
    mixed = reference.convolution(x[None], qkv, None, **same)[0]
    height, width, _ = mixed.shape
    d, v = KEYS // HEADS, VALUES // HEADS
    attended = np.zeros((height, width, VALUES))
    for head in range(HEADS):
        q = mixed[..., head * d :][..., :d] / np.sqrt(d)
        k = mixed[..., KEYS + head * d :][..., :d]
        values = mixed[..., 2 * KEYS + head * v :][..., :v]
        for y, x_ in np.ndindex(height, width):
            logits = np.zeros((height, width))
            for key_y, key_x in np.ndindex(height, width):
                distance = of_width[key_x - x_ + width - 1]
                distance = distance + of_height[key_y - y + height - 1]
                logits[key_y, key_x] = q[y, x_] @ (k[key_y, key_x] + distance)
            shares = np.exp(logits - logits.max())
            shares /= shares.sum()
            mean = np.tensordot(shares, values, 2)
            attended[y, x_, head * v :][:v] = mean
    return np.concatenate([convolved, attended @ projection[0, 0]], axis=-1)


@pytest.mark.parametrize("qkv_size", [1, 3])
def test_carried_weights_give_the_outputs_of_the_formula(qkv_size):
    names = {}
    exec(CARRIED, names)

    assert len(CARRIED.partition("def ")[2].splitlines()) <= 20
    height, width, channels = 5, 7, 4
    weights = {
        "kernel": draw(3, 3, channels, FILTERS - VALUES, seed=1),
        "qkv": draw(qkv_size, qkv_size, channels, 2 * KEYS + VALUES, seed=2),
        "tables": [
            draw(2 * width - 1, KEYS // HEADS, seed=3),
            draw(2 * height - 1, KEYS // HEADS, seed=4),
        ],
        "projection": draw(1, 1, VALUES, VALUES, seed=5),
    }
    inputs = keras.Input((height, width, channels))
    outputs = names["carry_over"](inputs, **weights, num_heads=HEADS)
    x = draw(2, height, width, channels, seed=6)
    expected = np.stack([carried_formula(image, **weights) for image in x])
    found = keras.Model(inputs, outputs)(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
