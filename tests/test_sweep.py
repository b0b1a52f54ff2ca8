"""`aa-keras sweep`: several runs in processes of their own."""

import datetime
import json
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from aa_keras import sweep

DIGITS = "experiments/quickstart/digits_resnet.yaml"
DIGITS_AA = "experiments/quickstart/digits_aa_resnet.yaml"


def test_the_first_seed_of_every_file_comes_first(tmp_path):
    runs = sweep.plan([DIGITS, DIGITS_AA], 2, tmp_path, ["train.seed=5"])
    titles = [run.title for run in runs]
    assert titles == [
        "digits_resnet seed 5",
        "digits_aa_resnet seed 5",
        "digits_resnet seed 6",
        "digits_aa_resnet seed 6",
    ]
    assert str(runs[3].workdir) == str(tmp_path / "digits_aa_resnet" / "seed_6")


def test_two_files_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match=f"{DIGITS_AA}: received the name 'digits'"):
        sweep.plan([DIGITS, DIGITS_AA], 1, tmp_path, ["name=digits"])


def test_a_file_that_is_given_twice_counts_once(tmp_path):
    assert len(sweep.plan([DIGITS, DIGITS], 2, tmp_path)) == 2


def test_the_time_left_is_that_of_the_epochs_left(tmp_path):
    runs = sweep.plan([DIGITS, DIGITS_AA], 2, tmp_path, ["train.epochs=4"])
    assert sweep.time_left(runs, jobs=2) == "0 of 4 runs finished"
    assert [row["left"] for row in sweep.table(runs)] == [""] * 4
    table = "epoch,accuracy,seconds\n1,0.5,30\n2,0.6,60\n"
    validated = "epoch,accuracy,val_accuracy,seconds\n1,0.5,,30\n2,0.6,0.55,60\n"
    for run, history in zip(runs[:2], (table, validated), strict=True):
        run.workdir.path.mkdir(parents=True)
        run.workdir.metrics.write_text(history)
    for run, epochs in zip(runs, (4, 2), strict=False):  # the second goes on
        result = {"name": run.name, "epochs": epochs, "metrics": {}}
        run.workdir.result.write_text(json.dumps(result))
    # One run has two epochs left, two have four: ten epochs of 30 s in two processes.
    line = "1 of 4 runs finished, about 0:02:30 left"
    assert sweep.time_left(runs, jobs=2) == line
    rows = sweep.table(runs)
    assert [row["epochs"] for row in rows] == ["2/4", "2/4", "0/4", "0/4"]
    assert [row["left"] for row in rows] == ["finished", "1.0", "2.0", "2.0"]
    assert [row["train"] for row in rows] == ["60.00", "60.00", "", ""]
    assert [row["val"] for row in rows] == ["", "55.00", "", ""]


def begun(runs):
    """How often the run trained that did so least often."""
    return min(run.log.read_text().count("digits_resnet: ") for run in runs)


@pytest.mark.slow
def test_a_sweep_is_stopped_and_continued(tmp_path, aa_keras):
    runs = sweep.plan([DIGITS], 2, tmp_path, ["train.epochs=40"])
    lines, soon = [], datetime.datetime.now() + datetime.timedelta(seconds=12)
    options = {"jobs": 2, "threads": 1, "overrides": ["train.epochs=40"]}
    assert sweep.sweep(runs, until=soon, report=lines.append, **options) == []
    done = [len(run.workdir.read_history()) for run in runs]
    assert max(done) < 40
    assert not any(run.is_finished() for run in runs)
    stopped = [line for line in lines if ": stopped " in line]
    assert len(stopped) == 2
    # On a slow machine a run may not have begun to train.
    saved = re.findall(r"SIGTERM after epoch (\d+)", "\n".join(stopped))
    assert sorted(map(int, saved)) == sorted(done)[2 - len(saved) :]

    # Ended by a signal, the command ends its runs.
    command = ("sweep", DIGITS, "--workdir", tmp_path, "--seeds", 2, "--jobs", 2)
    command += ("--threads", 1, "--set", "train.epochs=40")
    before = begun(runs)
    sweeping = subprocess.Popen([sys.executable, "-m", "aa_keras", *map(str, command)])
    while begun(runs) <= before:
        assert sweeping.poll() is None
        time.sleep(0.2)
    sweeping.terminate()
    assert sweeping.wait() == 128 + signal.SIGTERM
    for run in runs:
        with run.workdir.lock():
            assert not run.is_finished()
    done = [len(run.workdir.read_history()) for run in runs]

    # The same command, with a file that fails beside it.
    wrong = tmp_path / "wrong.yaml"
    base = pathlib.Path(DIGITS).resolve()
    wrong.write_text(f"base: {base}\ndata: {{batch_size: 10000}}\n")
    first = done[0] + 1
    done = aa_keras(*command, wrong, status=1)
    assert all(run.is_finished() for run in runs)
    # What `report` and `make publish` are given in the documentation.
    assert sorted(tmp_path.glob("digits_resnet/seed_*")) == [
        run.workdir.path for run in runs
    ]
    assert f"digits_resnet seed 0: from epoch {first}\n" in done.stdout
    failed = r"wrong seed 1: failed, see .*log_seed_1.txt: .*data.batch_size"
    assert re.search(failed, done.stdout)
    assert "error: 2 of 4 runs failed: wrong seed 0, wrong seed 1" in done.stderr
    assert re.search(r"digits_resnet +1 +40/40( +[\d.]+)+ +finished", done.stdout)
