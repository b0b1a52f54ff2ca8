"""Sets of tensorflow-datasets, read from their files.

The files are read here, and not by `tfds.load`, because the order of a training epoch
must be a function of a key that only the running pipeline knows, and because pictures
are shuffled, and sometimes cropped, before they are decoded.
"""

import numpy as np
import tensorflow as tf

from aa_keras.data import coco
from aa_keras.data.decoding import attempt, decode, require

SHUFFLE_BUFFER = 16_384  # encoded pictures: of ImageNet, less than 2 GiB
PARALLEL_FILES = 16  # open at a time; neighbours in a file are spread over this many
MEMORY = 2**30  # bytes of decoded images that a source may hold

# Where the test labels are not public, the paper reports on the validation split.
_TEST_SPLITS = {"imagenet2012": "validation", "coco": "validation"}
_HOW_TO_GET = {
    "imagenet2012": "put ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from "
    "image-net.org into DATA_DIR/downloads/manual and set data.download: true",
}


class UnknownName(LookupError):
    """tensorflow-datasets has no set of that name."""


def find(name, data_dir, download):
    """The builder of a prepared set; prepares it first if it may.

    Raises:
        UnknownName: If there is no such set.
        ValueError: If its files are not there and may not be fetched.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.read_only_builder import builder_from_files

    try:
        # The files alone, without the set's code, which would ask the network.
        builder = builder_from_files(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError):
        builder = None
    if builder is None:
        base_name = name.partition("/")[0].partition(":")[0]
        if base_name not in known_names():
            raise UnknownName(name)
        how = _HOW_TO_GET.get(base_name, "set data.download: true")
        if not download:
            where = data_dir or tfds.core.constants.DATA_DIR
            raise ValueError(
                f"data.name: {name!r} is not in {where}; name the folder that holds "
                f"it with data.data_dir or TFDS_DATA_DIR, or {how}"
            )
        try:
            builder = tfds.builder(name, data_dir=data_dir)
            builder.download_and_prepare()
        except Exception as error:
            # Whatever it was (the network, a checksum, a missing file), it is told
            # in one line; the cause stays attached.
            first_line = str(error).strip().partition("\n")[0]
            raise ValueError(
                f"data.download: {name!r} could not be prepared: {first_line}"
            ) from error
    file_format = builder.info.file_format.value
    if file_format != "tfrecord":
        raise ValueError(
            f"data.name: {name!r} is stored as {file_format}; allowed: tfrecord"
        )
    return builder


def known_names():
    import tensorflow_datasets as tfds

    return tfds.list_builders(with_community_datasets=False)


def assign_splits(builder):
    """Which part of the set is train, validation and test."""
    own = builder.info.splits
    if "train" not in own:
        raise ValueError(
            f"data.name: {builder.name!r} has the splits {', '.join(own)}; allowed: "
            "sets with a split train"
        )
    test = _TEST_SPLITS.get(builder.name)
    if test is None:
        test = next((split for split in ("test", "validation") if split in own), None)
    if test is None:  # the last fifth; the files of a set are in random order
        return {"train": own["train[:80%]"], "test": own["train[80%:]"]}
    splits = {"train": own["train"], "test": own[test]}
    if test == "test" and "validation" in own:
        splits["validation"] = own["validation"]
    return splits


def carve(splits, validation_examples):
    """Makes the last images of train the validation split."""
    train = splits["train"]
    rest = train.num_examples - validation_examples
    if rest < 1:
        raise ValueError(
            f"data.validation_examples: received {validation_examples}; allowed: less "
            f"than {train.num_examples}, the number of training images"
        )
    return {
        **splits,
        "train": _Part(train.file_instructions, 0, rest),
        "validation": _Part(train.file_instructions, rest, train.num_examples),
    }


class _Part:
    """Examples `start` to `stop` of a split, as instructions to read its files."""

    def __init__(self, instructions, start, stop):
        self.num_examples = stop - start
        self.file_instructions = []
        position = 0
        for file in instructions:
            first = max(start - position, 0)
            last = min(stop - position, file.take)
            if first < last:
                self.file_instructions.append(
                    file.replace(skip=file.skip + first, take=last - first)
                )
            position += file.take


def find_task(builder):
    """`"classification"` or `"detection"`, and the features that this takes."""
    features = builder.info.features
    if {"image", "image/id", "objects"} <= set(features):
        return "detection", {"image", "image/id", "objects"}
    if (
        {"image", "label"} <= set(features)
        and hasattr(features["label"], "names")
        and features["image"].shape[-1] in (1, 3)
    ):
        return "classification", {"image", "label"}
    raise ValueError(
        f"data.name: {builder.name!r} has the features {', '.join(features)}; "
        "allowed: sets with a grey or RGB image and a label, or with objects as in coco"
    )


def class_names(builder, task):
    features = builder.info.features
    if task == "detection":
        return coco.category_names(features["objects"].feature["label"].names)
    return features["label"].names


def fits_in_memory(builder):
    shape = builder.info.features["image"].shape
    num_examples = sum(part.num_examples for part in builder.info.splits.values())
    return None not in shape and num_examples * np.prod(shape) <= MEMORY


def read(builder, splits, features, split, key=None):
    """The records of a split, their pictures still encoded.

    Args:
        builder: As `find` returns it.
        splits: As `assign_splits` returns them.
        features: Names of the features wanted.
        split: A key of `splits`.
        key: A random seed of shape (2,); the order is a function of it. `None` for
            the stored order.

    Returns:
        A `tf.data.Dataset` of dictionaries of the features and `name`.
    """
    import tensorflow_datasets as tfds

    instructions = splits[split].file_instructions
    files = tf.constant([str(file.filename) for file in instructions])
    skips = tf.constant([file.skip for file in instructions], tf.int64)
    takes = tf.constant([file.take for file in instructions], tf.int64)
    short_names = tf.constant([_short(file.filename) for file in instructions])
    order = tf.range(len(instructions))
    if key is not None:
        key, file_key = tf.unstack(tf.random.split(key, 2))
        order = tf.random.experimental.stateless_shuffle(order, file_key)

    def read_file(index):
        records = tf.data.TFRecordDataset(files[index]).enumerate()
        records = records.skip(skips[index]).take(takes[index])
        return records.map(
            lambda number, record: (
                record,
                tf.strings.join([short_names[index], " record ", tf.as_string(number)]),
            )
        )

    records = tf.data.Dataset.from_tensor_slices(order).interleave(
        read_file,
        cycle_length=min(PARALLEL_FILES, len(instructions)),
        block_length=16,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    if key is not None:
        # In the graph of the calling epoch alone: `shuffle` mixes the global seed in.
        tf.random.set_seed(None)
        records = records.shuffle(
            min(SHUFFLE_BUFFER, splits[split].num_examples),
            seed=tf.cast(key[0], tf.int64),
            reshuffle_each_iteration=False,
        )
    partial = tfds.decode.PartialDecoding(
        features, decoders={"image": tfds.decode.SkipDecoding()}
    )
    wanted = partial.extract_features(builder.info.features)
    return records.map(
        lambda record, name: {
            **wanted.deserialize_example(record, decoders=partial.decoders),
            "name": name,
        },
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def read_objects(records, num_names, split, key=None):
    """The records of COCO with boxes and their attributes under short names.

    Classes are COCO's own numbers less 1 (0..89), as the paper's 90 outputs have it.
    """
    classes = tf.constant(coco.category_numbers(num_names), tf.int64) - 1

    def rename(record):
        objects = record["objects"]
        return {
            "image": record["image"],
            "name": record["name"],
            "image_id": record["image/id"],
            "boxes": objects["bbox"],  # top, left, bottom, right as parts of the sides
            "classes": tf.gather(classes, objects["label"]),
            "is_crowd": objects["is_crowd"],
            "area": tf.cast(objects["area"], tf.float32),
        }

    return records(split, key).map(rename)


def read_arrays(records, channels, corrupt_images, split):
    """All images and labels of a split, decoded."""

    def batches(decode_record):
        return (
            records(split)
            .map(decode_record, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .filter(lambda image, label, usable: usable)
            .batch(1024)
            .prefetch(1)
            .as_numpy_iterator()
        )

    def trusting(record):
        return decode(record["image"], channels), record["label"], True

    def careful(record):
        nothing = tf.zeros((0, 0, channels), tf.uint8)
        image = attempt(lambda e: decode(e, channels), record["image"], nothing)
        usable = require(image, record["name"], corrupt_images)
        return image, record["label"], usable

    try:
        parts = list(batches(trusting))
    except tf.errors.InvalidArgumentError:
        parts = list(batches(careful))
    images, labels, _ = (np.concatenate(part) for part in zip(*parts, strict=True))
    return images, labels


def _short(filename):
    return str(filename).replace("\\", "/").rpartition("/")[2]
