"""Exports of a work directory, and the mistakes of its user."""

import json
import shutil

import pytest
from PIL import Image

from aa_keras import export
from aa_keras.export import checking


def test_unknown_format(workdir, tmp_path):
    with pytest.raises(ValueError, match="format: received 'coreml'; allowed: s"):
        export.export(workdir, tmp_path / "out", format="coreml")


def test_no_run_there(tmp_path):
    with pytest.raises(ValueError, match="no such folder or weights"):
        export.export(tmp_path / "nothing", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def damaged(workdir, tmp_path, name, content):
    copy = tmp_path / "run"
    shutil.copytree(workdir, copy, ignore=shutil.ignore_patterns("checkpoints"))
    (copy / name).write_bytes(content)
    return copy


def test_a_broken_model_file(workdir, tmp_path):
    content = (workdir / "model.keras").read_bytes()[:2000]
    copy = damaged(workdir, tmp_path, "model.keras", content)
    with pytest.raises(ValueError, match=r"model\.keras: damaged, or") as caught:
        export.export(copy, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_model_of_other_code(workdir, tmp_path):
    import io
    import zipfile

    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(workdir / "model.keras") as original,
        zipfile.ZipFile(buffer, "w") as other,
    ):
        for name in original.namelist():
            content = original.read(name)
            if name == "config.json":
                content = content.replace(b'"AugmentedConv2D"', b'"AugmentedConv9D"')
                content = content.replace(b"aa_keras>Aug", b"aa_keras>Other")
            other.writestr(name, content)
    copy = damaged(workdir, tmp_path, "model.keras", buffer.getvalue())
    with pytest.raises(ValueError, match=r"model\.keras: damaged, or") as caught:
        export.export(copy, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_class_names_of_another_run(workdir, tmp_path):
    description = json.loads((workdir / "data.json").read_text())
    description["class_names"] = ["one", "two"]
    copy = damaged(workdir, tmp_path, "data.json", json.dumps(description).encode())
    with pytest.raises(ValueError, match="class_names: received 2 of them"):
        export.export(copy, tmp_path / "out")


def test_large_pictures_are_cut_to_what_a_request_may_have(run, tmp_path):
    for folder in ("train/one", "train/two", "test/one", "test/two"):
        (tmp_path / folder).mkdir(parents=True)
        Image.new("L", (1500, 1100)).save(tmp_path / folder / "large.png")
    options = run.experiment.data.model_copy(
        update={
            "name": "image_folder",
            "data_dir": str(tmp_path),
            "validation_examples": 0,
        }
    )
    images = checking.sample_images(run.task.preprocessing, options)
    sizes = [(1024, 1024, 1)] * 2 + [(427, 640, 1)] * 2
    assert [image.shape for image in images] == sizes


def test_photographs_stand_in_for_data_that_is_not_there(run, tmp_path):
    options = run.experiment.data.model_copy(
        update={"name": "imagenet2012", "data_dir": str(tmp_path)}
    )
    images = checking.sample_images(run.task.preprocessing, options)
    assert [image.shape for image in images] == [(427, 640, 1), (427, 640, 1)]
