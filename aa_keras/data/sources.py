"""The data sets by name: their splits, class names and channel statistics.

A new data set is one entry of `DATA_SETS`.
"""

import dataclasses
import difflib
import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from aa_keras.data import batches, image_folder, pointers, tfds_files
from aa_keras.data.damage import describe_file
from aa_keras.data.source import Source

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def open_source(
    name,
    data_dir=None,
    download=False,
    validation_examples=0,
    corrupt_images="stop",
    max_skipped=None,
) -> Source:
    """Opens the data set of that name.

    Args:
        name: str, a key of `DATA_SETS`, or a set of tensorflow-datasets, as in
            `"cifar100"`, `"imagenet2012"` or `"coco/2017"`.
        data_dir: str, the data_dir of tensorflow-datasets, or the image folder.
            Defaults to the choice of tensorflow-datasets, TFDS_DATA_DIR.
        download: bool, whether tensorflow-datasets may download what is missing.
        validation_examples: int, images carved out of train for validation.
        corrupt_images: str, `"stop"` or `"skip"`.
        max_skipped: int, the most pictures of a split that are skipped. Defaults to 0
            for a set of tensorflow-datasets, and to a hundredth of the split's images,
            at least one, for an image folder.

    Raises:
        ValueError: if the name is unknown, or the data is missing; a single line that
            says how to get it.
    """
    # tensorflow-datasets has many more names, so an unknown one goes there.
    known = _known(name) or DataSet()
    options = {"data_dir": data_dir, "download": download}
    options |= {"corrupt_images": corrupt_images, "carved": validation_examples}
    content = known.open(name, known, **options)
    if validation_examples and "validation" not in content["num_examples"]:
        raise ValueError(
            f"data.validation_examples: received {validation_examples}; allowed: 0 for "
            f"{name!r}, which carves no validation split"
        )
    statistics = {"mean": known.mean, "std": known.std}
    fits_in_memory = content.pop("fits_in_memory", False)
    policy = {"corrupt_images": corrupt_images, "max_skipped": max_skipped}
    source = Source(name, **{**statistics, **content}, **policy)
    if fits_in_memory:
        arrays = functools.cache(functools.partial(batches.read_arrays, source))
        source = dataclasses.replace(source, arrays=arrays)
    return source


def register(name: str, open: Callable[..., dict], *, mean, std) -> None:
    """Registers a data set of your own for `open_source` and for experiment files.

    A file that has `import: [your_module]` may then say `data: {name: your_name}`.

    Args:
        name: str, the name.
        open: callable, as of `DataSet`.
        mean: tuple of floats, the mean of each channel of the training images, in 0..1.
        std: tuple of floats, the standard deviation of each channel.

    Raises:
        ValueError: for a name of this package.
    """
    if name in _OWN_NAMES:
        raise ValueError(
            f"name: received {name!r}; allowed: none of {sorted(_OWN_NAMES)}"
        )
    DATA_SETS[name] = DataSet(tuple(mean), tuple(std), open)


def num_channels(name) -> int:
    """Returns the channels of a data set's images without opening the data set."""
    return len((_known(name) or DataSet()).mean)


def _known(name):
    return DATA_SETS.get(name, DATA_SETS.get(name.partition("/")[0].partition(":")[0]))


def _digits(name, known, *, carved, **_):
    """The 1797 gray 8x8 handwritten digits that scikit-learn contains.

    Every fifth image is in the test split, every tenth one in the validation split;
    the two do not overlap.
    """
    from sklearn.datasets import load_digits

    _check_carving(name, ("validation",), 0, carved)
    digits = load_digits()
    # Sixteen levels of gray, spread over a byte as in a picture file.
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    labels = digits.target.astype(np.int64)
    index = np.arange(len(labels))
    test, validation = index % 5 == 4, index % 10 == 0
    masks = {"train": ~(test | validation), "validation": validation, "test": test}
    return {
        "class_names": tuple(str(name) for name in digits.target_names),
        "num_examples": {split: int(mask.sum()) for split, mask in masks.items()},
        "arrays": lambda split: (images[masks[split]], labels[masks[split]]),
    }


def _pointers(name, known, *, carved, hops, **_):
    """The maps of `pointers`; those of `test_larger` have 1.5 times the size."""
    _check_carving(name, ("validation",), 0, carved)
    return {
        "class_names": pointers.COLORS,
        "num_examples": {
            "train": 4800,  # in an epoch; each epoch draws others
            "validation": 256,
            "test": 1024,
            "test_larger": 1024,
        },
        "draw": functools.partial(pointers.draw_maps, hops=hops),
        "task": "dense_classification",
    }


def _image_folder(name, known, *, data_dir, carved, **_):
    tree = image_folder.find(data_dir)
    _check_carving(name, tree.splits, len(tree.splits["train"][0]), carved)
    tree = tree.carve(carved) if carved else tree
    return {
        "class_names": tree.class_names,
        "num_examples": {key: len(paths) for key, (paths, _) in tree.splits.items()},
        "records": tree.records,
        "describe": describe_file,
        "skipped_share": 0.01,
    }


def _tensorflow_dataset(name, known, *, data_dir, download, carved, **_):
    try:
        builder = tfds_files.find(name, data_dir, download, known.how_to_get)
    except tfds_files.UnknownName:
        own = [n for n, d in DATA_SETS.items() if d.open is not _tensorflow_dataset]
        close = difflib.get_close_matches(name, [*own, *tfds_files.known_names()], n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(
            f"data.name: received {name!r}; {hint}allowed: {', '.join(own)}, or a set "
            "of tensorflow-datasets, as in cifar100, imagenet2012, coco/2017"
        ) from None
    splits = tfds_files.assign_splits(builder, known.test_split)
    _check_carving(name, splits, splits["train"].num_examples, carved)
    splits = tfds_files.carve(builder, splits, carved) if carved else splits
    task, features = tfds_files.task_and_features(builder)
    records = functools.partial(tfds_files.read, builder, splits, features)
    content: dict = {
        "shortage": functools.partial(tfds_files.shortage, splits),
        "class_names": tuple(tfds_files.class_names(builder, task)),
        "num_examples": {key: split.num_examples for key, split in splits.items()},
        "task": task,
    }
    if task == "detection":
        num_names = builder.info.features["objects"].feature["label"].num_classes
        records = functools.partial(tfds_files.read_objects, records, num_names)
        return {**content, "records": records}
    channels = builder.info.features["image"].shape[-1]
    if channels != len(known.mean):
        content |= {"mean": (0.5,), "std": (0.25,)}
    content["fits_in_memory"] = tfds_files.fits_in_memory(builder)
    return {**content, "records": records}


def _check_carving(name, splits, num_train, received):
    allowed = None
    if received and "validation" in splits:
        allowed = f"0 for {name!r}, which has a validation split of its own"
    elif received and received >= num_train:
        allowed = f"less than {num_train}, the number of training images"
    if allowed:
        raise ValueError(
            f"data.validation_examples: received {received}; allowed: {allowed}"
        )


class DataSet(NamedTuple):
    """What is known of a data set before it is opened.

    Args:
        mean: tuple of floats, as of `Source`. Defaults to ImageNet's.
        std: tuple of floats. Defaults to ImageNet's.
        open: callable, a function of the name, this record, `data_dir`,
            `download` and `carved` that returns the other arguments of `Source`.
            Defaults to reading files of tensorflow-datasets.
        test_split: str, the split that the paper reports on. Defaults to the set's
            `test`, else `validation`.
        how_to_get: str, what to do where the files are missing. Defaults to a
            download.
    """

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    open: Callable[..., dict] = _tensorflow_dataset
    test_split: str | None = None
    how_to_get: str = "set data.download: true"


def _drawn_pointers(hops):
    identity = (0.0,) * pointers.CHANNELS, (1.0,) * pointers.CHANNELS
    return DataSet(*identity, functools.partial(_pointers, hops=hops))


DATA_SETS = {
    "digits": DataSet((0.306,), (0.376,), _digits),
    "image_folder": DataSet(open=_image_folder),
    "pointers": _drawn_pointers(hops=1),
    "pointers_2_hops": _drawn_pointers(hops=2),
    "mnist": DataSet((0.1307,), (0.3081,)),
    "cifar10": DataSet((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": DataSet((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "coco": DataSet(test_split="validation"),
    "imagenet2012": DataSet(
        test_split="validation",
        how_to_get="put ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from "
        "image-net.org into DATA_DIR/downloads/manual and set data.download: true",
    ),
}
_OWN_NAMES = frozenset(DATA_SETS)
