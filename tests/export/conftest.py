"""What the tests of exports share, beside the trained run and its export."""

import subprocess
import sys

import pytest
from sklearn.datasets import load_sample_images

from aa_keras import training


@pytest.fixture(scope="session")
def workdir(quickstart_run):
    return quickstart_run


@pytest.fixture(scope="session")
def run(workdir):
    return training.load_run(workdir)


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
