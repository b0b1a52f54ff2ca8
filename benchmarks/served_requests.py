"""Many clients at once ask the example server; `benchmarks/serving.py` calls this."""

import base64
import concurrent.futures
import http.client
import json
import re
import resource
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import numpy as np

SERVE = Path(__file__).resolve().parents[1] / "examples/serve.py"
CLIENTS = 8
WARM = 100  # requests before memory is measured first
PATH = "/v1/models/aa_keras:predict"


def measure_requests(out, files, number) -> dict:
    """Starts the server on an export and asks it over the loopback.

    Args:
        out: path of the folder of versions that `aa-keras export` writes.
        files: list of bytes of pictures; each request has one of them, in turn.
        number: int, requests of all clients together.

    Returns:
        Dictionary of plain numbers: errors are answers without a class and requests
        without an answer; memory is the server's, resident, before and after.
    """
    command = [sys.executable, SERVE, out, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            found = (re.search(r"on (http://\S+)", line) for line in server.stderr)
            address = urllib.parse.urlsplit(next(filter(None, found))[1]).netloc
            bodies = [_body(file) for file in files]
            _ask(address, bodies, WARM)
            before = _memory(server.pid)
            start = time.perf_counter()
            shares = [len(range(i, number, CLIENTS)) for i in range(CLIENTS)]
            with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
                rows = pool.map(lambda share: _ask(address, bodies, share), shares)
                seconds, errors = zip(*rows, strict=True)
            elapsed = time.perf_counter() - start
            after = _memory(server.pid)
        finally:
            server.terminate()
    times = 1e3 * np.concatenate(seconds)
    return {
        "requests": number,
        "clients": CLIENTS,
        "errors": sum(errors),
        "p50_ms": round(float(np.quantile(times, 0.5)), 2),
        "p99_ms": round(float(np.quantile(times, 0.99)), 2),
        "requests_per_second": round(number / elapsed, 1),
        "memory_before_mb": round(before),
        "memory_after_mb": round(after),
    }


def _ask(address, bodies, number):
    """Returns the seconds of each request, and how many had no class."""
    seconds, errors = [], 0
    connection = http.client.HTTPConnection(address, timeout=60)
    for index in range(number):
        start = time.perf_counter()
        try:
            connection.request("POST", PATH, bodies[index % len(bodies)])
            response = connection.getresponse()
            answer = json.loads(response.read())
            (row,) = answer["predictions"]
            errors += row["errors"] != ""
        except (OSError, http.client.HTTPException, KeyError, ValueError):
            errors += 1
            connection.close()  # the next request opens it again
        seconds.append(time.perf_counter() - start)
    connection.close()
    return seconds, errors


def _body(file):
    instances = [{"image_bytes": {"b64": base64.b64encode(file).decode()}}]
    asked = {"signature_name": "serve_image_bytes", "instances": instances}
    return json.dumps(asked).encode()


def _memory(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
