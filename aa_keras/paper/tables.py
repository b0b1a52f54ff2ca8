"""Every row of the paper's tables with the counts of the network that is built."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from aa_keras import counting, models
from aa_keras.paper import facts


def table_rows(table=None, experiments="experiments") -> list[dict[str, Any]]:
    """Returns the rows of the paper's tables with the counts of the built networks.

    `table` is the only one wanted. Each distinct network is built once; all rows take a
    minute or two.

    Returns:
        A list of dicts of plain values: `table`, `row`, `experiment` (path or `None`),
        `params_m`, `gflops_paper`, `gflops`, `paper` (the printed numbers, and
        `marks`), `note`. A point of a figure also has `figure`.
    """
    numbers = sorted({row.table for row in facts.rows()})
    if table is not None and table not in numbers:
        raise ValueError(f"table: received {table!r}; allowed: one of {numbers}")
    found = find_experiments(experiments)
    return [
        {
            "table": row.table,
            **({} if row.figure is None else {"figure": row.figure}),
            "row": row.row,
            "experiment": found.get((row.table, row.row, row.figure)),
            **_rounded_counts(row.model),
            "paper": {**row.paper, "marks": dict(row.marks)},
            "note": row.note,
        }
        for row in facts.rows()
        if table in (None, row.table)
    ]


def find_experiments(folder) -> dict[tuple[int, str, int | None], str]:
    """Returns from (table, row, figure) the first file that lists it under `paper:`.

    Files are taken in the order of paths, with those of subfolders.
    """
    found: dict[tuple[int, str, int | None], str] = {}
    for path in sorted(Path(folder).rglob("*.yaml")):
        content = yaml.safe_load(path.read_text("utf-8"))
        listed = content.get("paper") if isinstance(content, dict) else None
        for entry in listed or ():
            key = (entry.get("table"), str(entry.get("row")), entry.get("figure"))
            found.setdefault(key, path.as_posix())
    return found


def network_counts(model: Mapping[str, Any]) -> counting.Counts:
    """Returns the counts of a `models.build(**model)`; each is built once a process."""
    return _network_counts(json.dumps(model, sort_keys=True))


@functools.cache
def _network_counts(model):
    return counting.count(models.build(**json.loads(model)))


def _rounded_counts(model):
    names = ("params_m", "gflops_paper", "gflops")
    params, *gflops = network_counts(model)
    numbers = (params / 1e6, *gflops)
    return {name: round(n, 3) for name, n in zip(names, numbers, strict=True)}
