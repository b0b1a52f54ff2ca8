"""Every row of a paper's tables with the counts of the network that is built."""

import functools
import json
from collections.abc import Mapping
from typing import Any

import yaml

from aa_keras import counting, keras_internals, models
from aa_keras.config import shipped
from aa_keras.paper import facts


def table_rows(
    table=None, experiments=None, paper: str = facts.MAIN_PAPER
) -> list[dict[str, Any]]:
    """Returns the rows of a paper's tables with the counts of the built networks.

    Each distinct network is built once, without values for its weights.

    Args:
        table: int, the only table wanted. Defaults to `None`, all tables.
        experiments: path of a folder of experiment files. Defaults to `None`, those
            that come with the package.
        paper: str, as of `facts.rows`.

    Returns:
        A list of dicts of plain values: `table`, `row`, `experiment` (as a CONFIG of
        `aa-keras train`, or `None`), `params_m`, `gflops_paper` (as that paper counts),
        `gflops`, `paper` (the printed numbers, and `marks`), `note`. A point of a
        figure also has `figure`.
    """
    numbers = facts.table_numbers(paper)
    if table is not None and table not in numbers:
        raise ValueError(f"table: received {table!r}; allowed: one of {numbers}")
    found = find_experiments(experiments, paper)
    return [
        {
            "table": row.table,
            **({} if row.figure is None else {"figure": row.figure}),
            "row": row.row,
            "experiment": found.get((row.table, row.row, row.figure)),
            **_counts(row),
            "paper": {**row.paper, "marks": dict(row.marks)},
            "note": row.note,
        }
        for row in facts.rows(paper)
        if table in (None, row.table)
    ]


def find_experiments(
    folder=None, paper: str = facts.MAIN_PAPER
) -> dict[tuple[int, str, int | None], str]:
    """Returns from (table, row, figure) the first file that lists it under `paper:`.

    Args:
        folder: path; files are taken in the order of paths, with those of subfolders.
            Defaults to `None`, the experiments that come with the package.
        paper: str, as of `facts.rows`.
    """
    found: dict[tuple[int, str, int | None], str] = {}
    for name, path in shipped.experiment_files(folder).items():
        content = yaml.safe_load(path.read_text("utf-8"))
        listed = content.get("paper") if isinstance(content, dict) else None
        for entry in listed or ():
            if entry.get("paper", facts.MAIN_PAPER) != paper:
                continue
            key = (entry.get("table"), str(entry.get("row")), entry.get("figure"))
            found.setdefault(key, name)
    return found


def network_counts(model: Mapping[str, Any]) -> counting.Counts:
    """Returns the counts of a `models.build(**model)`; each is built once a process."""
    return _network_counts(json.dumps(model, sort_keys=True))


@functools.cache
def _network_counts(model):
    with keras_internals.variables_without_values():
        return counting.count(models.build(**json.loads(model)))


def _counts(row):
    counts = network_counts(row.model)
    return {
        "params_m": counts.params / 1e6,
        "gflops_paper": getattr(counts, row.counted),
        "gflops": counts.gflops,
    }
