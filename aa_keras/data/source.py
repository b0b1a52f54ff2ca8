"""A data set as the pipelines read it: its splits, its content, what is missing.

A source has the splits `train`, `validation` and `test`. The paper reports on the test
split: the set's own, or its validation split where the labels of its test split are not
public (ImageNet, COCO). The validation split is the set's own or is carved out of train
when a run requests it. Otherwise `num_examples` has no `validation`, and a run trains
on all images of train.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import tensorflow as tf

from aa_keras.data import batches, tfds_files
from aa_keras.data.damage import Damage, DamagedData, describe_record, empty


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set, not yet read. Either `arrays` or `records` returns its content.

    Args:
        name: str, as in an experiment file.
        class_names: tuple of strings, one for each label.
        mean: tuple of floats, the mean of each channel of the training images, in 0..1.
        std: tuple of floats, the standard deviation of each channel.
        num_examples: dictionary from a split to its number of images.
        arrays: callable, a function of a split that returns all its images, uint8
            (examples, height, width, channels), and labels, int64 (examples,). For
            sets that fit in memory.
        records: callable, a function of a split and a key (a random seed of shape (2,),
            or `None` for the stored order) that returns a `tf.data.Dataset` of
            dictionaries: `image` (the bytes of a picture file), `name` (where it is
            stored) and `label`, or the targets of a detector.
        draw: callable, a function of a key (a random seed of shape (2,)), a number of
            maps and their size that returns maps and the labels of their cells. For
            sets that are drawn, not stored.
        task: str, the kind of `aa_keras.tasks`.
        corrupt_images: str, `"stop"` or `"skip"` at a picture that cannot be used.
        max_skipped: int, the most pictures of a split that are skipped. Defaults to
            `skipped_share` of its images, at least one if that is not 0.
        skipped_share: float. Defaults to `0.0`.
        describe: callable, a function of the `name` of a record that cannot be used
            that returns a line about it.
        shortage: callable, a function of a split that returns a line about its missing
            files, or `None`. With `count=True` it also counts their records.
        damage: a `Damage`, what was skipped so far.
    """

    name: str
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_examples: Mapping[str, int]
    arrays: Callable[[str], tuple[np.ndarray, np.ndarray]] | None = None
    records: Callable[[str, tf.Tensor | None], tf.data.Dataset] | None = None
    draw: Callable[[tf.Tensor, int, int], tuple[tf.Tensor, tf.Tensor]] | None = None
    task: Literal["classification", "detection", "dense_classification"] = (
        "classification"
    )
    corrupt_images: Literal["stop", "skip"] = "stop"
    max_skipped: int | None = None
    skipped_share: float = 0.0
    describe: Callable[[bytes], str] = describe_record
    shortage: Callable[..., str | None] | None = None
    damage: Damage = dataclasses.field(default_factory=Damage, compare=False)

    @property
    def channels(self) -> int:
        return len(self.mean)

    def count(self, split) -> int:
        """Returns the images of a split; a `ValueError` lists the existing splits."""
        if split not in self.num_examples:
            raise ValueError(
                f"split: received {split!r}; allowed: {', '.join(self.num_examples)} "
                f"({self.name!r} has no others; data.validation_examples carves a "
                "validation split out of train)"
            )
        return self.num_examples[split]

    def map_size(self, split, size) -> int:
        """Returns the size of a split's maps in a set whose other maps have `size`."""
        return 3 * size // 2 if split == "test_larger" else size

    def require(self, split) -> None:
        """Raises `DamagedData` if a file of a split is missing, before it is read."""
        self.count(split)
        missing = self.shortage and self.shortage(split)
        if missing:
            raise DamagedData(missing)

    def load_arrays(self, split) -> tuple[np.ndarray, np.ndarray]:
        """Returns `arrays`, as many as the set says; without those that are skipped."""
        if self.arrays is None:
            raise ValueError(f"source: received {self.name!r} without arrays")
        images, labels = self.arrays(split)
        self.check_count(split, len(labels))
        return images, labels

    def check_count(self, split, found) -> None:
        """Raises `DamagedData` if found and skipped images are not the whole split."""
        skipped, stated = self.damage.count(split), self.count(split)
        # A resumed run may find again what an earlier process skipped.
        if not stated - skipped <= found <= stated:
            raise DamagedData(
                f"split {split!r}: found {found} images and skipped {skipped}; "
                f"allowed: {stated}, as {self.name!r} states"
            )

    def examples(self, split, key=None) -> tf.data.Dataset:
        """Returns `records`, exactly as many as the set says.

        Those that are missing have no `image` and no `name`.
        """
        if self.records is None:
            raise ValueError(
                f"source: received {self.name!r} without arrays or records"
            )
        records = self.records(split, key)
        missing = tf.nest.map_structure(empty, records.element_spec)
        rest = tf.data.Dataset.from_tensors(missing).repeat()
        return records.concatenate(rest).take(self.count(split))

    def skip(self, split, name: bytes) -> None:
        """Notes a picture that cannot be used, or stops the pipeline."""
        if not name and self.records:
            found = int(self.records(split, None).reduce(0, lambda n, _: n + 1))
            self.damage.stop(
                f"split {split!r}: found {found} images; allowed: {self.count(split)}, "
                f"as {self.name!r} states"
            )
        line = self.describe(name)
        if self.corrupt_images == "stop":
            message = f"corrupt image (data.corrupt_images=skip leaves it out): {line}"
            if self.shortage and tfds_files.UNREADABLE in line:
                message = self.shortage(split, count=True) or message
            self.damage.stop(message)
        self.damage.skip(split, line, self._limit(split))

    def _limit(self, split):
        count, limit = self.count(split), self.max_skipped
        if limit is None:
            share = self.skipped_share
            limit = max(1, int(share * count)) if share else 0
        return min(limit, count - 1)  # one at least must be left

    def load(self, split) -> tf.data.Dataset:
        """Loads (uint8 image (height, width, channels), label) in the stored order."""
        self.count(split)
        if self.arrays:
            return tf.data.Dataset.from_tensor_slices(self.load_arrays(split))
        return batches.decoded(self.examples(split), self, split).map(
            lambda record: (record["image"], record["label"])
        )
