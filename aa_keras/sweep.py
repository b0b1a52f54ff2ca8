"""`sweep`: several experiments with several seeds each, some at a time.

Each run is an `aa-keras train` in a process of its own. The same command continues a
sweep: it skips the runs that are finished and resumes those that were interrupted.
"""

import datetime
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from aa_keras import config
from aa_keras.workdir import WorkDir

POLL_SECONDS = 1.0
# What a status means after SIGTERM. A run that was saved says so in its last line.
STOPPED = {143: None, -signal.SIGTERM: "stopped outside of its training"}


class Run(NamedTuple):
    """One run of a sweep: its file, its number of epochs, and its folder."""

    file: str
    name: str
    seed: int
    epochs: int
    workdir: WorkDir

    @property
    def title(self) -> str:
        return f"{self.name} seed {self.seed}"

    @property
    def log(self) -> Path:
        # `seed_*` in a shell names the work directories alone.
        return self.workdir.path.with_name(f"log_{self.workdir.path.name}.txt")

    def is_finished(self) -> bool:
        return self.workdir.read_finished(self.epochs) is not None


def plan(files: Iterable[str], seeds: int, workdir, overrides=()) -> list[Run]:
    """Returns the runs of a sweep: the first seed of every file, then the second.

    Args:
        files: paths of experiment files.
        seeds: int, the number of seeds; they count from the file's `train.seed`.
        workdir: path of a folder. A run's is `<workdir>/<name>/seed_<seed>`.
        overrides: sequence of str, as `train.epochs=2`, for every run.

    Raises:
        ValueError: if a file is wrong, two have one name, or a run's folder belongs to
            another configuration.
    """
    files = list(dict.fromkeys(files))
    runs: list[Run] = []
    names: dict[str, str] = {}
    for offset in range(seeds):
        for file in files:
            first = config.load(file, overrides)
            if names.setdefault(first.name, file) != file:
                raise ValueError(
                    f"{file}: received the name {first.name!r} of {names[first.name]}; "
                    "allowed: a name of its own for each file"
                )
            seed = first.train.seed + offset
            experiment = config.load(file, (*overrides, f"train.seed={seed}"))
            folder = WorkDir(Path(workdir) / first.name / f"seed_{seed}")
            folder.refuse_other(experiment)
            runs.append(Run(file, first.name, seed, first.train.epochs, folder))
    return runs


def sweep(
    runs: Sequence[Run], *, jobs=1, threads=None, until=None, overrides=(), report=print
) -> list[Run]:
    """Trains all runs that are not finished, `jobs` at a time.

    Args:
        runs: what `plan` returned.
        jobs: int, the processes at a time. Defaults to `1`.
        threads: int, the threads with which each computes. Defaults to `None`,
            TensorFlow's choice: all cores.
        until: `datetime.datetime` at which no further run starts, and each that trains
            is stopped by SIGTERM, at which it saves its state. Defaults to `None`.
        overrides: those of `plan`.
        report: callable, called with each line for the console.

    Returns:
        The runs that failed. Their last lines were reported, and the others went on.
    """
    waiting = [run for run in runs if not run.is_finished()]
    training: dict[Run, subprocess.Popen] = {}
    failed: list[Run] = []
    is_stopping = False
    try:
        while waiting or training:
            if until is not None and not is_stopping:
                is_stopping = datetime.datetime.now() >= until
                if is_stopping:
                    waiting.clear()
                    for process in training.values():
                        process.terminate()
            while waiting and len(training) < jobs:
                run = waiting.pop(0)
                report(f"{run.title}: from epoch {len(run.workdir.read_history()) + 1}")
                training[run] = _start(run, threads, overrides)
            time.sleep(POLL_SECONDS)
            for run, process in list(training.items()):
                status = process.poll()
                if status is not None:
                    del training[run]
                    if is_stopping and status in STOPPED:
                        report(f"{run.title}: {STOPPED[status] or _last_line(run)}")
                        continue
                    failed += [] if run.is_finished() else [run]
                    report(f"{run.title}: {_outcome(run, status)}")
                    report(time_left(runs, jobs))
    finally:
        for process in training.values():
            process.terminate()
        for process in training.values():
            process.wait()
    return failed


def _start(run, threads, overrides):
    env = dict(os.environ)
    if threads is not None:
        # The operations of a step that do not depend on each other share these
        # threads. With one, a pipeline of images waits for the network.
        env |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": "2"}
    settings = [*overrides, f"train.seed={run.seed}"]
    pairs = [word for setting in settings for word in ("--set", setting)]
    command = ["train", run.file, "--workdir", str(run.workdir), *pairs]
    run.log.parent.mkdir(parents=True, exist_ok=True)
    with open(run.log, "a", encoding="utf-8") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "aa_keras", *command],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _outcome(run, status):
    if run.is_finished():
        return "finished"
    reason = f"ended by {signal.Signals(-status).name}" if status < 0 else ""
    return f"failed, see {run.log}: {reason or _last_line(run)}"


def _last_line(run):
    lines = run.log.read_text("utf-8", errors="replace").splitlines() or ["no output"]
    return lines[-1]


def table(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Returns a row for each run: its epochs, its accuracies and the time it needs."""
    rows, speeds = [], _speeds(runs)
    for run in runs:
        history = run.workdir.read_history()
        last = history[-1] if history else {}
        needed = (run.epochs - len(history)) * speeds[run.name] / 60
        left = "" if math.isnan(needed) else f"{needed:.1f}"
        rows.append(
            {
                "run": run.name,
                "seed": str(run.seed),
                "epochs": f"{len(history)}/{run.epochs}",
                "train": _percent(last.get("accuracy")),
                "val": _percent(last.get("val_accuracy")),
                "minutes": f"{float(last.get('seconds', 0)) / 60:.1f}",
                "left": "finished" if run.is_finished() else left,
            }
        )
    return rows


def _percent(accuracy):
    return f"{100 * float(accuracy):.2f}" if accuracy else ""


def time_left(runs: Sequence[Run], jobs: int) -> str:
    """Returns how many runs are finished, and the time for the others, as one line."""
    speeds = _speeds(runs)
    seconds = sum(
        (run.epochs - len(run.workdir.read_history())) * speeds[run.name]
        for run in runs
        if not run.is_finished()
    )
    finished = sum(run.is_finished() for run in runs)
    told = f"{finished} of {len(runs)} runs finished"
    if math.isnan(seconds):
        return told
    left = datetime.timedelta(seconds=round(seconds / jobs))
    return f"{told}, about {left} left"


def _speeds(runs):
    """The seconds of an epoch by the name of the experiment.

    Those of others where unknown, and no number before the first epoch of all.
    """
    totals: dict[str, list[float]] = {}
    for run in runs:
        history = run.workdir.read_history()
        if history:
            total = totals.setdefault(run.name, [0.0, 0])
            total[0] += float(history[-1]["seconds"])
            total[1] += len(history)
    speeds = {name: seconds / epochs for name, (seconds, epochs) in totals.items()}
    mean = sum(speeds.values()) / len(speeds) if speeds else math.nan
    return {run.name: speeds.get(run.name, mean) for run in runs}
