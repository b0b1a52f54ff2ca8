"""The example server, started for real, against `aa-keras predict`."""

import base64
import json
import urllib.error
import urllib.request

import numpy as np
import pytest

from tests.export.conftest import MOST_BYTES


def ask(url, body=None, chunked=False):
    """The status and the answer, also where the server refuses."""
    # In parts, a request does not tell its length.
    sent = iter([body[:4096], body[4096:]]) if chunked else body
    try:
        with urllib.request.urlopen(url, sent, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def predict(address, **request):
    return ask(f"{address}/v1/models/aa_keras:predict", json.dumps(request).encode())


def test_files_and_images_are_answered_as_predict_does(
    address, aa_keras, workdir, digits, encode, tmp_path
):
    for index in range(3):
        path = tmp_path / f"{index}.png"
        path.write_bytes(encode(digits[index, :, :, 0]))
    files = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    bad = {"image_bytes": {"b64": base64.b64encode(b"no picture").decode()}}
    first, *others = ({"b64": base64.b64encode(file).decode()} for file in files)
    # TensorFlow Serving takes a single input with and without its name.
    instances = [first, *({"image_bytes": other} for other in others)]
    status, by_file = predict(
        address, signature_name="serve_image_bytes", instances=[*instances, bad]
    )
    assert status == 200
    *by_file, refused = by_file["predictions"]
    assert refused["errors"] == "not a JPEG or PNG"
    status, by_pixels = predict(address, instances=digits[:3].tolist())
    assert status == 200
    done = aa_keras("predict", workdir, tmp_path, "--json", "--top", 5)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for answers in (by_file, by_pixels["predictions"]):
        for answer, line in zip(answers, lines, strict=True):
            assert answer["errors"] == ""
            assert answer["top_k_class_names"] == line["class_names"]
            found = answer["top_k_probabilities"]
            np.testing.assert_allclose(found, line["scores"], atol=1e-5)


def test_health(address, exported):
    status, answer = ask(f"{address}/v1/models/aa_keras")
    assert status == 200
    (version,) = answer["model_version_status"]
    assert version == {"version": exported.name, "state": "AVAILABLE"}
    assert ask(f"{address}/v1/models/other")[0] == 404


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"signature_name": "none", "instances": []}, "none"),
        ({"inputs": []}, "instances"),
        ({"instances": [[[[300]]]]}, "300"),
        ({"instances": []}, "InvalidArgumentError: "),
        ({"instances": [[[1]], [2]]}, "shape"),
        ({"signature_name": "serve_image_bytes", "instances": [3]}, "TypeError"),
    ],
)
def test_a_request_that_cannot_be_answered(address, request_, told):
    status, answer = predict(address, **request_)
    assert status == 400
    assert told in answer["error"]


def test_the_size_of_a_request_is_bounded(address):
    url = f"{address}/v1/models/aa_keras:predict"
    for chunked in (False, True):
        status, answer = ask(url, bytes(MOST_BYTES + 1), chunked)
        assert status == 413
        assert answer == {"error": f"allowed: {MOST_BYTES} bytes"}
    assert ask(url, b"[" * MOST_BYTES)[0] == 400  # as deep as it is long
    assert ask(f"{address}/v1/models/aa_keras")[0] == 200
