import pytest

from tests import written_sets


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
