"""`tf.data` pipelines of (float32 images, one-hot labels).

The steps of a training pipeline:

1. shuffle, while pictures are still encoded and small, or as row numbers;
2. decode, of a JPEG only the window that a random crop selects;
3. resize to the network's size, because changes are stated in pixels of its input;
4. batch, because later steps cost less on many images at once;
5. RandAugment, if configured, on values in 0..255, then crops and flips;
6. normalize, and convert labels to one-hot;
7. MixUp or CutMix, if configured, which mix images and labels of a batch.

All random values are a function of (seed, epoch, position), never of a generator's
state: a run that resumes at epoch 7 sees the same images as an uninterrupted one.
"""

import tensorflow as tf

from aa_keras.data import batches
from aa_keras.data.augmentation import AUGMENTATIONS
from aa_keras.data.batches import check_num_batches


def build_training(
    source,
    preprocessing,
    *,
    augmentation,
    batch_size,
    seed,
    epochs,
    split="train",
    rand_augment=None,
    mixup=None,
    cutmix=None,
    first_batch=0,
) -> tf.data.Dataset:
    """Builds shuffled, augmented batches of whole epochs, one after the other.

    Args:
        source: a `Source`.
        preprocessing: a `Preprocessing`.
        augmentation: str, a key of the task's `AUGMENTATIONS`.
        batch_size: int, images in a batch. An epoch drops the images that do not fill
            a batch (other images each epoch, as the order changes).
        seed: int.
        epochs: range of epochs, as in `range(7, 30)`.
        split: str, the split to train on. Defaults to `"train"`.
        rand_augment: float, the strength of RandAugment in 0..1. Defaults to `None`.
        mixup: float, MixUp's alpha. Defaults to `None`.
        cutmix: float, CutMix's alpha. Defaults to `None`. With both, each batch uses
            one of them.
        first_batch: int, the batch with which the first epoch starts. Defaults to `0`.

    Returns:
        A `tf.data.Dataset` of ((batch, size, size, channels), (batch, classes)).

    Raises:
        ValueError: if the split contains less than one batch, or the augmentation is
            unknown or does not fit the source.
    """
    if augmentation not in AUGMENTATIONS:
        raise ValueError(
            f"data.augmentation: received {augmentation!r}; allowed for "
            f"{source.task}: {', '.join(AUGMENTATIONS)}"
        )
    change, window = AUGMENTATIONS[augmentation]
    if window and source.arrays:
        fitting = [name for name, (_, cut) in AUGMENTATIONS.items() if not cut]
        raise ValueError(
            f"data.augmentation: received {augmentation!r}; allowed for "
            f"{source.name!r}, whose images have one size and are kept in memory: "
            f"{', '.join(fitting)}"
        )
    recolor, mix = _identity, _identity_of_pair
    if rand_augment or mixup or cutmix:
        from aa_keras.data import mixing

        recolor = mixing.rand_augment(rand_augment) if rand_augment else recolor
        mix = mixing.mix(mixup, cutmix) if mixup or cutmix else mix
    num_classes = len(source.class_names)
    num_batches = check_num_batches(source, split, batch_size)
    source.require(split)
    # Outside of the pipeline's functions, which would store them as constants.
    arrays = source.arrays and tuple(map(tf.constant, source.load_arrays(split)))

    def finish(index, images, labels, key):
        seeds = tf.unstack(tf.random.split(tf.random.fold_in(key, index), 3))
        images = change(recolor(images, seeds[0]), seeds[1])
        images = preprocessing.normalize(images)
        return mix(images, tf.one_hot(labels, num_classes), seeds[2])

    def one_epoch(key, first):
        order_key, window_key, change_key = tf.unstack(tf.random.split(key, 3))
        if arrays:
            examples = _rows(arrays, first, batch_size, order_key, preprocessing)
        else:
            by_position = window and _by_position(window, window_key)
            examples = _decoded_batches(
                source,
                split,
                source.examples(split, order_key),
                first,
                by_position,
                batch_size,
                preprocessing,
            )
        return batches.map_in_order(
            examples.enumerate(start=first),
            lambda index, batch: finish(index, *batch, change_key),
        )

    return batches.repeat_epochs(one_epoch, seed, epochs, num_batches, first_batch)


def build_evaluation(source, preprocessing, *, split, batch_size) -> tf.data.Dataset:
    """Builds batches of every image of a split once, in order, the last one smaller.

    Args:
        source: a `Source`.
        preprocessing: a `Preprocessing`.
        split: str, the split to measure.
        batch_size: int, images in a batch.
    """
    source.require(split)
    num_classes = len(source.class_names)

    def resize(images):
        return preprocessing.resize(preprocessing.crop(images))

    def finish(images, labels):
        images = resize(images) if source.arrays else images
        return preprocessing.normalize(images), tf.one_hot(labels, num_classes)

    if source.arrays:
        examples = tf.data.Dataset.from_tensor_slices(source.load_arrays(split))
    else:  # images of several sizes, which only fit into a batch after resizing
        examples = batches.map_in_order(
            batches.decoded(source.examples(split), source, split),
            lambda record: (resize(record["image"]), record["label"]),
        )
    examples = batches.map_in_order(examples.batch(batch_size), finish)
    return batches.evaluate_once(examples, source, split, batch_size)


def _rows(arrays, first, batch_size, key, preprocessing):
    images, labels = arrays
    order = tf.random.experimental.stateless_shuffle(tf.range(len(labels)), key)
    # Repeated, because other images replace those that are skipped as corrupt.
    rows = tf.data.Dataset.from_tensor_slices(order).repeat().skip(first * batch_size)
    return batches.map_in_order(
        rows.batch(batch_size, drop_remainder=True),
        lambda rows: (
            preprocessing.resize(tf.gather(images, rows)),
            tf.gather(labels, rows),
        ),
    )


def _decoded_batches(source, split, records, first, window, batch_size, preprocessing):
    records = records.enumerate().map(
        lambda position, record: {**record, "position": position}
    )
    return batches.map_in_order(
        batches.repeated(records, first * batch_size, source, split, window),
        lambda record: (preprocessing.resize(record["image"]), record["label"]),
    ).batch(batch_size, drop_remainder=True)


def _by_position(window, key):
    return lambda record, shape: window(
        shape, tf.random.fold_in(key, record["position"])
    )


def _identity(images, seed):
    return images


def _identity_of_pair(images, labels, seed):
    return images, labels
