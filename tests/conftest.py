"""What several folders of tests share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training import processes

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def aa_keras():
    """A function that runs `python -m aa_keras` in a process of its own."""

    def run(*arguments, cwd=ROOT, status=0, **options):
        done = subprocess.run(
            [sys.executable, "-m", "aa_keras", *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            **options,
        )
        assert done.returncode == status, done.stderr + done.stdout[-2000:]
        return done

    return run


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    """A finished run that was never killed, and what it printed. Tests only read it."""
    workdir = tmp_path_factory.mktemp("uninterrupted") / "run"
    return workdir, processes.run(workdir)


@pytest.fixture(scope="session")
def quickstart_run(aa_keras, tmp_path_factory):
    """The work directory of the quickstart's network with attention, trained a little.

    Tests read it; one that writes into it works on a copy.
    """
    workdir = tmp_path_factory.mktemp("quickstart") / "digits_aa_resnet"
    aa_keras(
        "train",
        "experiments/quickstart/digits_aa_resnet.yaml",
        "--workdir",
        workdir,
        "--set",
        "train.epochs=15",
    )
    return workdir


@pytest.fixture(scope="session")
def real_data_dir():
    """Real sets: TFDS_DATA_DIR, or shared/tfds beside the checkout; else a skip."""
    path = Path(os.environ.get("TFDS_DATA_DIR", ROOT.parent / "shared" / "tfds"))
    if not (path / "coco").is_dir():
        pytest.skip("no real data: TFDS_DATA_DIR is not set, nor is shared/tfds there")
    return str(path)
