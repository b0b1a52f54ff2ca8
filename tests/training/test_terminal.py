"""What a person sees of a run in a terminal."""

import os
import pty
import re
import struct
import sys
import tempfile
import termios
from fcntl import ioctl

import pyte
import pytest

from tests.conftest import ROOT

COMMAND = ["-m", "aa_keras", "train", "experiments/quickstart/digits_resnet.yaml"]


def screen_after(arguments, columns, lines=40):
    """Runs Python in a terminal of that size; returns its last screen and its moments.

    A moment is the screen after some output.
    """
    child, descriptor = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.environ |= {"TERM": "xterm-256color", "TF_CPP_MIN_LOG_LEVEL": "3"}
        os.execv(sys.executable, [sys.executable, *arguments])
    ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    screen = pyte.Screen(columns, lines)
    stream, moments = pyte.ByteStream(screen), []
    while True:
        try:
            stream.feed(os.read(descriptor, 4096))
        except OSError:  # the child has ended
            break
        moments.append([line.rstrip() for line in screen.display])
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, moments[-1:]
    return [line for line in moments[-1] if line], moments


@pytest.fixture
def workdir():
    """A folder with a short name, which does not fill the line of a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        yield folder


@pytest.mark.parametrize("columns", [80, pytest.param(120, marks=pytest.mark.slow)])
def test_a_run_leaves_a_table_and_nothing_else(workdir, columns):
    settings = ["--workdir", workdir, "--set", "train.epochs=3"]
    last, moments = screen_after([*COMMAND, *settings], columns)
    first, header, *rows, validation, test, where = last
    assert first == "digits_resnet: starting anew, 3 epochs"
    names = ["epoch", "acc", "loss", "val_acc", "val_loss", "val_top5"]
    assert header.split() == [*names, "rate", "img/s", "left"]
    assert [row.split()[0] for row in rows] == ["1/3", "2/3", "3/3"]
    assert {len(row) for row in rows} == {len(header)}  # one line for each epoch
    assert validation.startswith("validation  accuracy 0.")
    assert test.startswith("test        accuracy 0.")
    assert (
        where
        == f"in {workdir}, for aa-keras evaluate, predict, maps, export and report"
    )
    # While it runs, bars stand below the table.
    bars = [m for m in moments if any(re.match(r"epoch 2 +\S+ +\d+/19", x) for x in m)]
    assert bars
    for moment in bars:
        lines = [line for line in moment if line]
        assert lines[:2] == [first, header]
        assert lines[-2].startswith("run")
