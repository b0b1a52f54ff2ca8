"""The commands that describe experiments, networks and rows of the paper."""

import json
import re
from pathlib import Path

import pytest

from aa_keras import __version__, cli, config
from aa_keras.config.shipped import find_experiment
from tests.conftest import ROOT

EXPERIMENT = "experiments/quickstart/digits_aa_resnet.yaml"


def test_version(aa_keras):
    assert aa_keras("--version").stdout == f"aa-keras, version {__version__}\n"


def test_help_is_the_answer_to_no_command(aa_keras):
    assert aa_keras().stdout == aa_keras("--help").stdout


def test_summary(aa_keras, tmp_path):
    arguments = (EXPERIMENT, "--set", "model.attention=null")
    assert "75,002" in aa_keras("summary", *arguments, cwd=tmp_path).stdout
    done = aa_keras("summary", "imagenet/aa_resnet_50", "--format", "json")
    summary = json.loads(done.stdout)
    # The exact counts of PAPER's Table 3.
    assert round(summary["params"] / 1e6, 2) == 25.81
    assert round(summary["gflops_paper"], 2) == 8.33
    assert summary["paper"][0]["claimed"]["params_m"] == 25.8


def test_tables(aa_keras, tmp_path):
    done = aa_keras("tables", "--table", 4, "--format", "json", cwd=tmp_path)
    rows = json.loads(done.stdout)
    assert [row["row"] for row in rows][:2] == ["MnasNet-0.75", "AA-MnasNet-0.75"]
    assert round(rows[0]["params_m"], 3) == 2.912
    assert rows[0]["experiment"] == "experiments/imagenet/mnasnet_0.75.yaml"


def test_list(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def listed(*arguments):
        with pytest.raises(SystemExit):
            cli.main(["list", *arguments])
        lines = capsys.readouterr().out.splitlines()
        return dict(line.split(maxsplit=1) for line in lines)

    every = listed()
    files = (ROOT / "experiments").rglob("*.yaml")
    names = {file.relative_to(ROOT / "experiments").with_suffix("") for file in files}
    assert set(every) == {name.as_posix() for name in names}
    assert "with attention" in every["quickstart/digits_aa_resnet"]
    assert listed("--table", "4") == {
        f"imagenet/{start}mnasnet_{width}": f"Table 4: {prefix}MnasNet-{width}"
        for start, prefix in (("", ""), ("aa_", "AA-"))
        for width in ("0.75", "1.0", "1.25", "1.4")
    }


def test_a_file_wins_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, shipped = "imagenet/resnet_50", ROOT / "experiments/imagenet/resnet_50.yaml"
    for given in (
        name,
        f"{name}.yaml",
        f"experiments/{name}",
        f"experiments/{name}.yaml",
    ):
        assert find_experiment(given) == shipped
    Path(name).mkdir(parents=True)  # a folder is no experiment
    assert find_experiment(name) == shipped
    Path(f"{name}.yaml").touch()
    assert find_experiment(f"{name}.yaml") == Path(f"{name}.yaml")


def test_config_prints_every_key_of_every_experiment(capsys):
    with pytest.raises(SystemExit):
        cli.main(["config"])
    text = capsys.readouterr().out
    keys = set()
    for file in (ROOT / "experiments").rglob("*.yaml"):
        values = config.load(file).model_dump(mode="json")
        keys |= {key for key, _ in key_paths(values)}
    assert {"train", "model.attention.num_heads", "paper.row"} <= keys
    section = ""
    printed = {}
    for line in text.splitlines():
        if line and not line.startswith(" "):
            section = "" if line == "the file" else line.split()[0] + "."
        elif found := re.match(r"  (\w+): (.*)", line):
            printed[section + found[1]] = found[2]
    assert keys <= printed.keys()
    # Literals of the schema.
    assert printed["model.attention.strided"] == 'sample, pool; default "sample"'
    assert printed["train.epochs"] == "whole number, at least 1; required"
    assert printed["train.ema"] == "number, above 0 and below 1; default null"


def key_paths(values, prefix=""):
    for key, value in values.items():
        yield prefix + key, value
        for inner in value if isinstance(value, list) else [value]:
            # The keys of these are numbers of stages and patterns.
            free = ("blocks", "learning_rate_factors")
            if isinstance(inner, dict) and key not in free:
                yield from key_paths(inner, f"{prefix}{key}.")
