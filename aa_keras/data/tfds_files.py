"""Sets of tensorflow-datasets, read from their files.

They are read here and not by `tfds.load`, for two reasons: the order of a training
epoch is a function of a key that only the running pipeline knows, and pictures are
shuffled and windows selected before they are decoded.
"""

import io
import os
import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from aa_keras.data import coco
from aa_keras.data.damage import empty
from aa_keras.plain_text import printable

SHUFFLE_BUFFER = 16_384  # encoded pictures: less than 2 GiB of ImageNet
PARALLEL_FILES = 16  # open at a time; neighbors in a file are spread over this many
FRAME_BYTES = 16  # around the content of a record: its length and two checksums
UNREADABLE = " unreadable record "  # in the name of one that a file lacks
MEMORY = 2**30  # bytes of decoded images that a source may store


class UnknownName(LookupError):
    """tensorflow-datasets has no set of that name."""


def find(name, data_dir, download, how_to_get):
    """Returns the builder of a prepared set; prepares it first if `download`.

    Raises UnknownName, or ValueError if files are missing that may not be downloaded.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.read_only_builder import builder_from_files

    try:
        # Without the code of the set, which would use the network.
        builder = builder_from_files(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError):
        builder = None
    if builder is None:
        if name.partition("/")[0].partition(":")[0] not in known_names():
            raise UnknownName(name)
        if not download:
            where = data_dir or tfds.core.constants.DATA_DIR
            raise ValueError(
                f"data.name: {name!r} is not in {where}; set data.data_dir or "
                f"TFDS_DATA_DIR to the folder that contains it, or {how_to_get}"
            )
        try:
            builder = tfds.builder(name, data_dir=data_dir)
            builder.download_and_prepare()
        except Exception as error:
            # A network, a checksum, a missing file: reported as a single line.
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


def known_names() -> list[str]:
    import tensorflow_datasets as tfds

    return tfds.list_builders(with_community_datasets=False)


def assign_splits(builder, test=None) -> dict:
    """Returns the parts of the set that are train, validation and test.

    Without `test`, a name of one, the test split is the set's test or validation, else
    the last fifth of train.
    """
    own = builder.info.splits
    if "train" not in own:
        raise ValueError(
            f"data.name: {builder.name!r} has the splits {', '.join(own)}; allowed: "
            "sets with a split train"
        )
    if test is None:
        test = next((split for split in ("test", "validation") if split in own), None)
    if test is None:  # the last fifth; the files of a set are in random order
        return {"train": own["train[:80%]"], "test": own["train[80%:]"]}
    splits = {"train": own["train"], "test": own[test]}
    if test == "test" and "validation" in own:
        splits["validation"] = own["validation"]
    return splits


def carve(builder, splits, validation_examples) -> dict:
    """Makes the last images of train the validation split."""
    num_examples = splits["train"].num_examples
    rest, own = num_examples - validation_examples, builder.info.splits
    train, validation = own[f"train[:{rest}]"], own[f"train[{rest}:{num_examples}]"]
    return {**splits, "train": train, "validation": validation}


def task_and_features(builder) -> tuple[str, set[str]]:
    """Returns `"classification"` or `"detection"`, and the features that it needs."""
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


def class_names(builder, task) -> list[str]:
    features = builder.info.features
    if task == "detection":
        return coco.category_names(features["objects"].feature["label"].names)
    return features["label"].names


def fits_in_memory(builder) -> bool:
    shape = builder.info.features["image"].shape
    num_examples = sum(part.num_examples for part in builder.info.splits.values())
    return None not in shape and num_examples * np.prod(shape) <= MEMORY


def read(builder, splits, features, split, key=None) -> tf.data.Dataset:
    """Reads the records of a split as dictionaries of `features` and `name`.

    Pictures are still encoded. `key`, a seed of shape (2,), determines the order; None
    is the stored order. `builder` and `splits` are those of `find` and `assign_splits`.
    Each file gives as many records as the set states. Those that it lacks or that
    cannot be read come last, with an empty `image`.
    """
    import tensorflow_datasets as tfds

    instructions = splits[split].file_instructions
    files = tf.constant([_as_pattern(file.filename) for file in instructions])
    skips = tf.constant([file.skip for file in instructions], tf.int64)
    takes = tf.constant([file.take for file in instructions], tf.int64)
    short_names = tf.constant([Path(f.filename).name for f in instructions])
    order = tf.range(len(instructions))
    if key is not None:
        key, file_key = tf.unstack(tf.random.split(key, 2))
        order = tf.random.experimental.stateless_shuffle(order, file_key)
    partial = tfds.decode.PartialDecoding(
        features, decoders={"image": tfds.decode.SkipDecoding()}
    )
    wanted = partial.extract_features(builder.info.features)

    def read_file(index):
        name = short_names[index]

        def parse(number, record):
            example = wanted.deserialize_example(record, decoders=partial.decoders)
            place = tf.strings.join([name, " record ", tf.as_string(number)])
            return {**example, "name": place}

        def replace(number):
            place = [name, UNREADABLE, tf.as_string(number + 1)]
            return {**nothing, "name": tf.strings.join(place)}

        # A pattern that finds no file gives no records. The file alone would fail again
        # and again, and `ignore_errors` would never end.
        found = tf.io.matching_files(files[index])
        records = tf.data.TFRecordDataset(found).ignore_errors().enumerate()
        records = records.skip(skips[index]).take(takes[index])
        records = records.map(parse).ignore_errors()
        nothing = tf.nest.map_structure(empty, records.element_spec)
        lost = tf.data.Dataset.range(takes[index]).map(replace)
        return records.concatenate(lost).take(takes[index])

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
    return records


def shortage(splits, split, count=False) -> str | None:
    """Returns a line about the missing or empty files of a split, `None` without one.

    With `count` also about files with fewer records than the set states.
    """
    instructions = splits[split].file_instructions
    short = [f for f in instructions if f.take and not _size(f.filename)]
    if not short and not count:
        return None
    held = {f.filename: count_records(f.filename) for f in instructions}
    numbers = [min(max(held[f.filename] - f.skip, 0), f.take) for f in instructions]
    pairs = zip(instructions, numbers, strict=True)
    short = [file for file, number in pairs if number < file.take]
    if not short:
        return None
    first, more = short[0], f" (and {len(short) - 1} more)" if short[1:] else ""
    return (
        f"split {split!r}: found {sum(numbers)} images; allowed: "
        f"{sum(file.take for file in instructions)}, as the set states; "
        f"{describe_shortage(first, held[first.filename])}{more}"
    )


def describe_shortage(instruction, held) -> str:
    """Returns a line about a file of a set that does not hold what the set states."""
    path, stated = instruction.filename, instruction.examples_in_shard
    if not tf.io.gfile.exists(path):
        return printable(f"{path} is missing")
    return printable(f"{path} holds {held} of {stated} records")


def count_records(path) -> int:
    """Returns the whole records of a file, of which it reads the lengths alone."""
    count, position, size = 0, 0, _size(path)
    with tf.io.gfile.GFile(path, "rb") if size else io.BytesIO() as file:
        while position + FRAME_BYTES <= size:
            file.seek(position)
            length = int.from_bytes(file.read(8), "little")
            position += FRAME_BYTES + length
            count += position <= size
    return count


def _size(path):
    try:
        return tf.io.gfile.stat(path).length
    except tf.errors.OpError:
        return 0


def _as_pattern(path):
    """A pattern that matches this path alone."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", os.fspath(path))


def read_objects(records, num_names, split, key=None) -> tf.data.Dataset:
    """Reads the records of COCO, with boxes and their attributes under short names.

    Classes are COCO's own numbers less 1 (0..89), like the paper's 90 outputs.
    """
    classes = tf.constant(coco.category_numbers(num_names), tf.int64) - 1

    def rename(record):
        objects = record["objects"]
        return {
            "image": record["image"],
            "name": record["name"],
            "image_id": record["image/id"],
            "boxes": objects["bbox"],  # top, left, bottom, right
            "classes": tf.gather(classes, objects["label"]),
            "is_crowd": objects["is_crowd"],
            "area": tf.cast(objects["area"], tf.float32),
        }

    return records(split, key).map(rename)
