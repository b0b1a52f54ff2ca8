"""The quickstart that `make demo` runs.

Trains a small ResNet on scikit-learn's handwritten digits, with and without attention,
and measures both on the whole test split. Exports the one with attention, which checks
the export in another process, predicts one digit and draws its attention maps.
"""

import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from write_digit import write_digit

ROOT = Path(__file__).resolve().parents[2]
OUT = Path("runs/quickstart")
EXPERIMENTS = ("digits_resnet", "digits_aa_resnet")
QUERIES = ("2,3", "5,4")  # two pixels, y and x, whose attention is drawn


def aa_keras(*arguments):
    """Runs the command in a separate process, as a user does."""
    print(f"\n$ aa-keras {' '.join(arguments)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "aa_keras", *arguments], cwd=ROOT)
    if done.returncode:
        sys.exit(done.returncode)


def main():
    runs = []
    for name in EXPERIMENTS:
        experiment = f"experiments/quickstart/{name}.yaml"
        workdir = (OUT / name).as_posix()
        aa_keras("train", experiment, "--workdir", workdir)
        aa_keras("evaluate", workdir)
        result = json.loads((ROOT / workdir / "result.json").read_text())
        runs.append(
            {
                "name": name,
                "experiment": experiment,
                "workdir": workdir,
                "params": result["params"],
                "gflops": result["gflops"],
                "test_accuracy": result["metrics"]["test"]["accuracy"],
                "seconds": result["seconds"],
            }
        )

    saved_model = export(runs[-1]["workdir"])
    digit = (OUT / "digit.png").as_posix()
    write_digit(ROOT / digit)
    aa_keras("predict", runs[-1]["workdir"], digit)
    attention_maps = (OUT / "attention_maps.png").as_posix()
    queries = [word for query in QUERIES for word in ("--query", query)]
    aa_keras("maps", runs[-1]["workdir"], digit, "--out", attention_maps, *queries)

    summary = {
        "runs": runs,
        "saved_model": saved_model,
        "attention_maps": attention_maps,
    }
    summary_path = OUT / "summary.json"
    (ROOT / summary_path).write_text(json.dumps(summary, indent=2) + "\n")
    show(summary, summary_path)


def export(workdir):
    """Returns the version folder of the export; reuses that of an earlier demo."""
    out = OUT / "export"
    earlier = sorted((ROOT / out).glob("*/saved_model.pb"))
    finished = (ROOT / workdir / "model.keras").stat().st_mtime
    if not earlier or earlier[-1].stat().st_mtime < finished:
        aa_keras("export", workdir, out.as_posix())
        earlier = sorted((ROOT / out).glob("*/saved_model.pb"))
    return earlier[-1].parent.relative_to(ROOT).as_posix()


def show(summary, summary_path):
    table = Table("run", "parameters", "GFLOPs", "test accuracy", "seconds")
    for run in summary["runs"]:
        table.add_row(
            run["name"],
            f"{run['params']:,}",
            f"{run['gflops']:.5f}",
            f"{run['test_accuracy']:.2%}",
            f"{run['seconds']:.0f}",
        )
    console = Console()
    console.print(table)
    for name in ("saved_model", "attention_maps"):
        console.print(f"{name.replace('_', ' '):15} {summary[name]}", highlight=False)
    console.print(f"{'summary':15} {summary_path}", highlight=False)


if __name__ == "__main__":
    main()
