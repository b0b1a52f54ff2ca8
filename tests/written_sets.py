"""Small sets in the format of tensorflow-datasets, for machines without the real ones.

Drawings in place of photographs, but written by tensorflow-datasets' own writer with
the features of its own builders, so that reading them is what reading the real ones is.
"""

import io
from pathlib import Path

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

EXAMPLES_IN_A_FILE = 7


def write(data_dir, name, splits, seed=0, broken=()):
    """Writes the first examples of a set of tensorflow-datasets.

    Args:
        data_dir: Folder, as `data.data_dir` names it.
        name: A key of `MAKERS`.
        splits: Number of examples by split.
        seed: Integer.
        broken: Numbers of the examples in each split whose picture is cut short.

    Returns:
        The examples written, a list for each split.
    """
    info = tfds.builder(name, data_dir=str(data_dir)).info
    Path(info.data_dir).mkdir(parents=True)
    if name == "coco/2017":  # the builder learns the names from the download
        label = info.features["objects"].feature["label"]
        label.names = [f"name {number}" for number in range(80)]
    writer = tfds.core.SequentialWriter(info, EXAMPLES_IN_A_FILE)
    writer.initialize_splits(list(splits))
    rng = np.random.default_rng(seed)
    written = {}
    for split, count in splits.items():
        written[split] = [MAKERS[name](rng, number) for number in range(count)]
        for number in broken:
            example = written[split][number]
            example["image"] = _encoded(example["image"])[:100]
        writer.add_examples({split: written[split]})
    writer.close_all()
    return written


def cifar100(rng, number):
    """Noise, without loss; the first pixel tells the label."""
    image = rng.integers(0, 256, (32, 32, 3), np.uint8)
    image[0, 0] = number % 100
    return {
        "id": str(number),
        "image": image,
        "label": number % 100,
        "coarse_label": number % 20,
    }


def imagenet(rng, number):
    """A JPEG of one colour that tells the label, of a size of its own."""
    height, width = rng.integers(40, 90, 2)
    image = np.full((height, width, 3), 10 * number, np.uint8)
    return {
        "image": _encoded(image, "JPEG"),
        "label": number,
        "file_name": f"n{number:08d}.JPEG",
    }


def coco(rng, number):
    """A green box on black and a red crowd; every sixth image is empty."""
    height, width = rng.integers(60, 120, 2)
    image = np.zeros((height, width, 3), np.uint8)
    top, left = rng.integers(0, 20, 2)
    bottom, right = rng.integers(40, (height, width))
    image[top:bottom, left:right, 1] = 255
    image[:10, -10:, 0] = 255
    sides = (height, width, height, width)
    boxes = [((top, left, bottom, right), False), ((0, width - 10, 10, width), True)]
    objects = [
        {
            "area": int((box[2] - box[0]) * (box[3] - box[1])),
            "bbox": tfds.features.BBox(*(np.array(box) / sides).tolist()),
            "id": 10 * number + crowd,
            "is_crowd": crowd,
            "label": number % 80,
        }
        for box, crowd in boxes
    ]
    return {
        "image": image,
        "image/filename": f"{number:012d}.jpg",
        "image/id": 1000 + number,
        "objects": [] if number % 6 == 5 else objects,
    }


def _encoded(image, picture_format="PNG"):
    if isinstance(image, bytes):
        return image
    stream = io.BytesIO()
    PIL.Image.fromarray(image).save(stream, picture_format)
    return stream.getvalue()


MAKERS = {"cifar100": cifar100, "imagenet2012": imagenet, "coco/2017": coco}
