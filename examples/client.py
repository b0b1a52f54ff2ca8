"""Asks a running TensorFlow Serving about pictures, by gRPC or by REST.

    python examples/client.py seven.png four.jpg --grpc localhost:8500
    python examples/client.py seven.png four.jpg --rest http://localhost:8501

REST needs nothing but Python; gRPC needs `pip install tensorflow-serving-api`. The
server is started with the folder OUT of `aa-keras export DIR OUT`, as it is called
inside of the container here:

    docker run -p 8500:8500 -p 8501:8501 -v "$PWD/OUT:/models/aa_keras" \\
        -e MODEL_NAME=aa_keras tensorflow/serving --enable_batching \\
        --batching_parameters_file=/models/aa_keras/1/assets.extra/batching_params.pbtxt
"""

import argparse
import base64
import http.client
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

SIGNATURE = "serve_image_bytes"
OUTPUTS = ("top_k_class_names", "top_k_probabilities", "errors")
SECONDS = 30


class RequestError(RuntimeError):
    """The server could not be asked, or refused the question."""


def reason(error):
    """The words of the server, or the status of one that speaks no JSON."""
    try:
        return json.load(error)["error"]
    except (ValueError, TypeError, KeyError):
        return str(error)


def ask_rest(url, pictures, model="aa_keras"):
    """The best classes of pictures.

    Args:
        url: As in "http://localhost:8501".
        pictures: The bytes of JPEG or PNG files.
        model: The name that the server gives the model.

    Returns:
        For each picture a list of (class name, probability), most probable first, and
        the error, which is empty for a picture that has an answer.

    Raises:
        RequestError: With the words of the server.
    """
    instances = [
        {"image_bytes": {"b64": base64.b64encode(picture).decode()}}
        for picture in pictures
    ]
    request = urllib.request.Request(
        f"{url}/v1/models/{model}:predict",
        json.dumps({"signature_name": SIGNATURE, "instances": instances}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise RequestError(reason(error)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise RequestError(f"{url}: {error}") from None
    return [
        (
            list(
                zip(one["top_k_class_names"], one["top_k_probabilities"], strict=True)
            ),
            one["errors"],
        )
        for one in answer["predictions"]
    ]


def ask_grpc(address, pictures, model="aa_keras"):
    """The same by gRPC, at an address as in "localhost:8500"."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = SIGNATURE
    request.inputs["image_bytes"].CopyFrom(
        tf.make_tensor_proto(pictures, dtype=tf.string)
    )
    # Of the outputs only these are computed and sent.
    request.output_filter.extend(OUTPUTS)
    try:
        with grpc.insecure_channel(address) as channel:
            service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            outputs = service.Predict(request, timeout=SECONDS).outputs
    except grpc.RpcError as error:
        raise RequestError(error.details()) from None
    rows = zip(*(tf.make_ndarray(outputs[name]) for name in OUTPUTS), strict=True)
    return [
        (
            [(name.decode(), float(p)) for name, p in zip(*best, strict=True)],
            error.decode(),
        )
        for *best, error in rows
    ]


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument("--model", default="aa_keras", help="its name at the server")
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("--grpc", metavar="HOST:PORT")
    server.add_argument("--rest", metavar="URL")
    options = parser.parse_args(arguments)
    try:
        pictures = [path.read_bytes() for path in options.pictures]
        if options.grpc:
            answers = ask_grpc(options.grpc, pictures, options.model)
        else:
            answers = ask_rest(options.rest, pictures, options.model)
    except (OSError, RequestError) as error:
        sys.exit(f"client.py: error: {error}")
    for path, (best, error) in zip(options.pictures, answers, strict=True):
        told = [f"error: {error}"] if error else [f"{name} {p:.4f}" for name, p in best]
        print(f"{path}:", *told, sep="  ")


if __name__ == "__main__":
    main()
