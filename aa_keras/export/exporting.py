"""Exports a model or a finished run in any format of the table."""

import contextlib
import dataclasses
import importlib.util
import io
import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from aa_keras import config, layers
from aa_keras.backends import read_device
from aa_keras.export import assets, checking
from aa_keras.export.formats import FORMATS
from aa_keras.export.publishing import publish
from aa_keras.tasks import require_pictures, task_of_kind
from aa_keras.training import load_run

PLATFORMS = ("cpu", "gpu")


@dataclasses.dataclass(frozen=True)
class Job:
    """What is exported, as `Format.write` needs it.

    Args:
        model: a Keras model.
        task: a `tasks.Task`.
        attention_layer: str, as of `export_model`, or `None`.
        images: list of uint8 arrays (height, width, channels).
        inputs: float array, the images as the network takes them.
        expected: dictionary of arrays, as `task.expect` returns it.
    """

    model: keras.Model
    task: Any
    attention_layer: str | None
    images: list[np.ndarray]
    inputs: np.ndarray
    expected: dict[str, np.ndarray]


def export(
    workdir, out, format="saved_model", attention_layer=None, platform=None
) -> Path:
    """Exports a finished run to `OUT/<version>/`.

    Args:
        workdir: path of the run's work directory, or the name of shipped weights.
        out: path of the folder of the versions; created if it does not exist.
        format: str, a key of `FORMATS`. Defaults to `"saved_model"`.
        attention_layer: str, as of `export_model`, for a SavedModel.
        platform: str, as of `export_model`.

    Raises:
        ValueError: as `export_model`, and if another format is given a layer.

    Returns:
        Path of the new version folder.
    """
    _find_format(format)  # before the run is loaded
    if attention_layer is not None and format != "saved_model":
        raise ValueError(
            f"attention_layer: received {attention_layer!r}; allowed for the format "
            f"{format!r}: none, as it has no signature of attention"
        )
    run = load_run(workdir)
    require_pictures(run.task)
    experiment = config.without_paths(config.resolve(run.experiment))
    return export_model(
        run.model,
        out,
        format=format,
        preprocessing=run.task.preprocessing,
        class_names=run.task.class_names,
        attention_layer=attention_layer,
        platform=platform,
        card={**run.result, "experiment": experiment},
        images=checking.sample_images(run.task.preprocessing, run.experiment.data),
    )


def export_model(
    model,
    out,
    *,
    format,
    preprocessing,
    class_names,
    attention_layer=None,
    platform=None,
    card=None,
    images=None,
    version=None,
) -> Path:
    """Writes `OUT/<version>/`, the layout that TensorFlow Serving polls.

    The export is loaded in another process, which cannot import this package, and
    compared with the model before it appears. The model does not change.

    Args:
        model: a built Keras model of one image input that ends in probabilities, or
            a `models.RetinaNet`. Formats other than `"saved_model"` need a functional
            or Sequential classifier.
        out: path of the folder of the versions; created if it does not exist.
        format: str, a key of `FORMATS`.
        preprocessing: a `data.Preprocessing`, from an image to the model's input. Its
            `task` selects the signatures.
        class_names: sequence of strings, one for each class.
        attention_layer: str, the layer whose scores `serve_attention` returns.
            Defaults to the first attention layer, as in `aa-keras maps`.
        platform: str, `"cpu"` or `"gpu"`, where the export will run: the form of
            attention that `"auto"` is there. Defaults to this machine's.
        card: dictionary of plain data to add to the model card.
        images: list of uint8 arrays (height, width, channels) to compare on. Defaults
            to photographs.
        version: int, the number of the new version. Defaults to the largest plus one.

    Returns:
        Path of the new version folder.

    Raises:
        ValueError: if the model cannot be exported, or a package is missing; no
            version exists then.

    Example:

    >>> path = export_model(
    ...     model,
    ...     "export",
    ...     format="saved_model",
    ...     preprocessing=aa_keras.data.Preprocessing(8, mean=(0.3,), std=(0.4,)),
    ...     class_names=[str(digit) for digit in range(10)],
    ... )
    >>> tf.saved_model.load(path).signatures["serving_default"](images=images)
    """
    record = _find_format(format)
    platform = read_device() if platform is None else platform
    if platform not in PLATFORMS:
        raise ValueError(
            f"platform: received {platform!r}; allowed: {', '.join(PLATFORMS)}"
        )
    _refuse_unfitting(model, preprocessing)
    task_class = task_of_kind(preprocessing.task)
    task = require_pictures(task_class(None, preprocessing, tuple(class_names)))
    images = checking.sample_images(preprocessing) if images is None else images
    # On the processor, as in the other process: accelerators round differently.
    with tf.device("CPU"):
        inputs = np.stack([preprocessing(tf.constant(i)).numpy() for i in images])
        expected = task.expect(model, inputs, images)
    job = Job(model, task, attention_layer, images, inputs, expected)

    def write(folder):
        with _quiet(), layers.use_platform(model, platform):
            written = record.write(folder, job)
        answers = checking.ask(format, folder, inputs, images)
        signatures = written["signatures"]
        difference = checking.check(task, answers, expected, signatures)
        whole_card = {
            "format": format,
            "name": model.name,
            "platform": platform,
            **written,
            **(card or {}),
            "preprocessing": dataclasses.asdict(preprocessing),
            "signatures": signatures,
            "checked": {"images": len(images), "largest_difference": difference},
        }
        assets.write_card(folder, whole_card, class_names)

    return publish(write, out, version)


def export_saved_model(model, out, **options) -> Path:
    """Calls `export_model` with the format `"saved_model"`.

    Args:
        model: as of `export_model`, like the other arguments.
        out: path of the folder of the versions.
        **options: the other arguments of `export_model`.
    """
    return export_model(model, out, format="saved_model", **options)


def _find_format(name):
    if name not in FORMATS:
        raise ValueError(f"format: received {name!r}; allowed: {', '.join(FORMATS)}")
    packages = FORMATS[name].packages
    missing = [p for p in packages if importlib.util.find_spec(p) is None]
    if missing:
        raise ValueError(
            f"format: received {name!r}, for which {', '.join(missing)} is not "
            f"installed; allowed after: pip install 'aa-keras[{name}]'"
        )
    return FORMATS[name]


def _refuse_unfitting(model, preprocessing):
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"KERAS_BACKEND: received {keras.backend.backend()!r}; allowed: "
            "'tensorflow', for an export"
        )
    expected = (None, *preprocessing.output_shape)
    given = tuple(model.inputs[0].shape) if getattr(model, "inputs", None) else expected
    fits = len(given) == 4 and all(
        a is None or b is None or a == b for a, b in zip(given, expected, strict=True)
    )
    if not fits:
        raise ValueError(
            f"preprocessing: received one that returns {expected[1:]}; allowed: "
            f"{given[1:]}, the input of the model"
        )


@contextlib.contextmanager
def _quiet():
    """Hides the writers' progress reports from the terminal."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(previous)
