"""A SavedModel with everything inside that stands between an image and its class."""

import contextlib
import dataclasses
import io
import logging

import keras
import tensorflow as tf

from aa_keras.export import assets, checking
from aa_keras.export.classifier_signatures import attention_layers, build_signatures
from aa_keras.export.detector_signatures import build_detection_signatures
from aa_keras.export.publishing import ExportError, publish

# Nothing is trained through an export, and TensorFlow cannot save the gradient of the
# fused attention, which lies inside of a loop.
_OPTIONS = tf.saved_model.SaveOptions(experimental_custom_gradients=False)


def export_saved_model(
    model,
    out,
    *,
    preprocessing,
    class_names,
    attention_layer=None,
    card=None,
    images=None,
    version=None,
):
    """Writes `OUT/<version>/`, the layout that TensorFlow Serving polls.

    The export is loaded in another process, one that cannot import this package, and
    compared with the model before it appears. The model is left as it is.

    Args:
        model: A built Keras model of one image input that ends in probabilities, or
            a `models.RetinaNet`.
        out: Folder of the versions; made if it is not there.
        preprocessing: A `data.Preprocessing`, what is done to an image before the
            model sees it.
        class_names: One text per class.
        attention_layer: Name of the layer whose scores `serve_attention` gives; the
            last one that has any if left out.
        card: What else the model card shall say, as plain data.
        images: uint8 arrays (height, width, channels) to compare on; photographs if
            left out.
        version: Number of the new version; one more than the largest if left out.

    Returns:
        Path of the new version folder.

    Raises:
        ExportError: In one line; nothing is left then.

    Example:

    >>> path = export_saved_model(
    ...     model,
    ...     "export",
    ...     preprocessing=aa_keras.data.Preprocessing(8, mean=(0.3,), std=(0.4,)),
    ...     class_names=[str(digit) for digit in range(10)],
    ... )
    >>> tf.saved_model.load(path).signatures["serving_default"](images=images)
    """
    refuse_unfitting(model, preprocessing, class_names)
    images = checking.sample_images(preprocessing) if images is None else images
    inputs, expected = checking.expect(model, preprocessing, images)

    detector = checking.is_detector(model)
    names = [] if detector else attention_layers(model)
    if attention_layer is None and names:
        attention_layer = names[-1]
    elif attention_layer is not None and attention_layer not in names:
        raise ExportError(
            f"attention_layer: received {attention_layer!r}; allowed: "
            f"{', '.join(names) or 'none, as no layer of this model has scores'}"
        )
    if detector:
        signatures = build_detection_signatures(model, preprocessing, class_names)
    else:
        signatures = build_signatures(
            model, preprocessing, class_names, attention_layer
        )

    def write(folder):
        archive = keras.export.ExportArchive()
        functions = {
            name: archive.add_endpoint(name, function, input_signature=specification)
            for name, (function, specification) in signatures.items()
        }
        with quiet():
            archive.write_out(str(folder), options=_OPTIONS, verbose=False)
        difference = checking.check("saved_model", folder, images, inputs, expected)
        whole_card = build_card(
            "saved_model",
            {"name": model.name, "attention_layer": attention_layer, **(card or {})},
            preprocessing,
            assets.describe(functions),
            checked={"images": len(images), "largest_difference": difference},
        )
        warmup = _warmup(signatures, images, inputs)
        assets.write_extras(folder, whole_card, class_names, warmup)

    return publish(write, out, version)


def build_card(file_format, card, preprocessing, signatures, checked):
    """The model card: all that a reader of the export cannot see in its files."""
    return {
        "format": file_format,
        **card,
        "preprocessing": dataclasses.asdict(preprocessing),
        "signatures": signatures,
        "checked": checked,
    }


def _warmup(signatures, images, inputs):
    image = images[0]
    requests = {
        "serving_default": {"images": image[None]},
        "serve_image_bytes": {"image_bytes": [tf.io.encode_png(image).numpy()]},
        "serve_preprocessed": {"inputs": inputs[:1]},
        "serve_attention": {"images": image[None]},
    }
    return [(name, requests[name]) for name in signatures]


def refuse_unfitting(model, preprocessing, class_names):
    """Raises an `ExportError` if a model goes with no such images or names."""
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"KERAS_BACKEND: received {keras.backend.backend()!r}; allowed: "
            "'tensorflow', for an export"
        )
    expected = (None, *preprocessing.output_shape)
    given = tuple(model.inputs[0].shape) if getattr(model, "inputs", None) else expected
    fits = len(given) == 4 and all(
        a is None or b is None or a == b for a, b in zip(given, expected, strict=True)
    )
    if not fits:
        raise ExportError(
            f"preprocessing: received one that gives {expected[1:]}; allowed: "
            f"{given[1:]}, what the model takes"
        )
    detector = checking.is_detector(model)
    num_classes = model.num_classes if detector else model.output_shape[-1]
    if num_classes != len(class_names):
        raise ExportError(
            f"class_names: received {len(class_names)} of them; allowed: "
            f"{num_classes}, the classes of the model"
        )


@contextlib.contextmanager
def quiet():
    """Keeps the writers' progress reports off the user's terminal."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(previous)
