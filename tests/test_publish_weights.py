"""Finished runs become shipped weights; others are refused, and nothing is written."""

import json
import shutil

import pytest

from aa_keras import models
from tools import publish_weights


def test_the_seed_nearest_to_the_mean_is_taken():
    # The mean is 0.58: neither the best nor the middle one.
    accuracies = {0: 0.50, 1: 0.59, 2: 0.60, 3: 0.63}
    assert publish_weights.nearest_to_mean(accuracies) == 1
    assert publish_weights.nearest_to_mean(accuracies, kept=(0, 3)) == 3
    assert publish_weights.nearest_to_mean({5: 0.25, 4: 0.75}) == 4


@pytest.fixture
def copy(quickstart_run, tmp_path):
    """A function that copies the run and changes one of its files."""

    def copy(name, file=None, change=None):
        folder = tmp_path / name
        shutil.copytree(
            quickstart_run, folder, ignore=shutil.ignore_patterns("checkpoints")
        )
        if file:
            path = folder / file
            path.write_text(change(path.read_text()))
        return folder

    return copy


def changed(*keys, value):
    """A change of a value in JSON; `None` removes it."""

    def change(text):
        values = json.loads(text)
        inner = values
        for key in keys[:-1]:
            inner = inner[key]
        if value is None:
            del inner[keys[-1]]
        else:
            inner[keys[-1]] = value
        return json.dumps(values)

    return change


def replaced(old, new):
    def change(text):
        assert old in text
        return text.replace(old, new)

    return change


def test_seeds_whose_runs_are_gone_count_for_the_mean(copy, tmp_path, published):
    """Seeds 0 and 1 are there, and 2 in `results`, as is a run of other epochs."""
    other = ("config.yaml", replaced("seed: 0", "seed: 1"))
    runs = [copy("run_0"), copy("run_1", *other)]
    result = json.loads((runs[1] / "result.json").read_text())
    result["seed"], result["metrics"]["test"]["accuracy"] = 1, 0.5
    (runs[1] / "result.json").write_text(json.dumps(result))
    results = tmp_path / "results"
    results.mkdir()
    for seed, epochs in ((2, result["epochs"]), (3, result["epochs"] + 1)):
        result["metrics"]["test"]["accuracy"] = 0.25
        file = results / f"digits_aa_resnet-seed{seed}.json"
        file.write_text(json.dumps({**result, "seed": seed, "epochs": epochs}))
    folder = tmp_path / "weights"
    name = publish_weights.publish(runs, folder, results)
    about = models.list_weights(folder)[name]
    assert about["seed"] == 1  # without seed 2 the mean is as near to seed 0
    assert list(about["accuracies"].values())[1:] == [0.5, 0.25]
    card = (folder / f"{name}.md").read_text("utf-8")
    assert "of the seeds whose weights were kept (0, 1) |" in card


REFUSALS = {
    "a smoke run": (
        [("config.yaml", replaced("smoke: false", "smoke: true"))],
        "received a smoke run; allowed: a finished run",
    ),
    "no test split": (
        [("result.json", changed("metrics", "test", value=None))],
        "received a run that measured validation; allowed",
    ),
    "the same seed": ([(None, None), (None, None)], "received one seed twice"),
    "another experiment": (
        [
            (None, None),
            (
                "config.yaml",
                lambda text: text.replace("seed: 0", "seed: 1").replace(
                    "batch_size: 64", "batch_size: 32"
                ),
            ),
        ],
        "received runs that differ in data.batch_size; allowed: the seeds of one",
    ),
    "other class names": (
        [("data.json", changed("class_names", 0, value="null"))],
        "has other class names or another preprocessing than the run",
    ),
    "the name of another experiment": (
        [("config.yaml", replaced("name: digits_aa_resnet", "name: other"))],
        "digits/aa_resnet_8 has the weights of 'digits_aa_resnet'; allowed",
    ),
}


@pytest.mark.parametrize(("changes", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_published(changes, message, copy, published, tmp_path):
    folder = tmp_path / "weights"
    shutil.copytree(published, folder)
    runs = [copy(f"run_{n}", *change) for n, change in enumerate(changes)]
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    with pytest.raises(ValueError, match=message) as error:
        publish_weights.publish(runs, folder)
    assert "\n" not in str(error.value)
    assert before == {path: path.read_bytes() for path in folder.rglob("*.*")}


def test_an_unfinished_run_at_the_command_line(tmp_path):
    with pytest.raises(SystemExit) as caught:
        publish_weights.main([str(tmp_path)])
    assert caught.value.code == (
        f"publish_weights: error: {tmp_path}: contains no config.yaml; allowed: the "
        "--workdir of a finished `aa-keras train`"
    )


def test_the_card_says_what_the_run_was(published):
    text = (published / "digits/aa_resnet_8.md").read_text("utf-8")
    about = models.list_weights(published)["digits/aa_resnet_8"]
    accuracy = about["accuracy"]
    for part in (
        f"| accuracy | {100 * accuracy:.2f}% of the 359 images of `test`",
        "72,686",
        about["sha256"],
        about["revision"] or "None",
        "Apache-2.0",
        "experiment `digits_aa_resnet`",
        'models.AAResNet8(weights="digits")',
        "key_ratio: 0.5",
        "mean 0.306, standard deviation 0.376",
        "15 epochs, seed 0",
    ):
        assert part in text
