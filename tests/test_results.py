"""The committed results agree with each other and with what can be calculated."""

import json
import math

import pytest

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
    finished = [run for run in runs if run["reproduces"]]
    table = report.groups_as_markdown(comparison.group(finished))
    for page in ("README.md", "results/RESULTS.md"):
        assert table in (ROOT / page).read_text(), f"{page}: run `aa-keras report`"


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
