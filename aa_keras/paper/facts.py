"""The papers' rows and numbers, from the facts file `paper.yaml`."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from aa_keras.config.schema import MAIN_PAPER

# The papers, and the key of each one's tables in the facts file.
PAPERS = {MAIN_PAPER: "tables", "stand-alone": "stand_alone"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table of a paper, or one point of a figure.

    A mark is the certainty of a printed number, letters of V (read verbatim), D
    (derived from the architecture) and M (remembered, unverified).

    Args:
        table: int, the number of the table.
        row: str, the text of its first column.
        figure: int, the number of the figure, or `None`.
        model: mapping, the arguments of `aa_keras.models.build`.
        paper: mapping from a name to a printed number.
        marks: mapping from the same names to marks.
        exact: mapping, the exact counts behind a D.
        note: str, why the built network differs from the printed one, or `None`.
        counted: str, the field of `aa_keras.counting.Counts` that the paper prints.
    """

    table: int
    row: str
    figure: int | None
    model: Mapping[str, Any]
    paper: Mapping[str, float]
    marks: Mapping[str, str]
    exact: Mapping[str, float]
    note: str | None
    counted: str


@functools.cache
def read_facts() -> dict[str, Any]:
    """Returns the content of the facts file."""
    return yaml.safe_load(Path(__file__).with_name("paper.yaml").read_text("utf-8"))


@functools.cache
def rows(paper: str = MAIN_PAPER) -> tuple[Row, ...]:
    """Returns every row of a paper's tables and every point of its figures, in order.

    Args:
        paper: str, `"attention-augmented"` or `"stand-alone"`. Defaults to the first.
    """
    return tuple(_row(table, row) for table in _tables(paper) for row in table["rows"])


def find_row(
    table: int, row: str | float, figure: int | None = None, paper: str = MAIN_PAPER
) -> Row:
    """Returns one row; a ValueError if the paper has no such row.

    Args:
        table: int, the number of the table.
        row: str, the first column of the row, or a number that stands for it.
        figure: int, of a point of a figure. Defaults to `None`, a row of the table.
        paper: str, as of `rows`.
    """
    numbers = table_numbers(paper)
    if table not in numbers:
        raise ValueError(f"table: received {table!r}; allowed: one of {numbers}")
    in_table = [r for r in rows(paper) if r.table == table]
    for candidate in in_table:
        if candidate.row == str(row) and candidate.figure == figure:
            return candidate
    of_figure = f" of figure {figure}" if figure else ""
    raise ValueError(
        f"row{of_figure}: received {row!r}; allowed in table {table}: "
        f"{[r.row for r in in_table]}"
    )


def table_numbers(paper: str = MAIN_PAPER) -> list[int]:
    """Returns the numbers of a paper's tables.

    Args:
        paper: str, as of `rows`.
    """
    return sorted({table["table"] for table in _tables(paper)})


def title(table: int, paper: str = MAIN_PAPER) -> str:
    """Returns the heading of a table.

    Args:
        table: int, the number of the table.
        paper: str, as of `rows`.
    """
    return next(t["title"] for t in _tables(paper) if t["table"] == table)


def _tables(paper):
    if paper not in PAPERS:
        raise ValueError(f"paper: received {paper!r}; allowed: {', '.join(PAPERS)}")
    return read_facts()[PAPERS[paper]]


def _row(table, row):
    marks = {**table["marks"], **row.get("marks", {})}
    return Row(
        table=table["table"],
        row=row["row"],
        figure=table.get("figure"),
        model={**table["model"], **row.get("model", {})},
        paper=row["paper"],
        marks={name: marks[name] for name in row["paper"]},
        exact=row.get("exact", {}),
        note=row.get("note"),
        counted=table.get("counted", "gflops_paper"),
    )
