"""What TensorFlow Serving asks before it offers a version."""

import numpy as np
import pytest
import tensorflow as tf

from aa_keras.export.assets import prediction_log


def read(path):
    from tensorflow_serving.apis import prediction_log_pb2

    for record in tf.data.TFRecordDataset(str(path)):
        yield prediction_log_pb2.PredictionLog.FromString(record.numpy())


def test_every_signature_is_asked_and_answers(exported, served, run, digits):
    path = exported / "assets.extra/tf_serving_warmup_requests"
    asked = []
    for log in read(path):
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        inputs = {
            name: tf.constant(tf.make_ndarray(value))
            for name, value in request.inputs.items()
        }
        signature = served.signatures[request.model_spec.signature_name]
        answer = signature(**inputs)
        expected = run.model(run.task.preprocessing(digits[:1]))
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
        asked.append(request.model_spec.signature_name)
    assert sorted(asked) == sorted(served.signatures)


@pytest.mark.parametrize("length", [0, 1, 127, 128, 20_000, 3_000_000])
def test_lengths_of_every_number_of_digits(length):
    from tensorflow_serving.apis import prediction_log_pb2

    value = np.arange(length, dtype=np.uint32).astype(np.uint8)
    record = prediction_log("a" * (length % 300), {"x": value, "y": [b"\xff", b""]})
    log = prediction_log_pb2.PredictionLog.FromString(record)
    request = log.predict_log.request
    assert request.model_spec.signature_name == "a" * (length % 300)
    np.testing.assert_array_equal(tf.make_ndarray(request.inputs["x"]), value)
    assert list(tf.make_ndarray(request.inputs["y"])) == [b"\xff", b""]


def test_batching_parameters_fill_the_fields_of_the_server(exported):
    """Read as the text of its own message: wrong names or types would not parse."""
    text = (exported / "assets.extra/batching_params.pbtxt").read_text()
    from google.protobuf import (
        descriptor_pb2,
        descriptor_pool,
        message_factory,
        text_format,
        wrappers_pb2,
    )

    # BatchingParameters of the server's session_bundle_config.proto, the part used.
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto", package="test", syntax="proto3"
    )
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    for number, name in enumerate(
        [
            "max_batch_size",
            "batch_timeout_micros",
            "max_enqueued_batches",
            "num_batch_threads",
        ],
        start=1,
    ):
        message.field.add(
            name=name,
            number=number,
            label=1,
            type=11,
            type_name=".google.protobuf.Int64Value",
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    parameters = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("test.BatchingParameters")
    )()
    text_format.Parse(text, parameters)
    assert parameters.max_batch_size.value == 32
