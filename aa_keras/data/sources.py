"""The data sets by name: their splits, class names and channel statistics."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set, not yet read.

    Args:
        name: As in an experiment file.
        class_names: One text per label.
        mean: Mean of each channel of the training images, in 0..1.
        std: Standard deviation of each channel.
        num_examples: Number of images by split: train, validation and test.
        load: A function of a split's name that gives a `tf.data.Dataset` of
            (uint8 image (height, width, channels), int64 label), always in the
            same order.
    """

    name: str
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_examples: Mapping[str, int]
    load: Callable[[str], tf.data.Dataset]


def open_source(name, data_dir=None, download=False):
    """The data set of that name.

    Raises:
        ValueError: If there is none, in one line that lists the names.
    """
    if name not in _SOURCES:
        raise ValueError(
            f"data.name: received {name!r}; allowed: {', '.join(sorted(_SOURCES))}"
        )
    return _SOURCES[name](data_dir=data_dir, download=download)


def _digits(**_):
    """8x8 grey handwritten digits, 1797 of them, that ship inside scikit-learn.

    Every fifth image is the test split; every tenth of all, none of them in it, is
    the validation split.
    """
    from sklearn.datasets import load_digits

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
        load=lambda split: tf.data.Dataset.from_tensor_slices(
            (images[masks[split]], labels[masks[split]])
        ),
    )


_SOURCES = {"digits": _digits}
