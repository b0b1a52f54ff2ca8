"""An export is compared with the original before anybody sees it."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from aa_keras import data
from aa_keras.data import decoding
from aa_keras.export.folders import ExportError

TOLERANCE = 1e-5
NUM_IMAGES = 16


def sample_images(preprocessing, options=None):
    """Real images to compare on, uint8 (height, width, channels) each.

    Images of the run's own test split where its data is there, and in any case the
    two photographs that scikit-learn ships, which are of another size.

    Args:
        preprocessing: A `data.Preprocessing`.
        options: The section `data` of an experiment, or `None`.
    """
    images = []
    if options is not None:
        try:
            source = data.open_source(options.name, options.data_dir)
            images = [
                image.numpy() for image, _ in source.load("test").take(NUM_IMAGES)
            ]
        except ValueError:  # the data is not on this machine
            images = []
    return [*images, *photographs(preprocessing.channels)]


def photographs(channels):
    """The photographs of scikit-learn, as uint8 arrays."""
    import sklearn.datasets

    folder = Path(sklearn.datasets.__file__).parent / "images"
    return [
        decoding.decode(tf.io.read_file(str(path)), channels).numpy()
        for path in sorted(folder.glob("*.jpg"))
    ]


def expect(model, preprocessing, images):
    """What a network sees of the images, and what the original says to that.

    Returns:
        Preprocessed images (B, height, width, channels), probabilities (B, classes).

    Raises:
        ExportError: If the model does not end in probabilities.
    """
    with tf.device("CPU"):
        inputs = np.stack([preprocessing(tf.constant(i)).numpy() for i in images])
        outputs = model(inputs, training=False)
    expected = np.asarray(outputs, dtype=np.float32)
    sums = expected.sum(axis=-1)
    if not np.isfinite(sums).all():
        raise ExportError("model: received one that gives values that are not finite")
    if (expected < 0).any() or np.abs(sums - 1).max() > 1e-2:
        raise ExportError(
            f"model: received one whose outputs sum to {sums[0]:.4g}; allowed: one "
            "that ends in probabilities, as with classifier_activation='softmax'"
        )
    return inputs, expected


def check_saved_model(folder, images, inputs, expected):
    """Compares an export with the original, in a process without this package.

    Args:
        folder: The SavedModel.
        images: From `sample_images`.
        inputs, expected: From `expect`.

    Returns:
        Largest difference of a probability.

    Raises:
        ExportError: If it cannot be loaded there, or answers otherwise.
    """
    with tempfile.TemporaryDirectory() as temporary:
        questions = Path(temporary) / "questions.npz"
        arrays = {f"image_{i}": image for i, image in enumerate(images)}
        np.savez(questions, inputs=inputs, expected=expected, **arrays)
        script = Path(__file__).with_name("_check_saved_model.py")
        # The processor alone: the accelerator's memory belongs to this process.
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
        done = subprocess.run(
            [sys.executable, "-P", str(script), str(folder), str(questions)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise ExportError(f"the export cannot be used in another process: {reason}")
    report = json.loads(done.stdout)
    for name, signature in report.items():
        refuse_difference(name, signature["difference"], signature["class_difference"])
    return max(signature["difference"] for signature in report.values())


def refuse_difference(name, difference, class_difference):
    """Raises an `ExportError` if an export answers otherwise than the original."""
    if not (difference <= TOLERANCE and class_difference <= TOLERANCE):
        raise ExportError(
            f"{name}: the export's probabilities differ from the original's by "
            f"{difference:.3g}; allowed: {TOLERANCE:g}"
        )
