"""Damage to image folders: one line that names the file, or a noted skip."""

import json
import os
import re
import shutil

import pytest

from aa_keras import config, data, training
from aa_keras.data import full_reading
from aa_keras.data.damage import DamagedData
from tests.faults.damaged_data import check, cut, read


def not_utf8(path):
    path.unlink()
    other = os.path.join(os.fsencode(path.parent), b"\xff\x1b[31m.png")
    with open(other, "wb") as file:
        file.write(b"no picture")


PICTURE_FAULTS = {
    "cut": (cut, r"/dog/9.png (its picture cannot be decoded)"),
    "empty": (lambda path: path.write_bytes(b""), "/dog/9.png (empty)"),
    "dangling": (
        lambda path: (path.unlink(), path.symlink_to("absent")),
        "/dog/9.png (a link to absent, which is not there)",
    ),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "/dog/9.png (a folder)"),
    "not UTF-8": (not_utf8, r"/dog/\xff\x1b[31m.png (its picture cannot be decoded)"),
}


@pytest.mark.parametrize("fault", PICTURE_FAULTS)
def test_a_file_that_is_no_picture_is_named(fault, folder, capfd):
    damage, named = PICTURE_FAULTS[fault]
    damage(folder / "dog" / "9.png")
    line = f"{folder}{named}"
    split = "test"  # 4 and 9 of ten
    with pytest.raises(DamagedData) as caught:
        read("image_folder", folder, split, train=False)
    assert str(caught.value) == (
        f"corrupt image (data.corrupt_images=skip leaves it out): {line}"
    )
    train = fault == "cut"  # once is enough: the code is the same
    counts, skipped = read("image_folder", folder, split, train, corrupt_images="skip")
    assert counts == [3, 8][: 1 + train]
    assert skipped == {"test": [line]}
    # Once, although evaluation and two epochs met it. TensorFlow may log beside it.
    told = re.findall(r"^Skipped .*$", capfd.readouterr().err, re.M)
    assert told == [f"Skipped a corrupt image: {line}"]
    _, lines = full_reading.read_image_folder(folder)
    assert lines == [line]


def test_all_pictures_bad_end_in_one_line(folder):
    for path in folder.glob("*/*.png"):
        cut(path)
    with pytest.raises(
        DamagedData, match=r"4 images cannot be .*; allowed: at most 3 "
    ):
        read("image_folder", folder, "test", corrupt_images="skip", max_skipped=100)
    with pytest.raises(
        DamagedData, match=r"1 images cannot be .*; allowed: at most 0 "
    ):
        read("image_folder", folder, "test", corrupt_images="skip", max_skipped=0)


def test_hidden_files_are_no_data(folder):
    whole = data.open_source("image_folder", str(folder))
    shutil.copytree(folder / "cat", folder / ".ipynb_checkpoints")
    (folder / "dog" / "._0.png").write_bytes(b"Mac OS X")
    assert data.open_source("image_folder", str(folder)).class_names == ("cat", "dog")
    assert data.open_source("image_folder", str(folder)).num_examples == (
        whole.num_examples
    )


FOLDER_FAULTS = {
    "a line": (lambda root: (root / "co\nw").mkdir(), r"co\\nw has control characters"),
    "not UTF-8": (
        lambda root: os.mkdir(os.fsencode(root) + b"/\xff"),
        r"\\xff has control characters or bytes that are not UTF-8",
    ),
    "a link": (
        lambda root: (root / "cow").symlink_to("absent"),
        "cow is a link to nothing; allowed",
    ),
    "WebP": (
        lambda root: (root / "cat" / "10.webp").write_bytes(b""),
        r"received .*/cat/10.webp; allowed: .bmp, .gif, .jpeg, .jpg, .png",
    ),
}


@pytest.mark.parametrize("fault", FOLDER_FAULTS)
def test_a_folder_that_is_no_class_is_named(fault, folder):
    damage, message = FOLDER_FAULTS[fault]
    damage(folder)
    with pytest.raises(ValueError, match=message) as caught:
        data.open_source("image_folder", str(folder))
    assert "\n" not in str(caught.value)


EXPERIMENT = """
name: folder
model: {name: resnet, depth: 8, classes: 2}
data:
  {name: image_folder, batch_size: 4, image_size: 8, corrupt_images: skip,
   max_skipped: 2}
train:
  epochs: 2
  jit_compile: false
  optimizer: {name: sgd, learning_rate_per_256: 0.1}
  schedule: {name: constant}
"""


@pytest.mark.slow
def test_data_with_a_validation_split_of_their_own_can_be_measured(folder, tmp_path):
    (tmp_path / "folder.yaml").write_text(EXPERIMENT)
    changes = (f"data.data_dir={folder}", "data.validation_examples=4", "smoke=true")
    experiment = config.load(tmp_path / "folder.yaml", changes)
    training.train(experiment, tmp_path / "run", lambda line: None)
    other = tmp_path / "other"
    for split in ("train", "validation", "test"):
        shutil.copytree(folder, other / split)
    pictures = sum(1 for _ in folder.glob("*/*.png"))
    measured = training.evaluate(tmp_path / "run", "test", str(other))
    assert measured["images"] == pictures


def test_a_result_names_what_was_skipped(folder, tmp_path, capsys):
    """Of a run and an evaluation; then `check` reads the run's files."""
    cut(folder / "dog" / "9.png")
    cut(folder / "cat" / "0.png")
    (tmp_path / "folder.yaml").write_text(EXPERIMENT)
    change = f"data.data_dir={folder}"
    experiment = config.load(tmp_path / "folder.yaml", [change])
    workdir = tmp_path / "run"
    result = training.train(experiment, workdir, lambda line: None)
    assert result["metrics"]["test"]["images"] == 3
    assert result["metrics"]["test"]["skipped"] == 1
    bad = "(its picture cannot be decoded)"
    names = {"train": f"{folder}/cat/0.png {bad}", "test": f"{folder}/dog/9.png {bad}"}
    skipped = {split: {"count": 1, "names": [name]} for split, name in names.items()}
    assert result["skipped"] == skipped
    told = capsys.readouterr().err.splitlines()
    assert sorted(told) == [
        f"Skipped a corrupt image: {n}" for n in sorted(names.values())
    ]

    cut(folder / "dog" / "4.png")
    assert training.evaluate(workdir, "test")["skipped"] == 2
    stored = json.loads((workdir / "result.json").read_text())
    assert stored["skipped"]["train"] == skipped["train"]
    assert stored["skipped"]["test"]["count"] == 2

    other = shutil.copytree(folder, tmp_path / "other")
    cut(other / "cat" / "4.png")
    with pytest.raises(DamagedData, match="'test': 3 images cannot be used"):
        training.evaluate(workdir, "test", str(other))
    shutil.copy(folder / "cat" / "3.png", other / "dog" / "9.png")
    assert training.evaluate(workdir, "test", str(other))["skipped"] == 2
    (other / "dog").rename(other / "zebra")
    refusal = "data: received 'zebra' as class 1; allowed: 'dog', as the run was tr"
    with pytest.raises(ValueError, match=refusal):
        training.evaluate(workdir, "test", str(other))
    changes = (f"data.data_dir={other}", "train.epochs=3")
    experiment = config.load(tmp_path / "folder.yaml", changes)
    with pytest.raises(ValueError, match=refusal):
        training.train(experiment, workdir, lambda line: None)
    assert json.loads((workdir / "result.json").read_text()) == stored
    cut(folder / "cat" / "4.png")
    with pytest.raises(DamagedData, match="'test': 3 images cannot be used"):
        training.evaluate(workdir, "test")

    assert check(workdir, capsys)[0] == 0
    (workdir / "checkpoints" / "epoch_0001" / "state.weights.h5").write_bytes(b"x")
    (workdir / "data.json").write_text("[]")
    status, lines = check(workdir, capsys)
    assert status == 1
    *rows, data_line, checkpoint_line = lines
    assert sum(row.endswith("damaged") for row in rows) == 2
    assert data_line.startswith(f"{workdir}/data.json: ")
    assert checkpoint_line.startswith(f"{workdir}/checkpoints/epoch_0001: damaged")
