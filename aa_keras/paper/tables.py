"""Every row of the paper's tables beside what this code builds."""

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
        table: number of the only table wanted, 1 to 8.
        experiments: folder of experiment files. A row's experiment is the first file,
            in the order of paths, whose `paper:` names it.

    Returns:
        A list of dicts of plain values: `table`, `row`, `experiment` (path or `None`),
        `params_m`, `gflops_paper`, `gflops` (`None` where the network is not built),
        `paper` (the printed numbers, and `marks`), `note`; a point of a figure also
        has `figure`.

    Raises:
        ValueError: if there is no such table.
    """
    numbers = sorted({row.table for row in facts.rows()})
    if table is not None and table not in numbers:
        raise ValueError(f"table must be one of {numbers}; received {table!r}")
    found = find_experiments(experiments)
    return [
        _describe(row, found.get((row.table, row.row, row.figure)))
        for row in facts.rows()
        if table in (None, row.table)
    ]


def find_experiments(folder) -> dict[tuple[int, str, int | None], str]:
    """Returns the experiment file of each row that one names under `paper:`.

    Args:
        folder: a folder of experiment files, searched with all folders in it. A file
            that is no mapping, or has no `paper:`, names no row.

    Returns:
        Dict from (table, row, figure) to a path.
    """
    found = {}
    for path in sorted(Path(folder).rglob("*.yaml")):
        content = yaml.safe_load(path.read_text("utf-8"))
        named = content.get("paper") if isinstance(content, dict) else None
        for entry in named or ():
            key = (entry.get("table"), str(entry.get("row")), entry.get("figure"))
            found.setdefault(key, path.as_posix())
    return found


def _describe(row, experiment):
    params_m = gflops_paper = gflops = None
    if row.model is not None:
        counts = network_counts(row.model)
        params_m = round(counts.params / 1e6, 3)
        gflops_paper = round(counts.gflops_paper, 3)
        gflops = round(counts.gflops, 3)
    described = {"table": row.table}
    if row.figure is not None:
        described["figure"] = row.figure
    return {
        **described,
        "row": row.row,
        "experiment": experiment,
        "params_m": params_m,
        "gflops_paper": gflops_paper,
        "gflops": gflops,
        "paper": {**row.paper, "marks": dict(row.marks)},
        "note": row.note,
    }


def network_counts(model: Mapping[str, Any]) -> counting.Counts:
    """Returns the counts of a network; each distinct one is built once a process.

    Args:
        model: the arguments of `aa_keras.models.build`, as plain values.
    """
    return _network_counts(json.dumps(model, sort_keys=True))


@functools.cache
def _network_counts(model):
    return counting.count(models.build(**json.loads(model)))
