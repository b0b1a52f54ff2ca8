"""What the tests of exports share, beside the trained run and its export."""

import re
import subprocess
import sys

import pytest
from sklearn.datasets import load_sample_images

from aa_keras import training
from tests.conftest import ROOT

MOST_BYTES = 100_000  # of a request to the example server


@pytest.fixture(scope="session")
def workdir(quickstart_run):
    return quickstart_run


@pytest.fixture(scope="session")
def run(workdir):
    return training.load_run(workdir)


@pytest.fixture(scope="session")
def address(exported):
    """The URL of `examples/serve.py`, started as a user does, at a free port."""
    pytest.importorskip("starlette")
    command = [sys.executable, ROOT / "examples/serve.py", exported.parent]
    command += ["--port", "0", "--most-bytes", str(MOST_BYTES)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            found = (
                re.search(r"running on (http://\S+)", line) for line in server.stderr
            )
            yield next(filter(None, found))[1]
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def photograph():
    """A part of one: uint8 (54, 80, 3)."""
    return load_sample_images().images[0][200:254, 300:380]


@pytest.fixture(scope="session")
def run_python():
    """A function that runs a program text in a process of its own."""

    def run_python(program, *arguments, **options):
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run_python
