"""Collected results and the tables written from them."""

import json

import pytest

from aa_keras import config
from aa_keras.paper import report

RESULT = {
    "name": "resnet_50",
    "params": 25557032,
    "gflops": 8.18,
    "gflops_paper": 8.18,
    "epochs": 90,
    "seconds": 7200.0,
    "seed": 3,
    "smoke": False,
    "metrics": {
        "test": {"accuracy": 0.7641, "top_5_accuracy": 0.931, "loss": 1.0, "images": 50}
    },
    "hardware": {"devices": ["V100", "V100"], "cores": 8},
}
EXPERIMENT = "experiments/imagenet/resnet_50.yaml"


@pytest.fixture
def workdir(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(RESULT))
    (folder / "config.yaml").write_text(config.dump(config.load(EXPERIMENT)))
    return folder


def test_a_finished_run_is_collected_with_the_rows_it_reproduces(workdir, tmp_path):
    (path,) = report.collect([workdir], tmp_path / "results")
    assert path.name == "resnet_50-seed3.json"
    (run,) = report.load_results(tmp_path / "results")
    rows = [(row["table"], row["row"]) for row in run["paper"]]
    assert rows == [(2, "ResNet-50"), (3, "ResNet-50"), (6, "0")]


def test_smoke_runs_and_unfinished_ones_are_refused(workdir, tmp_path):
    (workdir / "result.json").write_text(json.dumps({**RESULT, "smoke": True}))
    with pytest.raises(ValueError, match="a smoke run"):
        report.collect([workdir], tmp_path / "results")
    with pytest.raises(ValueError, match=r"no result\.json"):
        report.collect([tmp_path], tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_measured_numbers_stand_beside_their_rows(workdir, tmp_path):
    report.collect([workdir], tmp_path / "results")
    runs = report.load_results(tmp_path / "results")
    row = {
        "table": 3,
        "row": "ResNet-50",
        "experiment": EXPERIMENT,
        "params_m": 25.557,
        "gflops_paper": 8.178,
        "paper": {"top1": 76.4, "top5": 93.1, "marks": {"top1": "V", "top5": "M"}},
        "note": None,
    }
    last = report.rows_as_markdown([row], runs).splitlines()[-1]
    assert last == (
        "| ResNet-50 | top1 76.4, top5 93.1 (unverified) | 25.557 M, 8.178 GFLOPs "
        "| top-1 76.41, top-5 93.10 (seed 3) |  |"
    )
    assert f"aa-keras train {EXPERIMENT}" in report.rows_as_markdown([row])
    assert "| 25,557,032 | 8.18 | top-1 76.41, top-5 93.10 | 120.0 | V100, V100 |" in (
        report.runs_as_markdown(runs)
    )


def test_a_section_of_a_page_is_replaced_and_nothing_else():
    page = "a\n<!-- runs -->\nold\n<!-- /runs -->\nb\n"
    new = report.replace_section(page, "runs", "new \\1")
    assert new == "a\n<!-- runs -->\nnew \\1\n<!-- /runs -->\nb\n"
    assert report.replace_section(new, "runs", "new \\1") == new
    with pytest.raises(ValueError, match="found 0 sections 'other'"):
        report.replace_section(page, "other", "")


def test_summary_lines():
    text = report.summary_as_text(report.summarize(config.load(EXPERIMENT)))
    # 25,557,032: the ResNet-50 of torchvision and of every other code base.
    assert "25,557,032" in text
    assert "table 3, ResNet-50: params_m 25.6 (-0.043), gflops 8.2 (-0.022)" in text
