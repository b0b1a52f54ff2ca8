"""`tf.data` pipelines of (float32 images, one-hot labels).

Everything random in a training pipeline is a function of (seed, epoch, position),
never of a generator's state: a run that goes on at epoch 7 sees what an
uninterrupted one saw there.
"""

import tensorflow as tf

from aa_keras.data.augmentation import AUGMENTATIONS

SHUFFLE_BUFFER = 50_000  # images; the whole of every data set that fits in memory


def build_training(
    source, preprocessing, *, augmentation, batch_size, seed, epochs, split="train"
):
    """Shuffled, augmented batches of whole epochs, one after the other.

    Args:
        source: A `Source`.
        preprocessing: A `Preprocessing`.
        augmentation: A key of `AUGMENTATIONS`.
        batch_size: Images in a batch. The rest of an epoch that does not fill one is
            left out of it (another rest each epoch, as the order changes).
        seed: Integer.
        epochs: The range of epochs to give, as in `range(7, 30)`.

    Returns:
        A `tf.data.Dataset` of ((batch, size, size, channels), (batch, classes)).

    Raises:
        ValueError: If the split holds less than one batch.
    """
    num_examples = source.num_examples[split]
    if num_examples < batch_size:
        raise ValueError(
            f"data.batch_size: received {batch_size}; allowed: at most {num_examples}, "
            f"the number of images in {source.name!r} split {split!r}"
        )
    augment = AUGMENTATIONS[augmentation]

    def one_epoch(epoch):
        # In this function's graph alone: `shuffle` would mix the global seed in, and
        # does not accept a tensor as its own seed where the global one is 0.
        tf.random.set_seed(None)
        shuffled = source.load(split).shuffle(
            min(num_examples, SHUFFLE_BUFFER),
            seed=seed + epoch,
            reshuffle_each_iteration=False,
        )

        def prepare(position, example):
            image, label = example
            # Resized first: augmentation is stated in pixels of the network's input.
            image = preprocessing.resize(image)
            image_seed = tf.stack([seed + epoch, position])
            return augment(image, image_seed), label

        return (
            shuffled.enumerate()
            .map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .batch(batch_size, drop_remainder=True)
        )

    return (
        tf.data.Dataset.range(epochs.start, epochs.stop)
        .flat_map(one_epoch)
        .map(_finish(source, preprocessing))  # on whole batches: fewer, larger steps
        .prefetch(tf.data.AUTOTUNE)
    )


def build_evaluation(source, preprocessing, *, split, batch_size):
    """Every image of a split exactly once, in order, the last batch smaller."""
    return (
        source.load(split)
        .map(
            lambda image, label: (preprocessing.resize(image), label),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        .batch(batch_size)
        .map(_finish(source, preprocessing))
        .prefetch(tf.data.AUTOTUNE)
    )


def _finish(source, preprocessing):
    num_classes = len(source.class_names)

    def finish(images, labels):
        return preprocessing.normalize(images), tf.one_hot(labels, num_classes)

    return finish
