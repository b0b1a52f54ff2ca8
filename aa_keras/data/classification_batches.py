"""`tf.data` pipelines of (float32 images, one-hot labels).

The order of a training pipeline:

1. shuffle, while pictures are still encoded and small, or as numbers of rows;
2. decode, of a JPEG only the window that a random crop wants;
3. resize to the network's size, because changes are stated in pixels of its input;
4. batch, because everything after costs less on many images at once;
5. RandAugment, if configured, on values in 0..255, then crops and flips;
6. normalise, and labels to one-hot;
7. MixUp or CutMix, if configured, which mix images and labels of a batch.

Everything random is a function of (seed, epoch, position), never of a generator's
state: a run that goes on at epoch 7 sees what an uninterrupted one saw there.
"""

import tensorflow as tf

from aa_keras.data import decoding
from aa_keras.data.augmentation import AUGMENTATIONS


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
        split: The split to train on.
        rand_augment: Strength of RandAugment in 0..1, or `None`.
        mixup: MixUp's alpha, or `None`.
        cutmix: CutMix's alpha, or `None`. With both, each batch takes one of them.

    Returns:
        A `tf.data.Dataset` of ((batch, size, size, channels), (batch, classes)).

    Raises:
        ValueError: If the split holds less than one batch, or an unknown
            augmentation is asked for.
    """
    if augmentation not in AUGMENTATIONS:
        raise ValueError(
            f"data.augmentation: received {augmentation!r}; allowed for "
            f"{source.task}: {', '.join(AUGMENTATIONS)}"
        )
    augment = AUGMENTATIONS[augmentation]
    recolor, mix = _identity, _identity_of_pair
    if rand_augment or mixup or cutmix:
        from aa_keras.data import mixing

        recolor = mixing.rand_augment(rand_augment) if rand_augment else recolor
        mix = mixing.mix(mixup, cutmix) if mixup or cutmix else mix
    num_classes = len(source.class_names)
    num_batches = check_num_batches(source, split, batch_size)
    # Outside of the pipeline's functions, which would hold them as constants.
    arrays = source.arrays and tuple(map(tf.constant, source.arrays(split)))

    def finish(index, images, labels, key):
        seeds = tf.unstack(tf.random.split(tf.random.fold_in(key, index), 3))
        images = augment.change(recolor(images, seeds[0]), seeds[1])
        images = preprocessing.normalize(images)
        return mix(images, tf.one_hot(labels, num_classes), seeds[2])

    def one_epoch(key):
        order_key, window_key, change_key = tf.unstack(tf.random.split(key, 3))
        if arrays:
            images_and_labels = _rows(arrays, batch_size, order_key, preprocessing)
        else:
            records = source.records(split, order_key)
            window = augment.window and _by_position(augment.window, window_key)
            images_and_labels = _decoded_batches(
                source, records, window, batch_size, preprocessing
            )
        return images_and_labels.enumerate().map(
            lambda index, batch: finish(index, *batch, change_key),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    return repeat_epochs(one_epoch, seed, epochs, num_batches)


def build_evaluation(source, preprocessing, *, split, batch_size):
    """Every image of a split exactly once, in order, the last batch smaller."""
    source.count(split)
    num_classes = len(source.class_names)
    if source.arrays:
        batches = tf.data.Dataset.from_tensor_slices(source.arrays(split))
        batches = batches.batch(batch_size)
    else:
        batches = (
            decoded(source, source.records(split, None))
            .map(
                lambda record: (
                    preprocessing.resize(preprocessing.crop(record["image"])),
                    record["label"],
                ),
                num_parallel_calls=tf.data.AUTOTUNE,
                deterministic=True,
            )
            .batch(batch_size)
            .apply(with_length(source, split, batch_size))
        )

    def finish(images, labels):
        if source.arrays:
            images = preprocessing.resize(preprocessing.crop(images))
        return preprocessing.normalize(images), tf.one_hot(labels, num_classes)

    return with_options(
        batches.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    )


def check_num_batches(source, split, batch_size):
    """Whole batches in an epoch; a `ValueError` if there is none."""
    num_examples = source.count(split)
    if num_examples < batch_size:
        raise ValueError(
            f"data.batch_size: received {batch_size}; allowed: at most {num_examples}, "
            f"the number of images in {source.name!r} split {split!r}"
        )
    return num_examples // batch_size


def repeat_epochs(one_epoch, seed, epochs, num_batches):
    """The batches of `one_epoch(key)` for each epoch, one epoch after the other."""
    root = tf.random.fold_in(tf.constant([seed, 0]), 0)
    batches = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(
        lambda epoch: one_epoch(tf.random.fold_in(root, epoch)).take(num_batches)
    )
    return with_options(
        batches.apply(
            tf.data.experimental.assert_cardinality(num_batches * len(epochs))
        )
    )


def with_length(source, split, batch_size):
    """Tells a data set of all records of a split how many batches it has.

    Keras warns at the end of one that does not know. If corrupt images are skipped,
    nobody knows.
    """
    if source.corrupt_images == "skip":
        return lambda batches: batches
    num_batches = -(-source.count(split) // batch_size)
    return tf.data.experimental.assert_cardinality(num_batches)


def with_options(batches):
    options = tf.data.Options()
    # Several workers share the batches of one order, not the files: whole files would
    # give each of them other images than one worker alone sees.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def decoded(source, records, window=None):
    """The records with `image` as pixels; broken pictures as the source says.

    Args:
        source: A `Source` of records.
        records: What `source.records` gives.
        window: A function of a record and the shape of its image that gives the part
            of it that is wanted, or `None`.
    """

    def pixels(record):
        part = None
        if window:
            part = window(record, decoding.shape(record["image"], source.channels))
        return decoding.decode(record["image"], source.channels, part)

    def decode(record):
        nothing = tf.zeros((0, 0, source.channels), tf.uint8)
        image = decoding.attempt(pixels, record, nothing)
        usable = decoding.require(image, record["name"], source.corrupt_images)
        return {**record, "image": image, "usable": usable}

    return records.map(
        decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    ).filter(lambda record: record["usable"])


def _rows(arrays, batch_size, key, preprocessing):
    images, labels = arrays
    order = tf.random.experimental.stateless_shuffle(tf.range(len(labels)), key)
    return (
        # Images that were left out as corrupt have their places taken by others.
        tf.data.Dataset.from_tensor_slices(order)
        .repeat()
        .batch(batch_size, drop_remainder=True)
        .map(
            lambda rows: (
                preprocessing.resize(tf.gather(images, rows)),
                tf.gather(labels, rows),
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    )


def _decoded_batches(source, records, window, batch_size, preprocessing):
    records = records.enumerate().map(
        lambda position, record: {**record, "position": position}
    )
    return (
        decoded(source, records, window)
        .repeat()  # as above
        .map(
            lambda record: (preprocessing.resize(record["image"]), record["label"]),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        .batch(batch_size, drop_remainder=True)
    )


def _by_position(window, key):
    return lambda record, shape: window(
        shape, tf.random.fold_in(key, record["position"])
    )


def _identity(images, seed):
    return images


def _identity_of_pair(images, labels, seed):
    return images, labels
