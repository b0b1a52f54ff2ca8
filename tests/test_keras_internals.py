"""Private names of Keras still do what the package takes them for."""

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from aa_keras import counting, keras_internals, models


class Pair(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.first = keras.layers.Dense(3)
        self.rest = [keras.layers.Dense(2)]

    def call(self, x):
        return self.rest[0](self.first(x))


def build(units):
    pair = Pair()
    return keras.Sequential([keras.Input((4,)), pair, keras.layers.Dense(units)])


@pytest.fixture
def model():
    return build(1)


def test_sublayers_are_in_order(model):
    pair, dense = model.layers
    assert keras_internals.sublayers(model)[1:] == [pair, dense]  # after the input
    assert keras_internals.sublayers(pair) == [pair.first, *pair.rest]
    deep = keras_internals.sublayers(model, recursive=True)
    assert set(deep[1:]) == {pair, pair.first, *pair.rest, dense}


def test_variables_without_values_never_get_any():
    expected = counting.count(models.build("resnet", depth=8, attention={}))
    with keras_internals.variables_without_values():
        small = models.build("resnet", depth=8, attention={})
        assert counting.count(small) == expected
    with keras.StatelessScope():  # whose end gives values to all that were left
        waiting = keras.layers.Dense(2)
        waiting.build((None, 3))
    assert waiting.kernel._value.shape == (3, 2)
    assert {weight._value for weight in small.weights} == {None}


def test_a_graph_runs_with_other_operations(model):
    functional = keras.Model(model.inputs, model.outputs)
    seen = []

    def call(operation):
        seen.append(operation)
        return operation

    x = np.ones((2, 4), "float32")
    for one in (model, functional):
        seen.clear()
        output = keras_internals.run_through_graph(one, [x], call)
        np.testing.assert_allclose(np.asarray(output).reshape(2, 1), model(x))
        assert seen[-2:] == model.layers


def test_calls_of_a_shared_layer_and_what_comes_before():
    small, large = keras.Input((4, 4, 3)), keras.Input((6, 5, 3))
    first, shared = keras.layers.ReLU(), keras.layers.Conv2D(2, 3)
    outputs = [shared(first(small)), shared(large)]
    assert keras_internals.call_shapes(shared) == [
        ((None, 4, 4, 3), (None, 2, 2, 2)),
        ((None, 6, 5, 3), (None, 4, 3, 2)),
    ]
    image = keras_internals.producer(large)
    assert isinstance(image, keras.layers.InputLayer)
    assert keras_internals.producers(shared) == [first, image]
    assert keras_internals.producer(outputs[0]) is shared


def test_fitting_weights_are_those_of_layers_that_fit(model, tmp_path):
    model.compile("adam")
    other = build(5)
    other.save_weights(tmp_path / "other.weights.h5")
    last = [np.copy(weight) for weight in model.layers[-1].weights]
    path = tmp_path / "other.weights.h5"
    fitting = keras_internals.load_fitting_weights(model, path)
    pair = model.layers[0]
    assert list(map(id, fitting)) == list(map(id, pair.weights))
    for ours, theirs in zip(pair.weights, other.layers[0].weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for now, before in zip(model.layers[-1].weights, last, strict=True):
        np.testing.assert_array_equal(now, before)


def test_metrics_are_made_before_the_first_step(model):
    model.compile("sgd", "mse", metrics=["mae"], jit_compile=False)
    x, y = tf.zeros((2, 4)), tf.zeros((2, 1))
    keras_internals.build_metrics(model, (x, y))
    assert {"loss", "mae"} <= set(model.get_metrics_result())
    names = [metric.name for metric in model.metrics]
    model.fit(x, y, verbose=0)
    assert [metric.name for metric in model.metrics] == names


def test_fit_does_not_build_by_itself(model, monkeypatch):
    asked = []
    monkeypatch.setattr(
        type(model), "_maybe_symbolic_build", lambda *args, **kwargs: asked.append(1)
    )
    model.compile("sgd", "mse", jit_compile=False)
    batch = tf.zeros((2, 4)), tf.zeros((2, 1))
    model.fit(*batch, verbose=0)
    assert len(asked) == 1
    keras_internals.skip_symbolic_build(model)
    model.fit(*batch, verbose=0)
    assert len(asked) == 1


def test_gradients_are_not_added_up_by_the_optimizer():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        inner = keras.optimizers.SGD(1.0)
        assert callable(inner._all_reduce_sum_gradients)
        scaled = keras.optimizers.LossScaleOptimizer(inner)
    keras_internals.sum_gradients_outside(scaled)
    pairs = [("gradient", "variable")]
    assert inner._all_reduce_sum_gradients(pairs) == pairs


def test_a_layer_draws_from_the_given_generator():
    class Flip(keras_internals.SeededLayer, keras.layers.MixUp):
        pass

    class Counting(keras.random.SeedGenerator):
        draws = 0

        def next(self, ordered=True):
            self.draws += 1
            return super().next(ordered)

    generator = Counting(3)
    batch = {"images": np.ones((2, 4, 4, 3)), "labels": np.ones((2, 5))}
    Flip(alpha=0.2).with_generator(generator)(batch, training=True)
    assert generator.draws


def test_weights_in_memory_are_those_of_a_file(model, tmp_path):
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save_weights(tmp_path / "there.weights.h5")
    (tmp_path / "here.weights.h5").write_bytes(keras_internals.serialize_weights(model))
    here, there = {}, {}
    for content, name in ((here, "here"), (there, "there")):
        with h5py.File(tmp_path / f"{name}.weights.h5") as file:
            file.visititems(
                lambda key, item, content=content: content.update(
                    {key: item[()].tobytes() if isinstance(item, h5py.Dataset) else 0}
                )
            )
    assert here == there
    assert any(key.startswith("optimizer") for key in here)


def test_the_layout_of_each_batch_is_asked_for_in_a_scope_alone():
    from keras.src.backend.jax import trainer

    class Batches:
        data_adapter = type("Adapter", (), {"get_jax_iterator": lambda self: [1, 2]})()

    def layouts(monkeypatch):
        asked = []
        monkeypatch.setattr(trainer, "_distribute_data", asked.append)
        list(trainer.JAXEpochIterator._get_distributed_iterator(Batches(), None))
        return asked

    before = trainer.JAXEpochIterator._get_distributed_iterator
    with pytest.MonkeyPatch.context() as patch, keras_internals.layout_of_each_batch():
        assert layouts(patch) == [1, 2]
    assert trainer.JAXEpochIterator._get_distributed_iterator is before


def test_a_clone_is_compiled_by_the_caller_alone(model):
    functional = keras.Model(model.inputs, model.outputs)
    for one in (model, functional):
        one.compile("sgd", "mse")
        with keras_internals.uncompiled(one):
            clone = keras.models.clone_model(one, clone_function=lambda layer: layer)
        assert (one.compiled, clone.compiled) == (True, False)
        with pytest.raises(KeyError), keras_internals.uncompiled(one):
            raise KeyError
        assert one.compiled


def test_what_a_model_was_compiled_with(model):
    assert keras_internals.compile_arguments(model) is None
    optimizer, metric = keras.optimizers.SGD(), keras.metrics.MeanSquaredError()
    given = {
        "optimizer": optimizer,
        "loss": lambda true, predicted: true - predicted,
        "loss_weights": 2.0,
        "metrics": [metric],
        "weighted_metrics": ["mae"],
        "run_eagerly": False,
        "steps_per_execution": 2,
        "jit_compile": False,
    }
    model.compile(**given)
    assert keras_internals.compile_arguments(model) == given
    assert keras_internals.compile_arguments(model)["metrics"][0] is metric


def test_a_copied_lambda_keeps_globals_and_arguments():
    layer = keras.layers.Lambda(
        lambda x, factor: np.float32(factor) * x,  # from_config loses np
        output_shape=(3,),
        mask=lambda x, mask: "given",
        arguments={"factor": 2},
        name="twice",
        dtype="float16",
        trainable=False,
    )
    copy = keras_internals.copy_lambda(layer)
    assert copy is not layer
    np.testing.assert_array_equal(copy(np.ones((1, 3))), np.full((1, 3), 2))
    assert copy.compute_output_shape((None, 7)) == (None, 3)
    assert copy.compute_mask(None) == "given"
    assert (copy.name, copy.dtype, copy.trainable) == ("twice", "float16", False)
