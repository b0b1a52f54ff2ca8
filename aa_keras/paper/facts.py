"""The paper's rows and numbers, from the facts file `paper.yaml`."""

import dataclasses
import functools
import importlib.resources
from collections.abc import Mapping
from typing import Any

import yaml


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table of the paper, or one point of a figure.

    Args:
        table: number of the table, 1 to 8.
        row: what stands in its first column.
        figure: number of the figure that the point belongs to, or `None`.
        model: arguments of `aa_keras.models.build`, or `None` where it is not built.
        paper: the printed numbers, by name.
        marks: how sure each of them is, letters of V (read verbatim), D (derived from
            the architecture) and M (remembered, unverified).
        exact: the exact counts behind a D.
        note: why what is built differs from what is printed, or `None`.
    """

    table: int
    row: str
    figure: int | None
    model: Mapping[str, Any] | None
    paper: Mapping[str, float]
    marks: Mapping[str, str]
    exact: Mapping[str, float]
    note: str | None


@functools.cache
def read_facts() -> dict[str, Any]:
    """Returns the whole facts file."""
    text = (
        importlib.resources.files(__package__).joinpath("paper.yaml").read_text("utf-8")
    )
    return yaml.safe_load(text)


@functools.cache
def rows() -> tuple[Row, ...]:
    """Returns every row of Tables 1 to 8 and every point of Figure 5, in order."""
    return tuple(
        _row(table, row) for table in read_facts()["tables"] for row in table["rows"]
    )


def find_row(table: int, row: str, figure: int | None = None) -> Row:
    """Returns one row.

    Args:
        table: number of the table.
        row: what stands in its first column; a number stands for its text.
        figure: number of the figure, for a point of one.

    Raises:
        ValueError: if the paper has no such row.
    """
    in_table = [r for r in rows() if r.table == table]
    if not in_table:
        raise ValueError(f"table must be between 1 and 8; received {table!r}")
    for candidate in in_table:
        if candidate.row == str(row) and candidate.figure == figure:
            return candidate
    raise ValueError(
        f"row of table {table} must be one of {[r.row for r in in_table]}; "
        f"received {row!r}" + (f" of figure {figure}" if figure else "")
    )


def title(table: int) -> str:
    """Returns the heading of a table."""
    return next(t["title"] for t in read_facts()["tables"] if t["table"] == table)


def _row(table, row):
    if "model" in row and row["model"] is None:
        model = None
    else:
        model = {**table["model"], **row.get("model", {})}
    marks = {**table["marks"], **row.get("marks", {})}
    return Row(
        table=table["table"],
        row=row["row"],
        figure=table.get("figure"),
        model=model,
        paper=row["paper"],
        marks={name: marks[name] for name in row["paper"]},
        exact=row.get("exact", {}),
        note=row.get("note"),
    )
