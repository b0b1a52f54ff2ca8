"""One train step: gradients of small batches and of replicas added, then one update.

Keras can do either, but not both: its accumulation puts the exchange between replicas
under a condition, which `tf.distribute` refuses, and each replica clips its gradients
and checks them for infinities before they are added. Here the optimiser gets the
gradients that one process with the whole batch would compute, and counts updates.

Replicas that normalise alone have statistics of their own. Their mean is sent with the
gradients, so that all replicas have the same state after each update.
"""

import threading

import tensorflow as tf

from aa_keras import keras_internals
from aa_keras.training import normalization


def prepare_steps(model, average, *, accumulate_steps=1, strategy=None) -> None:
    """Wraps the steps of a compiled model, built under `strategy` if there is one.

    One of the `accumulate_steps` equal parts of a replica's batch is in memory at a
    time. Batch normalisation sees each part alone. The `Average` follows each update.
    """
    if accumulate_steps > 1 or strategy:
        model.train_step = _one_update(model, accumulate_steps, strategy)
    if average.decay is not None:
        model.train_step = average.follow(model.train_step)
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        model.train_step = _vector_logs(model.train_step)
        model.test_step = _vector_logs(model.test_step)
    if strategy:
        keras_internals.skip_symbolic_build(model)


def build_metrics(model, batches, strategy) -> None:
    """Creates the variables of loss and metrics, which a distributed `fit` cannot.

    Of the data set `batches` only the shapes are used.
    """
    shapes = tf.nest.map_structure(
        lambda spec: tf.zeros([size or 1 for size in spec.shape], spec.dtype),
        batches.element_spec,
    )
    with strategy.scope():
        keras_internals.build_metrics(model, shapes)


def _one_update(model, accumulate_steps, strategy):
    optimizer, own_step = model.optimizer, model.train_step
    apply = optimizer.apply
    statistics = normalization.statistics(
        layer
        for layer in normalization.batch_normalizations(model)
        if not layer.synchronized
    )
    local = threading.local()  # the replicas of a process are its threads

    def collect(gradients, trainable_variables=None):
        if local.sums is None:
            local.variables = trainable_variables
            local.sums = list(gradients)
        else:
            pairs = zip(local.sums, gradients, strict=True)
            local.sums = [_add(*pair) for pair in pairs]

    def train_step(data):
        local.sums, parts = None, _cut(data, accumulate_steps)
        for part in parts:
            if local.sums is not None:  # the last part's memory is free by then
                with tf.control_dependencies([g for g in local.sums if g is not None]):
                    part = tf.nest.map_structure(tf.identity, part)
            logs = own_step(part)
        gradients = _mean(local.sums, accumulate_steps)
        if strategy:
            gradients = _add_replicas(gradients, statistics)
        apply(gradients, local.variables)
        return logs

    optimizer.apply = collect
    if strategy:
        keras_internals.sum_gradients_outside(optimizer)
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


def _add_replicas(gradients, statistics):
    """Returns the sums of gradients, and makes statistics the mean of all replicas'."""
    present = [g for g in gradients if g is not None]
    own = [tf.convert_to_tensor(variable.value) for variable in statistics]
    context = tf.distribute.get_replica_context()
    summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, [*present, *own]))
    gradients = [None if g is None else next(summed) for g in gradients]
    for variable, total in zip(statistics, summed, strict=True):
        variable.assign(total / context.num_replicas_in_sync)
    return gradients


def _vector_logs(step):
    """Reshapes logs: Keras averages them between workers over an axis."""

    def vector_step(data):
        return tf.nest.map_structure(lambda log: tf.reshape(log, (1,)), step(data))

    return vector_step
