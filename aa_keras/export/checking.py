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
from aa_keras.export.publishing import ExportError

TOLERANCE = 1e-5


def sample_images(preprocessing, options=None, num_images=16):
    """Real images to compare on, uint8 (height, width, channels) each.

    The first of the run's own test split where its data is there, and in any case
    the two photographs that scikit-learn ships, which are of another size.

    Args:
        preprocessing: A `data.Preprocessing`.
        options: The section `data` of an experiment, or `None`.
        num_images: How many of the test split.
    """
    channels = preprocessing.channels
    images = []
    if options is not None:
        try:
            source = data.open_source(**{**options.source_options, "download": False})
        except ValueError:  # not on this machine; the photographs have to do
            pass
        else:
            if source.arrays:
                images = list(source.arrays("test")[0][:num_images])
            else:
                records = source.records("test", None).map(
                    lambda record: decoding.decode(record["image"], channels)
                )
                images = list(records.ignore_errors().take(num_images))
    return [*map(np.asarray, images), *photographs(channels)]


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
        Float array of inputs (batch, height, width, channels), and a dictionary of
        arrays: `probabilities` (batch, classes); or, of a detector, `scores` and
        `classes` (batch, most), `boxes` (batch, most, 4) in pixels of the images and
        `input_boxes` in those of the inputs.

    Raises:
        ExportError: If the model ends in neither.
    """
    # The processor alone, as in the other process: accelerators round otherwise.
    with tf.device("CPU"):
        inputs = np.stack([preprocessing(tf.constant(i)).numpy() for i in images])
        if is_detector(model):
            return inputs, _expect_detections(model, inputs, images)
        expected = np.asarray(model(inputs, training=False), dtype=np.float32)
    sums = expected.sum(axis=-1)
    if not np.isfinite(sums).all():
        raise ExportError("model: received one that gives values that are not finite")
    if (expected < 0).any() or np.abs(sums - 1).max() > 1e-2:
        raise ExportError(
            f"model: received one whose outputs sum to {sums[0]:.4g}; allowed: one "
            "that ends in probabilities, as with classifier_activation='softmax'"
        )
    return inputs, {"probabilities": expected}


def is_detector(model):
    """Whether a model finds boxes, as KerasCV's detectors do."""
    return hasattr(model, "decode_predictions")


def _expect_detections(model, inputs, images):
    rows = []
    for one, image in zip(inputs, images, strict=True):  # large images, one at a time
        outputs = model(one[np.newaxis], training=False)
        found = model.decode_predictions(outputs, one[np.newaxis])
        found = {key: np.asarray(value)[0] for key, value in found.items()}
        boxes = data.coco.to_original(found["boxes"], *image.shape[:2], one.shape[0])
        on_inputs = np.clip(found["boxes"], 0, one.shape[0])
        rows.append((found["confidence"], found["classes"], boxes, on_inputs))
    names = ("scores", "classes", "boxes", "input_boxes")
    return dict(zip(names, map(np.stack, zip(*rows, strict=True)), strict=True))


def check(file_format, folder, images, inputs, expected):
    """Compares an export with the original, in a process without this package.

    Args:
        file_format: `"saved_model"`, `"onnx"` or `"litert"`.
        folder: The export.
        images: From `sample_images`.
        inputs: From `expect`, like `expected`.
        expected: What the original says.

    Returns:
        Largest difference of a probability.

    Raises:
        ExportError: If it cannot be used there, or answers otherwise.
    """
    with tempfile.TemporaryDirectory() as temporary:
        questions = Path(temporary) / "questions.npz"
        arrays = {f"image_{i}": image for i, image in enumerate(images)}
        arrays |= {f"expected_{name}": value for name, value in expected.items()}
        np.savez(questions, inputs=inputs, **arrays)
        script = Path(__file__).with_name("other_process.py")
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
        # Written so that a difference that is not a number is refused as well.
        if not (found["difference"] <= TOLERANCE and found["mistakes"] == 0):
            raise ExportError(
                f"{name}: the export's probabilities differ from the original's by "
                f"{found['difference']:.3g}, its classes or boxes in "
                f"{found['mistakes']}; allowed: {TOLERANCE:g} and 0"
            )
    return max(found["difference"] for found in report.values())
