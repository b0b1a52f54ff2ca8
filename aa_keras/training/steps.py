"""One train step: small batches accumulated, replicas added up, then one update.

Keras can do either, but not both: its accumulation puts the exchange between replicas
under a condition, which `tf.distribute` refuses, and it clips gradients and looks for
infinite ones before they are added up, so that each replica decides alone. Here the
optimiser gets what one process with the whole batch would have given it. Its count of
steps, on which schedules and averages of weights rest, is one of updates.
"""

import threading

import tensorflow as tf


def prepare_steps(model, *, accumulate_steps=1, strategy=None):
    """Changes the steps of a compiled model; `fit` and `evaluate` then use them.

    Whatever the model's own `train_step` does, as that of a detector, stays.

    Args:
        model: A compiled `keras.Model`, built under `strategy` where there is one.
        accumulate_steps: Parts of equal size into which a replica's batch is cut, one
            after the other in memory. Batch normalisation sees each part alone.
        strategy: A `tf.distribute.Strategy`, or None.
    """
    if accumulate_steps > 1 or strategy:
        model.train_step = _one_update(model, accumulate_steps, strategy)
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        model.train_step = _vector_logs(model.train_step)
        model.test_step = _vector_logs(model.test_step)
    if strategy:
        # Keras builds a compiled model from a distributed batch and fails; `build`
        # below did it from an ordinary one.
        model._maybe_symbolic_build = lambda *args, **kwargs: None


def build_metrics(model, batches, strategy):
    """Makes the variables of loss and metrics, which Keras leaves for the first step.

    Args:
        model: A compiled `keras.Model`.
        batches: The `tf.data.Dataset` that it will be trained on; not read.
        strategy: The `tf.distribute.Strategy` of the model.
    """
    shapes = tf.nest.map_structure(
        lambda spec: tf.zeros([size or 1 for size in spec.shape], spec.dtype),
        batches.element_spec,
    )
    with strategy.scope():
        model._symbolic_build(data_batch=shapes)


def _one_update(model, accumulate_steps, strategy):
    optimizer, own_step = model.optimizer, model.train_step
    apply = optimizer.apply
    local = threading.local()  # the replicas of a process are its threads

    def collect(gradients, trainable_variables=None):
        if local.sums is None:
            local.variables = trainable_variables
            local.sums = list(gradients)
        else:
            local.sums = [
                _add(*pair) for pair in zip(local.sums, gradients, strict=True)
            ]

    def train_step(data):
        local.sums, parts = None, _cut(data, accumulate_steps)
        for part in parts:
            if local.sums is not None:  # the last part's memory is free by then
                ready = [g for g in local.sums if g is not None]
                with tf.control_dependencies(ready):
                    part = tf.nest.map_structure(tf.identity, part)
            logs = own_step(part)
        gradients = _mean(local.sums, accumulate_steps)
        apply(_add_replicas(gradients) if strategy else gradients, local.variables)
        return logs

    optimizer.apply = collect
    if strategy:
        inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a loss scale
        inner._all_reduce_sum_gradients = list
    return train_step


def _cut(data, parts):
    if parts == 1:
        return [data]
    flat = [tf.split(tensor, parts) for tensor in tf.nest.flatten(data)]
    return [tf.nest.pack_sequence_as(data, part) for part in zip(*flat, strict=True)]


def _add(a, b):
    return b if a is None else a if b is None else a + b


def _mean(gradients, parts):
    if parts == 1:
        return gradients
    return [None if g is None else g / parts for g in gradients]


def _add_replicas(gradients):
    present = [g for g in gradients if g is not None]
    context = tf.distribute.get_replica_context()
    summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if g is None else next(summed) for g in gradients]


def _vector_logs(step):
    """Between several workers Keras averages logs over an axis that scalars lack."""

    def vector_step(data):
        return tf.nest.map_structure(lambda log: tf.reshape(log, (1,)), step(data))

    return vector_step
