"""Pictures in folders: one for each class, in one for each split or in none."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from aa_keras.data import decoding
from aa_keras.plain_text import printable

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif"}
# Pictures that nobody left there by accident, and that TensorFlow does not decode.
OTHER_SUFFIXES = {".webp", ".tif", ".tiff", ".heic", ".avif", ".jxl"}
SPLITS = ("train", "validation", "test")
SHUFFLE_SEED = 0  # of the carved splits, independent of the seed of a run


@dataclasses.dataclass(frozen=True)
class Tree:
    """Class names, and for each split the paths (bytes) and labels of its pictures."""

    class_names: tuple[str, ...]
    splits: dict[str, tuple[np.ndarray, np.ndarray]]

    def records(self, split, key=None) -> tf.data.Dataset:
        """Returns the files of a split, as `Source.records`."""
        paths, labels = (tf.constant(column) for column in self.splits[split])
        order = tf.range(len(paths))
        if key is not None:
            order = tf.random.experimental.stateless_shuffle(order, key)

        def read(index):
            path = paths[index]
            content = decoding.attempt(tf.io.read_file, path, tf.constant(b""))
            return {"image": content, "label": labels[index], "name": path}

        return tf.data.Dataset.from_tensor_slices(order).map(
            read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )

    def carve(self, validation_examples) -> "Tree":
        """Makes random images of train the validation split."""
        paths, labels = self.splits["train"]
        # The list is sorted by class: a section of it would contain few classes.
        order = np.random.default_rng(SHUFFLE_SEED).permutation(len(paths))
        chosen = np.zeros(len(paths), bool)
        chosen[order[:validation_examples]] = True
        parts = {"train": ~chosen, "validation": chosen}
        carved = {name: (paths[part], labels[part]) for name, part in parts.items()}
        return Tree(self.class_names, {**self.splits, **carved})


def find(data_dir) -> Tree:
    """Lists DATA_DIR/SPLIT/CLASS/* or DATA_DIR/CLASS/*, or raises ValueError.

    Without folders for the splits, every fifth picture of a class is in the test split.
    With a folder `validation` but none `test`, it is the test split, as in ImageNet.
    Names that begin with a dot are skipped. Each class has a picture in train.
    """
    if data_dir is None or not Path(data_dir).is_dir():
        raise ValueError(
            f"data.data_dir: received {data_dir!r}; allowed: with image_folder, a "
            "folder DATA_DIR/train/CLASS/*.jpg or DATA_DIR/CLASS/*.jpg"
        )
    root = Path(data_dir)
    folders = {name: root / name for name in SPLITS if (root / name).is_dir()}
    if "train" in folders:
        class_names = _class_names(folders["train"])
        splits = {name: _list(path, class_names) for name, path in folders.items()}
        if "test" not in splits:
            if "validation" not in splits:
                raise ValueError(
                    f"data.data_dir: {root} has a folder train alone; allowed: a "
                    "folder test or validation beside it, or no folders for splits"
                )
            splits["test"] = splits.pop("validation")
    else:
        class_names = _class_names(root)
        paths, labels = _list(root, class_names)
        test = np.zeros(len(paths), bool)
        for label in range(len(class_names)):
            test[np.flatnonzero(labels == label)[4::5]] = True
        splits = {
            "train": (paths[~test], labels[~test]),
            "test": (paths[test], labels[test]),
        }
    for label in set(range(len(class_names))).difference(splits["train"][1]):
        raise ValueError(
            f"data.data_dir: {folders.get('train', root)} contains no picture of "
            f"{class_names[label]!r}; allowed: at least one for each class"
        )
    if not len(splits["test"][0]):
        raise ValueError(
            f"data.data_dir: {root} has no class of five pictures, where every fifth "
            "is a test picture; allowed: more pictures, or folders train and test"
        )
    return Tree(class_names, splits)


def _class_names(root):
    names = _folders(root)
    if len(names) < 2:
        raise ValueError(
            f"data.data_dir: {root} has {len(names)} folders; allowed: one for each "
            "class, at least 2"
        )
    return tuple(names)


def _folders(root):
    """The names of the folders of classes in a folder."""
    names = []
    for entry in _visible(root):
        if entry.is_symlink() and not os.path.exists(entry.path):
            raise ValueError(
                f"data.data_dir: {printable(entry.path)} is a link to nothing; "
                "allowed: a folder for each class"
            )
        if entry.is_dir():
            names.append(entry.name)
    for name in names:
        if printable(name) != name:
            raise ValueError(
                f"data.data_dir: {printable(os.path.join(root, name))} has control "
                "characters or bytes that are not UTF-8; allowed: other class names"
            )
    return sorted(names)


def _list(root, class_names):
    unknown = sorted(set(_folders(root)) - set(class_names))
    if unknown:
        raise ValueError(
            f"data.data_dir: {root} has the class {unknown[0]!r}; allowed: the "
            "classes of the folder train"
        )
    found = [
        (os.fsencode(path), label)
        for label, name in enumerate(class_names)
        if (root / name).is_dir()
        for path in _pictures(root / name)
    ]
    if not found:
        raise ValueError(
            f"data.data_dir: {root} contains no pictures; allowed: "
            f"{', '.join(sorted(SUFFIXES))} in one folder a class"
        )
    paths, labels = zip(*found, strict=True)
    return np.array(paths, object), np.array(labels, np.int64)


def _pictures(folder):
    """The paths of the pictures of a class in the order of their names."""
    found = []
    for entry in _visible(folder):
        suffix = os.path.splitext(entry.name)[1].lower()
        if suffix in OTHER_SUFFIXES:
            raise ValueError(
                f"data.data_dir: received {printable(entry.path)}; allowed: "
                f"{', '.join(sorted(SUFFIXES))}"
            )
        if suffix in SUFFIXES:
            found.append(entry.path)
    return sorted(found)


def _visible(folder):
    """The entries of a folder without hidden ones, as `.ipynb_checkpoints`."""
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]
