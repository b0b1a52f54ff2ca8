"""Every command end to end, each in a process of its own, and every mistake."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import aa_keras.layers  # noqa: F401  registers them, for keras.models.load_model
from aa_keras import __version__, cli, config
from aa_keras.config.shipped import find_experiment

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = "experiments/quickstart/digits_aa_resnet.yaml"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Files of three test digits, by class."""
    folder = tmp_path_factory.mktemp("digits")
    data = load_digits()
    files = {}
    for index in (4, 9, 14):
        pixels = np.round(data.images[index] * (255 / 16)).astype(np.uint8)
        files[str(data.target[index])] = folder / f"{index}.png"
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return files


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
    before = (workdir / "result.json").read_bytes()
    done = aa_keras(
        "train", EXPERIMENT, "--workdir", workdir, "--set", "train.epochs=15"
    )
    assert "is finished" in done.stdout
    assert "accuracy" in done.stdout
    assert (workdir / "result.json").read_bytes() == before


def test_evaluate(aa_keras, workdir):
    done = aa_keras("evaluate", workdir, "--split", "validation")
    metrics = json.loads((workdir / "result.json").read_text())["metrics"]
    assert metrics["validation"]["images"] == 180
    assert f"accuracy {metrics['validation']['accuracy']:.4f}" in done.stdout
    assert "test" in metrics


def test_predict(aa_keras, workdir, digits):
    model = keras.models.load_model(workdir / "model.keras")
    description = json.loads((workdir / "data.json").read_text())["preprocessing"]
    lines = aa_keras("predict", workdir, *digits.values()).stdout.splitlines()
    for path, line in zip(digits.values(), lines, strict=True):
        pixels = np.asarray(Image.open(path), "float32")[None, ..., None] / 255
        inputs = (pixels - description["mean"]) / description["std"]
        (probabilities,) = model.predict(inputs, verbose=0)
        best = probabilities.argmax()
        assert line.startswith(f"{path}: {best} {probabilities[best]:.4f}")
    # A folder, and the same answers as JSON.
    path, *_ = digits.values()
    done = aa_keras("predict", workdir, path.parent, "--json", "--top", 1)
    answers = {a["image"]: a for a in map(json.loads, done.stdout.splitlines())}
    assert list(answers) == sorted(map(str, path.parent.glob("*.png")))
    for path, line in zip(digits.values(), lines, strict=True):
        (name,), (score,) = (answers[str(path)][k] for k in ("class_names", "scores"))
        assert line.startswith(f"{path}: {name} {score:.4f}")


def test_export(aa_keras, workdir, tmp_path):
    done = aa_keras("export", workdir, tmp_path / "served")
    assert done.stdout.strip() == str(tmp_path / "served" / "1")
    assert (tmp_path / "served" / "1" / "saved_model.pb").is_file()


def test_maps(aa_keras, workdir, digits, tmp_path):
    image, *_ = digits.values()
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


def test_summary(aa_keras, tmp_path):
    arguments = (EXPERIMENT, "--set", "model.attention=null")
    assert "75,002" in aa_keras("summary", *arguments, cwd=tmp_path).stdout
    done = aa_keras("summary", "imagenet/aa_resnet_50", "--format", "json")
    summary = json.loads(done.stdout)
    # The exact counts of PAPER's Table 3.
    assert round(summary["params"] / 1e6, 2) == 25.81
    assert round(summary["gflops_paper"], 2) == 8.33
    assert summary["paper"][0]["claimed"]["params_m"] == 25.8


def test_tables(aa_keras, tmp_path):
    done = aa_keras("tables", "--table", 4, "--format", "json", cwd=tmp_path)
    rows = json.loads(done.stdout)
    assert [row["row"] for row in rows][:2] == ["MnasNet-0.75", "AA-MnasNet-0.75"]
    assert rows[0]["params_m"] == 2.912
    assert rows[0]["experiment"] == "experiments/imagenet/mnasnet_0.75.yaml"


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


def test_version(aa_keras):
    assert aa_keras("--version").stdout == f"aa-keras, version {__version__}\n"


def test_help_is_the_answer_to_no_command(aa_keras):
    assert aa_keras().stdout == aa_keras("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["evaluate", "nowhere"], "nowhere: contains no config.yaml"),
        (["maps", "nowhere", "here.png", "--out", "a.png"], "contains no config.yaml"),
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


def test_list(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def listed(*arguments):
        with pytest.raises(SystemExit):
            cli.main(["list", *arguments])
        lines = capsys.readouterr().out.splitlines()
        return dict(line.split(maxsplit=1) for line in lines)

    every = listed()
    files = (ROOT / "experiments").rglob("*.yaml")
    names = {file.relative_to(ROOT / "experiments").with_suffix("") for file in files}
    assert set(every) == {name.as_posix() for name in names}
    assert "with attention" in every["quickstart/digits_aa_resnet"]
    assert listed("--table", "4") == {
        f"imagenet/{start}mnasnet_{width}": f"Table 4: {prefix}MnasNet-{width}"
        for start, prefix in (("", ""), ("aa_", "AA-"))
        for width in ("0.75", "1.0", "1.25", "1.4")
    }


def test_a_file_wins_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, shipped = "imagenet/resnet_50", ROOT / "experiments/imagenet/resnet_50.yaml"
    for given in (
        name,
        f"{name}.yaml",
        f"experiments/{name}",
        f"experiments/{name}.yaml",
    ):
        assert find_experiment(given) == shipped
    Path(name).mkdir(parents=True)  # a folder is no experiment
    assert find_experiment(name) == shipped
    Path(f"{name}.yaml").touch()
    assert find_experiment(f"{name}.yaml") == Path(f"{name}.yaml")


def test_config_prints_every_key_of_every_experiment(capsys):
    with pytest.raises(SystemExit):
        cli.main(["config"])
    text = capsys.readouterr().out
    keys = set()
    for file in (ROOT / "experiments").rglob("*.yaml"):
        values = config.load(file).model_dump(mode="json")
        keys |= {key for key, _ in key_paths(values)}
    assert {"train", "model.attention.num_heads", "paper.row"} <= keys
    section = ""
    printed = {}
    for line in text.splitlines():
        if line and not line.startswith(" "):
            section = "" if line == "the file" else line.split()[0] + "."
        elif found := re.match(r"  (\w+): (.*)", line):
            printed[section + found[1]] = found[2]
    assert keys <= printed.keys()
    # Literals of the schema.
    assert printed["model.attention.strided"] == 'sample, pool; default "sample"'
    assert printed["train.epochs"] == "whole number, at least 1; required"
    assert printed["train.ema"] == "number, above 0 and below 1; default null"


def key_paths(values, prefix=""):
    for key, value in values.items():
        yield prefix + key, value
        for inner in value if isinstance(value, list) else [value]:
            # The keys of `blocks` are numbers of stages.
            if isinstance(inner, dict) and key != "blocks":
                yield from key_paths(inner, f"{prefix}{key}.")


# Arguments with {run}, {image} and {out} filled in, and what the one line must say.
MISTAKES = {
    "no such command": (["trian"], ["No such command 'trian'"]),
    "no workdir": (["train", EXPERIMENT], ["--workdir"]),
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
    "no run": (["evaluate", "{out}"], ["no config.yaml", "--workdir"]),
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
    arguments, told, quickstart_run, digits, tmp_path, capfd
):
    # In this process: what is asked is the answer, not the start of TensorFlow.
    out, image = tmp_path / "out", next(iter(digits.values()))
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
