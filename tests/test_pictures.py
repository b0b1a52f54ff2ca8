"""Committed pictures show the runs of `results/`, and notebooks print their numbers."""

import base64
import hashlib
import io
import json
import re

import nbformat
import pytest
from PIL import Image

from aa_keras.paper import collection, comparison, report
from tests.conftest import ROOT

NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
PICTURES = sorted([*ROOT.glob("docs/pictures/*.png"), *ROOT.glob("results/*.png")])
RUN = re.compile(r"^(\w+) seed (\d+): (\d+) epochs, (\w+) accuracy ([\d.]+) %", re.M)
SHOW_RUNS = {"attention_maps", "pointers", "serving"}


def result(name, seed):
    return json.loads((ROOT / f"results/{name}-seed{seed}.json").read_text())


def origin(picture):
    """The pairs of a run or file and its hash that the file of a picture names."""
    text = Image.open(picture).text
    names, digests = (text.get(key) for key in ("Run", "Configuration"))
    return list(zip(names.split(", "), digests.split(", "), strict=True))


def check_origin(picture):
    for name, digest in origin(picture):
        if run := re.fullmatch(r"(.+)-seed(\d+)", name):
            assert result(*run.groups())["configuration"] == digest, name
        else:
            assert hashlib.sha256((ROOT / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_a_picture_shows_what_the_repository_has(picture):
    check_origin(picture)


def test_the_pages_show_these_pictures_alone():
    shown = set()
    for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text("utf-8")):
            shown.add((page.parent / path).resolve())
    assert shown <= set(PICTURES)


def outputs(notebook):
    for cell in nbformat.read(notebook, as_version=4).cells:
        yield from cell.get("outputs", [])


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_pictures_of_a_notebook_show_what_the_repository_has(notebook):
    found = 0
    for output in outputs(notebook):
        if "image/png" in output.get("data", {}):
            picture = io.BytesIO(base64.b64decode(output.data["image/png"]))
            if "Run" in Image.open(picture).text:
                check_origin(picture)
                found += 1
    assert bool(found) == (notebook.stem in SHOW_RUNS | {"paper_tables"})


@pytest.mark.parametrize("name", sorted(SHOW_RUNS))
def test_a_notebook_prints_the_numbers_of_the_run(name):
    text = "".join(o.get("text", "") for o in outputs(ROOT / f"notebooks/{name}.ipynb"))
    runs = RUN.findall(text)
    assert runs
    for run, seed, epochs, split, accuracy in runs:
        collected = result(run, seed)
        assert collected["epochs"] == int(epochs)
        assert f"{100 * collected['metrics'][split]['accuracy']:.2f}" == accuracy


def test_the_table_of_the_pointer_task_is_that_of_the_results():
    text = "".join(
        o.get("text", "") for o in outputs(ROOT / "notebooks/pointers.ipynb")
    )
    rows = re.findall(
        r"^(\w+) +(\d) seeds  16x16 +([\d.]+)  24x24 +([\d.]+)$", text, re.M
    )
    files = list(ROOT.glob("results/pointers_*.json"))
    assert sum(int(seeds) for _, seeds, *_ in rows) == len(files) > 0
    for name, seeds, *printed in rows:
        runs = [result(f"pointers_{name}", seed) for seed in range(int(seeds))]
        for split, value in zip(("test", "test_larger"), printed, strict=True):
            mean = sum(run["metrics"][split]["accuracy"] for run in runs) / len(runs)
            assert float(value) == pytest.approx(100 * mean, abs=0.0051)


def test_the_tables_show_what_was_measured_on_cifar100():
    groups = comparison.group(collection.load_results(ROOT / "results"))
    table = report.groups_as_markdown(comparison.series(groups)["cifar100"])
    shown = [
        output.get("data", {}).get("text/markdown")
        for output in outputs(ROOT / "notebooks/paper_tables.ipynb")
    ]
    assert table in shown, "run python notebooks/execute.py paper_tables"
