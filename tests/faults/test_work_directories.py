"""Damage to the files of a finished run: one line that names the file."""

import json
import random
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aa_keras import config, training
from aa_keras.tasks import find_task
from aa_keras.workdir import WorkDir
from tests.training.processes import EXPERIMENT

RESULT = {"name": "digits", "epochs": 40, "metrics": {"test": {"accuracy": 0.5}}}
METRICS = "epoch,loss,seconds\n1,0.5,30\n2,0.25,60\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The files of a finished run, whose network was not trained."""
    workdir = WorkDir(tmp_path_factory.mktemp("finished") / "run")
    experiment = config.load(EXPERIMENT, ["model.attention=null"])
    task = find_task(experiment).open(experiment)
    model = training.build_model(experiment, task.preprocessing.output_shape)
    with workdir.lock():
        workdir.write_config(experiment)
        workdir.write_data(task)
        workdir.write_model(model)
        workdir.write_result(RESULT)
        workdir.metrics.write_text(METRICS)
    return workdir.path, model.get_weights()


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "run")


def test_the_whole_run_is_read(copied, finished):
    run = training.load_run(copied)
    assert run.result == RESULT
    for one, other in zip(run.model.get_weights(), finished[1], strict=True):
        np.testing.assert_array_equal(one, other)
    seconds = [row["seconds"] for row in WorkDir(copied).read_history()]
    assert seconds == ["30", "60"]


FILES = ("config.yaml", "data.json", "model.keras", "result.json")
CONTENTS = {
    "empty": lambda content: b"",
    "a list": lambda content: b"[]",
    "a mapping": lambda content: b"{}",
    "a number": lambda content: b"1e999",
    "null": lambda content: b"null",
    "brackets": lambda content: 100_000 * b"[",
    "cut": lambda content: content[: len(content) // 2],
    "no text": lambda content: b"\xff\x00" * (len(content) // 2),
    "words": lambda content: b"hello",
}
LATER = {
    "data.json": {
        "class_names": ["a"],
        "preprocessing": {"image_size": 8, "bits": 16},
    },
    "result.json": {"name": "x", "epochs": 1, "metrics": {"test": 0.5}},
}


def is_refused(workdir, file):
    with pytest.raises((ValueError, OSError)) as caught:
        training.load_run(workdir)
    line = str(caught.value)
    assert line.startswith(f"{workdir / file}: ")
    assert "\n" not in line
    assert len(line) < 1000


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("change", CONTENTS.values(), ids=CONTENTS)
def test_a_damaged_file_is_named(change, file, copied):
    path = copied / file
    path.write_bytes(change(path.read_bytes()))
    is_refused(copied, file)


@pytest.mark.parametrize("file", LATER)
def test_a_file_of_another_version_is_named(file, copied):
    (copied / file).write_text(json.dumps(LATER[file]))
    is_refused(copied, file)


def test_a_folder_in_place_of_a_file_is_named(copied):
    (copied / "result.json").unlink()
    (copied / "result.json").mkdir()
    with pytest.raises(ValueError, match=r"contains no result\.json"):
        training.load_run(copied)


def test_a_flipped_bit_of_the_network_is_seen_or_changes_nothing(copied, finished):
    """In a zip archive a bit may lie where nothing reads it."""
    path, draw = copied / "model.keras", random.Random(0)
    content, seen = path.read_bytes(), 0
    for _ in range(10):
        changed = bytearray(content)
        changed[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        try:
            weights = training.load_run(copied).model.get_weights()
        except (ValueError, OSError) as error:
            seen += str(error).startswith(f"{path}: ")
        else:
            for one, other in zip(weights, finished[1], strict=True):
                np.testing.assert_array_equal(one, other)
    assert seen > 5


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.booleans())
def test_no_byte_of_the_small_files_causes_another_error(
    finished, position, byte, cut, tmp_path_factory
):
    workdir = WorkDir(tmp_path_factory.getbasetemp() / "fuzzed")
    workdir.path.mkdir(exist_ok=True)
    for path, read in (
        (workdir.result, workdir.read_result),
        (workdir.metrics, workdir.read_history),
    ):
        content = bytearray((finished[0] / path.name).read_bytes())
        place = position % len(content)
        content[place] = byte
        path.write_bytes(content[: place + 1] if cut else content)
        line = f"{path}: "
        try:
            read()
        except ValueError as error:
            line = str(error)
        assert line.startswith(f"{path}: ")
