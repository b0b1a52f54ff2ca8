"""Compares an export with its network before it appears."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from aa_keras import data
from aa_keras.data import decoding
from aa_keras.data.damage import DamagedData

TOLERANCE = 1e-5
MAX_IMAGES = 16
MAX_SIDE = 1024  # of an image in pixels
MAX_PIXELS = 2**20  # of the network's inputs in all: two images of 640 x 640


def sample_images(preprocessing, options=None) -> list[np.ndarray]:
    """Returns real images to compare on, uint8 (height, width, channels) each.

    The first images of the run's test split where its data exists (`options` is the
    section `data`), and the two photographs in scikit-learn, which are of another size.
    """
    import sklearn.datasets

    channels = preprocessing.channels
    count = min(MAX_IMAGES, max(2, MAX_PIXELS // preprocessing.image_size**2))
    images: list = []
    # Where the data is not on this machine, or damaged.
    with contextlib.suppress(ValueError, DamagedData):
        images = _test_images(options, channels, count) if options else []
    folder = Path(sklearn.datasets.__file__).parent / "images"
    photographs = map(str, sorted(folder.glob("*.jpg")))
    images += [decoding.decode(tf.io.read_file(p), channels) for p in photographs]
    # A server refuses requests of many large pictures.
    return [np.asarray(image)[:MAX_SIDE, :MAX_SIDE] for image in images]


def _test_images(options, channels, count):
    source = data.open_source(**{**options.source_options, "download": False})
    if source.arrays:
        return list(source.arrays("test")[0][:count])
    if not source.records:
        return []
    records = source.records("test", None).map(
        lambda record: decoding.decode(record["image"], channels)
    )
    return list(records.ignore_errors().take(count))


def ask(file_format, folder, inputs, images) -> dict[str, dict[str, np.ndarray]]:
    """Asks an export in a process that cannot import this package.

    Returns:
        Dictionary from a signature to its answer, a dictionary of arrays.
    """
    with tempfile.TemporaryDirectory() as temporary:
        questions, answers = (Path(temporary) / name for name in ("q.npz", "a.npz"))
        arrays = {f"image_{i}": image for i, image in enumerate(images)}
        np.savez(questions, inputs=inputs, **arrays)
        script = Path(__file__).with_name("other_process.py")
        done = subprocess.run(
            [sys.executable, "-P", script, file_format, folder, questions, answers],
            env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            raise ValueError(
                f"the export cannot be used in another process: {lines[-1]}"
            )
        found: dict = {}
        with np.load(answers) as file:
            for name in file.files:
                signature, _, key = name.rpartition(":")
                found.setdefault(signature, {})[key] = file[name]
    return found


def check(task, answers, expected, signatures) -> float:
    """Returns the largest difference of the answers; a ValueError if one is too large.

    `answers` are those of `ask`, `expected` of `task.expect`, `signatures` of the card.
    """
    differences = []
    for name, described in signatures.items():
        on_inputs = "inputs" in described["inputs"]
        difference, mistakes = task.compare(answers[name], expected, on_inputs)
        # Written so that a difference that is not a number is refused as well.
        if not (difference <= TOLERANCE and mistakes == 0):
            raise ValueError(
                f"{name}: the export's probabilities differ from the original's by "
                f"{difference:.3g}, and {mistakes} classes or boxes differ; allowed: "
                f"{TOLERANCE:g} and 0"
            )
        differences.append(difference)
    return max(differences)
