"""The facts file: whole, consistent, and the numbers that everything quotes."""

import pytest

from aa_keras import config, paper
from aa_keras.paper import facts

# (table, row, figure): numbers of the paper, typed here a second time.
LITERALS = {
    (1, "AA-Wide-ResNet", None): {"params_m": 36.2, "top1": 81.6, "top5": 95.2},
    (2, "AA", None): {"params_m": 24.3, "inference_overhead": 29, "top1": 77.7},
    (2, "GALA at 25.6 M", None): {"params_m": 25.6, "top1": 77.3},
    (3, "AA-ResNet-50", None): {"params_m": 25.8, "gflops": 8.3, "top1": 77.7},
    (4, "AA-MnasNet-1.4", None): {"params_m": 6.44, "gflops": 1.29, "top1": 77.7},
    (5, "AA-RetinaNet-101", None): {"params_m": 51.7, "gflops": 245, "map": 39.2},
    (6, "0.5", None): {"params_m": 22.3, "gflops": 7.3, "top1": 77.3},
    (6, "1.0 none", 5): {"top1": 71.1},
    (7, "AA-ResNet-50 none", None): {"top1": 77.5, "top5": 93.7},
    (8, "AA-RetinaNet-50 relative", None): {"map": 38.2, "map50": 56.5},
}
# Table 1 of "Stand-Alone Self-Attention in Vision Models": parameters, GFLOPs, top-1.
STAND_ALONE = {
    "convolution": ((13.7, 4.7, 74.5), (19.6, 6.5, 76.2), (25.6, 8.2, 76.9)),
    "convolution stem + attention": (
        (10.3, 4.5, 75.8),
        (14.1, 5.7, 77.1),
        (18.0, 7.0, 77.4),
    ),
    "attention only": ((10.3, 4.7, 74.8), (14.1, 6.0, 76.9), (18.0, 7.2, 77.6)),
}
ALL_ROWS = [row for name in facts.PAPERS for row in paper.rows(name)]


@pytest.mark.parametrize(("key", "numbers"), LITERALS.items())
def test_printed_numbers(key, numbers):
    row = paper.find_row(*key)
    assert numbers.items() <= row.paper.items()


def test_the_other_paper_has_a_table_of_its_own():
    expected = {
        f"ResNet-{depth} {kind}": numbers
        for kind, of_depths in STAND_ALONE.items()
        for depth, numbers in zip((26, 38, 50), of_depths, strict=True)
    }
    found = {row.row: tuple(row.paper.values()) for row in paper.rows("stand-alone")}
    assert found == expected
    assert {row.table for row in paper.rows("stand-alone")} == {1}
    assert paper.find_row(1, "ResNet-26 convolution", paper="stand-alone").row
    allowed = config.schema.PaperRow.model_fields["paper"].annotation.__args__
    assert [*facts.PAPERS] == [*allowed]


def test_every_table_has_all_its_rows():
    counts = {}
    for row in paper.rows():
        counts[row.table, row.figure] = counts.get((row.table, row.figure), 0) + 1
    assert counts == {
        (1, None): 4,
        (2, None): 9,
        (3, None): 12,
        (4, None): 8,
        (5, None): 6,
        (6, None): 5,
        (6, 5): 4,
        (7, None): 8,
        (8, None): 3,
    }
    names = [(row.table, row.row, row.figure) for row in paper.rows()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "row", ALL_ROWS, ids=lambda row: f"table {row.table} {row.row}"
)
def test_every_number_has_a_mark(row):
    assert set(row.marks) == set(row.paper)
    assert all(mark and set(mark) <= set("VDM") for mark in row.marks.values())
    assert all(isinstance(number, (int, float)) for number in row.paper.values())


def test_rows_of_the_same_network_agree():
    """ResNet-50 and AA-ResNet-50 stand in several tables, with one accuracy each."""
    for first, second in [
        ((3, "ResNet-50"), (6, "0")),
        ((3, "AA-ResNet-50"), (7, "AA-ResNet-50 relative")),
        ((3, "AA-ResNet-34"), (7, "AA-ResNet-34 relative")),
    ]:
        first, second = paper.find_row(*first), paper.find_row(*second)
        assert (first.paper["top1"], first.paper["top5"]) == (
            second.paper["top1"],
            second.paper["top5"],
        )
    detector, same = paper.find_row(5, "AA-RetinaNet-50"), paper.rows()[-1]
    assert {name: detector.paper[name] for name in same.paper} == same.paper


def test_a_number_as_row_means_its_text():
    assert paper.find_row(6, 0.25) is paper.find_row(6, "0.25")


def test_unknown_rows():
    with pytest.raises(ValueError, match=r"table: received 9; allowed: one of \[1, 2"):
        paper.find_row(9, "ResNet-50")
    with pytest.raises(ValueError, match=r"row: received 'WRN'; .*'Wide-ResNet'"):
        paper.find_row(1, "WRN")
    with pytest.raises(ValueError, match="paper: received 'x'; allowed: attention-au"):
        paper.rows("x")
    with pytest.raises(ValueError, match="of figure 5"):
        paper.find_row(6, "0.25", figure=5)
