"""The example client, by REST against the example server, by gRPC against a stand-in.

TensorFlow Serving is no Python package. The stand-in answers from the same SavedModel
on the service definition of TensorFlow Serving.
"""

import concurrent.futures
import contextlib
import http.server
import importlib.util
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

CLIENT = Path(__file__).resolve().parents[2] / "examples/client.py"


@pytest.fixture(scope="module")
def client():
    specification = importlib.util.spec_from_file_location("client", CLIENT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@contextlib.contextmanager
def grpc_server(served):
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            if request.model_spec.name != "aa_keras":
                context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found")
            signature = served.signatures[request.model_spec.signature_name]
            inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
            try:
                outputs = signature(**{k: tf.constant(v) for k, v in inputs.items()})
            except tf.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
            response = predict_pb2.PredictResponse()
            for name in request.output_filter:
                response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
            return response

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Service(), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_client(protocol, client, run, digits, encode, request, tmp_path, capsys):
    paths = [str(tmp_path / f"{index}.png") for index in range(3)]
    for path, digit in zip(paths, digits, strict=False):
        Path(path).write_bytes(encode(digit[:, :, 0]))
    expected = np.asarray(run.model(run.task.preprocessing(digits[:3])))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    if protocol == "grpc":
        server = grpc_server(request.getfixturevalue("served"))
    else:
        server = contextlib.nullcontext(request.getfixturevalue("address"))
    with server as address:
        ask = {"grpc": client.ask_grpc, "rest": client.ask_rest}[protocol]
        answers = ask(address, [Path(path).read_bytes() for path in paths])
        client.main([*paths, f"--{protocol}", address])
        printed = capsys.readouterr().out.splitlines()
        client.main([str(tmp_path / "bad.png"), *paths, f"--{protocol}", address])
        bad, *others = capsys.readouterr().out.splitlines()
        assert bad == f"{tmp_path / 'bad.png'}:  error: not a JPEG or PNG"
        assert others == printed
        with pytest.raises(SystemExit, match=r"(Servable n|N)ot (f|F)ound"):
            client.main([*paths, f"--{protocol}", address, "--model", "other"])
    for (best, error), probabilities, line in zip(
        answers, expected, printed, strict=True
    ):
        assert error == ""
        order = np.argsort(-probabilities, kind="stable")[:5]
        assert [name for name, _ in best] == [run.task.class_names[i] for i in order]
        np.testing.assert_allclose(
            [p for _, p in best], probabilities[order], atol=1e-5
        )
        assert f"  {best[0][0]} {best[0][1]:.4f}  " in line
    nobody = {"grpc": "127.0.0.1:1", "rest": "http://127.0.0.1:1"}[protocol]
    with pytest.raises(SystemExit, match=r"client\.py: error: "):
        client.main([*paths, f"--{protocol}", nobody])


def test_a_server_that_speaks_no_json(client, tmp_path):
    (tmp_path / "0.png").write_bytes(b"")
    handler = http.server.SimpleHTTPRequestHandler  # answers with a page in HTML
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(SystemExit, match=r"client\.py: error: HTTP Error 501"):
            client.main([str(tmp_path / "0.png"), "--rest", url])
        server.shutdown()
