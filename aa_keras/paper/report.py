"""The tables written from collected results."""

import functools
import re
import shlex
import statistics
from pathlib import Path

from aa_keras.paper import comparison, facts, tables
from aa_keras.paper.collection import load_results
from aa_keras.plain_text import printable
from aa_keras.whole_writes import whole_file, write_text

NOT_RUN = "not run"
HOW_TO_READ = (
    "Mean and standard deviation over seeds, in percent. The difference is that of the "
    "means, with its 95 % interval and p by Welch's t-test."
)


def write_report(results="results", readme="README.md") -> Path:
    """Writes RESULTS.md: the paper beside what is built and what was measured.

    Args:
        results: path of the folder of collected results, in which it is written.
        readme: path of a page. Its section `runs`, if it has one, gets the table of
            experiments. `<!-- runs: NAME NAME -->` takes those of these names alone.

    Raises:
        ValueError: if the page names an experiment that has no finished run.
    """
    runs = load_results(results)
    finished = [run for run in runs if run["reproduces"]]
    groups = comparison.group(finished)
    summary = groups_as_markdown(groups)
    others = [run for run in runs if not run["reproduces"]]
    parts = [
        "# Results",
        "Written by `aa-keras report`; do not edit. *built* are the counts of this "
        "code's network, *measured* the metrics of finished runs on the whole test "
        "split, or on the split that is named.",
        f"## Experiments\n\n{summary}\n\n{HOW_TO_READ}",
        *_figures(groups, finished, Path(results)),
        f"## Runs\n\n{runs_as_markdown(finished)}",
    ]
    if others:
        parts.append(f"## Other runs\n\n{runs_as_markdown(others)}")
    for paper in facts.PAPERS:  # one after the other: both number their tables from 1
        is_main = paper == facts.MAIN_PAPER
        prefix = "" if is_main else f"{paper.capitalize()} self-attention, "
        rows = tables.table_rows(paper=paper)
        for number in sorted({row["table"] for row in rows}):
            part = [row for row in rows if row["table"] == number]
            parts.append(f"## {prefix}Table {number}. {facts.title(number, paper)}")
            parts.append(rows_as_markdown(part, runs))
    path = Path(results) / "RESULTS.md"
    write_text(path, "\n\n".join(parts) + "\n")
    page = Path(readme)
    text = page.read_text("utf-8") if page.is_file() else ""
    if section := re.search(r"<!-- (runs(: ([\w. ]+))?) -->", text):
        if section[3]:
            summary = groups_as_markdown(_chosen(groups, section[3].split(), page))
        write_text(page, replace_section(text, section[1], summary))
    return path


def _chosen(groups, names, page):
    by_name = {group.name: group for group in groups}
    for name in names:
        if name not in by_name:
            raise ValueError(
                f"{page}: its section runs names {name!r}; allowed: "
                f"{', '.join(by_name) or 'nothing, as no run is finished'}"
            )
    return [by_name[name] for name in names]


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


def _figures(groups, runs, results):
    """Draws the experiments of each data set that are compared, one link a figure."""
    # Here, as `tables` does without matplotlib.
    from aa_keras.paper import paper_figures
    from aa_keras.visualization.style import origin

    links = []
    for data, compared in comparison.series(groups).items():
        names = {group.name for group in compared}
        source = origin(*(run for run in runs if run["name"] in names))
        for kind, draw in paper_figures.COMPARISONS.items():
            name = f"{data}_{kind}.png"
            with whole_file(results / name) as unfinished:
                draw(compared, title=data).savefig(unfinished, metadata=source)
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
    return _markdown(map(functools.partial(_cells, runs=runs), rows))


def rows_for_terminal(rows, runs=()) -> tuple[list[dict[str, str]], list[str]]:
    """Returns the cells of narrow rows, and the notes that go below them."""
    cells = [_cells(row, runs) for row in rows]
    rows_of: dict[str, list[str]] = {}  # several rows share a note
    for row in cells:
        rows_of.setdefault(row["note"], []).append(row["row"])
    notes = [f"{', '.join(names)}: {note}" for note, names in rows_of.items() if note]
    for row in cells:
        del row["note"]
        if row["measured"].startswith(NOT_RUN):
            row["measured"] = NOT_RUN
    return cells, notes


def _cells(row, runs):
    return {
        "row": row["row"] + (" (Figure 5)" if row.get("figure") else ""),
        "paper": _claims(row["paper"]),
        "built": f"{row['params_m']:.3f} M, {row['gflops_paper']:.3f} GFLOPs",
        "measured": _measured(row, runs),
        "note": row["note"] or "",
    }


def replace_section(text: str, name: str, content: str) -> str:
    """Returns a page with new content between `<!-- name -->` and `<!-- /name -->`.

    What follows a colon in `name` is not repeated at the end of the section.
    """
    end = name.partition(":")[0]
    pattern = rf"(?s)(<!-- {re.escape(name)} -->\n).*?(<!-- /{end} -->)"
    replaced, count = re.subn(pattern, lambda m: f"{m[1]}{content}\n{m[2]}", text)
    if count != 1:
        raise ValueError(f"found {count} sections {name!r}; allowed: one")
    return replaced


def _hardware(process):
    hardware = process["hardware"]
    return ", ".join(hardware["devices"]) or f"{hardware['cores']} cores"


def _claims(paper):
    words = {key: " (unverified)" for key, m in paper["marks"].items() if m == "M"}
    numbers = ((key, value) for key, value in paper.items() if key != "marks")
    return ", ".join(f"{key} {value}{words.get(key, '')}" for key, value in numbers)


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
    return "; ".join(values) or f"{NOT_RUN} (needs accelerators for days): `{command}`"


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
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value):
    return printable(value).replace("|", "\\|")
