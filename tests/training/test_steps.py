"""Accumulated gradients against one update with the whole batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from aa_keras.training.averaging import Average
from aa_keras.training.optimizers import build_optimizer, decay_weights
from aa_keras.training.schedules import build_schedule
from aa_keras.training.steps import prepare_steps

SGD = {"name": "sgd", "momentum": 0.9, "nesterov": False, "clip_norm": 0.3}
SCHEDULE = {"name": "cosine", "warmup_epochs": 1}


def train(accumulate_steps, normalization=(), precision="float32"):
    """Weights after three epochs of four updates, with all that counts updates."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    layers = [keras.layers.Dense(8, activation="tanh"), *normalization]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(2)])
    keras.config.set_dtype_policy("float32")
    length = {"batch_size": 256, "epochs": 3, "steps_per_epoch": 4}
    rate = build_schedule(SCHEDULE, learning_rate_per_256=0.5, **length)
    optimizer = build_optimizer(SGD, learning_rate=rate)
    decay_weights(model, optimizer, 0.01)
    model.compile(optimizer, "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    average = Average(model, 0.8)
    prepare_steps(model, average, accumulate_steps=accumulate_steps)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(32, 3)).astype("f")
    y = generator.normal(size=(32, 2)).astype("f")
    history = model.fit(
        tf.data.Dataset.from_tensor_slices((x, y)).batch(8), epochs=3, verbose=0
    )
    assert int(model.optimizer.iterations) == 12
    average.exchange()
    return model.get_weights(), history.history


@pytest.mark.parametrize("accumulate_steps", [2, 4])
def test_parts_of_a_batch_equal_the_whole(accumulate_steps):
    (weights, history), (expected, losses) = train(accumulate_steps), train(1)
    for got, value in zip(weights, expected, strict=True):
        np.testing.assert_allclose(got, value, atol=1e-5)
    assert history.keys() == losses.keys()
    for key in losses:
        np.testing.assert_allclose(history[key], losses[key], atol=1e-5)


def test_normalisation_sees_each_part_alone():
    normalization = keras.layers.BatchNormalization
    weights, _ = train(2, [normalization()])
    expected, _ = train(1, [normalization()])
    assert not np.allclose(weights[0], expected[0], atol=1e-3)


def test_parts_of_a_batch_in_sixteen_bits():
    weights, _ = train(2, precision="mixed_float16")
    expected, _ = train(1, precision="mixed_float16")
    for got, value in zip(weights, expected, strict=True):
        np.testing.assert_allclose(got, value, atol=2e-3)
