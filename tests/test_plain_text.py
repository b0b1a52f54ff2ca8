"""Names from outside do nothing where they are printed."""

import json
import os

import pytest
import yaml

from aa_keras import cli
from aa_keras.paper import report
from aa_keras.plain_text import printable


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
