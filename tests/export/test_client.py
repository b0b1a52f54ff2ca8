"""The example client, against stand-ins that speak TensorFlow Serving's protocols.

The server itself is no Python package. These answer from the same SavedModel, one on
the server's own gRPC service definition, one with its JSON.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import importlib.util
import json
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


@contextlib.contextmanager
def rest_server(served):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/models/aa_keras:predict":
                return self.answer(404, {"error": "Servable not found"})
            signature = served.signatures[asked["signature_name"]]
            files = [
                base64.b64decode(i["image_bytes"]["b64"]) for i in asked["instances"]
            ]
            try:
                outputs = signature(image_bytes=tf.constant(files))
            except tf.errors.InvalidArgumentError as error:
                return self.answer(400, {"error": error.message})
            plain = {
                name: np.char.decode(value.numpy().astype("S"), "utf-8").tolist()
                if value.dtype == tf.string
                else value.numpy().tolist()
                for name, value in outputs.items()
            }
            rows = [
                dict(zip(plain, row, strict=True))
                for row in zip(*plain.values(), strict=True)
            ]
            return self.answer(200, {"predictions": rows})

        def answer(self, status, content):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


SERVERS = {"grpc": grpc_server, "rest": rest_server}


@pytest.mark.parametrize("protocol", SERVERS)
def test_client(protocol, client, served, run, digits, encode, tmp_path, capsys):
    paths = [str(tmp_path / f"{index}.png") for index in range(3)]
    for path, digit in zip(paths, digits, strict=False):
        Path(path).write_bytes(encode(digit[:, :, 0]))
    expected = np.asarray(run.model(run.task.preprocessing(digits[:3])))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with SERVERS[protocol](served) as address:
        ask = {"grpc": client.ask_grpc, "rest": client.ask_rest}[protocol]
        answers = ask(address, [Path(path).read_bytes() for path in paths])
        client.main([*paths, f"--{protocol}", address])
        printed = capsys.readouterr().out.splitlines()
        client.main([str(tmp_path / "bad.png"), *paths, f"--{protocol}", address])
        bad, *others = capsys.readouterr().out.splitlines()
        assert bad == f"{tmp_path / 'bad.png'}:  error: not a JPEG or PNG"
        assert others == printed
        with pytest.raises(SystemExit, match="Servable not found"):
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
    with pytest.raises(SystemExit, match=r"client\.py: error: "):  # nobody there now
        client.main([*paths, f"--{protocol}", address])
