"""Every mistake at the command line is one line and status 2."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

from aa_keras import cli
from tests.conftest import ROOT

EXPERIMENT = "experiments/quickstart/digits_aa_resnet.yaml"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["evaluate", "nowhere"],
            "nowhere: no such folder or weights; allowed: the --workdir of a finished "
            "`aa-keras train`, or the name of shipped weights: ",
        ),
        (["maps", ".", "here.png", "--out", "a.png"], ".: contains no config.yaml"),
        (["predict", "nowhere", "no.png"], "no.png: no such file or folder"),
        (["train", "no.yaml", "--workdir", "new"], "no.yaml"),
    ],
)
def test_a_simple_mistake_does_not_wait_for_tensorflow(arguments, told, tmp_path):
    (tmp_path / "here.png").touch()
    program = (
        "import atexit, sys\n"
        "from aa_keras import cli\n"
        "atexit.register(lambda: print('tensorflow' in sys.modules))\n"
        f"cli.main({arguments})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == "False\n"


def test_an_error_of_tensorflow_is_one_line():
    error = tf.errors.ResourceExhaustedError(None, None, "OOM when\nallocating")
    told = "TensorFlow: out of memory, lower data.batch_size: OOM when"
    assert str(cli._of_tensorflow(error)) == told
    with pytest.raises(TypeError):
        cli._of_tensorflow(TypeError())


# Arguments with {run}, {image} and {out} filled in, and what the one line must say.
MISTAKES = {
    "no such command": (["trian"], ["No such command 'trian'"]),
    "no workdir": (["train", EXPERIMENT], ["--workdir"]),
    "an empty workdir": (["train", EXPERIMENT, "--workdir", ""], ["received ''"]),
    "no file": (
        ["train", "absent.yaml", "--workdir", "{out}"],
        ["absent.yaml: no such file or experiment", "`aa-keras list`"],
    ),
    "nearly a name": (
        ["sweep", "quickstart/digits_resnet", "resnet_50", "--workdir", "{out}"],
        ["resnet_50: no such file", "did you mean imagenet/resnet_50?"],
    ),
    "unknown key": (
        ["train", EXPERIMENT, "--workdir", "{out}", "--set", "train.epoch=2"],
        ["train.epoch: unknown key", "did you mean 'epochs'"],
    ),
    "heads do not fit": (
        [
            "train",
            EXPERIMENT,
            "--workdir",
            "{out}",
            "--set",
            "model.attention.num_heads=32",
        ],
        [f"{EXPERIMENT}: model: num_heads=32 does not fit", "filters=16"],
    ),
    "no such stage": (
        [
            "train",
            EXPERIMENT,
            "--workdir",
            "{out}",
            "--set",
            "model.attention.stages=[4]",
        ],
        ["stages", "4"],
    ),
    "too many images a batch": (
        ["train", EXPERIMENT, "--workdir", "{out}", "--set", "data.batch_size=9999"],
        ["data.batch_size: received 9999; allowed: at most 1258"],
    ),
    "wrong number of classes": (
        ["train", EXPERIMENT, "--workdir", "{out}", "--set", "model.classes=9"],
        ["model.classes: received 9; allowed: 10"],
    ),
    "data that is not there": (
        [
            "train",
            "experiments/imagenet/resnet_50.yaml",
            "--workdir",
            "{out}",
            "--set",
            "data.data_dir={out}",
        ],
        ["imagenet2012", "data.data_dir"],
    ),
    "another run's directory": (
        ["train", EXPERIMENT, "--workdir", "{run}"],
        ["train.epochs (15 there, 40 now)"],
    ),
    "no run": (["evaluate", "{out}"], ["no such folder or weights", "--workdir"]),
    "no such split": (
        ["evaluate", "{run}", "--split", "tset"],
        ["'tset'", "validation"],
    ),
    "no picture": (["predict", "{run}", "absent.png"], ["absent.png"]),
    "an empty folder": (["predict", "{run}", "{run}/checkpoints"], [".png in the"]),
    "not a picture": (["predict", "{run}", EXPERIMENT], [EXPERIMENT]),
    "no such layer": (
        ["maps", "{run}", "{image}", "--out", "{out}.png", "--layer", "conv9"],
        ["'conv9'", "stage1_block1_conv1"],
    ),
    "no such head": (
        ["maps", "{run}", "{image}", "--out", "{out}.png", "--head", "4"],
        ["received 4; allowed: 0 to 3"],
    ),
    "no pixel": (
        ["maps", "{run}", "{image}", "--out", "{out}.png", "--query", "3"],
        ["--query", "'3'", "Y,X"],
    ),
    "outside": (
        ["maps", "{run}", "{image}", "--out", "{out}.png", "--query", "8,0"],
        ["(8, 0)", "0 to 7"],
    ),
    "two pictures to draw on": (
        ["predict", "{run}", "{image}", "{image}", "--out", "{out}.png"],
        ["--out", "received 2 images; allowed: one"],
    ),
    "options of a figure for a page": (
        ["maps", "{run}", "{image}", "--out", "{out}.html", "--opacity", "0.5"],
        ["--opacity", "a file that ends in .png"],
    ),
    "two pictures in a figure": (
        ["maps", "{run}", "{image}", "{image}", "--out", "{out}.png"],
        ["--out", "received 2 images; allowed: one, or an .html"],
    ),
    "an overview of one head": (
        ["maps", "{run}", "{image}", "--out", "{out}.png", "--overview", "--head", "1"],
        ["--overview", "no --head, and one --query"],
    ),
    "unknown kind of file": (
        ["maps", "{run}", "{image}", "--out", "{out}.jpg"],
        [".png or .html"],
    ),
    "unknown format": (
        ["export", "{run}", "{out}", "--format", "pt"],
        ["'pt'", "onnx"],
    ),
    "a table too many": (["tables", "--table", "9"], ["--table", "9"]),
}


@pytest.mark.parametrize(("arguments", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_status_2(
    arguments, told, quickstart_run, digit_files, tmp_path, capfd
):
    # In this process: what is asked is the answer, not the start of TensorFlow.
    out, image = tmp_path / "out", next(iter(digit_files.values()))
    places = {"run": quickstart_run, "image": image, "out": out}
    words = [word.format(**places) for word in arguments]
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("aa-keras: error: ")
    for text in told:
        assert text in lines[-1]
    assert list(tmp_path.iterdir()) == []
