"""Commands take the name of shipped weights, in a fresh process.

The process uses a copy of the package whose folder of weights has those of a run of
the tests.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from aa_keras import training
from tests.conftest import ROOT

NAME = "digits/aa_resnet_8"
COMMANDS = """
import json, sys
from aa_keras import cli
for words in json.loads(sys.argv[1]):
    try:
        cli.main(words)
    except SystemExit as end:
        print("status", end.code or 0)
"""
BY_FUNCTION = """
import sys
import numpy as np
from aa_keras import models
network = models.AAResNet8(weights="digits")
pictures = np.load(sys.argv[2])
print(models.preprocess_input(pictures, "digits").dtype)
scores = network(models.preprocess_input(pictures, "digits"))
for ((index, name, score),) in models.decode_predictions(scores, 1, "digits"):
    print(index, name, f"{score:.4f}")
print(*models.list_weights())
"""


@pytest.fixture(scope="module")
def run(published, tmp_path_factory):
    """A function that runs a program with the copy of the package."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(
        ROOT / "aa_keras",
        folder / "aa_keras",
        ignore=shutil.ignore_patterns("weights", "__pycache__"),
    )
    shutil.copytree(published, folder / "aa_keras/models/weights")

    def run(program, commands, *arguments):
        done = subprocess.run(
            [sys.executable, "-c", program, json.dumps(commands), *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_a_picture_is_named_by_a_name(run, quickstart_run, digit_files, tmp_path):
    paths = [str(path) for path in digit_files.values()]
    pictures = np.stack([np.asarray(Image.open(path))[..., None] for path in paths])
    np.save(tmp_path / "pictures.npy", pictures)
    commands = [["predict", NAME, *paths], ["predict", "digits/other", *paths]]
    done = run(COMMANDS + BY_FUNCTION, commands, tmp_path / "pictures.npy")
    lines, count = done.stdout.splitlines(), len(paths)
    answers, statuses = lines[:count], lines[count : count + 2]
    kind, *best, listed = lines[count + 2 :]
    trained = training.load_run(quickstart_run)
    expected = trained.task.predict(trained.model, list(pictures))
    for path, answer, prediction in zip(paths, answers, expected, strict=True):
        assert answer == f"{path}: {trained.task.describe(prediction, 3)}"
    assert statuses == ["status 0", "status 2"]
    assert (
        "aa-keras: error: digits/other: no such folder or weights; allowed: the "
        "--workdir of a finished `aa-keras train`, or the name of shipped weights: "
        f"{NAME}" in done.stderr.splitlines()
    )
    assert (kind, listed) == ("float32", NAME)
    for line, prediction in zip(best, expected, strict=True):
        name, score = prediction["class_names"][0], prediction["scores"][0]
        assert line == f"{name} {name} {score:.4f}"


@pytest.mark.slow
def test_the_other_commands_take_a_name(run, quickstart_run, digit_files, tmp_path):
    image, *_ = map(str, digit_files.values())
    maps, served, again = (str(tmp_path / n) for n in ("maps.png", "served", "again"))
    experiment = str(ROOT / "experiments/quickstart/digits_aa_resnet.yaml")
    smoke = ["train", experiment, "--workdir", again, "--smoke"]
    done = run(
        COMMANDS,
        [
            ["evaluate", NAME],
            ["maps", NAME, image, "--out", maps],
            ["export", NAME, served],
            [*smoke, "--set", f"train.initial_weights={NAME}"],
        ],
    )
    assert done.stdout.splitlines().count("status 0") == 4, done.stdout + done.stderr
    result = json.loads((quickstart_run / "result.json").read_text())
    accuracy = result["metrics"]["test"]["accuracy"]
    assert f"{NAME} test:  accuracy {accuracy:.4f}" in done.stdout
    assert min(Image.open(maps).size) > 100
    card = json.loads((tmp_path / "served/1/assets.extra/model_card.json").read_text())
    assert (card["recipe"], card["seed"]) == ("digits_aa_resnet", 0)
    assert f"weights come from {NAME}" in done.stdout
    weights = json.loads((tmp_path / "again/result.json").read_text())["processes"][0]
    assert weights["initial_weights_sha256"] == card["sha256"]
