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

    Each distinct network is built once; all rows take a minute or two.

    Args:
        table: int, the only table wanted, 1 to 8. Defaults to `None`, all tables.
        experiments: path of a folder of experiment files. A row's experiment is the
            first file, in the order of paths, whose `paper:` contains the row.

    Returns:
        A list of dicts of plain values: `table`, `row`, `experiment` (path or `None`),
        `params_m`, `gflops_paper`, `gflops` (`None` where the network is not built),
        `paper` (the printed numbers, and `marks`), `note`. A point of a figure also
        has `figure`.

    Raises:
        ValueError: if there is no such table.
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
    """Returns the experiment file of each row that one lists under `paper:`.

    Args:
        folder: path of a folder of experiment files, searched with all its subfolders.
            A file that is no mapping, or has no `paper:`, is skipped.

    Returns:
        Dict from (table, row, figure) to a path.
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
    """Returns the counts of a network; each distinct one is built once a process.

    Args:
        model: mapping, the arguments of `aa_keras.models.build` as plain values.
    """
    return _network_counts(json.dumps(model, sort_keys=True))


@functools.cache
def _network_counts(model):
    return counting.count(models.build(**json.loads(model)))


def _rounded_counts(model):
    if model is None:
        return {"params_m": None, "gflops_paper": None, "gflops": None}
    counts = network_counts(model)
    return {
        "params_m": round(counts.params / 1e6, 3),
        "gflops_paper": round(counts.gflops_paper, 3),
        "gflops": round(counts.gflops, 3),
    }
