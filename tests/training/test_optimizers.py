"""Updates against the textbook, on one small layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from aa_keras import models
from aa_keras.config.optimization import RMSProp
from aa_keras.training.optimizers import build_optimizer, decay_weights

SGD = {
    "name": "sgd",
    "momentum": 0.9,
    "nesterov": False,
    "weight_decay": 0.1,
    "clip_norm": None,
}


def dense_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.layers[0].set_weights(
        [np.arange(6, dtype="float32").reshape(3, 2) / 7, np.array([0.5, -0.5], "f")]
    )
    return model


def inputs(batch=4):
    generator = np.random.default_rng(0)
    return generator.normal(size=(batch, 3)).astype("f"), np.ones((batch, 2), "f")


def squared_error_gradients(x, y, kernel, bias):
    """Of the mean over batch and outputs of (x kernel + bias - y)^2."""
    error = 2 * (x @ kernel + bias - y) / y.size
    return x.T @ error, error.sum(0)


def test_sgd_decays_by_the_rate_that_is_stated():
    model = dense_model()
    kernel, bias = model.layers[0].get_weights()
    x, y = inputs()
    optimizer = build_optimizer(SGD, learning_rate=0.5)
    decay_weights(model, optimizer, SGD["weight_decay"])
    model.compile(optimizer, "mse")
    velocity = [np.zeros_like(kernel), np.zeros_like(bias)]
    for _ in range(3):
        gradients = squared_error_gradients(x, y, kernel, bias)
        gradients = (gradients[0] + 0.1 * kernel, gradients[1] + 0.1 * bias)
        velocity = [0.9 * v - 0.5 * g for v, g in zip(velocity, gradients, strict=True)]
        kernel, bias = kernel + velocity[0], bias + velocity[1]
        model.train_on_batch(x, y)
    for got, expected in zip(model.get_weights(), (kernel, bias), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_rmsprop_takes_the_steps_of_tensorflow_1():
    random = np.random.default_rng(0)
    start = random.normal(size=(3, 2)).astype("f")
    gradients = random.normal(size=(10, 3, 2), scale=[0.01, 10]).astype("f")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        gradient = tf.compat.v1.placeholder(tf.float32, start.shape)
        theirs = tf.compat.v1.Variable(start)
        optimizer = tf.compat.v1.train.RMSPropOptimizer(0.02, 0.9, 0.9, 1e-3)
        step = optimizer.apply_gradients([(gradient, theirs)])
        session.run(tf.compat.v1.global_variables_initializer())
        expected = []
        for value in gradients:
            session.run(step, {gradient: value})
            expected.append(session.run(theirs))
    options = RMSProp(name="rmsprop", learning_rate_per_256=0.02).model_dump()
    ours = build_optimizer(options, learning_rate=0.02)
    variable = keras.Variable(start)
    for value, after in zip(gradients, expected, strict=True):
        ours.apply([keras.ops.convert_to_tensor(value)], [variable])
        np.testing.assert_allclose(variable, after, atol=1e-6)
    again = type(ours).from_config(ours.get_config())
    assert again.initial_accumulator_value == 1


def test_adamw_decays_decoupled():
    model = dense_model()
    kernel, bias = model.layers[0].get_weights()
    options = {"name": "adamw", "weight_decay": 0.1, "clip_norm": None}
    optimizer = build_optimizer(options, learning_rate=0.01)
    decay_weights(model, optimizer, options["weight_decay"])
    x, y = inputs()
    model.compile(optimizer, "mse")
    model.train_on_batch(x, y)
    # Adam's first step is the sign of the gradient; decay takes 0.01 * 0.1 of w.
    gradients = squared_error_gradients(x, y, kernel, bias)
    expected = (
        kernel - 0.001 * kernel - 0.01 * np.sign(gradients[0]),
        bias - 0.001 * bias - 0.01 * np.sign(gradients[1]),
    )
    for got, value in zip(model.get_weights(), expected, strict=True):
        # Adam's epsilon shows in the sixth digit.
        np.testing.assert_allclose(got, value, atol=1e-5)


def test_gradients_are_clipped_by_their_common_norm():
    model = dense_model()
    before = model.get_weights()
    x, y = inputs()
    options = {**SGD, "momentum": 0.0, "weight_decay": 0.0, "clip_norm": 0.01}
    model.compile(build_optimizer(options, learning_rate=1.0), "mse")
    model.train_on_batch(x, 100 * y)
    moved = [a - b for a, b in zip(model.get_weights(), before, strict=True)]
    np.testing.assert_allclose(
        np.sqrt(sum((m**2).sum() for m in moved)), 0.01, rtol=1e-4
    )


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_all_but_batch_normalisation_decays(name):
    """Tables of relative positions and biases do, as in the TPU ResNet code."""
    model = models.build(
        "resnet", depth=8, input_shape=(8, 8, 1), classes=3, attention={}
    )
    options = {**SGD, "name": name}
    optimizer = build_optimizer(options, learning_rate=0.1)
    decay_weights(model, optimizer, 0.1)
    before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    # The gradients of a loss that is the decay alone: SGD's of its regularisers.
    with tf.GradientTape() as tape:
        loss = tf.add_n([tf.constant(0.0), *model.losses])
    gradients = tape.gradient(
        loss,
        [v.value for v in model.trainable_variables],
        unconnected_gradients="zero",
    )
    optimizer.apply(gradients, model.trainable_variables)
    decayed = set()
    for variable, value in zip(model.trainable_variables, before, strict=True):
        # Biases start from zero, where no decay shows.
        if np.any(value) and not np.array_equal(variable, value):
            np.testing.assert_allclose(variable, 0.99 * value, rtol=1e-5)
            decayed.add(variable.name)
        else:
            assert variable.name in ("gamma", "beta", "bias"), variable.path
    assert decayed == {"kernel", "relative_height", "relative_width"}
