import os
from pathlib import Path

import pytest

from tests import written_sets


@pytest.fixture(scope="session")
def real_data_dir():
    """Real sets: TFDS_DATA_DIR, or shared/tfds beside the checkout; else a skip."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "tfds"
    path = Path(os.environ.get("TFDS_DATA_DIR", beside))
    if not (path / "cifar100").is_dir():
        pytest.skip("no real data: TFDS_DATA_DIR is not set, nor is shared/tfds there")
    return str(path)


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """(data_dir, examples by set and split) of small sets written for these tests."""
    data_dir = tmp_path_factory.mktemp("tfds")
    splits = {
        "cifar100": {"train": 40, "test": 10},
        "imagenet2012": {"train": 24, "validation": 10},
        "coco/2017": {"train": 18, "validation": 8},
    }
    examples = {
        name: written_sets.write(data_dir, name, counts)
        for name, counts in splits.items()
    }
    return str(data_dir), examples
