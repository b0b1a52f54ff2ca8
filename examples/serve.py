"""Serves the OUT of `aa-keras export DIR OUT` on TensorFlow Serving's REST path."""

import argparse
import json
from base64 import b64decode
from pathlib import Path

import anyio
import numpy as np
import tensorflow as tf
import uvicorn
from starlette import applications, exceptions, responses, routing

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("out", type=Path)
parser.add_argument("--model", default="aa_keras", help="its name in the path")
parser.add_argument("--port", type=int, default=8501)
parser.add_argument("--most-bytes", type=int, default=32 * 2**20, help="of a request")
options = parser.parse_args()
versions = [path for path in options.out.glob("*") if path.name.isdigit()]
if not versions:
    parser.error(f"{options.out}: no version; allowed: the OUT of `aa-keras export`")
newest = max(versions, key=lambda path: int(path.name))
served = tf.saved_model.load(str(newest))
state = {"model_version_status": [{"version": newest.name, "state": "AVAILABLE"}]}
one_at_a_time = anyio.CapacityLimiter(1)  # TensorFlow uses all cores for each request


def answer(body):
    asked = json.loads(body)
    signature = served.signatures[asked.get("signature_name", "serving_default")]
    ((name, spec),) = signature.structured_input_signature[1].items()
    rows = [r.get(name, r) if isinstance(r, dict) else r for r in asked["instances"]]
    rows = [b64decode(x["b64"]) if spec.dtype == tf.string else x for x in rows]
    tensor = tf.constant(np.array(rows, spec.dtype.as_numpy_dtype), spec.dtype)
    outputs = {k: v.numpy().tolist() for k, v in signature(**{name: tensor}).items()}
    found = [dict(zip(outputs, row)) for row in zip(*outputs.values())]  # noqa: B905
    return json.dumps({"predictions": found}, default=bytes.decode)


async def predict(request):
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > options.most_bytes:
            raise exceptions.HTTPException(413, f"allowed: {options.most_bytes} bytes")
    try:
        text = await anyio.to_thread.run_sync(answer, body, limiter=one_at_a_time)
    except Exception as error:  # whatever the request contains
        reason = f"{type(error).__name__}: {error}"  # TensorFlow's have an empty repr
        raise exceptions.HTTPException(400, reason) from None
    return responses.Response(text, media_type="application/json")


def refuse(request, error):
    return responses.JSONResponse({"error": error.detail}, error.status_code)


url = f"/v1/models/{options.model}"
routes = [routing.Route(url, lambda request: responses.JSONResponse(state))]
routes += [routing.Route(f"{url}:predict", predict, methods=["POST"])]
handlers = {exceptions.HTTPException: refuse}
app = applications.Starlette(routes=routes, exception_handlers=handlers)
uvicorn.run(app, port=options.port, access_log=False)  # asked by this computer alone
