"""Several devices and several machines: `tf.distribute` is the engine.

Every worker runs the same program. What concerns files is the chief's alone: it reads
and writes the work directory, and tells the others where to go on. They need the data
and nothing else.
"""

import contextlib
import json

import keras
import tensorflow as tf


class LostWorker(RuntimeError):
    """Another worker of the run is gone."""


def build_strategy(name):
    """The strategy of `train.distribution`; must come before all else in TensorFlow.

    Args:
        name: `"none"`, `"mirrored"` (all GPUs of this machine, or its logical
            processors), or `"multi_worker"` (the cluster in TF_CONFIG).

    Returns:
        A `tf.distribute.Strategy`, or None.

    Raises:
        ValueError: In one line, if TF_CONFIG names no cluster.
    """
    return _STRATEGIES[name]()


def is_chief(strategy):
    """Whether this process is the one that writes."""
    if not _has_others(strategy):
        return True
    resolver = strategy.cluster_resolver
    if "chief" in resolver.cluster_spec().jobs:
        return resolver.task_type == "chief"
    return resolver.task_id == 0


def worker_index(strategy):
    """Number of this process among the workers; 0 is the chief."""
    if is_chief(strategy):
        return 0
    resolver = strategy.cluster_resolver
    return resolver.task_id + ("chief" in resolver.cluster_spec().jobs)


def num_replicas(strategy):
    return strategy.num_replicas_in_sync if strategy else 1


def scope(strategy):
    """Where variables are made."""
    return strategy.scope() if strategy else contextlib.nullcontext()


def synchronize_batch_normalization(model):
    """Lets normalisation see the batch of all replicas, as one process would."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def share_state(strategy, model, epoch):
    """Gives all workers the chief's weights, optimiser and number of epochs.

    Returns:
        The number of finished epochs of the chief.
    """
    if not _has_others(strategy):
        return epoch
    variables = [*model.variables, *model.optimizer.variables]
    values = [
        tf.constant(epoch, tf.int64),
        *(tf.convert_to_tensor(v) for v in variables),
    ]
    epoch, *values = _from_chief(strategy, values)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return int(epoch)


def share_result(strategy, result):
    """Gives all workers the chief's result, and lets none leave while one needs it."""
    if not _has_others(strategy):
        return result
    text = tf.constant(list(json.dumps(result).encode()), tf.int32)
    (size,) = _from_chief(strategy, [tf.size(text)])
    text = text if is_chief(strategy) else tf.zeros([int(size)], tf.int32)
    (text,) = _from_chief(strategy, [text])
    return json.loads(bytes(text.numpy().tolist()))


@contextlib.contextmanager
def lost_workers_named(strategy):
    """Turns TensorFlow's word for a broken connection into one line."""
    if not _has_others(strategy):
        yield
        return
    try:
        yield
    except (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.InternalError,
    ) as error:
        first = str(error).strip().splitlines()[0]
        raise LostWorker(
            f"another worker of this run is gone ({first}); start all of them again "
            "with the same command to go on from the last checkpoint"
        ) from error


def _none():
    return None


def _mirrored():
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _multi_worker():
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if not resolver.cluster_spec():
        raise ValueError(
            "train.distribution: received 'multi_worker' without a cluster; allowed: "
            'with TF_CONFIG set for each worker, as in {"cluster": {"worker": '
            '["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
        )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


_STRATEGIES = {"none": _none, "mirrored": _mirrored, "multi_worker": _multi_worker}


def _has_others(strategy):
    resolver = strategy and strategy.cluster_resolver
    return bool(resolver and resolver.cluster_spec())


def _from_chief(strategy, values):
    """The chief's tensors on every worker: a sum to which all others add zeros.

    They travel as one row of bits, which no addition of numbers can round.
    """

    @tf.function
    def add(bits):
        context = tf.distribute.get_replica_context()
        first = tf.equal(context.replica_id_in_sync_group, 0)
        mine = tf.where(first, bits, tf.zeros_like(bits))
        return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)

    bits = [tf.bitcast(value, tf.int32) for value in values]
    row = tf.concat([tf.reshape(b, [-1]) for b in bits], 0)
    row = strategy.run(add, (tf.cast(row, tf.int64),))
    row = tf.cast(strategy.experimental_local_results(row)[0], tf.int32)
    parts = tf.split(row, [tf.size(b) for b in bits])
    return [
        tf.bitcast(tf.reshape(part, b.shape), value.dtype)
        for part, b, value in zip(parts, bits, values, strict=True)
    ]
