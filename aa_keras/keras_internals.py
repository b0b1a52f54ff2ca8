"""Every private name of Keras that the package uses, each with its reason.

Keras may change these in any release. tests/test_keras_internals.py fails when it does.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator

import keras
from keras.src.backend.common import global_state
from keras.src.saving import saving_lib


def sublayers(layer, recursive=False) -> list:
    """Returns the layers inside a layer or model, in order unless `recursive`.

    `Model.layers` is public. A layer that contains layers has no counterpart.
    """
    return layer._flatten_layers(include_self=False, recursive=recursive)


def producers(layer) -> list:
    """Returns the operations whose outputs a layer was called on, of all its calls.

    `layer.input` is public, but not what it comes from, and fails for several calls.
    """
    return [producer(x) for node in layer._inbound_nodes for x in node.input_tensors]


def producer(tensor):
    """Returns the operation that a symbolic tensor comes from."""
    return tensor._keras_history.operation


def call_shapes(layer) -> list[tuple]:
    """Returns `(input_shape, output_shape)` of each call of a layer in a graph.

    `layer.output` fails for a layer that is called several times.
    """
    return [
        (node.input_tensors[0].shape, node.outputs[0].shape)
        for node in layer._inbound_nodes
    ]


def run_through_graph(model, inputs, call):
    """Evaluates a model's graph with `call(operation)` in place of each operation.

    No public function evaluates a graph with other operations than its own.
    """
    graph = getattr(model, "_functional", model)  # a Sequential wraps the graph
    return graph._run_through_graph(inputs, operation_fn=call)


@contextlib.contextmanager
def uncompiled(model) -> Iterator[None]:
    """Lets `clone_model` clone a compiled model without compiling the clone.

    It compiles from serialized functions, which the user's own need not survive, and
    before the caller can freeze layers.
    """
    before, model.compiled = model.compiled, False
    try:
        yield
    finally:
        model.compiled = before


def compile_arguments(model) -> dict | None:
    """Returns what a model was compiled with; None if it was not.

    `get_compile_config` is public, but serializes functions.
    """
    return dict(model._compile_config.config) if model.compiled else None


def copy_lambda(layer):
    """Returns a `Lambda` layer of the same function.

    `from_config` makes it from byte code, which drops the globals it uses.
    """
    return keras.layers.Lambda(
        layer.function,
        output_shape=layer._output_shape,
        mask=layer.mask,
        arguments=layer.arguments,
        name=layer.name,
        dtype=layer.dtype_policy,
        trainable=layer.trainable,
    )


def skip_symbolic_build(model) -> None:
    """Stops `fit` from building a compiled model by itself.

    Keras builds it from a distributed batch and fails (keras issue 20585).
    """
    model._maybe_symbolic_build = lambda *args, **kwargs: None


def build_metrics(model, data_batch) -> None:
    """Makes the variables of loss and metrics before the first step, where Keras does.

    Under `tf.distribute` the first step is too late.
    """
    model._symbolic_build(data_batch=data_batch)


@contextlib.contextmanager
def variables_without_values() -> Iterator[None]:
    """Lets models be built whose variables take no memory and no time.

    `StatelessScope` is public, but Keras keeps its variables in a list and gives them
    values at the end of the next such scope.
    """
    name = "uninitialized_variables"
    before = list(global_state.get_global_attribute(name, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(name, before)


@contextlib.contextmanager
def layout_of_each_batch() -> Iterator[None]:
    """Lets a distribution on JAX lay out each batch by its own shape.

    Keras takes the layout of the first batch for all, and a smaller last one fails.
    """
    from keras.src.backend.jax import trainer

    def batches(self, distribution):
        return map(trainer._distribute_data, self.data_adapter.get_jax_iterator())

    name = "_get_distributed_iterator"
    before = getattr(trainer.JAXEpochIterator, name)
    setattr(trainer.JAXEpochIterator, name, batches)
    try:
        yield
    finally:
        setattr(trainer.JAXEpochIterator, name, before)


def sum_gradients_outside(optimizer) -> None:
    """Lets the caller add up the gradients of replicas before `optimizer.apply`.

    Keras adds them up under a condition, which `tf.distribute` refuses, as soon as it
    accumulates them.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a loss scale
    inner._all_reduce_sum_gradients = list


def serialize_weights(model) -> bytes:
    """Returns what `model.save_weights` would write, with the optimizer.

    Keras writes HDF5 to a path alone. On a full disk HDF5 fails once more when it
    closes the file, and may end the process.
    """
    file = io.BytesIO()
    store = saving_lib.H5IOStore(file, mode="w")
    saving_lib._save_state(
        model,
        weights_store=store,
        assets_store=None,
        inner_path="",
        visited_saveables=set(),
    )
    store.close()
    return file.getvalue()


def load_fitting_weights(model, path) -> list:
    """Loads a weights file into the layers that it fits; returns all weights of them.

    `model.load_weights(path, skip_mismatch=True)` says which layers it skipped in a
    warning alone. It would also load the state of the optimizer.
    """
    failed: set[int] = set()
    store = saving_lib.H5IOStore(path, mode="r")
    with contextlib.closing(store), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of groups that the file has not
        saving_lib._load_state(
            model,
            weights_store=store,
            assets_store=None,
            inner_path="",
            skip_mismatch=True,
            visited_saveables={id(getattr(model, "optimizer", None))},
            failed_saveables=failed,
            error_msgs={},
        )
    left_out = {
        id(weight)
        for layer in sublayers(model, recursive=True)
        if id(layer) in failed
        for weight in (*layer._trainable_variables, *layer._non_trainable_variables)
    }
    return [weight for weight in model.weights if id(weight) not in left_out]


class SeededLayer:
    """Mixin for preprocessing layers that draw from a generator given before a call.

    Keras' layers own a generator with a state, which no pure function of data and
    seed can use.
    """

    def with_generator(self, generator):
        object.__setattr__(self, "_given_generator", generator)  # not tracked
        return self

    def _get_seed_generator(self, backend=None):
        return self._given_generator
