"""Every private name of Keras that the package uses, each with its reason.

Keras may change these in any release. tests/test_keras_internals.py fails when it does.
"""


def sublayers(layer, recursive=False) -> list:
    """Returns the layers inside a layer or model, in order unless `recursive`.

    `Model.layers` is public. A layer that contains layers has no counterpart.
    """
    return layer._flatten_layers(include_self=False, recursive=recursive)


def run_through_graph(model, inputs, call):
    """Evaluates a model's graph with `call(operation)` in place of each operation.

    No public function evaluates a graph with other operations than its own.
    """
    graph = getattr(model, "_functional", model)  # a Sequential wraps the graph
    return graph._run_through_graph(inputs, operation_fn=call)


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


def sum_gradients_outside(optimizer) -> None:
    """Lets the caller add up the gradients of replicas before `optimizer.apply`.

    Keras adds them up under a condition, which `tf.distribute` refuses, as soon as it
    accumulates them.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a loss scale
    inner._all_reduce_sum_gradients = list


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
