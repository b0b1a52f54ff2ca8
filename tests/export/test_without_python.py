"""A C program loads the export and answers, as a model server does."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
COMPILER = shutil.which("cc") or shutil.which("gcc")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """A function that runs the compiled program."""
    program = tmp_path_factory.mktemp("c") / "ask"
    library = tf.sysconfig.get_lib()
    command = [COMPILER, "-std=c11", "-Wall", "-Wextra", "-Werror", EXAMPLES / "ask.c"]
    command += ["-isystem", tf.sysconfig.get_include(), f"-L{library}"]
    command += [f"-Wl,-rpath,{library}", "-l:libtensorflow_cc.so.2"]
    command += ["-l:libtensorflow_framework.so.2", "-o", program]
    subprocess.run(command, check=True)

    def ask(*arguments):
        return subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        )

    return ask


def test_answers_are_those_of_the_network(ask, exported, run, digits, encode, tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, digit in zip(paths, digits, strict=False):
        path.write_bytes(encode(digit[:, :, 0]))
    done = ask(exported, *paths)
    assert done.returncode == 0, done.stderr
    probabilities = np.asarray(run.model(run.task.preprocessing(digits[:3])))
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for path, line, expected in zip(paths, lines, probabilities, strict=True):
        told, *words = line.split()
        assert told == f"{path}:"
        order = np.argsort(-expected, kind="stable")[:5]
        assert words[0::2] == [run.task.class_names[index] for index in order]
        np.testing.assert_allclose(
            [float(word) for word in words[1::2]], expected[order], atol=1e-5
        )


def test_a_bad_file_is_told_and_the_others_are_answered(
    ask, exported, digits, encode, tmp_path
):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "good.png").write_bytes(encode(digits[0, :, :, 0]))
    (alone,) = ask(exported, tmp_path / "good.png").stdout.splitlines()
    done = ask(exported, tmp_path / "bad.png", tmp_path / "good.png")
    assert done.returncode == 0, done.stderr
    bad, good = done.stdout.splitlines()
    assert bad == f"{tmp_path / 'bad.png'}:  error: cannot be decoded"
    assert good == alone


def test_a_wrong_folder_is_an_error(ask, tmp_path):
    assert ask(tmp_path, tmp_path / "bad.png").returncode == 1
