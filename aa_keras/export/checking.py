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

    The first of the run's own test split where its data is there, and in any case
    the two photographs that scikit-learn ships, which are of another size.

    Args:
        preprocessing: A `data.Preprocessing`.
        options: The section `data` of an experiment, or `None`.
    """
    images = []
    if options is not None:
        try:
            source = data.open_source(options.name, options.data_dir)
        except ValueError:  # not on this machine; the photographs have to do
            pass
        else:
            images = [
                image.numpy() for image, _ in source.load("test").take(NUM_IMAGES)
            ]
    return [*images, *photographs(preprocessing.channels)]


def photographs(channels):
    """The photographs that scikit-learn ships, as uint8 arrays."""
    import sklearn.datasets

    folder = Path(sklearn.datasets.__file__).parent / "images"
    return [
        decoding.decode(tf.io.read_file(str(path)), channels).numpy()
        for path in sorted(folder.glob("*.jpg"))
    ]


def expect(model, preprocessing, images):
    """What a network sees of the images, and what the original says to that.

    Returns:
        Float arrays: inputs (batch, height, width, channels) and probabilities
        (batch, classes).

    Raises:
        ExportError: If the model does not end in probabilities.
    """
    # The processor alone, as in the other process: accelerators round otherwise.
    with tf.device("CPU"):
        inputs = np.stack([preprocessing(tf.constant(i)).numpy() for i in images])
        expected = np.asarray(model(inputs, training=False), dtype=np.float32)
    sums = expected.sum(axis=-1)
    if not np.isfinite(sums).all():
        raise ExportError("model: received one that gives values that are not finite")
    if (expected < 0).any() or np.abs(sums - 1).max() > 1e-2:
        raise ExportError(
            f"model: received one whose outputs sum to {sums[0]:.4g}; allowed: one "
            "that ends in probabilities, as with classifier_activation='softmax'"
        )
    return inputs, expected


def check(file_format, folder, images, inputs, expected):
    """Compares an export with the original, in a process without this package.

    Args:
        file_format: `"saved_model"`, `"onnx"` or `"litert"`.
        folder: The export.
        images: From `sample_images`.
        inputs: From `expect`, like `expected`.
        expected: The probabilities of the original.

    Returns:
        Largest difference of a probability.

    Raises:
        ExportError: If it cannot be used there, or answers otherwise.
    """
    with tempfile.TemporaryDirectory() as temporary:
        questions = Path(temporary) / "questions.npz"
        arrays = {f"image_{i}": image for i, image in enumerate(images)}
        np.savez(questions, inputs=inputs, expected=expected, **arrays)
        script = Path(__file__).with_name("_check.py")
        done = subprocess.run(
            [sys.executable, "-P", str(script), file_format, folder, questions],
            env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise ExportError(f"the export cannot be used in another process: {reason}")
    report = json.loads(done.stdout.splitlines()[-1])
    for name, found in report.items():
        if not max(found.values()) <= TOLERANCE:  # written so that NaN is refused
            raise ExportError(
                f"{name}: the export's probabilities differ from the original's by "
                f"{found['difference']:.3g}; allowed: {TOLERANCE:g}"
            )
    return max(found["difference"] for found in report.values())
