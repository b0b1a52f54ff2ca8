"""Damage to data: one line that names the file, or a noted skip; never fewer images."""

import json
import os
import re
import shutil

import numpy as np
import PIL.Image
import pytest
import yaml

from aa_keras import cli, config, data, training
from aa_keras.data import full_reading
from aa_keras.data.damage import DamagedData
from aa_keras.paper import report
from aa_keras.plain_text import printable
from tests import written_sets

SETS = {
    "cifar100": {"train": 20, "test": 20},
    "imagenet2012": {"train": 20, "validation": 20},
    "coco/2017": {"train": 20, "validation": 20},
}
PREPROCESSING = {
    "classification": data.Preprocessing,
    "detection": data.DetectionPreprocessing,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("sets")
    for name, splits in SETS.items():
        written_sets.write(data_dir, name, splits)
    return data_dir


@pytest.fixture
def sets(written, tmp_path):
    return shutil.copytree(written, tmp_path / "sets")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures") / "images"
    for label, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for number in range(10):
            level = np.full((8, 8, 3), 100 * label + 10 * number, np.uint8)
            PIL.Image.fromarray(level).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def folder(pictures, tmp_path):
    return shutil.copytree(pictures, tmp_path / "images")


def read(name, data_dir, split, train=True, **options):
    """Reads a split as evaluation and as training does: the numbers of images."""
    source = data.open_source(name, str(data_dir), **options)
    batches = data.detection_batches if source.task == "detection" else data
    channels = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    preprocessing = PREPROCESSING[source.task](8, **channels)
    options = {"augmentation": "none", "batch_size": 4, "seed": 0, "epochs": range(2)}
    counts, arguments = [], (source, preprocessing)
    with source.damage.named():
        for built in (
            batches.build_evaluation(*arguments, split=split, batch_size=4),
            *([batches.build_training(*arguments, split=split, **options)] * train),
        ):
            counts.append(sum(len(images) for images, _ in built.as_numpy_iterator()))
    return counts, source.damage.skipped


SHARD_FAULTS = {
    "emptied": (lambda path: path.write_bytes(b""), "holds 0 of 7 records"),
    "missing": (lambda path: path.unlink(), "is missing"),
    "truncated": (
        lambda path: path.write_bytes(path.read_bytes()[:-50]),
        "holds 6 of 7 records",
    ),
}


def shard_of(data_dir, name, number=1):
    split = "test" if name == "cifar100" else "validation"
    (path,) = data_dir.glob(f"{name}/*/*-{split}.tfrecord-{number:05}*")
    return path


@pytest.mark.parametrize("policy", ["stop", "skip"])
@pytest.mark.parametrize("fault", SHARD_FAULTS)
@pytest.mark.parametrize("name", SETS)
def test_a_short_shard_stops_with_both_numbers(name, fault, policy, sets):
    path = shard_of(sets, name)
    damage, state = SHARD_FAULTS[fault]
    damage(path)
    with pytest.raises(DamagedData) as caught:
        read(name, sets, "test", corrupt_images=policy)
    line = str(caught.value)
    assert "\n" not in line
    if fault == "truncated" and policy == "skip":
        assert f"{path.name} unreadable record 1; allowed: 0" in line
        assert line.startswith("split 'test': 1 images cannot be used")
    else:
        found = {"truncated": 19}.get(fault, 13)
        assert line == (
            f"split 'test': found {found} images; allowed: 20, as the set states; "
            f"{path} {state}"
        )


@pytest.mark.parametrize("name", SETS)
def test_records_that_may_be_skipped_are_counted(name, sets, capfd):
    path = shard_of(sets, name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # the checksum of a record, and all after it
    path.write_bytes(content)
    options = {"corrupt_images": "skip", "max_skipped": 7}
    counts, skipped = read(name, sets, "test", **options)
    assert 0 < len(skipped["test"]) < 7
    assert skipped["test"][0] == f"{path.name} unreadable record 1"
    assert counts == [20 - len(skipped["test"]), 40]
    told = re.findall(r"^Skipped a corrupt image: (.*)$", capfd.readouterr().err, re.M)
    assert told == skipped["test"]
    with pytest.raises(DamagedData, match=r"corrupt image .* unreadable record 1"):
        read(name, sets, "test")


def test_a_set_of_ones_own_that_gives_fewer(sets):
    """The set says 20, its reader finds the 13 of two files."""
    source = data.open_source("imagenet2012", str(sets))
    shorter = data.Source(
        **{
            **{k: getattr(source, k) for k in ("class_names", "mean", "std")},
            "name": "own",
            "num_examples": {"test": 20},
            "records": lambda split, key: source.records(split, key).take(13),
        }
    )
    with (
        pytest.raises(
            DamagedData, match=r"'test': found 13 images; allowed: 20, .*own"
        ),
        shorter.damage.named(),
    ):
        list(shorter.load("test"))
    arrays = data.Source(
        "own", ("a",), (0,), (1,), {"test": 3}, lambda _: (np.zeros(2), np.zeros(2))
    )
    with pytest.raises(DamagedData, match=r"found 2 images .* allowed: 3"):
        arrays.load("test")


def cut(path):
    path.write_bytes(path.read_bytes()[:40])


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
    with pytest.raises(DamagedData, match=r"4 images cannot be used, .*; allowed: 3 "):
        read("image_folder", folder, "test", corrupt_images="skip", max_skipped=100)
    with pytest.raises(DamagedData, match=r"1 images cannot be used, .*; allowed: 0 "):
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


def check(path, capsys):
    """The exit status and the lines of `aa-keras check`."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["check", str(path)])
    return caught.value.code, capsys.readouterr().out.splitlines()


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


def test_check_of_data(sets, folder, tmp_path, capsys):
    status, lines = check(sets, capsys)
    assert status == 0
    assert [line.split()[1:] for line in lines] == [
        ["split", "stated", "usable", "damaged"],
        *[[split, "20", "20", "0"] for s in SETS.values() for split in s],
    ]
    emptied, lost = shard_of(sets, "cifar100"), shard_of(sets, "coco/2017")
    emptied.write_bytes(b"")
    content = bytearray(lost.read_bytes())
    content[20] ^= 1
    lost.write_bytes(content)
    status, lines = check(sets, capsys)
    assert status == 1
    assert lines[-2:] == [
        f"{emptied} holds 0 of 7 records",
        f"{lost}: 7 records cannot be read",
    ]
    assert [line.split()[-1] for line in lines[1:-2]] == ["0", "7", "0", "7", "0", "0"]

    assert check(folder, capsys)[0] == 0
    cut(folder / "dog" / "9.png")
    status, (*_, test_row, line) = check(folder, capsys)
    assert (status, test_row.split()[1:]) == (1, ["test", "4", "3", "1"])
    assert line == f"{folder}/dog/9.png (its picture cannot be decoded)"
    (tmp_path / "empty").mkdir()
    for mistake in (tmp_path / "absent", tmp_path / "empty"):
        assert check(mistake, capsys) == (2, [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x07", r"a\x1b[31mred\x07"),
        ("two\nlines\r\u2028", r"two\nlines\r\u2028"),
        ("txt\u202egpj.exe\u2066", r"txt\u202egpj.exe\u2066"),
        ("C1 \x9b31m", r"C1 \x9b31m"),
        (os.fsdecode(b"\xff\x80"), r"\xff\x80"),
        ("grüße 日本 \U0001f468\u200d\U0001f469", None),
    ],
)
def test_characters_that_act_are_shown_as_codes(text, shown):
    assert printable(text) == (shown or text)
    json.dumps(printable(text)).encode()
    yaml.safe_dump(printable(text))


def test_names_act_neither_on_a_terminal_nor_in_a_table(capsys):
    name = "run\x1b[2J\u202e|"
    for command in (["check", name], ["train", name, "--workdir", "x"]):
        with pytest.raises(SystemExit):
            cli.main(command)
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert r"run\x1b[2J\u202e|" in line
        assert not {"\x1b", "\u202e"} & {*line}
    metrics = {"test": {"accuracy": 0.5}}
    run = {"name": name, "seed": 0, "epochs": 1, "params": 1, "gflops": 1.0}
    run |= {"metrics": metrics, "seconds": 1, "processes": [], "notes": ["two\nlines"]}
    table = report.runs_as_markdown([run])
    assert r"| run\x1b[2J\u202e\| | 0 |" in table
    assert len(table.splitlines()) == 3
