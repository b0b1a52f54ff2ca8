"""Loss of power: what must be on the disk before a name is, and the name itself."""

import os
from pathlib import Path

import pytest

from aa_keras import whole_writes


@pytest.fixture
def synced(monkeypatch):
    """What reaches the disk, in order, with the name that it has at that moment."""
    paths, sync = [], os.fsync

    def record(descriptor):
        paths.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return paths


def test_a_file_and_its_name_are_on_the_disk(tmp_path, synced):
    whole_writes.write_json(tmp_path / "result.json", {"a": 1})
    assert synced == [tmp_path / ".unfinished-result.json", tmp_path]


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_its_content_and_its_name_are_on_the_disk(tmp_path, synced, replace):
    if replace:
        (tmp_path / "one").mkdir()
    with whole_writes.whole_folder(tmp_path / "one", replace=replace) as folder:
        (folder / "inner").mkdir()
        (folder / "inner/file").write_text("1")
        assert synced == []
    first, last = synced[:-1], synced[-1]
    assert last == tmp_path
    assert sorted(first) == [folder, folder / "inner", folder / "inner/file"]
