"""Collected results, and the tables written from them."""

import contextlib
import json
import re
import shlex
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aa_keras import config, counting, models
from aa_keras.data.sources import num_channels
from aa_keras.paper import comparison, facts, paper_figures, tables
from aa_keras.whole_writes import whole_file, write_json, write_text
from aa_keras.workdir import WorkDir

# Runs that differ in these alone are runs of one configuration.
UNCHANGING_KEYS = frozenset(
    {"name", "paper", "baseline", "train.seed"}
    | config.PATH_KEYS
    | config.HOUSEKEEPING_KEYS
)

HOW_TO_READ = (
    "Mean and standard deviation over seeds, in percent. The difference is that of the "
    "means, with its 95 % interval and p by Welch's t-test."
)


def summarize(experiment: config.Experiment) -> dict[str, Any]:
    """Returns the counts of an experiment's network beside the paper's.

    `options` are the network's, with the family's values. `paper` lists the rows that
    the experiment reproduces, with the `claimed` numbers and the `difference` of what
    is built (parameters in millions, GFLOPs as the paper counts them).
    """
    size, channels = experiment.data.image_size, num_channels(experiment.data.name)
    network = experiment.model.model_dump(exclude_none=True)
    cost = counting.count(models.build(input_shape=(size, size, channels), **network))
    built = {"params_m": cost.params / 1e6, "gflops": cost.gflops_paper}
    claims = []
    for entry in experiment.paper:
        claimed = dict(facts.find_row(entry.table, entry.row, entry.figure).paper)
        shared = [key for key in built if key in claimed]
        difference = {key: round(built[key] - claimed[key], 3) for key in shared}
        row = entry.model_dump(exclude_none=True)
        claims.append({**row, "claimed": claimed, "difference": difference})
    return {
        "name": experiment.name,
        "options": models.resolved_options(**network),
        **cost._asdict(),
        "paper": claims,
    }


def summary_as_text(summary: dict[str, Any]) -> str:
    """Returns `summarize`'s dict as lines for the console."""
    options = dict(summary["options"])
    parts = {"attention": options.pop("attention", None) or {}, "network": options}
    lines = [
        summary["name"],
        *(
            f"  {part:13} "
            + ", ".join(f"{k} {v}" for k, v in values.items() if v is not None)
            for part, values in parts.items()
            if values
        ),
        f"  parameters    {summary['params']:,}",
        f"  gflops_paper  {summary['gflops_paper']:.4g}"
        "   (a multiply-add is 2 in convolutions, 1 in attention)",
        f"  gflops        {summary['gflops']:.4g}   (2 everywhere)",
    ]
    for claim in summary["paper"]:
        numbers = ", ".join(
            f"{key} {claim['claimed'][key]} ({difference:+.3f})"
            for key, difference in claim["difference"].items()
        )
        kind = "figure" if "figure" in claim else "table"
        place = f"{kind} {claim[kind]}"
        lines.append(f"  paper, {place}, {claim['row']}: {numbers or 'no count'}")
    return "\n".join(lines)


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


def load_results(results="results", experiments="experiments") -> list[dict[str, Any]]:
    """Returns the collected results, each compared with the experiment files.

    Each has three fields more: `reproduces`, the path of the file of the same
    configuration, or `None`; `baseline`, the name of the experiment which that file
    is compared with, or `None`; and `notes`, a list of str: how the run differs from
    the file that is most like it, and "mixed" if different versions or revisions
    trained it.
    """
    files = {}
    for path in sorted(Path(experiments).rglob("*.yaml")):
        # A fragment that is the `base:` of others is no experiment by itself.
        with contextlib.suppress(config.ConfigError):
            files[path.as_posix()] = config.resolve(config.load(path))
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


def write_report(
    results="results", experiments="experiments", readme="README.md"
) -> Path:
    """Writes RESULTS.md: the paper beside what is built and what was measured.

    The table of experiments also replaces the one in the README, if there is a README.
    """
    runs = load_results(results, experiments)
    finished = [run for run in runs if run["reproduces"]]
    groups = comparison.group(finished)
    summary = groups_as_markdown(groups)
    others = [run for run in runs if not run["reproduces"]]
    parts = [
        "# Results",
        "Written by `aa-keras report`; do not edit. *built* are the counts of this "
        "code's network, *measured* the metrics of finished runs on the whole test "
        "split.",
        f"## Experiments\n\n{summary}\n\n{HOW_TO_READ}",
        *_figures(groups, Path(results)),
        f"## Runs\n\n{runs_as_markdown(finished)}",
    ]
    if others:
        parts.append(f"## Other runs\n\n{runs_as_markdown(others)}")
    rows = tables.table_rows(experiments=experiments)
    for number in sorted({row["table"] for row in rows}):
        part = [row for row in rows if row["table"] == number]
        parts.append(f"## Table {number}. {facts.title(number)}")
        parts.append(rows_as_markdown(part, runs))
    path = Path(results) / "RESULTS.md"
    write_text(path, "\n\n".join(parts) + "\n")
    page = Path(readme)
    if page.is_file():
        write_text(page, replace_section(page.read_text("utf-8"), "runs", summary))
    return path


def groups_as_markdown(groups) -> str:
    """Returns a table of experiments: the mean over seeds, beside that of a baseline.

    `groups` are those of `comparison.group`.
    """
    if not groups:
        return "No run has been collected yet: `aa-keras report WORKDIR ...`."
    return _markdown(
        {
            "experiment": group.name,
            "parameters": f"{group.params:,}",
            "epochs": group.epochs,
            "seeds": len(group.scores),
            "split": group.split,
            "accuracy": _spread(group.scores),
            "against": group.baseline or "",
            "difference": _difference(group.difference),
        }
        for group in groups
    )


def _spread(scores):
    mean = f"{100 * statistics.mean(scores):.2f}"
    return f"{mean} ± {100 * statistics.stdev(scores):.2f}" if scores[1:] else mean


def _difference(difference):
    if difference is None:
        return ""
    mean, low, high, p = difference
    interval = f" [{100 * low:+.2f}, {100 * high:+.2f}], p {p:.2g}" if p == p else ""
    return f"{100 * mean:+.2f}{interval}"


def _figures(groups, results):
    """Draws the experiments of each data set that are compared, one link a figure."""
    links = []
    for data, compared in comparison.series(groups).items():
        for kind, draw in paper_figures.COMPARISONS.items():
            name = f"{data}_{kind}.png"
            with whole_file(results / name) as unfinished:
                draw(compared, title=data).savefig(unfinished)
            links.append(f"![{data}, {kind.replace('_', ' ')}]({name})")
    return links


def runs_as_markdown(runs) -> str:
    """Returns a table of finished runs: what was measured, and on what."""
    if not runs:
        return "No run has been collected yet: `aa-keras report WORKDIR ...`."
    return _markdown(
        {
            "run": run["name"],
            "seed": run["seed"],
            "epochs": run["epochs"],
            "parameters": f"{run['params']:,}",
            "GFLOPs": f"{run['gflops']:.4g}",
            "measured": _measurements(run["metrics"]),
            "minutes": f"{run['seconds'] / 60:.1f}",
            "hardware": "; ".join(dict.fromkeys(map(_hardware, run["processes"]))),
            "note": "; ".join(run["notes"]),
        }
        for run in runs
    )


def rows_as_markdown(rows, runs=()) -> str:
    """Returns rows of the paper: claimed, built, measured, or how to measure it."""
    return _markdown(
        {
            "row": row["row"] + (" (Figure 5)" if row.get("figure") else ""),
            "paper": _claims(row["paper"]),
            "built": f"{row['params_m']} M, {row['gflops_paper']} GFLOPs",
            "measured": _measured(row, runs),
            "note": row["note"] or "",
        }
        for row in rows
    )


def replace_section(text: str, name: str, content: str) -> str:
    """Returns a page with new content between `<!-- name -->` and `<!-- /name -->`."""
    pattern = rf"(?s)(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    replaced, count = re.subn(pattern, lambda m: f"{m[1]}{content}\n{m[2]}", text)
    if count != 1:
        raise ValueError(f"found {count} sections {name!r}; allowed: one")
    return replaced


def _read(path):
    """A collected run and its configuration, `None` if that needs absent modules."""
    run = json.loads(path.read_text("utf-8"))
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


def _hardware(process):
    hardware = process["hardware"]
    return ", ".join(hardware["devices"]) or f"{hardware['cores']} cores"


def _claims(paper):
    words = {key: " (unverified)" for key, m in paper["marks"].items() if m == "M"}
    numbers = ((key, value) for key, value in paper.items() if key != "marks")
    return ", ".join(f"{key} {value}{words.get(key, '')}" for key, value in numbers)


def _read_history(run):
    """The accuracies of a run's epochs by column."""
    rows = run.read_history()
    columns = [key for key in ("accuracy", "val_accuracy") if rows and key in rows[0]]
    return {key: [round(float(row[key]), 5) for row in rows] for key in columns}


def _measurements(metrics):
    """What is reported: the test split, or else those that were measured."""
    if "test" in metrics:
        return _metrics(metrics["test"])
    return "; ".join(f"{split}: {_metrics(m)}" for split, m in metrics.items())


def _measured(row, runs):
    if row["experiment"] is None:
        return "no experiment"
    name = Path(row["experiment"]).stem
    command = f"aa-keras train {shlex.quote(row['experiment'])} --workdir runs/{name}"
    values = (
        f"{_measurements(run['metrics'])} "
        + "({})".format(", ".join([f"seed {run['seed']}", *run["notes"]]))
        for run in runs
        if run["reproduces"] == row["experiment"]
    )
    return "; ".join(values) or f"not run (needs accelerators for days): `{command}`"


def _metrics(metrics):
    names = {"accuracy": "top-1", "top_5_accuracy": "top-5"}
    return ", ".join(
        f"{names[key]} {100 * value:.2f}" if key in names else f"{key} {value:.4g}"
        for key, value in metrics.items()
        if key not in ("loss", "images", "cells")
    )


def _markdown(rows):
    """A table of dicts with equal keys, which are its columns."""
    rows = list(rows)
    lines = [rows[0], ["---"] * len(rows[0]), *(row.values() for row in rows)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
