"""Data that each test may damage: copies of some that are written once."""

import shutil

import numpy as np
import PIL.Image
import pytest

from tests import written_sets
from tests.faults.damaged_data import SETS


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("sets")
    for name, splits in SETS.items():
        written_sets.write(data_dir, name, splits)
    return data_dir


@pytest.fixture
def sets(written, tmp_path):
    return shutil.copytree(written, tmp_path / "sets")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures") / "images"
    for label, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for number in range(10):
            level = np.full((8, 8, 3), 100 * label + 10 * number, np.uint8)
            PIL.Image.fromarray(level).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def folder(pictures, tmp_path):
    return shutil.copytree(pictures, tmp_path / "images")
