"""Finished runs as JSON files in a folder of results."""

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aa_keras import config
from aa_keras.config import shipped
from aa_keras.whole_writes import write_json
from aa_keras.workdir import WorkDir

# Runs that differ in these alone are runs of one configuration.
UNCHANGING_KEYS = frozenset(
    {"name", "paper", "baseline", "train.seed"}
    | config.PATH_KEYS
    | config.HOUSEKEEPING_KEYS
)


def collect(workdirs: Iterable[str | Path], results="results") -> list[Path]:
    """Stores each finished run as a JSON file in a folder of results.

    A file holds the fields of the run's `result.json`; `history`, the accuracies of its
    epochs; and `experiment`, its resolved configuration with the family's value for
    each option that it leaves open. It replaces a file of the same name, seed and
    configuration.

    Returns:
        The paths of the files.

    Raises:
        ValueError: if a run is unfinished or a smoke run, or if another configuration
            is stored under its name and seed. Nothing is written then.
    """
    collected: dict[Path, tuple[dict[str, Any], config.Experiment]] = {}
    for run in map(WorkDir, workdirs):
        result = run.read_result()
        if result is None:
            raise ValueError(
                f"{run.path}: no result.json in it; allowed: the --workdir of a "
                "finished `aa-keras train`"
            )
        experiment = config.resolve(config.load(run.config))
        if experiment.smoke:
            raise ValueError(f"{run.path}: a smoke run; its numbers mean nothing")
        path = Path(results) / f"{experiment.name}-seed{experiment.train.seed}.json"
        if path in collected or path.exists():
            _, stored = collected.get(path) or _read(path)
            changed = stored and config.differences(stored, experiment, UNCHANGING_KEYS)
            if changed:
                raise ValueError(
                    f"{run.path}: {path} is of another configuration: "
                    f"{_describe(changed)}; allowed: one configuration per name"
                )
        values = config.without_paths(experiment)
        history = {"history": _read_history(run)}
        collected[path] = {**result, **history, "experiment": values}, experiment
    Path(results).mkdir(parents=True, exist_ok=True)
    for path, (values, _) in collected.items():
        write_json(path, values)
    return list(collected)


def load_results(results="results", experiments=None) -> list[dict[str, Any]]:
    """Returns the collected results, each compared with the experiment files.

    Each has three fields more: `reproduces`, the path of the file of the same
    configuration, or `None`; `baseline`, the name of the experiment which that file
    is compared with, or `None`; and `notes`, a list of str: how the run differs from
    the file that is most like it, and "mixed" if different versions or revisions
    trained it.
    """
    files = {}
    for name, path in shipped.experiment_files(experiments).items():
        # A fragment that is the `base:` of others is no experiment by itself.
        with contextlib.suppress(config.ConfigError):
            files[name] = config.resolve(config.load(path))
    runs = []
    for run, experiment in map(_read, sorted(Path(results).glob("*.json"))):
        file, differing = None, None
        if experiment:
            file, differing = _most_like(experiment, files)
        notes = [f"differs from `{file}`: {_describe(differing)}"] if differing else []
        first, *others = ((p["versions"], p["git_revision"]) for p in run["processes"])
        notes += ["mixed"] if any(other != first for other in others) else []
        reproduces = None if differing else file
        baseline = files[reproduces].baseline if reproduces else None
        more = {"reproduces": reproduces, "baseline": baseline, "notes": notes}
        runs.append({**run, **more})
    return runs


def _read(path):
    """A collected run and its configuration, `None` if that needs absent modules."""
    try:
        run = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: damaged: {error}; collect the run again") from None
    try:
        return run, config.parse(run["experiment"], path)
    except (KeyError, ValueError):
        if run.get("experiment", {}).get("import"):
            return run, None
        raise ValueError(
            f"{path}: its configuration cannot be read; collect the run again"
        ) from None


def _most_like(experiment, files):
    """The file that an experiment equals, else its namesake, else the closest one."""
    found = []
    for path, file in files.items():
        differing = config.differences(file, experiment, UNCHANGING_KEYS)
        is_other_name = file.name != experiment.name
        found.append((bool(differing), is_other_name, len(differing), path, differing))
    *_, path, differing = min(found, default=(None, {}))
    return path, differing


def _describe(differing):
    pairs = differing.items()
    return ", ".join(f"{key} ({a!r} there, {b!r} here)" for key, (a, b) in pairs)


def _read_history(run):
    """The accuracies of a run's epochs by column."""
    rows = run.read_history()
    columns = [key for key in ("accuracy", "val_accuracy") if rows and key in rows[0]]
    return {key: [round(float(row[key]), 5) for row in rows] for key in columns}
