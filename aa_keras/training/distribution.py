"""Several devices and several machines: `tf.distribute`, on JAX `keras.distribution`.

Every worker runs the same program. Only the chief reads and writes the work directory;
it sends the others the state to resume from. They need nothing but the data set.
"""

import contextlib
import json
from typing import Any

import keras
import tensorflow as tf

from aa_keras import keras_internals

# What `train.distribution` may be on each backend of Keras.
ALLOWED = {
    "tensorflow": ("none", "mirrored", "multi_worker"),
    "jax": ("none", "data_parallel"),
    "torch": ("none",),
}


class LostWorker(RuntimeError):
    """Another worker of the run is gone."""


class DataParallel(keras.distribution.DataParallel):
    """All devices that JAX sees share each batch, if it is a multiple of their number.

    Each computes any other batch whole, such as the last one of a split.
    """

    cluster_resolver = None

    @property
    def num_replicas_in_sync(self) -> int:
        return self.num_model_replicas

    def get_data_layout(self, data_shape):
        layout = super().get_data_layout(data_shape)
        if data_shape[0] % self.num_model_replicas == 0:
            return layout
        axes = [None] * len(data_shape)
        return keras.distribution.TensorLayout(axes, layout.device_mesh)

    @contextlib.contextmanager
    def scope(self):
        with keras_internals.layout_of_each_batch(), super().scope():
            yield


def build_strategy(name: str) -> tf.distribute.Strategy | DataParallel | None:
    """Returns the strategy of `train.distribution`, before TensorFlow runs anything.

    `"mirrored"` takes all GPUs of this machine, or its logical processors,
    `"multi_worker"` the cluster in TF_CONFIG, `"data_parallel"` all devices of JAX.
    """
    if name == "none":
        return None
    if name == "data_parallel":
        return DataParallel()
    if name == "mirrored":
        list_devices = tf.config.list_logical_devices
        devices = list_devices("GPU") or list_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if not resolver.cluster_spec():
        raise ValueError(
            "train.distribution: received 'multi_worker' without a cluster; allowed: "
            'with TF_CONFIG set for each worker, as in {"cluster": {"worker": '
            '["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
        )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def is_chief(strategy) -> bool:
    """Returns whether this process is the one that writes."""
    if not _has_others(strategy):
        return True
    resolver = strategy.cluster_resolver
    if "chief" in resolver.cluster_spec().jobs:
        return resolver.task_type == "chief"
    return resolver.task_id == 0


def worker_index(strategy) -> int:
    """Returns the number of this process among the workers; 0 is the chief."""
    if is_chief(strategy):
        return 0
    resolver = strategy.cluster_resolver
    return resolver.task_id + ("chief" in resolver.cluster_spec().jobs)


def num_replicas(strategy) -> int:
    return strategy.num_replicas_in_sync if strategy else 1


def of_tensorflow(strategy) -> tf.distribute.Strategy | None:
    """Returns the strategy if the steps of a run must be written for it."""
    return strategy if isinstance(strategy, tf.distribute.Strategy) else None


def scope(strategy) -> contextlib.AbstractContextManager:
    """Returns the context in which a model is built."""
    return strategy.scope() if strategy else contextlib.nullcontext()


def fit_scope(strategy) -> contextlib.AbstractContextManager:
    """Returns the context in which a model is fitted: of JAX that in which it is built.

    A model knows its `tf.distribute` strategy.
    """
    return contextlib.nullcontext() if of_tensorflow(strategy) else scope(strategy)


def share_state(strategy, model, epoch: int) -> int:
    """Sends the chief's weights and optimiser to all; returns its finished epochs."""
    if not _has_others(strategy):
        return epoch
    variables = [*model.variables, *model.optimizer.variables]
    values = [tf.constant(epoch, tf.int64), *map(tf.convert_to_tensor, variables)]
    epoch, *values = _from_chief(strategy, values)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return int(epoch)


def share_result(strategy, result: Any) -> Any:
    """Returns the chief's result on all workers; none returns before all have it."""
    if not _has_others(strategy):
        return result
    text = tf.constant(list(json.dumps(result).encode()), tf.int32)
    (size,) = _from_chief(strategy, [tf.size(text)])
    text = text if is_chief(strategy) else tf.zeros([int(size)], tf.int32)
    (text,) = _from_chief(strategy, [text])
    return json.loads(bytes(text.numpy().tolist()))


@contextlib.contextmanager
def lost_workers_named(strategy):
    """Turns TensorFlow's error for a broken connection into a `LostWorker`."""
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
            "with the same command to resume from the last checkpoint"
        ) from error


def _has_others(strategy):
    resolver = strategy and strategy.cluster_resolver
    return bool(resolver and resolver.cluster_spec())


def _from_chief(strategy, values):
    """Returns the chief's tensors on every worker: a sum to which others add zeros.

    They are sent as one row of bits, which no addition of numbers can round.
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
