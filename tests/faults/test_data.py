"""Damage to sets: one line that names the file, or a noted skip; never fewer images."""

import re

import numpy as np
import pytest

from aa_keras import data
from aa_keras.data.damage import DamagedData
from tests.faults.damaged_data import SETS, check, cut, read, shard_of

SHARD_FAULTS = {
    "emptied": (lambda path: path.write_bytes(b""), "holds 0 of 7 records"),
    "missing": (lambda path: path.unlink(), "is missing"),
    "truncated": (
        lambda path: path.write_bytes(path.read_bytes()[:-50]),
        "holds 6 of 7 records",
    ),
}


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
        assert f"{path.name} unreadable record 1; allowed: at most 0" in line
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
