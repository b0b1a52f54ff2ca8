"""What the pipelines of all tasks share: epochs, lengths, decoded records."""

from collections.abc import Callable

import tensorflow as tf

from aa_keras.data import decoding


def map_in_order(dataset: tf.data.Dataset, function: Callable) -> tf.data.Dataset:
    """Maps a data set with several threads and keeps its order."""
    return dataset.map(
        function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


def decoded(records, channels, corrupt_images, window=None) -> tf.data.Dataset:
    """Decodes the `image` of records, as `Source.records` returns them.

    `window` is a function of a record and its image's shape that returns the part to
    decode.
    """

    def pixels(record):
        shape = window and decoding.shape(record["image"], channels)
        part = window and window(record, shape)
        return decoding.decode(record["image"], channels, part)

    def decode(record):
        nothing = tf.zeros((0, 0, channels), tf.uint8)
        image = decoding.attempt(pixels, record, nothing)
        usable = decoding.require(image, record["name"], corrupt_images)
        return {**record, "image": image, "usable": usable}

    return map_in_order(records, decode).filter(lambda record: record["usable"])


def repeated(records, first, channels, corrupt_images, window=None) -> tf.data.Dataset:
    """Decodes records again and again from example `first` on; see `decoded`.

    They repeat, because other images replace those that are skipped as corrupt.
    """
    options = channels, corrupt_images, window
    if corrupt_images == "stop":  # each record is an example: none is decoded in vain
        return decoded(records.repeat().skip(first), *options)
    return decoded(records, *options).repeat().skip(first)


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
