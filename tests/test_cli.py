"""Every command end to end, each in a process of its own, and every mistake."""

import csv
import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import aa_keras.layers  # noqa: F401  registers them, for keras.models.load_model
from aa_keras import cli, config

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = "experiments/quickstart/digits_aa_resnet.yaml"


@pytest.fixture(scope="module")
def workdir(quickstart_run, tmp_path_factory):
    copy = tmp_path_factory.mktemp("cli") / "run"
    shutil.copytree(quickstart_run, copy)
    return copy


def test_train_leaves_all_about_its_run(quickstart_run):
    names = {path.name for path in quickstart_run.iterdir()}
    assert {name for name in names if not name.startswith(".")} == {
        "checkpoints",
        "config.yaml",
        "data.json",
        "metrics.csv",
        "model.keras",
        "result.json",
        "tensorboard",
    }
    experiment = config.load(quickstart_run / "config.yaml")
    assert (experiment.name, experiment.train.epochs) == ("digits_aa_resnet", 15)
    result = json.loads((quickstart_run / "result.json").read_text())
    model = keras.models.load_model(quickstart_run / "model.keras")
    assert result["params"] == sum(
        int(np.prod(weight.shape)) for weight in model.trainable_weights
    )
    (process,) = result["processes"]
    assert (process["first_epoch"], process["last_epoch"]) == (1, 15)
    assert process["versions"]["keras"] == keras.__version__
    assert result["configuration"] == config.digest(experiment)
    with (quickstart_run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 16))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_the_test_split_is_every_fifth_image(quickstart_run):
    """Accuracy counted by hand from the saved network and scikit-learn's arrays."""
    data = load_digits()
    images = np.round(data.images[4::5, ..., np.newaxis] * (255 / 16)) / 255
    model = keras.models.load_model(quickstart_run / "model.keras")
    description = json.loads((quickstart_run / "data.json").read_text())
    (mean,), (std,) = (description["preprocessing"][key] for key in ("mean", "std"))
    predicted = model.predict((images - mean) / std, verbose=0).argmax(-1)
    accuracy = np.mean(predicted == data.target[4::5])
    result = json.loads((quickstart_run / "result.json").read_text())
    assert len(predicted) == 359
    reported = result["metrics"]["test"]["accuracy"]
    np.testing.assert_allclose(reported, accuracy, atol=1e-6)
    assert accuracy > 0.9


def test_train_on_a_finished_run_prints_its_result(aa_keras, workdir):
    files = workdir / "result.json", workdir / "model.keras"
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    done = aa_keras(
        "train", EXPERIMENT, "--workdir", workdir, "--set", "train.epochs=15"
    )
    assert "is finished" in done.stdout
    assert "accuracy" in done.stdout
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before


def test_evaluate(aa_keras, workdir):
    done = aa_keras("evaluate", workdir, "--split", "validation")
    metrics = json.loads((workdir / "result.json").read_text())["metrics"]
    assert metrics["validation"]["images"] == 180
    assert f"accuracy {metrics['validation']['accuracy']:.4f}" in done.stdout
    assert "test" in metrics


def test_predict(aa_keras, workdir, digit_files):
    model = keras.models.load_model(workdir / "model.keras")
    description = json.loads((workdir / "data.json").read_text())["preprocessing"]
    lines = aa_keras("predict", workdir, *digit_files.values()).stdout.splitlines()
    for path, line in zip(digit_files.values(), lines, strict=True):
        pixels = np.asarray(Image.open(path), "float32")[None, ..., None] / 255
        inputs = (pixels - description["mean"]) / description["std"]
        (probabilities,) = model.predict(inputs, verbose=0)
        best = probabilities.argmax()
        assert line.startswith(f"{path}: {best} {probabilities[best]:.4f}")
    # A folder, and the same answers as JSON.
    path, *_ = digit_files.values()
    (path.parent / "._0.png").touch()  # a Mac's, as image folders skip it
    done = aa_keras("predict", workdir, path.parent, "--json", "--top", 1)
    answers = {a["image"]: a for a in map(json.loads, done.stdout.splitlines())}
    assert list(answers) == sorted(map(str, path.parent.glob("[!.]*.png")))
    for path, line in zip(digit_files.values(), lines, strict=True):
        (name,), (score,) = (answers[str(path)][k] for k in ("class_names", "scores"))
        assert line.startswith(f"{path}: {name} {score:.4f}")


def test_export(aa_keras, workdir, tmp_path):
    done = aa_keras("export", workdir, tmp_path / "served")
    assert done.stdout.strip() == str(tmp_path / "served" / "1")
    assert (tmp_path / "served" / "1" / "saved_model.pb").is_file()


def test_maps(aa_keras, workdir, digit_files, tmp_path):
    image, *_ = digit_files.values()
    aa_keras("maps", workdir, image, "--out", tmp_path / "all.png", "--query", "2,3")
    arguments = ("--layer", "stage2_block1_conv1", "--head", 1)
    arguments += ("--query", "2,3", "--query", "5,4")
    aa_keras("maps", workdir, image, "--out", tmp_path / "one.png", *arguments)
    sizes = [Image.open(tmp_path / name).size for name in ("all.png", "one.png")]
    # one query and four heads are wider than high; two queries and one head are not
    assert sizes[0][0] / sizes[0][1] > sizes[1][0] / sizes[1][1]
    arguments = ("--overview", "--received", "--opacity", 0.4)
    aa_keras("maps", workdir, image, "--out", tmp_path / "over.png", *arguments)
    width, height = Image.open(tmp_path / "over.png").size
    assert width / height > 1.5  # two layers; the image, mean, maximum and four heads
    aa_keras("maps", workdir, image.parent, "--out", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    page = json.loads(re.search(r'type="application/json".*?>(.*)</script>', text)[1])
    assert page["layers"][0]["name"] == "stage1_block1_conv1"
    done = aa_keras("predict", workdir, image.parent, "--json", "--top", 10)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for shown, answer in zip(page["images"], answers, strict=True):
        assert shown["name"] == Path(answer["image"]).name
        names, scores = shown["prediction"].values()
        assert names == answer["class_names"]
        np.testing.assert_allclose(scores, answer["scores"], atol=1e-6)


def test_report(workdir, tmp_path, monkeypatch, capsys):
    # In this process, where the networks of all tables are built once for all tests.
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        cli.main(["report", str(workdir)])
    assert not caught.value.code
    assert "digits_aa_resnet-seed0.json" in capsys.readouterr().out
    accuracy = json.loads((workdir / "result.json").read_text())["metrics"]["test"]
    text = (tmp_path / "results" / "RESULTS.md").read_text()
    assert f"top-1 {100 * accuracy['accuracy']:.2f}" in text
    assert "AA-Wide-ResNet" in text


def test_a_corrupt_image_is_named(aa_keras, tmp_path):
    for number in range(10):
        folder = tmp_path / "images" / str(number % 2)
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8, 3), 20 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    broken = folder / "9.png"
    broken.write_bytes(broken.read_bytes()[:60])
    changes = ("data.name=image_folder", f"data.data_dir={tmp_path / 'images'}")
    changes += ("model.classes=2", "data.augmentation=none")
    changes = [word for change in changes for word in ("--set", change)]
    arguments = ("--workdir", tmp_path / "run", "--smoke", *changes)
    done = aa_keras("train", EXPERIMENT, *arguments, status=1)
    (line,) = done.stderr.strip().splitlines()[-1:]
    assert line.startswith("aa-keras: error: corrupt image")
    assert str(broken) in line
