"""Experiment files: their values, and how mistakes in them are reported."""

import hashlib
import json

import pytest

from aa_keras import config

TEXT = """
paper: [{table: 1, row: AA-Wide-ResNet}]
model:
  name: wide_resnet
  depth: 28
  width: 10
  classes: 100
  attention: {key_ratio: 0.2, value_ratio: 0.1, num_heads: 8, stages: [1, 2, 3]}
data: {name: cifar100, batch_size: 256, image_size: 32, augmentation: cifar}
train:
  epochs: 500
  optimizer: {name: sgd, learning_rate_per_256: 0.2, weight_decay: 5e-4}
  schedule: {name: cosine, warmup_epochs: 25}
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="aa_wide_resnet_28_10.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_values_are_typed_and_defaults_filled_in(write):
    experiment = config.load(write(TEXT))
    assert experiment.name == "aa_wide_resnet_28_10"
    assert experiment.model.attention.stages == (1, 2, 3)
    # YAML 1.1 reads 5e-4, without a dot, as text.
    assert experiment.train.optimizer.weight_decay == 0.0005
    assert experiment.train.optimizer.momentum == 0.9
    assert experiment.paper[0].row == "AA-Wide-ResNet"


def test_a_dumped_experiment_loads_as_the_same(write):
    # A name without quotes would be read as a number.
    experiment = config.load(write(TEXT, "1e-3.yaml"))
    assert experiment.name == "1e-3"
    assert config.load(write(config.dump(experiment), "config.yaml")) == experiment


def test_overrides_come_last_and_are_yaml(write):
    path = write(TEXT)
    changed = config.load(path, ["train.epochs=2", "model.attention=null"])
    assert (changed.train.epochs, changed.model.attention) == (2, None)
    assert config.differences(config.load(path), changed) == {
        "train.epochs": (500, 2),
        "model.attention.key_ratio": (0.2, None),
        "model.attention.value_ratio": (0.1, None),
        "model.attention.num_heads": (8, None),
        "model.attention.stages": ([1, 2, 3], None),
        "model.attention.position_encoding": ("relative", None),
        "model.attention.blocks": ("all", None),
        "model.attention.strided": ("sample", None),
        "model.attention.relative_scale": (1.0, None),
        "model.attention.normalization_scale": (1.0, None),
    }


def test_the_digest_is_blind_to_where_data_lies_and_to_nothing_else(write):
    path = write(TEXT)
    paths = ["data.data_dir=/data", "data.download=true"]
    first, moved = config.load(path), config.load(path, paths)
    assert config.digest(first) == config.digest(moved)
    assert set(config.differences(first, moved)) == {"data.data_dir", "data.download"}
    assert config.differences(first, moved, ignore=config.PATH_KEYS) == {}
    assert config.without_paths(first) == config.without_paths(moved)
    assert config.without_paths(moved)["data"]["name"] == "cifar100"
    assert set(config.without_paths(moved)["data"]) & {"data_dir", "download"} == set()
    others = [
        config.load(path, [override])
        for override in ("train.seed=1", "smoke=true", "model.attention={}")
    ]
    plain = config.load(path, ["model.attention=null"])
    assert len({config.digest(e) for e in (first, plain, *others)}) == 5
    keys = {f"train.{key}" for key in config.Train.model_fields}
    assert keys >= config.HOUSEKEEPING_KEYS


def test_the_digest_is_that_of_the_values_that_are_no_defaults(write):
    """Values written by hand: an option that is added later must not enter."""
    values = {
        "name": "aa_wide_resnet_28_10",
        "paper": [{"table": 1, "row": "AA-Wide-ResNet"}],
        "model.name": "wide_resnet",
        "model.depth": 28,
        "model.width": 10,
        "model.classes": 100,
        "model.attention.key_ratio": 0.2,
        "model.attention.value_ratio": 0.1,
        "model.attention.num_heads": 8,
        "model.attention.stages": [1, 2, 3],
        "data.name": "cifar100",
        "data.batch_size": 256,
        "data.image_size": 32,
        "data.augmentation": "cifar",
        "train.epochs": 500,
        "train.optimizer.name": "sgd",
        "train.optimizer.learning_rate_per_256": 0.2,
        "train.optimizer.weight_decay": 0.0005,
        "train.schedule.name": "cosine",
        "train.schedule.warmup_epochs": 25.0,
    }
    text = json.dumps(values, sort_keys=True)
    path = write(TEXT)
    expected = hashlib.sha256(text.encode()).hexdigest()
    for overrides in ([], ["model.attention.relative_scale=1.0", "train.seed=0"]):
        assert config.digest(config.load(path, overrides)) == expected


def test_base_is_overridden_key_by_key(write):
    write(TEXT, "base.yaml")
    path = write("base: base.yaml\nmodel: {width: 4}\n", "narrow.yaml")
    experiment = config.load(path)
    assert (experiment.name, experiment.model.width) == ("narrow", 4)
    assert experiment.model.depth == 28
    twice = write("base: narrow.yaml\n", "twice.yaml")
    with pytest.raises(config.ConfigError, match="allowed: one level"):
        config.load(twice)


# A change of TEXT, and the words that the error must contain.
MISTAKES = {
    "unknown key": (("depth:", "depht:"), ["model.depht: unknown", "28", "'depth'"]),
    "unknown section": (("train:", "trian:"), ["trian: unknown key", "did you mean"]),
    "key of another family": (
        ("name: wide_resnet", "name: resnet"),
        ["model.width: unknown key", "10", "depth"],
    ),
    "not a number": (("depth: 28", "depth: deep"), ["model.depth", "'deep'", "whole"]),
    "not whole": (("depth: 28", "depth: 2.5"), ["model.depth", "2.5", "whole number"]),
    "a number as text": (("28", "'28'"), ["model.depth: received '28'"]),
    "truth for a number": (("epochs: 500", "epochs: yes"), ["train.epochs", "True"]),
    "out of range": (("epochs: 500", "epochs: 0"), ["train.epochs: received 0", "1"]),
    "infinite": (("0.2, weight", ".inf, weight"), ["learning_rate_per_256", "inf"]),
    "ratio over one": (
        ("key_ratio: 0.2", "key_ratio: 2"),
        ["attention.key_ratio", "2"],
    ),
    "not in the list": (
        ("augmentation: cifar", "augmentation: flop"),
        ["data.augmentation: received 'flop'", "'cifar'", "'inception'"],
    ),
    "unknown family": (
        ("wide_resnet\n", "wideresnet\n"),
        ["model.name: received 'wideresnet'", "'wide_resnet'", "'mnasnet'"],
    ),
    "no family": (("  name: wide_resnet\n", ""), ["model.name: missing", "resnet"]),
    "missing key": (("  width: 10\n", ""), ["model.width: missing"]),
    "wrong inside a list": (("[1, 2, 3]", "[1, b]"), ["stages.1", "'b'", "whole"]),
    "key of a nested section": (
        ("num_heads: 8", "heads: 8"),
        ["model.attention.heads: unknown key", "did you mean 'num_heads'"],
    ),
    "no list": (("[1, 2, 3]", "3"), ["attention.stages: received 3", "a list"]),
    "table 11": (("table: 1,", "table: 11,"), ["paper.0.table: received 11", "8"]),
    "a path for a name": (
        ("paper:", "name: ../x\npaper:"),
        ["name: received '../x'", "letters, digits and ._-"],
    ),
    "given twice": (("width: 10", "depth: 10"), ["'depth' is given twice"]),
    "not YAML": (("{table: 1,", "{table: 1]"), ["not valid YAML", "line 2"]),
}


@pytest.mark.parametrize(("change", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_reported_as_a_single_line(write, change, expected):
    assert change[0] in TEXT
    path = write(TEXT.replace(*change, 1))
    with pytest.raises(config.ConfigError) as caught:
        config.load(path)
    line = str(caught.value)
    assert "\n" not in line
    for words in (str(path), *expected):
        assert words in line


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "train.epocs=2",
            "train.epocs: unknown key, received 2; did you mean 'epochs'",
        ),
        ("train.epochs", "--set: received 'train.epochs'; allowed: KEY=VALUE"),
        ("train.epochs.first=2", "'epochs' holds a value, not keys"),
        ("train.epochs=[", "--set: train.epochs: received '[', not valid YAML"),
        (
            "train.schedule={name: step, epochs: [3, 1]}",
            "received [3, 1]; allowed: ascending epochs, at least one",
        ),
        ("train.schedule={name: step, epochs: []}", "allowed: ascending epochs"),
    ],
)
def test_a_mistake_in_an_override_is_reported_as_a_single_line(
    write, override, expected
):
    with pytest.raises(config.ConfigError) as caught:
        config.load(write(TEXT), [override])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_hold_no_experiment(write, tmp_path):
    with pytest.raises(
        config.ConfigError, match=r"absent\.yaml: cannot be read: No su"
    ):
        config.load(tmp_path / "absent.yaml")
    keys = "allowed: the keys name, smoke, import, "
    with pytest.raises(config.ConfigError, match=f"received 'hello'; {keys}"):
        config.load(write("hello"))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(config.ConfigError, match="not a text file in UTF-8"):
        config.load(binary)
