"""The average of the weights against TensorFlow 1's, and in a whole run."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from aa_keras import config, training
from aa_keras.tasks import find_task
from aa_keras.training.averaging import Average, averaged_variables
from aa_keras.training.callbacks import ValidateAverage
from aa_keras.training.distribution import build_strategy
from aa_keras.training.optimizers import build_optimizer
from aa_keras.training.steps import build_metrics, prepare_steps
from tests.training.processes import ROOT, TWO_DEVICES

SGD = {"name": "sgd", "momentum": 0.9, "nesterov": False, "clip_norm": None}
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(80, 3)).astype("f")
Y = RANDOM.normal(size=(80, 2)).astype("f")


class Record(keras.callbacks.Callback):
    """Keeps the values of all variables that are averaged, after each update."""

    def __init__(self, model):
        super().__init__()
        self.values = [current(model)]

    def on_train_batch_end(self, batch, logs=None):
        self.values.append(current(self.model))


def current(model):
    return [keras.ops.convert_to_numpy(v) for v in averaged_variables(model)]


def build(decay, precision="float32", **options):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    first = keras.layers.Dense(4, use_bias=False)
    second = keras.layers.BatchNormalization(momentum=0.8)
    third = keras.layers.Dense(2)
    model = keras.Sequential([keras.Input((3,)), first, second, third])
    keras.config.set_dtype_policy("float32")
    model.compile(build_optimizer(SGD, learning_rate=0.05), "mse")
    model.optimizer.build(model.trainable_variables)
    average = Average(model, decay)
    prepare_steps(model, average, **options)
    return model, average


def batches():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)


def fit(model, *callbacks, epochs=2, **options):
    model.fit(batches(), epochs=epochs, verbose=0, callbacks=[*callbacks], **options)


def tensorflow_1_average(values, decay):
    """The averages by `tf.compat.v1`, of values before and after each update."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        count = tf.compat.v1.placeholder(tf.float32, ())
        variables = [tf.compat.v1.Variable(value) for value in values[0]]
        ema = tf.compat.v1.train.ExponentialMovingAverage(decay, num_updates=count)
        apply = ema.apply(variables)
        session.run(tf.compat.v1.global_variables_initializer())
        for number, new in enumerate(values[1:], start=1):
            for variable, value in zip(variables, new, strict=True):
                variable.load(value, session)
            session.run(apply, {count: number})
        return session.run([ema.average(variable) for variable in variables])


# The ramp reaches 0.6 at update 13 of the 20.
@pytest.mark.parametrize("accumulate_steps", [1, 2])
def test_20_updates_are_averaged_as_tensorflow_1_does(accumulate_steps):
    model, average = build(0.6, accumulate_steps=accumulate_steps)
    record = Record(model)
    fit(model, record)
    assert len(record.values) == 21
    assert len(record.values[0]) == 7  # three of Dense layers, four of normalisation
    expected = tensorflow_1_average(record.values, 0.6)
    with average.in_model():
        for got, value, trained in zip(
            current(model), expected, record.values[-1], strict=True
        ):
            np.testing.assert_allclose(got, value, atol=1e-6)
            assert not np.allclose(got, trained, atol=1e-3)
    for got, trained in zip(current(model), record.values[-1], strict=True):
        np.testing.assert_array_equal(got, trained)


def two_devices():
    """What follows runs on two logical processors, each with half of a batch."""
    strategy = build_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        model, _ = build(0.6, strategy=strategy)
    build_metrics(model, batches(), strategy)
    record = Record(model)
    fit(model, record)
    averages = [v for v in model.optimizer.variables if v.name.endswith("average")]
    assert_on_all_devices(averages, tensorflow_1_average(record.values, 0.6))
    assert_on_all_devices(averaged_variables(model), normalized_alone(record.values))
    # The weights of one process that takes the halves one after the other.
    parts, _ = build(0.6, accumulate_steps=2)
    fit(parts)
    values = [keras.ops.convert_to_numpy(v) for v in parts.trainable_variables]
    assert_on_all_devices(model.trainable_variables, values)


def normalized_alone(values):
    """The last values, with statistics by NumPy from the kernels and the halves."""
    mean, variance = np.zeros(4), np.ones(4)
    for step, (kernel, *_) in enumerate(values[:-1]):
        rows = X[8 * (step % 10) :][:8].reshape(2, 4, 3) @ kernel
        mean = 0.8 * mean + 0.2 * rows.mean(1).mean(0)
        variance = 0.8 * variance + 0.2 * rows.var(1).mean(0)
    return [*values[-1][:-2], mean, variance]


def assert_on_all_devices(variables, expected):
    for variable, value in zip(variables, expected, strict=True):
        first, second = variable.value.values
        np.testing.assert_allclose(first, value, atol=1e-6)
        np.testing.assert_array_equal(first, second)


def test_devices_keep_the_same_averages_of_statistics_of_their_own():
    program = "from tests.training.test_averaging import two_devices; two_devices()"
    command = [sys.executable, "-c", TWO_DEVICES + program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_update_that_a_loss_scale_leaves_out_is_not_averaged():
    model, average = build(0.6, "mixed_float16")
    before = current(model)
    model.optimizer.dynamic_scale.assign(1e30)  # more than 16 bits hold
    fit(model, epochs=1, steps_per_epoch=2)
    assert int(model.optimizer.iterations) == 0
    with average.in_model():
        for got, value in zip(current(model), before, strict=True):
            np.testing.assert_array_equal(got, value)


def test_the_average_is_validated_and_training_goes_on_from_the_weights():
    (plain, _), (model, average) = build(None), build(0.6)
    seen = []

    class Look(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            seen.append(current(self.model))

    fit(plain)
    fit(model, ValidateAverage(average), Look(), validation_data=(X, Y))
    for got, value in zip(current(model), current(plain), strict=True):
        np.testing.assert_array_equal(got, value)
    with average.in_model():
        for got, value in zip(seen[-1], current(model), strict=True):
            np.testing.assert_array_equal(got, value)


def test_averaged_weights_and_statistics_fit_each_other(tmp_path):
    """Against statistics that are measured anew with the averaged weights."""
    overrides = ["train.epochs=15", "train.ema=0.99", "train.jit_compile=false"]
    path = ROOT / "experiments/quickstart/digits_resnet.yaml"
    experiment = config.load(path, overrides)
    result = training.train(experiment, tmp_path / "run", report=[].append)
    model = training.load_run(tmp_path / "run").model
    task = find_task(experiment).open(experiment)
    for _ in range(2):
        for images, _ in task.build_training(range(1)):
            model(images, training=True)
    recomputed = task.measure(model, task.build_evaluation("test"))
    averaged = result["metrics"]["test"]
    assert averaged["accuracy"] > 0.95
    assert abs(averaged["accuracy"] - recomputed["accuracy"]) <= 0.01
