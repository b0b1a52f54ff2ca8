"""What is printed of a trained network's attention, against one step of SGD."""

import re

import keras
import numpy as np

from aa_keras import data
from aa_keras.layers import AugmentedConv2D
from tools import diagnose


def test_shares_are_those_by_which_a_step_of_rate_one_moves(uninterrupted):
    title, plain, *lines = diagnose.diagnose(uninterrupted[0])
    assert title == str(uninterrupted[0])
    run = diagnose.load_run(uninterrupted[0])
    batches = data.build_evaluation(
        data.open_source("digits"),
        run.task.preprocessing,
        split="train",
        batch_size=diagnose.IMAGES,
    )
    images, labels = next(iter(batches))
    before = {weight.path: np.array(weight) for weight in run.model.trainable_weights}
    run.model.compile(keras.optimizers.SGD(1.0), "categorical_crossentropy")
    run.model.train_on_batch(images, labels)
    moved = {
        weight.path: np.linalg.norm(weight - before[weight.path])
        / np.linalg.norm(before[weight.path])
        for weight in run.model.trainable_weights
    }
    augmented = [x for x in run.model.layers if isinstance(x, AugmentedConv2D)]
    expected = [moved[w.path] for x in augmented for w in x.trainable_weights]
    printed = [line.rpartition(" ")[2] for line in lines if line[:4] == "    "]
    np.testing.assert_allclose(np.array(printed, float), expected, atol=6e-5)

    smallest, largest, _ = map(float, re.findall(r"\d\.\d+", plain))
    kernels = [x.kernel.path for x in run.model.layers if hasattr(x, "kernel")]
    shares = [moved[path] for path in kernels if "conv" in path or "stem" in path]
    np.testing.assert_allclose((smallest, largest), (min(shares), max(shares)), 0, 6e-5)

    heads = [line for line in lines if "entropy" in line]
    assert len(heads) == len(augmented) > 0
    for line in heads:
        entropy, most, distance, size, scale = map(
            float, re.findall(r"\d+(?:\.\d+)?", line.partition(":")[2])
        )
        assert 0 < entropy <= most
        assert 0 < distance < size * 2**0.5
        assert scale > 0
