"""What was run: collected results, and the tables that people read."""

import json
import re
import shlex
from pathlib import Path

from aa_keras import config, counting, models
from aa_keras.data.sources import num_channels
from aa_keras.paper import facts, tables

COUNTS = ("params_m", "gflops")


def summarize(experiment):
    """Counts of an experiment's network beside the paper's.

    Args:
        experiment: A `config.Experiment`.

    Returns:
        A dict of `name`, `params`, `gflops_paper`, `gflops`, and `paper`: a list of
        the rows that the experiment reproduces with the `claimed` numbers and the
        `difference` of what is built (parameters in millions; GFLOPs as the paper
        counts them).

    Raises:
        ValueError: If the network cannot be built, in one line.
    """
    size, channels = experiment.data.image_size, num_channels(experiment.data.name)
    network = experiment.model.model_dump(exclude_none=True)
    cost = counting.count(models.build(input_shape=(size, size, channels), **network))
    built = {"params_m": cost.params / 1e6, "gflops": cost.gflops_paper}
    claims = []
    for entry in experiment.paper:
        claimed = dict(facts.find_row(entry.table, entry.row, entry.figure).paper)
        claims.append(
            {
                **entry.model_dump(exclude_none=True),
                "claimed": claimed,
                "difference": {
                    key: round(built[key] - claimed[key], 3)
                    for key in COUNTS
                    if key in claimed
                },
            }
        )
    return {
        "name": experiment.name,
        "params": cost.params,
        "gflops_paper": cost.gflops_paper,
        "gflops": cost.gflops,
        "paper": claims,
    }


def summary_as_text(summary):
    """`summarize`'s dict as lines for the console."""
    lines = [
        summary["name"],
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
        where = f"figure {claim['figure']}" if "figure" in claim else "table"
        number = "" if "figure" in claim else f" {claim['table']}"
        numbers = numbers or "no count"
        lines.append(f"  paper, {where}{number}, {claim['row']}: {numbers}")
    return "\n".join(lines)


def collect(workdirs, results="results"):
    """Takes finished runs into a folder of results, one JSON each.

    Args:
        workdirs: Work directories.
        results: The folder.

    Returns:
        The paths written.

    Raises:
        ValueError: In one line, for a folder without a finished run, or one that was
            only a smoke test.
    """
    collected = []
    for workdir in map(Path, workdirs):
        result = _read_result(workdir)
        if result["smoke"]:
            raise ValueError(f"{workdir}: a smoke run; its numbers mean nothing")
        experiment = config.load(workdir / "config.yaml")
        rows = [row.model_dump(exclude_none=True) for row in experiment.paper]
        collected.append({**result, "paper": rows})
    Path(results).mkdir(exist_ok=True)
    paths = []
    for result in collected:
        path = Path(results) / f"{result['name']}-seed{result['seed']}.json"
        path.write_text(json.dumps(result, indent=2) + "\n")
        paths.append(path)
    return paths


def load_results(results="results"):
    """The collected results, in the order of their names."""
    paths = sorted(Path(results).glob("*.json"))
    return [json.loads(path.read_text()) for path in paths]


def write_report(results="results", experiments="experiments", readme="README.md"):
    """Writes RESULTS.md: the paper beside what is built and what was measured.

    The table of runs also takes its place in the README, where there is one.

    Returns:
        The file's path.
    """
    runs = load_results(results)
    text = [
        "# Results",
        "",
        "Written by `aa-keras report`; do not edit. *built* are the counts of this "
        "code's network, *measured* the metrics of finished runs on the whole test "
        "split.",
        "",
        "## Runs",
        "",
        runs_as_markdown(runs),
    ]
    rows = tables.table_rows(experiments=experiments)
    for number in sorted({row["table"] for row in rows}):
        part = [row for row in rows if row["table"] == number]
        text += ["", f"## Table {number}. {facts.title(number)}", ""]
        text += [rows_as_markdown(part, runs)]
    path = Path(results) / "RESULTS.md"
    path.write_text("\n".join(text) + "\n")
    page = Path(readme)
    if page.is_file():
        page.write_text(
            replace_section(page.read_text(), "runs", runs_as_markdown(runs))
        )
    return path


def runs_as_markdown(runs):
    """A table of finished runs: what was measured, and on what."""
    if not runs:
        return "No run has been collected yet: `aa-keras report WORKDIR ...`."
    lines = [
        "| run | seed | epochs | parameters | GFLOPs | test | minutes | hardware |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        hardware = ", ".join(run["hardware"]["devices"])
        lines.append(
            f"| {run['name']} | {run['seed']} | {run['epochs']} | {run['params']:,} "
            f"| {run['gflops']:.4g} | {_metrics(run['metrics']['test'])} "
            f"| {run['seconds'] / 60:.1f} "
            f"| {hardware or str(run['hardware']['cores']) + ' cores'} |"
        )
    return "\n".join(lines)


def rows_as_markdown(rows, runs=()):
    """Rows of the paper's tables: claimed, built, measured, or how to measure it."""
    lines = [
        "| row | paper | built | measured | note |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        claimed = {k: v for k, v in row["paper"].items() if k != "marks"}
        marks = row["paper"]["marks"]
        claims = ", ".join(
            f"{key} {value}" + (" (unverified)" if marks.get(key, "M") == "M" else "")
            for key, value in claimed.items()
        )
        built = "not built"
        if row["params_m"] is not None:
            built = f"{row['params_m']} M, {row['gflops_paper']} GFLOPs"
        name = row["row"] + (" (Figure 5)" if row.get("figure") else "")
        lines.append(
            f"| {name} | {claims} | {built} | {_measured(row, runs)} "
            f"| {row['note'] or ''} |"
        )
    return "\n".join(lines)


def replace_section(text, name, content):
    """`text` with what stands between `<!-- name -->` and `<!-- /name -->` replaced."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    replaced, count = re.subn(
        pattern, lambda m: f"{m[1]}{content}\n{m[2]}", text, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"found {count} sections {name!r}; allowed: one")
    return replaced


def _read_result(workdir):
    path = workdir / "result.json"
    if not path.is_file():
        raise ValueError(
            f"{workdir}: no result.json in it; allowed: the --workdir of a finished "
            "`aa-keras train`"
        )
    return json.loads(path.read_text())


def _measured(row, runs):
    key = {k: row[k] for k in ("table", "row", "figure") if k in row}
    values = [
        f"{_metrics(run['metrics']['test'])} (seed {run['seed']})"
        for run in runs
        if key in run["paper"]
    ]
    if values:
        return "; ".join(values)
    if row["experiment"] is None:
        return "no experiment"
    name = Path(row["experiment"]).stem
    command = f"aa-keras train {shlex.quote(row['experiment'])} --workdir runs/{name}"
    return f"not run (needs accelerators for days): `{command}`"


def _metrics(metrics):
    names = {"accuracy": "top-1", "top_5_accuracy": "top-5"}
    return ", ".join(
        f"{names[key]} {100 * value:.2f}" if key in names else f"{key} {value:.4g}"
        for key, value in metrics.items()
        if key not in ("loss", "images")
    )
