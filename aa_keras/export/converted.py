"""ONNX and LiteRT files: one fixed image size, floats in, no decoding."""

import importlib.util

import keras

from aa_keras.export import checking
from aa_keras.export.assets import write_extras
from aa_keras.export.publishing import ExportError, publish
from aa_keras.export.saved_model import build_card, quiet, refuse_unfitting

# What a format needs, which is also the name of its extra.
PACKAGES = {"onnx": ("tf2onnx", "onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
FILES = {"onnx": "model.onnx", "litert": "model.tflite"}


def export_converted(
    model,
    out,
    *,
    format,
    preprocessing,
    class_names,
    card=None,
    images=None,
    version=None,
):
    """Writes `OUT/<version>/model.onnx` or `model.tflite`.

    The file takes `inputs`, float32 (batch, height, width, channels) as
    `preprocessing` makes them, and gives `probabilities` (batch, classes). It is
    compared with the model, in another process and in ONNX Runtime or the LiteRT
    interpreter, before it appears.

    Args:
        model: A built functional Keras model that ends in probabilities.
        out: Folder of the versions; made if it is not there.
        format: `"onnx"` or `"litert"`.
        preprocessing: As for `export_saved_model`, with `class_names`, `card`,
            `images` and `version`.

    Returns:
        Path of the new version folder.

    Raises:
        ExportError: In one line, also for a converter that is not installed.
    """
    missing = [p for p in PACKAGES[format] if importlib.util.find_spec(p) is None]
    if missing:
        raise ExportError(
            f"format: received {format!r}, for which {', '.join(missing)} is not "
            f"installed; allowed after: pip install aa-keras[{format}]"
        )
    if checking.is_detector(model):
        raise ExportError(
            f"format: received {format!r}; allowed for a detector: 'saved_model', as "
            "its boxes are made by operations that other formats lack"
        )
    refuse_unfitting(model, preprocessing, class_names)
    images = checking.sample_images(preprocessing) if images is None else images
    inputs, expected = checking.expect(model, preprocessing, images)
    # Names that a user of the file can rely on.
    plain = as_listing(model)
    named = keras.Model(plain.inputs, {"probabilities": plain.outputs[0]})
    specification = keras.InputSpec(
        shape=(None, *preprocessing.output_shape), dtype="float32", name="inputs"
    )

    def write(folder):
        try:
            with quiet():
                named.export(
                    str(folder / FILES[format]),
                    format=format,
                    verbose=False,
                    input_signature=[specification],
                )
        except OSError:
            raise
        except Exception as error:  # converters raise what their parts raise
            reason = " ".join(str(error).split())[:300]
            raise ExportError(
                f"format: {format} has no equivalent for this model: "
                f"{type(error).__name__}: {reason}"
            ) from error
        difference = checking.check(format, folder, images, inputs, expected)
        signatures = {
            FILES[format]: {
                "inputs": {"inputs": _tensor(preprocessing.output_shape)},
                "outputs": {"probabilities": _tensor((len(class_names),))},
            }
        }
        write_extras(
            folder,
            build_card(
                format,
                {"name": model.name, **(card or {})},
                preprocessing,
                signatures,
                checked={"images": len(images), "largest_difference": difference},
            ),
            class_names,
        )

    return publish(write, out, version)


def as_listing(model):
    """The model with attention in the paper's own formulation, for converters.

    They have no equivalent for the loops and the gradient of the fused one.
    """

    def clone(layer):
        configuration = layer.get_config()
        if "implementation" in configuration and hasattr(layer, "qkv"):
            configuration["implementation"] = "listing"
        return layer.from_config(configuration)

    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs, model.outputs)
    plain = keras.models.clone_model(model, clone_function=clone)
    plain.set_weights(model.get_weights())
    return plain


def _tensor(shape):
    return {"dtype": "float32", "shape": [None, *shape]}
