"""The data sets by name: their splits, class names and channel statistics.

A source has the splits `train`, `validation` and `test`. The test split is what the
paper reports on: the set's own, or its validation split where the labels of its test
split are not public (ImageNet, COCO). The validation split is the set's own or is
carved out of train when a run asks for it; without one, `num_examples` lacks it and
everything is trained on.
"""

import dataclasses
import difflib
import functools
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import tensorflow as tf

from aa_keras.data import image_folder, tfds_files
from aa_keras.data.decoding import decode


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set, not yet read. `arrays` gives its content, or else `records`.

    Args:
        name: As in an experiment file.
        class_names: One text per label.
        mean: Mean of each channel of the training images, in 0..1.
        std: Standard deviation of each channel.
        num_examples: Number of images by split: train, test, and validation if any.
        arrays: A function of a split's name that gives all its images, uint8
            (examples, height, width, channels), and labels, int64 (examples,). For
            sets that fit in memory.
        records: A function of a split's name and a key (a random seed of shape (2,),
            or `None` for the stored order) that gives a `tf.data.Dataset` of
            dictionaries: `image` (the bytes of a picture file), `name` (where it is
            stored) and `label`, or what a detector learns from.
        task: `"classification"` or `"detection"`.
        corrupt_images: What to do about a broken picture: `"stop"` or `"skip"`.
    """

    name: str
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_examples: Mapping[str, int]
    arrays: Callable[[str], tuple[np.ndarray, np.ndarray]] | None = None
    records: Callable[[str, tf.Tensor | None], tf.data.Dataset] | None = None
    task: Literal["classification", "detection"] = "classification"
    corrupt_images: Literal["stop", "skip"] = "stop"

    @property
    def channels(self):
        return len(self.mean)

    def count(self, split):
        """Number of images of a split; a `ValueError` names the splits there are."""
        if split not in self.num_examples:
            raise ValueError(
                f"split: received {split!r}; allowed: {', '.join(self.num_examples)} "
                f"({self.name!r} has no others; data.validation_examples carves a "
                "validation split out of train)"
            )
        return self.num_examples[split]

    def load(self, split):
        """(uint8 image (height, width, channels), int64 label), in a fixed order."""
        self.count(split)
        if self.arrays:
            return tf.data.Dataset.from_tensor_slices(self.arrays(split))
        return self.records(split, None).map(
            lambda record: (decode(record["image"], self.channels), record["label"])
        )


def open_source(
    name, data_dir=None, download=False, validation_examples=0, corrupt_images="stop"
):
    """The data set of that name.

    Args:
        name: `"digits"`, `"image_folder"`, or a set of tensorflow-datasets, as in
            `"cifar100"`, `"imagenet2012"` or `"coco/2017"`.
        data_dir: Where the data lies: a data_dir of tensorflow-datasets (`None` for
            its own choice, TFDS_DATA_DIR), or the image folder.
        download: Whether tensorflow-datasets may fetch what is missing.
        validation_examples: Number of images carved out of train for validation.
        corrupt_images: `"stop"` or `"skip"`.

    Raises:
        ValueError: If there is none, or it is not there, in one line that says how to
            get it.
    """
    # tensorflow-datasets knows the rest of the names, so it is asked last.
    opener = _SOURCES.get(name, functools.partial(_tensorflow_dataset, name))
    return opener(
        data_dir=data_dir,
        download=download,
        validation_examples=validation_examples,
        corrupt_images=corrupt_images,
    )


def num_channels(name):
    """Channels of a data set's images, without looking for the data itself."""
    known = {"digits": 1, **{key: len(mean) for key, (mean, _) in _STATISTICS.items()}}
    return known.get(name, 3)


def _digits(validation_examples, **_):
    """8x8 grey handwritten digits, 1797 of them, that ship inside scikit-learn.

    Every fifth image is the test split; every tenth of all, none of them in it, is
    the validation split.
    """
    from sklearn.datasets import load_digits

    if validation_examples:
        raise _own_validation("digits", validation_examples)
    digits = load_digits()
    # Sixteen steps of grey, spread over a byte as a picture file would hold them.
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    labels = digits.target.astype(np.int64)
    index = np.arange(len(labels))
    test = index % 5 == 4
    validation = index % 10 == 0
    masks = {
        "train": ~(test | validation),
        "validation": validation,
        "test": test,
    }
    return Source(
        name="digits",
        class_names=tuple(str(name) for name in digits.target_names),
        mean=(0.306,),
        std=(0.376,),
        num_examples={split: int(mask.sum()) for split, mask in masks.items()},
        arrays=lambda split: (images[masks[split]], labels[masks[split]]),
    )


def _image_folder(data_dir, validation_examples, corrupt_images, **_):
    tree = image_folder.find(data_dir, validation_examples)
    return Source(
        name="image_folder",
        class_names=tree.class_names,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        num_examples={split: len(paths) for split, (paths, _) in tree.splits.items()},
        records=tree.records,
        corrupt_images=corrupt_images,
    )


def _tensorflow_dataset(name, data_dir, download, validation_examples, corrupt_images):
    try:
        builder = tfds_files.find(name, data_dir, download)
    except tfds_files.UnknownName:
        known = [*_SOURCES, *tfds_files.known_names()]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(
            f"data.name: received {name!r}; {hint}allowed: {', '.join(_SOURCES)}, or "
            "a set of tensorflow-datasets, as in cifar100, imagenet2012, coco/2017"
        ) from None
    splits = tfds_files.assign_splits(builder)
    if validation_examples:
        if "validation" in splits:
            raise _own_validation(name, validation_examples)
        splits = tfds_files.carve(splits, validation_examples)
    task, features = tfds_files.find_task(builder)
    mean, std = _STATISTICS.get(
        builder.name, _DEFAULT_STATISTICS[builder.info.features["image"].shape[-1]]
    )
    records = functools.partial(tfds_files.read, builder, splits, features)
    if task == "detection":
        num_names = builder.info.features["objects"].feature["label"].num_classes
        records = functools.partial(tfds_files.read_objects, records, num_names)
    in_memory = task == "classification" and tfds_files.fits_in_memory(builder)
    arrays = functools.partial(
        tfds_files.read_arrays, records, len(mean), corrupt_images
    )
    return Source(
        name=name,
        class_names=tuple(tfds_files.class_names(builder, task)),
        mean=mean,
        std=std,
        num_examples={split: part.num_examples for split, part in splits.items()},
        arrays=functools.cache(arrays) if in_memory else None,
        records=records,
        task=task,
        corrupt_images=corrupt_images,
    )


def _own_validation(name, received):
    return ValueError(
        f"data.validation_examples: received {received}; allowed: 0 for {name!r}, "
        "which has a validation split of its own"
    )


_SOURCES = {"digits": _digits, "image_folder": _image_folder}

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_DEFAULT_STATISTICS = {1: ((0.5,), (0.25,)), 3: (IMAGENET_MEAN, IMAGENET_STD)}
# The mean and standard deviation of each channel over the training images.
_STATISTICS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "mnist": ((0.1307,), (0.3081,)),
}
