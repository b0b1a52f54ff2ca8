"""The committed results agree with each other and with what can be calculated."""

import json
import math
import re
import shlex
import subprocess

import pytest

from aa_keras import config
from aa_keras.data import pointers
from aa_keras.paper import collection, comparison, report
from tests.conftest import ROOT

POINTERS = [
    json.loads(path.read_text()) for path in (ROOT / "results").glob("pointers_*.json")
]


@pytest.fixture(scope="module")
def runs():
    return collection.load_results(ROOT / "results", ROOT / "experiments")


def test_the_page_and_the_readme_have_the_table_of_the_results(runs):
    groups = comparison.group([run for run in runs if run["reproduces"]])
    page = (ROOT / "results/RESULTS.md").read_text()
    assert report.groups_as_markdown(groups) in page, "run `aa-keras report`"
    readme = (ROOT / "README.md").read_text()
    (names,) = re.findall("<!-- runs: (.*) -->", readme)
    chosen = [group for name in names.split() for group in groups if group.name == name]
    assert len(chosen) == len(names.split())
    assert report.groups_as_markdown(chosen) in readme, "run `aa-keras report`"


def test_the_readme_names_the_bound_of_one_convolution():
    bound = f"{100 * pointers.accuracy_bound(1, 16):.1f} % is the bound"
    assert bound in " ".join((ROOT / "README.md").read_text().split())


@pytest.mark.parametrize("split", ["test", "test_larger"])
def test_no_stack_of_convolutions_lies_above_its_bound(split):
    size = {"test": 16, "test_larger": 24}[split]
    stacks = [run for run in POINTERS if "_conv_" in run["name"]]
    assert stacks
    for run in stacks:
        measured, depth = run["metrics"][split], run["experiment"]["model"]["depth"]
        bound = pointers.accuracy_bound(depth, size)
        error = math.sqrt(bound * (1 - bound) / measured["cells"])
        assert measured["accuracy"] <= bound + 3 * error, run["name"]


def test_one_augmented_layer_solves_the_pointer_task_with_every_seed():
    seeds = [run for run in POINTERS if run["name"] == "pointers_relative"]
    assert len(seeds) >= 3
    for run in seeds:
        for split in ("test", "test_larger"):
            assert run["metrics"][split]["accuracy"] > 0.999


def test_reproduce_small_repeats_every_run_on_cifar100(runs):
    command = ["make", "--dry-run", "reproduce-small"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    repeated = set()
    for words in map(shlex.split, made.stdout.splitlines()):
        if "sweep" not in words:
            continue
        seeds = int(words[words.index("--seeds") + 1]) if "--seeds" in words else 1
        for pattern in (word for word in words if word.endswith(".yaml")):
            paths = list(ROOT.glob(pattern))
            assert paths, pattern
            for path in paths:
                first = config.load(path).train.seed
                repeated |= {(path.stem, first + n) for n in range(seeds)}
    folder = str(ROOT / "experiments/small")
    small = [run for run in runs if str(run["reproduces"]).startswith(folder)]
    assert small
    assert {(run["name"], run["seed"]) for run in small} <= repeated
