"""The formats of an export, each a record in the table `FORMATS`.

The process that checks an export runs this file without the rest of the package: only
functions that write may import it, and they do so when they are called.
"""

from collections.abc import Callable
from typing import NamedTuple


class Format(NamedTuple):
    """How to write an export and how to ask it.

    Args:
        name: str, as in `aa-keras export --format`; also the extra that installs it.
        packages: tuple of strings, the modules it needs beyond TensorFlow.
        write: callable, a function of a folder and a `Job`. It writes the files into
            the folder and returns a dictionary for the model card, with `signatures`:
            a dictionary from a name to its described `inputs` and `outputs`.
        ask: callable, a function of a folder, network inputs (images, height, width,
            channels) and a list of uint8 images. Yields pairs of the name of a
            signature and a dictionary of arrays, its answer for all images.
    """

    name: str
    packages: tuple[str, ...]
    write: Callable
    ask: Callable


def write_saved_model(folder, job):
    import keras
    import tensorflow as tf

    from aa_keras.export import assets

    signatures = job.task.build_signatures(job.model, job.attention_layer)
    archive = keras.export.ExportArchive()
    functions = {
        name: archive.add_endpoint(name, s.function, input_signature=[s.input])
        for name, s in signatures.items()
    }
    # Nothing is trained through an export, and TensorFlow cannot save the gradient of
    # the fused attention, which is inside a loop.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    archive.write_out(str(folder), options=options, verbose=False)
    taken = {name: signature.input.name for name, signature in signatures.items()}
    assets.write_warmup(folder, taken, job.images[0], job.inputs[0])
    attention = [s.attention_layer for s in signatures.values() if s.attention_layer]
    return {
        "attention_layer": attention[0] if attention else None,
        "signatures": assets.describe(functions),
    }


def ask_saved_model(folder, inputs, images):
    import numpy as np
    import tensorflow as tf

    requests = {
        "images": [tf.constant(image[None]) for image in images],  # of several sizes
        "image_bytes": [tf.stack([tf.io.encode_png(image) for image in images])],
        "inputs": [tf.constant(inputs)],
    }
    for name, function in tf.saved_model.load(folder).signatures.items():
        (key,) = function.structured_input_signature[1]
        answers = [function(**{key: request}) for request in requests[key]]
        yield name, {k: np.concatenate([a[k] for a in answers]) for k in answers[0]}


def write_onnx(folder, job):
    return _convert(job, "onnx", folder / "model.onnx")


def ask_onnx(folder, inputs, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    (name,) = (output.name for output in session.get_outputs())
    yield "model.onnx", {name: session.run([name], {"inputs": inputs})[0]}


def write_litert(folder, job):
    from aa_keras import layers

    # LiteRT has no equivalent for all operations of the fused form.
    with layers.use_implementation(job.model, "listing"):
        return _convert(job, "litert", folder / "model.tflite")


def ask_litert(folder, inputs, images):
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(f"{folder}/model.tflite").get_signature_runner()
    yield "model.tflite", runner(inputs=inputs)


def _convert(job, name, file):
    """Writes a network from float inputs to its one output, without decoding."""
    import keras

    if len(job.expected) != 1:
        raise ValueError(
            f"format: received {name!r}; allowed for {job.task.preprocessing.task}: "
            "'saved_model', as this format does not contain what makes the answer"
        )
    ((output, expected),) = job.expected.items()
    shape = job.task.preprocessing.output_shape
    named = keras.Model(job.model.inputs, {output: job.model.outputs[0]})
    specification = keras.InputSpec(
        shape=(None, *shape), dtype="float32", name="inputs"
    )
    try:
        named.export(
            str(file), format=name, verbose=False, input_signature=[specification]
        )
    except OSError:
        raise
    except Exception as error:  # converters raise any type
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"format: {name} has no equivalent for this model: "
            f"{type(error).__name__}: {reason}"
        ) from error

    def tensor(shape):
        return {"dtype": "float32", "shape": [None, *shape]}

    inputs, outputs = {"inputs": tensor(shape)}, {output: tensor(expected.shape[1:])}
    return {"signatures": {file.name: {"inputs": inputs, "outputs": outputs}}}


FORMATS = {
    record.name: record
    for record in (
        Format("saved_model", (), write_saved_model, ask_saved_model),
        Format("onnx", ("tf2onnx", "onnx", "onnxruntime"), write_onnx, ask_onnx),
        Format("litert", ("ai_edge_litert",), write_litert, ask_litert),
    )
}
