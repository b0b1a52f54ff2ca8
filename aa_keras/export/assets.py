"""What lies beside an exported network for people and for TensorFlow Serving."""

import json

import tensorflow as tf

# As TensorFlow Serving's guide to batching has it for a processor; on an accelerator
# raise the size until throughput stops growing.
BATCHING_PARAMETERS = """\
max_batch_size { value: 32 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 64 }
num_batch_threads { value: 4 }
"""


def write_extras(folder, card, class_names, warmup=()):
    """Fills `assets.extra/`, which servers and loaders leave alone.

    Args:
        folder: The export.
        card: What is known about the network, as plain data.
        class_names: One text per class.
        warmup: Pairs of a signature's name and a dictionary of its inputs, which
            TensorFlow Serving asks before it offers the version.
    """
    folder = folder / "assets.extra"
    folder.mkdir()
    card = json.dumps(card, indent=2, ensure_ascii=False)
    (folder / "model_card.json").write_text(card + "\n", encoding="utf-8")
    names = "".join(f"{name}\n" for name in class_names)
    (folder / "class_names.txt").write_text(names, encoding="utf-8")
    if warmup:
        (folder / "batching_params.pbtxt").write_text(BATCHING_PARAMETERS)
        with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as file:
            for signature, inputs in warmup:
                file.write(prediction_log(signature, inputs))


def describe(functions):
    """Inputs and outputs of signatures, as plain data.

    Args:
        functions: Dictionary of name to `tf.function` with an input signature.
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


def prediction_log(signature, inputs):
    """A serialized `tensorflow.serving.PredictionLog` of one request.

    Put together by hand: the package that defines it is wanted for nothing else here.
    The numbers are those of `prediction_log.proto`, `predict.proto` and `model.proto`.

    Args:
        signature: Name of the signature that is asked.
        inputs: Dictionary of input name to array or tensor.
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
