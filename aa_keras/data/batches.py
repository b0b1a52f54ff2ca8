"""What the pipelines of all tasks share: epochs, lengths, decoded records."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from aa_keras.data import decoding, upright


def map_in_order(dataset: tf.data.Dataset, function: Callable) -> tf.data.Dataset:
    """Maps a data set with several threads and keeps its order."""
    return dataset.map(
        function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


def decoded(records, source, split, window=None) -> tf.data.Dataset:
    """Decodes the `image` of records, as `Source.examples` returns them.

    An image that cannot be used is skipped, or stops the pipeline.

    Args:
        records: `tf.data.Dataset` of the records.
        source: a `Source`, which decides about images that cannot be used.
        split: str, that of the records.
        window: callable, a function of a record and its image's shape that returns the
            part to decode. Defaults to the whole image.
    """
    channels = source.channels

    def pixels(record):
        part = window and window(record, upright.shape(record["image"], channels))
        return upright.decode(record["image"], channels, part)

    def decode(record):
        nothing = tf.zeros((0, 0, channels), tf.uint8)
        return {**record, "image": decoding.attempt(pixels, record, nothing)}

    @tf.autograph.experimental.do_not_convert
    def skip(name):
        source.skip(split, name)
        return np.False_

    # Not within `decode`: with deterministic operations, TensorFlow would call a map
    # that calls Python for one record after the other.
    def is_usable(record):
        return tf.cond(
            tf.size(record["image"]) > 0,
            lambda: tf.constant(True),
            lambda: tf.numpy_function(skip, [record["name"]], tf.bool),
        )

    return map_in_order(records, decode).filter(is_usable)


def repeated(records, first, source, split, window=None) -> tf.data.Dataset:
    """Decodes records again and again from example `first` on; see `decoded`.

    They repeat, because other images replace those that are skipped as corrupt.
    """
    if source.corrupt_images == "stop":  # each record is an example
        return decoded(records.repeat().skip(first), source, split, window)
    return decoded(records, source, split, window).repeat().skip(first)


def read_arrays(source, split) -> tuple[np.ndarray, np.ndarray]:
    """Reads and decodes all images and labels of a split of images of one size."""
    channels = source.channels

    def decode_all(record):
        return {**record, "image": decoding.decode(record["image"], channels)}

    def read_all(decoded_records):
        pairs = decoded_records.map(lambda record: (record["image"], record["label"]))
        parts = pairs.batch(1024).prefetch(1).as_numpy_iterator()
        images, labels = zip(*parts, strict=True)
        return np.concatenate(images), np.concatenate(labels)

    examples = source.examples(split)
    try:  # without a check of each image, which takes longer
        return read_all(map_in_order(examples, decode_all))
    except tf.errors.InvalidArgumentError:
        with source.damage.named():
            return read_all(decoded(examples, source, split))


def check_num_batches(source, split, batch_size) -> int:
    """Returns the whole batches of an epoch; a `ValueError` if there is none."""
    num_examples = source.count(split)
    if num_examples < batch_size:
        raise ValueError(
            f"data.batch_size: received {batch_size}; allowed: at most {num_examples}, "
            f"the number of images in {source.name!r} split {split!r}"
        )
    return num_examples // batch_size


def repeat_epochs(
    one_epoch: Callable, seed, epochs, num_batches, first_batch=0
) -> tf.data.Dataset:
    """Joins the batches of `one_epoch(key, first)` of each epoch, from `first` on.

    That is `first_batch` in the first of the epochs and 0 in the others.
    """
    root = tf.random.fold_in(tf.constant([seed, 0]), 0)

    def rest(epoch):
        first = tf.where(epoch == epochs.start, tf.cast(first_batch, tf.int64), 0)
        examples = one_epoch(tf.random.fold_in(root, epoch), first)
        return examples.take(num_batches - first)

    batches = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(rest)
    return finish(batches, num_batches * len(epochs) - first_batch)


def evaluate_once(batches, source, split, batch_size) -> tf.data.Dataset:
    """Finishes the batches of a split, each image of which they contain once."""
    known = source.corrupt_images != "skip"
    return finish(batches, -(-source.count(split) // batch_size) if known else None)


def finish(batches, num_batches) -> tf.data.Dataset:
    """States the number of batches, without which Keras warns at their end."""
    if num_batches is not None:
        batches = batches.apply(tf.data.experimental.assert_cardinality(num_batches))
    options = tf.data.Options()
    # Workers share one order of batches. Sharding by files would give each worker other
    # images than one worker alone sees.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)
