"""What is built, row by row, against what the paper prints and what follows from it."""

import json
from pathlib import Path

import pytest
import yaml

from aa_keras import paper
from aa_keras.paper import facts
from aa_keras.paper.tables import find_experiments, network_counts, table_rows

ALL_ROWS = [row for name in facts.PAPERS for row in paper.rows(name)]


def row_id(row):
    return f"table {row.table} {row.row}"


def printed_numbers():
    """The numbers of all rows as the paper prints them: 6.10, not 6.1."""
    file = Path(facts.__file__).with_name("paper.yaml")
    content = yaml.load(file.read_text("utf-8"), Loader=yaml.BaseLoader)
    tables = (table for key in facts.PAPERS.values() for table in content[key])
    return [row["paper"] for table in tables for row in table["rows"]]


def agreements(row, printed):
    """Whether each count of a row has the digits of the paper, by its name."""
    counts = network_counts(row.model)
    built = {"params_m": counts.params / 1e6, "gflops": getattr(counts, row.counted)}
    return {
        name: f"{built[name]:.{len(printed[name].partition('.')[2])}f}" == printed[name]
        for name in built.keys() & printed.keys()
    }


@pytest.mark.parametrize("row", [row for row in ALL_ROWS if row.exact], ids=row_id)
def test_derived_counts(row):
    counts = network_counts(row.model)
    assert counts.params / 1e6 == pytest.approx(row.exact["params_m"], rel=0.002)
    if "gflops" in row.exact:
        built = getattr(counts, row.counted)
        assert built == pytest.approx(row.exact["gflops"], rel=0.01)


def test_counts_have_the_printed_digits_or_a_note_says_why_not():
    for row, printed in zip(ALL_ROWS, printed_numbers(), strict=True):
        agrees = agreements(row, printed)
        assert row.note or all(agrees.values()), (row_id(row), agrees)


def test_the_pages_say_how_many_counts_agree():
    agrees = [
        agreements(row, printed)
        for row, printed in zip(paper.rows(), printed_numbers(), strict=False)
    ]
    root = Path(__file__).parents[1]
    notebook = json.loads((root / "notebooks/paper_tables.ipynb").read_text("utf-8"))
    outputs = (o for cell in notebook["cells"] for o in cell.get("outputs", ()))
    text = "".join("".join(o.get("text", "")) for o in outputs)
    for name in ("params_m", "gflops"):
        of_rows = [row[name] for row in agrees if name in row]
        counts = f"{sum(of_rows)} of {len(of_rows)}"
        assert f"{name}: {counts} printed" in text
        for page in ("docs/paper.md", "README.md")[: 1 + (name == "params_m")]:
            words = (root / page).read_text("utf-8").replace("of the", "of")
            assert counts in " ".join(words.split()), page


def test_the_recipe_of_aa_wide_resnet_gives_other_counts_than_printed():
    counts = network_counts(paper.find_row(1, "AA-Wide-ResNet").model)
    assert counts.params / 1e6 == pytest.approx(36.05, abs=0.01)
    assert counts.gflops_paper == pytest.approx(11.40, abs=0.01)


def test_the_full_count_of_aa_resnet_50():
    counts = network_counts(paper.find_row(3, "AA-ResNet-50").model)
    assert counts.gflops == pytest.approx(8.43, abs=0.005)


def test_1x1_shortcuts_would_give_wide_resnet_other_parameters():
    """36.54 M, not the printed 36.3: the paper's shortcuts have no parameters."""
    counts = network_counts(paper.find_row(1, "Wide-ResNet").model)
    shortcuts = 16 * 160 + 160 * 320 + 320 * 640
    assert (counts.params + shortcuts) / 1e6 == pytest.approx(36.54, abs=0.005)


@pytest.fixture
def experiments(tmp_path):
    folder = tmp_path / "experiments"
    (folder / "imagenet").mkdir(parents=True)
    (folder / "small").mkdir()
    (folder / "imagenet" / "aa.yaml").write_text(
        "paper: [{table: 2, row: SE}, {table: 6, row: 0.25},"
        " {table: 6, row: 0.25 none, figure: 5},"
        " {paper: stand-alone, table: 1, row: ResNet-26 attention only}]\n"
    )
    (folder / "small" / "also.yaml").write_text("paper: [{table: 2, row: SE}]\n")
    (folder / "small" / "none.yaml").write_text("model: {name: resnet}\n")
    (folder / "small" / "list.yaml").write_text("[1, 2]\n")
    return folder


def test_experiments_are_found_by_the_rows_they_name(experiments):
    path = (experiments / "imagenet" / "aa.yaml").as_posix()
    assert find_experiments(experiments) == {
        (2, "SE", None): path,
        (6, "0.25", None): path,
        (6, "0.25 none", 5): path,
    }
    assert find_experiments(experiments, "stand-alone") == {
        (1, "ResNet-26 attention only", None): path
    }
    assert find_experiments(experiments / "missing") == {}


def test_rows_are_plain_values(experiments):
    rows = table_rows(2, experiments)
    assert json.loads(json.dumps(rows)) == rows
    assert [row["row"] for row in rows] == [
        "ResNet-50",
        "SE",
        "BAM",
        "CBAM",
        "GALA",
        "AA",
        "SE at 25.6 M",
        "CBAM at 25.6 M",
        "GALA at 25.6 M",
    ]
    assert rows[1] == {
        "table": 2,
        "row": "SE",
        "experiment": (experiments / "imagenet" / "aa.yaml").as_posix(),
        "params_m": pytest.approx(28.072, abs=5e-4),
        "gflops_paper": pytest.approx(8.183, abs=5e-4),
        "gflops": pytest.approx(8.183, abs=5e-4),
        "paper": {
            "params_m": 28.1,
            "inference_overhead": 12,
            "training_overhead": 92,
            "top1": 77.5,
            "marks": {
                "params_m": "D",
                "inference_overhead": "M",
                "training_overhead": "M",
                "top1": "M",
            },
        },
        "note": None,
    }
    for narrowed in rows[6:]:  # to the size of ResNet-50
        assert narrowed["params_m"] == pytest.approx(rows[0]["params_m"], abs=0.05)


def test_rows_of_the_other_paper_are_counted_as_it_counts(experiments):
    rows = table_rows(experiments=experiments, paper="stand-alone")
    assert [bool(row["experiment"]) for row in rows] == [False, False, True] + [
        False
    ] * 6
    # q . r and both products at 2 a multiply-add: more than the first paper counts.
    assert rows[1]["gflops_paper"] == rows[1]["gflops"]
    assert rows[1]["gflops"] == pytest.approx(4.484, abs=5e-4)


def test_points_of_the_figure_are_told_from_the_rows_of_the_table(experiments):
    rows = table_rows(6, experiments)
    assert [row.get("figure") for row in rows] == [None] * 5 + [5] * 4
    assert rows[1]["experiment"]
    assert rows[5]["experiment"]


def test_unknown_table(experiments):
    with pytest.raises(ValueError, match=r"table: received 9; allowed: one of"):
        table_rows(9, experiments)
