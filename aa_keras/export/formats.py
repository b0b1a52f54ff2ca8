"""Exports and predictions of a finished run."""

import functools
import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from aa_keras.data.served_decoding import decode_picture
from aa_keras.export import checking
from aa_keras.export.converted import export_converted
from aa_keras.export.publishing import ExportError
from aa_keras.export.saved_model import export_saved_model
from aa_keras.training import load_run

FORMATS = {
    "saved_model": export_saved_model,
    "onnx": functools.partial(export_converted, format="onnx"),
    "litert": functools.partial(export_converted, format="litert"),
}


def export(workdir, out, format="saved_model"):
    """Exports a finished run to `OUT/<version>/`.

    Args:
        workdir: The folder of the run.
        out: Folder of the versions; made if it is not there.
        format: `"saved_model"`, `"onnx"` or `"litert"`.

    Returns:
        Path of the new version folder.

    Raises:
        ValueError: In one line; nothing is left then.
    """
    if format not in FORMATS:
        raise ExportError(f"format: received {format!r}; allowed: {', '.join(FORMATS)}")
    run = _load(workdir)
    configuration = run.experiment.model_dump(mode="json", exclude_none=True)
    configuration["data"].pop("data_dir", None)  # a path of this machine alone
    return FORMATS[format](
        run.model,
        out,
        preprocessing=run.preprocessing,
        class_names=run.class_names,
        card={**run.result, "configuration": configuration},
        images=checking.sample_images(
            run.preprocessing,
            run.experiment.data,
            num_images=2 if checking.is_detector(run.model) else 16,
        ),
    )


def predict_images(run, paths):
    """Probabilities of picture files, decoded as an export decodes them.

    Args:
        run: A `training.Run`.
        paths: JPEG or PNG files.

    Returns:
        List of float32 arrays (classes,), one per file.

    Raises:
        ValueError: In one line that names the file.
    """
    preprocessing = run.preprocessing
    pictures = [read_picture(path, preprocessing.channels) for path in paths]
    inputs = [preprocessing(picture) for picture in pictures]
    return [np.asarray(run.model(one[None], training=False))[0] for one in inputs]


def read_picture(path, channels):
    """The pixels of a picture file, decoded as an export decodes it.

    Args:
        path: A JPEG or PNG file.
        channels: 1 for grey, 3 for RGB; the picture is converted.

    Returns:
        uint8 tensor (height, width, channels).

    Raises:
        ValueError: In one line that names the file.
    """
    try:
        encoded = Path(path).read_bytes()
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return _decode(encoded, channels)
    except tf.errors.InvalidArgumentError as error:
        raise ExportError(f"{path}: {_reason(error)}") from None


# In a graph, where of two branches only the one that is wanted is computed.
_decode = tf.function(decode_picture, autograph=False)


def _reason(error):
    """What was wrong, out of a message of TensorFlow that also says where."""
    lines = [line.strip() for line in error.message.splitlines()]
    told = [line for line in lines if line and not line.startswith("[[")][-1]
    if told.startswith("assertion failed:"):
        told = " ".join(re.findall(r"\[([^\[\]]*)\]", told))
    return told


def _load(workdir):
    try:
        return load_run(workdir)
    except Exception as error:  # another version's code may fail in any way
        reason = " ".join(str(error).split())
        if isinstance(error, ValueError) and reason.startswith(str(workdir)):
            raise
        raise ExportError(
            f"{workdir}: cannot be loaded by this version of aa-keras: "
            f"{type(error).__name__}: {reason[:300]}"
        ) from error
