"""The files beside an exported network, for people and for TensorFlow Serving.

They are in `assets.extra/`, which servers and loaders ignore.
"""

import json

import tensorflow as tf

# The recommendation of TensorFlow Serving's batching guide for a CPU; on an accelerator
# raise the size until throughput stops growing.
BATCHING_PARAMETERS = """\
max_batch_size { value: 32 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 64 }
num_batch_threads { value: 4 }
"""


def write_card(folder, card, class_names) -> None:
    """Writes the model card, plain data, and the class names, one a line."""
    folder = folder / "assets.extra"
    folder.mkdir(exist_ok=True)
    card = json.dumps(card, indent=2, ensure_ascii=False)
    (folder / "model_card.json").write_text(card + "\n", encoding="utf-8")
    names = "".join(f"{name}\n" for name in class_names)
    (folder / "class_names.txt").write_text(names, encoding="utf-8")


def write_warmup(folder, signatures, image, network_input) -> None:
    """Writes the requests that TensorFlow Serving runs before it offers the version.

    `signatures` maps names to names of inputs; both images show the same.
    """
    folder = folder / "assets.extra"
    folder.mkdir(exist_ok=True)
    (folder / "batching_params.pbtxt").write_text(BATCHING_PARAMETERS)
    requests = {
        "images": image[None],
        "image_bytes": [tf.io.encode_png(image).numpy()],
        "inputs": network_input[None],
    }
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as file:
        for name, key in signatures.items():
            file.write(prediction_log(name, {key: requests[key]}))


def describe(functions) -> dict[str, dict]:
    """Describes the inputs and outputs of signatures as plain data.

    Args:
        functions: dictionary from a name to a `tf.function` with an input signature.
    """

    def tensor(specification):
        return {
            "dtype": specification.dtype.name,
            "shape": specification.shape.as_list(),
        }

    described = {}
    for name, function in functions.items():
        concrete = function.get_concrete_function()
        described[name] = {
            "inputs": {s.name: tensor(s) for s in function.input_signature},
            "outputs": {
                key: tensor(output)
                for key, output in concrete.structured_outputs.items()
            },
        }
    return described


def prediction_log(signature, inputs) -> bytes:
    """Serializes a request as `tensorflow.serving.PredictionLog`.

    Written by hand, because nothing else here needs the package that defines it. The
    numbers are those of `prediction_log.proto`, `predict.proto` and `model.proto`.
    """
    model = _field(3, signature.encode())  # ModelSpec.signature_name
    request = _field(1, model)  # PredictRequest.model_spec
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))  # inputs
    return _field(6, _field(1, request))  # PredictionLog.predict_log, its request


def _field(number, content):
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
