"""The paper's rows and numbers, from the facts file `paper.yaml`."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table of the paper, or one point of a figure.

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
    """

    table: int
    row: str
    figure: int | None
    model: Mapping[str, Any]
    paper: Mapping[str, float]
    marks: Mapping[str, str]
    exact: Mapping[str, float]
    note: str | None


@functools.cache
def read_facts() -> dict[str, Any]:
    """Returns the content of the facts file."""
    return yaml.safe_load(Path(__file__).with_name("paper.yaml").read_text("utf-8"))


@functools.cache
def rows() -> tuple[Row, ...]:
    """Returns every row of Tables 1 to 8 and every point of Figure 5, in order."""
    return tuple(
        _row(table, row) for table in read_facts()["tables"] for row in table["rows"]
    )


def find_row(table: int, row: str | float, figure: int | None = None) -> Row:
    """Returns one row; a ValueError if the paper has no such row.

    Args:
        table: int, the number of the table.
        row: str, the first column of the row, or a number that stands for it.
        figure: int, of a point of a figure. Defaults to `None`, a row of the table.
    """
    in_table = [r for r in rows() if r.table == table]
    if not in_table:
        raise ValueError(f"table: received {table!r}; allowed: 1 to 8")
    for candidate in in_table:
        if candidate.row == str(row) and candidate.figure == figure:
            return candidate
    of_figure = f" of figure {figure}" if figure else ""
    raise ValueError(
        f"row{of_figure}: received {row!r}; allowed in table {table}: "
        f"{[r.row for r in in_table]}"
    )


def title(table: int) -> str:
    """Returns the heading of a table.

    Args:
        table: int, the number of the table.
    """
    return next(t["title"] for t in read_facts()["tables"] if t["table"] == table)


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
    )
