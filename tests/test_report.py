"""Collected results and the tables written from them."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from aa_keras import config
from aa_keras.paper import collection, comparison, paper_figures, report, summary
from aa_keras.workdir import WorkDir

FOLDER = "experiments/imagenet"
EXPERIMENT = f"{FOLDER}/resnet_50.yaml"
PROCESS = {
    "versions": {"keras": "3.15.1"},
    "git_revision": "abc",
    "hardware": {"devices": ["V100", "V100"], "cores": 8},
}
RESULT = {
    "params": 25557032,
    "gflops": 8.18,
    "gflops_paper": 8.18,
    "epochs": 90,
    "seconds": 7200.0,
    "metrics": {
        "test": {"accuracy": 0.7641, "top_5_accuracy": 0.931, "loss": 1.0, "images": 50}
    },
    "processes": [PROCESS],
    "configuration": "0123",
}
ROW = {
    "table": 3,
    "row": "ResNet-50",
    "experiment": EXPERIMENT,
    "params_m": 25.557,
    "gflops_paper": 8.178,
    "paper": {"top1": 76.4, "top5": 93.1, "marks": {"top1": "V", "top5": "M"}},
    "note": None,
}


@pytest.fixture
def finished(tmp_path):
    """A function that writes the work directory of a finished run."""

    def write(*overrides, experiment=EXPERIMENT, **fields):
        workdir = WorkDir(tmp_path / f"run{len(list(tmp_path.iterdir()))}")
        workdir.path.mkdir()
        experiment = config.load(experiment, overrides)
        named = {"name": experiment.name, "seed": experiment.train.seed}
        workdir.write_config(experiment)
        workdir.write_result({**RESULT, **named, **fields})
        return workdir.path

    return write


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def measured(results):
    """The last cell but one of the paper's row, and the table of all runs."""
    runs = collection.load_results(results)
    row = report.rows_as_markdown([ROW], runs).splitlines()[-1]
    return row.split(" | ")[3], report.runs_as_markdown(runs)


def test_a_run_of_the_rows_file_counts_for_the_row(finished, results):
    # What changes no result may differ; an option may be written out or left open.
    housekeeping = ("data.data_dir=/elsewhere", "train.keep_checkpoints=1")
    run = finished("name=mine", "train.seed=3", "model.dropout=0.0", *housekeeping)
    (path,) = collection.collect([run], results)
    assert path.name == "mine-seed3.json"
    cell, table = measured(results)
    assert cell == "top-1 76.41, top-5 93.10 (seed 3)"
    counts, metrics = "25,557,032 | 8.18", "top-1 76.41, top-5 93.10"
    assert table.endswith(f"| {counts} | {metrics} | 120.0 | V100, V100 |  |")
    assert "top5 93.1 (unverified)" in report.rows_as_markdown([ROW])
    assert f"aa-keras train {EXPERIMENT}" in report.rows_as_markdown([ROW])


def test_a_run_of_another_configuration_stands_under_other_runs(finished, results):
    collection.collect([finished("data.name=digits", "train.epochs=1")], results)
    cell, table = measured(results)
    assert cell.startswith("not run")
    data, epochs = "'imagenet2012' there, 'digits' here", "100 there, 1 here"
    changes = f"data.name ({data}), train.epochs ({epochs})"
    assert f"differs from `{EXPERIMENT}`: {changes} |" in table


def test_options_left_open_equal_the_familys_values(finished, results):
    attentive = f"{FOLDER}/aa_resnet_50.yaml"
    written, other = "model.attention.num_heads=8", "model.attention.num_heads=4"
    collection.collect([finished(written, experiment=attentive)], results)
    collection.collect([finished(other, "name=b", experiment=attentive)], results)
    same, changed = collection.load_results(results)
    assert same["reproduces"] == attentive
    assert same["experiment"]["model"]["attention"]["key_ratio"] == 0.2
    assert changed["reproduces"] is None
    assert "model.attention.num_heads (8 there, 4 here)" in changed["notes"][0]


def test_a_clash_of_names_is_an_error(finished, results):
    first, second = finished(), finished("train.epochs=1")
    with pytest.raises(ValueError, match=r"train\.epochs \(100 there, 1 here\)"):
        collection.collect([first, second], results)
    assert not results.exists()
    (path,) = collection.collect([first], results)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"resnet_50-seed0\.json is of another"):
        collection.collect([finished("name=other"), second], results)
    assert path.read_bytes() == before
    assert list(results.iterdir()) == [path]
    assert collection.collect([first, finished("train.seed=1")], results)[0] == path
    path.write_text("{")
    with pytest.raises(ValueError, match=r"resnet_50-seed0\.json: damaged: "):
        collection.load_results(results)


def test_what_cannot_be_collected_is_refused(finished, results, tmp_path):
    with pytest.raises(ValueError, match="a smoke run"):
        collection.collect([finished(), finished("smoke=true")], results)
    with pytest.raises(ValueError, match=r"no result\.json"):
        collection.collect([tmp_path], results)
    outside = finished()
    text = (outside / "config.yaml").read_text()
    (outside / "config.yaml").write_text(text.replace("resnet_50", "../../x", 1))
    with pytest.raises(ValueError, match=r"received '\.\./\.\./x'; allowed: lett"):
        collection.collect([outside], results)
    assert not results.exists()


def test_a_run_of_several_versions_is_marked(finished, results):
    processes = [PROCESS, {**PROCESS, "git_revision": "def"}]
    collection.collect([finished(processes=processes)], results)
    cell, table = measured(results)
    assert cell == "top-1 76.41, top-5 93.10 (seed 0, mixed)"
    assert table.endswith("| V100, V100 | mixed |")


def test_the_report_lists_both_kinds_of_runs(finished, results, tmp_path, monkeypatch):
    rows = {"attention-augmented": [ROW], "stand-alone": [{**ROW, "table": 1}]}
    monkeypatch.setattr(report.tables, "table_rows", lambda paper: rows[paper])
    page = tmp_path / "README.md"
    page.write_text("a\n<!-- runs -->\nold\n<!-- /runs -->\nb\n")
    collection.collect([finished(), finished("name=short", "train.epochs=1")], results)
    path = report.write_report(results, readme=page)
    runs, others = path.read_text().split("## Other runs")
    assert "| resnet_50 | 0 | 90 |" in runs
    others, table = others.split("## Table 3")
    assert "\n## Stand-alone self-attention, Table 1. ImageNet" in table
    assert "| short | 0 | 90 |" in others
    assert "top-1 76.41, top-5 93.10 (seed 0)" in table
    row = "| resnet_50 | 25,557,032 | 90 | 1 | test | 76.41 |  |  |"
    assert row in path.read_text()
    assert row in page.read_text()
    assert "short" not in page.read_text()
    # A page may choose.
    chosen = "<!-- runs: resnet_50 -->\nold\n<!-- /runs -->\n"
    page.write_text(chosen)
    report.write_report(results, readme=page)
    assert page.read_text().splitlines()[-2:] == [row, "<!-- /runs -->"]
    page.write_text(chosen.replace("resnet_50", "resnet_50 other"))
    with pytest.raises(ValueError, match=r"names 'other'; allowed: resnet_50$"):
        report.write_report(results, readme=page)


def test_seeds_are_one_row_beside_that_of_the_baseline(finished, results):
    small = "experiments/small/{}_resnet_20.yaml"
    scores = {"cifar100_aa": (0.61, 0.63, 0.62, 0.66), "cifar100": (0.60, 0.61, 0.59)}
    runs = [
        finished(
            f"train.seed={seed}",
            experiment=small.format(stem),
            metrics={"test": {"accuracy": accuracy}},
        )
        for stem, accuracies in scores.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    for run in runs:
        (run / "metrics.csv").write_text("epoch,accuracy,seconds\n1,0.3,2\n2,0.5,4\n")
    collection.collect(runs, results)
    collected = collection.load_results(results)
    augmented, plain = comparison.group(collected)
    # Welch's test, from its formulas.
    a, b = (np.array(scores[stem]) for stem in scores)
    errors = [x.var(ddof=1) / len(x) for x in (a, b)]
    error = np.sqrt(sum(errors))
    freedom = error**4 / (errors[0] ** 2 / 3 + errors[1] ** 2 / 2)
    difference = a.mean() - b.mean()
    half = stats.t.ppf(0.975, freedom) * error
    p = 2 * stats.t.sf(difference / error, freedom)
    expected = (difference, difference - half, difference + half, p)
    np.testing.assert_allclose(augmented.difference, expected)
    assert plain.difference is None
    measured = {"validation": {"accuracy": 0.6}}
    others = [
        run | {"metrics": measured} if run["name"] == plain.name else run
        for run in collected
    ]
    assert [group.difference for group in comparison.group(others)] == [None, None]
    assert augmented.curves == 4 * [[0.3, 0.5]]
    # Seeds are compared on a split that all of them have.
    some = [run | {"metrics": {**measured, **run["metrics"]}} for run in collected]
    some[0] = some[0] | {"metrics": measured}
    assert [(g.split, len(g.scores)) for g in comparison.group(some)] == [
        ("validation", 4),
        ("test", 3),
    ]
    some[0] = some[0] | {"metrics": {"train": {"accuracy": 0.7}}}
    with pytest.raises(ValueError, match=r"cifar100_aa_.*different splits; allowed"):
        comparison.group(some)
    first, second = report.groups_as_markdown([augmented, plain]).splitlines()[2:]
    interval = f"+3.00 [{100 * expected[1]:+.2f}, {100 * expected[2]:+.2f}], p {p:.2g}"
    assert first == (
        "| cifar100_aa_resnet_20 | 25,557,032 | 90 | 4 | test | 63.00 ± 2.16 | "
        f"cifar100_resnet_20 | {interval} |"
    )
    assert second.endswith("| 3 | test | 60.00 ± 1.00 |  |  |")
    compared = comparison.series([augmented, plain])
    assert compared == {"cifar100": [augmented, plain]}
    trial = augmented._replace(split="validation")
    assert comparison.series([trial, augmented, plain]) == compared
    assert comparison.series([trial]) == {"cifar100": [trial]}
    for draw in paper_figures.COMPARISONS.values():
        (axis,) = draw(compared["cifar100"]).axes
        labels = [text.get_text() for text in axis.get_legend().get_texts()]
        assert [label.split()[0] for label in labels] == [augmented.name, plain.name]
        figure = draw(5 * [augmented, plain])  # a long legend covers no point
        figure.canvas.draw()
        (axis,) = figure.axes
        legend = axis.get_legend().get_window_extent()
        assert legend.x0 >= axis.get_window_extent().x1
    report._figures([augmented, plain], collected, results)
    text = Image.open(results / "cifar100_by_epoch.png").text
    assert text["Run"].split(", ") == [
        path.stem for path in sorted(results.glob("*.json"))
    ]
    assert text["Configuration"] == ", ".join(["0123"] * 7)


def test_one_seed_has_no_interval():
    difference = comparison.compare([0.7], [0.6, 0.61])
    assert difference.mean == pytest.approx(0.095)
    assert np.isnan(difference[1:]).all()
    assert report._difference(difference) == "+9.50"


def test_a_section_of_a_page_is_replaced_and_nothing_else():
    page = "a\n<!-- runs -->\nold\n<!-- /runs -->\nb\n"
    new = report.replace_section(page, "runs", "new \\1")
    assert new == "a\n<!-- runs -->\nnew \\1\n<!-- /runs -->\nb\n"
    assert report.replace_section(new, "runs", "new \\1") == new
    with pytest.raises(ValueError, match="found 0 sections 'other'"):
        report.replace_section(page, "other", "")


def test_summary_lines():
    counted = summary.summarize(config.load(f"{FOLDER}/aa_resnet_50.yaml"))
    text = summary.summary_as_text(counted)
    # The file leaves the paper's ratios open; 8 heads: section 4 of the paper.
    assert counted["options"]["attention"]["num_heads"] == 8
    assert "attention     key_ratio 0.2, value_ratio 0.1, num_heads 8" in text
    assert "network       name resnet, classes 1000, depth 50" in text
    claim = "AA-ResNet-50: params_m 25.8 (+0.009), gflops 8.3 (+0.026)"
    assert f"  paper, table 3, {claim}" in text
    alone = summary.summarize(config.load("experiments/stand_alone/sa_resnet_26.yaml"))
    claim = "params_m 10.3 (+0.031), gflops 4.5 (-0.016)"  # 2 a multiply-add
    row = "ResNet-26 convolution stem + attention"
    text = summary.summary_as_text(alone)
    assert f"  stand-alone, table 1, {row}: {claim}" in text
    plain = summary.summarize(config.load(EXPERIMENT))
    # The ResNet-50 of torchvision and of every other code base.
    assert plain["params"] == 25557032
    assert json.loads(json.dumps(plain)) == plain


def test_rows_that_share_a_note_stand_before_it_once():
    noted = {"a": "One.", "b": None, "c": "One.", "d": "Two."}
    rows = [{**ROW, "row": row, "note": note} for row, note in noted.items()]
    cells, notes = report.rows_for_terminal(rows)
    assert [cell["row"] for cell in cells] == ["a", "b", "c", "d"]
    assert notes == ["a, c: One.", "d: Two."]
