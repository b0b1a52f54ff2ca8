"""A version folder is whole or not there, whatever happens to the one who writes it."""

import os
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from aa_keras.export.publishing import publish, versions


def write(folder):
    (folder / "one").write_text("1")
    (folder / "two").mkdir()
    (folder / "two/three").write_text("3")


def test_versions_count_on_and_earlier_ones_stay(tmp_path):
    out = tmp_path / "not/there/yet"
    assert publish(write, out) == out / "1"
    (out / "1/one").write_text("mine")
    (out / "notes").mkdir()  # no version
    assert publish(write, out, version=9) == out / "9"
    assert publish(write, out) == out / "10"
    assert versions(out) == [1, 9, 10]
    assert (out / "1/one").read_text() == "mine"
    assert sorted(p.name for p in (out / "10").rglob("*")) == ["one", "three", "two"]
    assert os.stat(out / "10").st_mode & 0o777 == 0o755
    assert list(tmp_path.iterdir()) == [tmp_path / "not"]
    assert [p.name for p in (tmp_path / "not/there").iterdir()] == ["yet"]


@pytest.mark.parametrize("content", [["file"], []], ids=["full", "empty"])
def test_a_version_that_exists_is_not_touched(content, tmp_path):
    (tmp_path / "out/3").mkdir(parents=True)
    for name in content:
        (tmp_path / "out/3" / name).write_text("mine")
    with pytest.raises(ValueError, match="version: received 3; allowed: a number not"):
        publish(write, tmp_path / "out", version=3)
    assert [p.name for p in (tmp_path / "out/3").iterdir()] == content


def test_out_is_a_file(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match="out: is a file; allowed: a folder"):
        publish(write, tmp_path / "out")
    with pytest.raises(ValueError, match=r"out/below: cannot be written: .*irectory"):
        publish(write, tmp_path / "out/below")
    assert (tmp_path / "out").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (OSError(28, "No space left on device"), ValueError),
        (tf.errors.ResourceExhaustedError(None, None, "No space left"), ValueError),
        (ValueError("answers otherwise"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_leaves_nothing(error, seen, tmp_path):
    def fail(folder):
        write(folder)
        raise error

    with pytest.raises(seen) as caught:
        publish(fail, tmp_path / "out")
    if seen is ValueError:
        assert any(words in str(caught.value) for words in ("No space", "otherwise"))
    assert list(tmp_path.iterdir()) == []


# Limits what this process may write to a file, then exports a network of 80 kB.
FULL_DISK = """
import resource, sys
import keras
from aa_keras import data, export
model = keras.Sequential([
    keras.layers.Input((8, 8, 3)), keras.layers.Flatten(),
    keras.layers.Dense(100), keras.layers.Dense(2, activation="softmax"),
])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    export.export_saved_model(
        model, sys.argv[1], class_names="ab",
        preprocessing=data.Preprocessing(8, (0.5,) * 3, (0.5,) * 3),
    )
except ValueError as error:
    print(error)
"""


def test_a_full_disk(tmp_path, run_python):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = run_python(FULL_DISK, tmp_path / "out", env=environment)
    told = done.stdout.strip().splitlines()
    assert len(told) == 1
    assert told[0].startswith(f"{tmp_path / 'out'}: cannot be written: ")
    assert "File too large" in told[0]
    assert list(tmp_path.iterdir()) == []


HANG = """
import sys, time
from aa_keras.export.publishing import publish
def write(folder):
    (folder / "part").write_text("half")
    print("writing", flush=True)
    time.sleep(float(sys.argv[2]))
publish(write, sys.argv[1])
"""


def start(out, seconds):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", HANG, str(out), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert process.stdout.readline() == "writing\n"
    return process


def test_a_kill_in_the_middle_leaves_no_version_and_the_next_export_cleans_up(tmp_path):
    out = tmp_path / "out"
    process = start(out, 60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert versions(out) == []
    assert len(list(tmp_path.glob(".out-export-*"))) == 1
    assert publish(write, out) == out / "1"
    assert list(tmp_path.iterdir()) == [out]


def test_two_exports_at_once_get_a_version_each(tmp_path):
    out = tmp_path / "out"
    process = start(out, 3)
    before = time.monotonic()
    assert publish(write, out) == out / "1"
    assert time.monotonic() - before < 2  # does not wait for the other
    assert process.wait() == 0
    assert versions(out) == [1, 2]
    assert (out / "2/part").read_text() == "half"
    assert list(tmp_path.iterdir()) == [out]
