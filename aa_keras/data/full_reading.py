"""Reads all of a data set in advance, and says what of it cannot be used."""

import collections
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from aa_keras.data import batches, decoding, image_folder, tfds_files, upright
from aa_keras.data.damage import describe_file, describe_record
from aa_keras.plain_text import printable

Verified = tuple[list[dict[str, str]], list[str]]  # rows of a table, lines of damage


def read_image_folder(path) -> Verified:
    """Decodes each picture of an image folder.

    Returns:
        A row for each split, and a line for each picture that cannot be used.

    Raises:
        ValueError: as `image_folder.find`.
    """
    tree = image_folder.find(path)
    rows, damage = [], []
    for split, (paths, _) in tree.splits.items():
        lines = [describe_file(name) for name in _unusable(tree.records(split), 3)]
        rows.append(_row(path, split, len(paths), len(lines)))
        damage += lines
    return rows, damage


def read_set(folder) -> Verified:
    """Counts and decodes the records of a prepared set of tensorflow-datasets.

    `folder` contains its `dataset_info.json`.

    Returns:
        A row for each split, and a line for each file or picture that cannot be used.
    """
    import tensorflow_datasets as tfds

    rows: list[dict[str, str]] = []
    damage: list[str] = []
    try:
        builder = tfds.builder_from_directory(str(folder))
        splits, features = builder.info.splits, builder.info.features
    except Exception as error:  # a damaged file of the set may cause any
        reason = " ".join(str(error).split())[:300]
        return [], [f"{folder}: its description cannot be read: {reason}"]
    image = dict(features).get("image")
    for split, part in splits.items():
        stated, lost, lines = 0, 0, []
        short = set()
        for file in part.file_instructions:
            held = tfds_files.count_records(file.filename)
            stated += file.examples_in_shard
            if held != file.examples_in_shard:
                short.add(Path(file.filename).name)
                lines.append(tfds_files.describe_shortage(file, held))
            lost += max(file.examples_in_shard - held, 0)
        if isinstance(image, tfds.features.Image):
            channels = 1 if image.shape[-1] == 1 else 3
            records = tfds_files.read(builder, splits, {"image"}, split)
            names = [describe_record(name) for name in _unusable(records, channels)]
            unreadable: dict[str, int] = collections.Counter()
            for name in names:
                file_name, is_lost, _ = name.partition(tfds_files.UNREADABLE)
                if not is_lost:
                    lines.append(
                        f"{Path(folder) / name}: its picture cannot be decoded"
                    )
                elif file_name not in short:
                    unreadable[file_name] += 1
            lines += [
                f"{Path(folder) / name}: {number} records cannot be read"
                for name, number in unreadable.items()
            ]
            lost = len(names)
        rows.append(_row(folder, split, stated, lost))
        damage += lines
    return rows, damage


def _unusable(records, channels) -> Iterator[bytes]:
    """The names of the records whose picture cannot be decoded."""

    def is_usable(record):
        def decode(encoded):
            return tf.size(upright.decode(encoded, channels)) > 0

        usable = decoding.attempt(decode, record["image"], tf.constant(False))
        return usable, record["name"]

    for usable, name in batches.map_in_order(records, is_usable).as_numpy_iterator():
        if not usable:
            yield name


def _row(path, split, stated, damaged):
    return {
        "data": printable(path),
        "split": split,
        "stated": f"{stated}",
        "usable": f"{stated - damaged}",
        "damaged": f"{damaged}",
    }
