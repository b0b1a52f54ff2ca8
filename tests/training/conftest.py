import pytest

from tests.training.processes import run


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    """A finished run that was never killed, and what it printed. Tests only read it."""
    workdir = tmp_path_factory.mktemp("uninterrupted") / "run"
    return workdir, run(workdir)
