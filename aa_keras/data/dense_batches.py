"""`tf.data` pipelines of (maps, a label for each cell), drawn anew for each step.

Training draws from (seed, epoch, step), so that a resumed run sees the same maps as an
uninterrupted one. The maps of the other splits are always the same.
"""

import tensorflow as tf

from aa_keras.data import batches


def build_training(
    source, preprocessing, *, batch_size, seed, epochs, first_batch=0
) -> tf.data.Dataset:
    """Builds batches of fresh maps for a range of epochs.

    Args:
        source: a `Source` that draws maps.
        preprocessing: a `MapPreprocessing`.
        batch_size: int, maps in a batch.
        seed: int.
        epochs: range of epochs, as in `range(7, 30)`.
        first_batch: int, the batch with which the first epoch starts. Defaults to `0`.

    Returns:
        A `tf.data.Dataset` of ((batch, size, size, channels), (batch, size, size)).
    """
    num_batches = batches.check_num_batches(source, "train", batch_size)
    size = source.map_size("train", preprocessing.image_size)

    def one_epoch(key, first):
        steps = tf.data.Dataset.range(first, num_batches)
        return batches.map_in_order(
            steps,
            lambda step: source.draw(tf.random.fold_in(key, step), batch_size, size),
        )

    return batches.repeat_epochs(one_epoch, seed, epochs, num_batches, first_batch)


def build_evaluation(source, preprocessing, *, split, batch_size) -> tf.data.Dataset:
    """Builds batches of the fixed maps of a split, the last one smaller."""
    number = list(source.num_examples).index(split) if source.count(split) else 0
    size = source.map_size(split, preprocessing.image_size)
    # The second number differs from that of every training run.
    key = tf.constant([number, 1])
    maps = tf.data.Dataset.from_tensors(key).map(
        lambda key: source.draw(key, source.count(split), size)
    )
    maps = maps.unbatch().batch(batch_size)
    return batches.evaluate_once(maps, source, split, batch_size)
