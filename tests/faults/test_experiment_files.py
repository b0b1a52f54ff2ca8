"""Experiment files that are wrong, huge or hostile: one line each, and soon."""

import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aa_keras import config
from tests.faults import fuzz
from tests.training.processes import EXPERIMENT, ROOT

SOUND = (ROOT / EXPERIMENT).read_text()
SECONDS = 2.0


def laughs(operator):
    """Nine names, each of which stands for nine times the one before."""
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, 10):
        nine = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} {operator.format(nine)}")
    return "\n".join(lines)


HOSTILE = {
    "100,000 keys": ("\n".join(f"k{n}: 1" for n in range(100_000)), "more than 20000"),
    "billion laughs": (laughs("[{}]"), "more than 20000 keys and values"),
    "billion merges": (laughs("{{<<: [{}]}}"), "more than 20000 keys and values"),
    "5,000 brackets": (5000 * "[", "nested deeper than 30, line 1"),
    "5,000 braces": (5000 * "{a: ", "nested deeper than 30"),
    "50 MB": (50_000_000 * "#", "longer than 1000000 bytes"),
    "a long key": ("? " + 300_000 * "k" + "\n: 1", "unknown key"),
    "a long value": (SOUND.replace("resnet", 300_000 * "v"), "model.name: received"),
    "a long number": (SOUND.replace("64", 6000 * "9"), "not valid YAML"),
    "a long hexadecimal": (SOUND.replace("64", "0x" + 6000 * "f"), "below 2**63"),
    "many classes": (
        SOUND.replace("classes: 10", "classes: 100000000"),
        "model.classes: received 100000000; allowed: less than or equal to 1000000",
    ),
    "many layers": (SOUND.replace("depth: 8", "depth: 999998"), "model.depth"),
    "a list in itself": ("name: &a [*a]", "'a' contains itself"),
    "no alias": ("name: *nobody", "undefined alias"),
    "a date that is none": ("name: 2024-13-45", "month must be in 1..12"),
    "a boolean that is none": ("name: !!bool perhaps", "not valid YAML"),
    "an object": ("name: !!python/object/apply:os.getcwd []", "not valid YAML"),
    "two documents": (SOUND + "\n---\n" + SOUND, "not valid YAML"),
    "a line end in a key": ('"a\\nb": 1', "unknown key"),
    "a base that is a list": ("base: [a]", "base: received ['a']; allowed"),
    "a base of no name": ('base: "a\\0b"', "embedded null"),
    "a base of two lines": ('base: "a\\nb"', "cannot be read"),
    "a module that exits": ("import: [this_exits]", "import: received 'this_exits'"),
}


def refusal(path, *overrides):
    started = time.monotonic()
    with pytest.raises(config.ConfigError) as caught:
        config.load(path, overrides)
    assert time.monotonic() - started < SECONDS
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert len(line) < 2000
    return line


@pytest.mark.parametrize(("text", "expected"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_one_line_and_soon(text, expected, tmp_path):
    (tmp_path / "this_exits.py").write_text("raise SystemExit(3)")
    path = tmp_path / "file.yaml"
    path.write_text(text)
    line = refusal(path)
    assert str(tmp_path) in line
    assert expected in line


def test_a_pipe_and_a_folder_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "a pipe or a device" in refusal(tmp_path / "pipe")
    assert "a folder" in refusal(tmp_path)


def test_sound_merges_in_merges_are_read(tmp_path):
    merged = SOUND.replace(
        "  optimizer: {name: sgd, momentum: 0.9,",
        "  optimizer: {<<: *second,",
    )
    assert merged != SOUND
    parts = [
        "  - &first {name: sgd, momentum: 0.5, nesterov: true}",
        "  - &second {<<: *first, momentum: 0.9}",
    ]
    # Both stand where a list of text is expected, and are replaced by --set.
    path = tmp_path / "merged.yaml"
    path.write_text("import:\n" + "\n".join(parts) + "\n" + merged)
    plain = tmp_path / "plain.yaml"
    plain.write_text(SOUND)
    same = ["name=same", "import=[]"]
    expected = config.load(plain, [*same, "train.optimizer.nesterov=true"])
    assert config.load(path, same) == expected


def test_an_override_does_not_reach_another_key_through_an_alias(tmp_path):
    path = tmp_path / "aliases.yaml"
    path.write_text(
        SOUND.replace("data: {", "data: &shared {") + "\nimport_from: *shared\n"
    )
    line = refusal(path, "data.batch_size=32")
    assert "import_from: received {" in line
    assert "'batch_size': 64" in line


OVERRIDES = {
    "no key": "=1",
    "a deep key": ".".join(5000 * ["a"]) + "=1",
    "no YAML": "train.epochs={",
    "brackets": "train.epochs=" + 5000 * "[",
    "long": "train.epochs=" + 100_000 * "x",
    "a number": "train.epochs=" + 5000 * "9",
    "laughs": "train.epochs=" + laughs("[{}]").replace("\n", "\n "),
    "lines": "train.epochs=a\nb",
    "lines in a key": "train.e\npochs=1",
    "no time": "train.epochs=2024-99-99",
}


@pytest.mark.parametrize("override", OVERRIDES.values(), ids=OVERRIDES)
def test_a_hostile_override_is_one_line_and_soon(override):
    assert "train" in refusal(ROOT / EXPERIMENT, override)


PIECES = st.sampled_from(fuzz.PIECES)


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, len(SOUND)), cut=st.integers(0, 9), pieces=st.lists(PIECES))
def test_a_changed_file_is_read_or_refused(place, cut, pieces, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "changed.yaml"
    text = SOUND[:place] + "".join(pieces) + SOUND[place + cut :]
    path.write_text(text, encoding="utf-8")
    read_or_refused(path)


@settings(max_examples=200, deadline=None)
@given(
    key=st.sampled_from(sorted(config.flatten(config.load(ROOT / EXPERIMENT)))),
    text=st.one_of(st.text(), st.lists(PIECES).map("".join)),
)
def test_a_changed_setting_is_read_or_refused(key, text):
    read_or_refused(ROOT / EXPERIMENT, f"{key}={text}")


def read_or_refused(path, *overrides):
    line = str(path)
    try:
        config.load(path, overrides)
    except config.ConfigError as error:
        line = str(error)
    assert len(line.splitlines()) == 1
