"""YAML as plain data, from a text that may be wrong, huge or hostile.

The text is read once as events, which costs no more than its length, before anything
is built from it: aliases can make a short text into gigabytes of data.
"""

import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from aa_keras.options import short

MAX_BYTES = 1_000_000
MAX_DEPTH = 30  # brackets inside brackets; an experiment needs five
MAX_NODES = 20_000  # keys and values, each alias counted as all that it stands for
MAX_NUMBER = 2**63

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # C where it was built


class _Loader(_Parser):
    """YAML in which `5e-4` is a number. PyYAML follows YAML 1.1: there it is text."""


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would read as a number."""


def _construct_int(loader, node):
    value = loader.construct_yaml_int(node)
    if abs(value) >= MAX_NUMBER:
        raise ValueError(f"received {short(node.value)}; allowed: numbers below 2**63")
    return value


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )


def read_text(path: Path) -> str:
    """Returns the text of a regular file, or raises OSError or ValueError."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("a folder; allowed: a file")
    if not stat.S_ISREG(status.st_mode):  # a pipe may never end
        raise ValueError("a pipe or a device; allowed: a file")
    with open(path, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"longer than {MAX_BYTES} bytes, the most allowed")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not a text file in UTF-8") from None


def dump(values: Any) -> str:
    """Returns plain data as a text of which `parse` returns the same."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False)


def parse(text: str) -> Any:
    """Returns the content of a YAML text as plain data.

    Raises:
        ValueError: if it is no valid YAML, gives a key twice, or is out of bounds.
    """
    try:
        _check(yaml.parse(text, Loader=_Parser))
        return yaml.load(text, _Loader)
    except Exception as error:  # what PyYAML raises depends on the wrong value
        reason = " ".join(str(error).split())
        raise ValueError(f"not valid YAML: {reason}") from None


class _Collection:
    """An open list or mapping: its anchor, its nodes so far, its keys."""

    def __init__(self, event):
        self.anchor = event.anchor
        self.nodes = 1
        self.keys = set() if isinstance(event, yaml.MappingStartEvent) else None
        self.children = 0

    def add(self, key, nodes):
        """Counts a child; every second one of a mapping, `key` if a scalar, is a key.

        Returns whether this key was there before.
        """
        is_key = self.keys is not None and self.children % 2 == 0 and key is not None
        self.children += 1
        self.nodes += nodes
        is_known = is_key and key in self.keys
        if is_key:
            self.keys.add(key)
        return is_known


def _check(events):
    anchored: dict[str, int | None] = {}  # the nodes of each; None while it is open
    opened: list[_Collection] = []

    def add(event, key, nodes):
        if not opened:
            return
        if opened[-1].add(key, nodes):
            _fail(event, f"key {short(key)} is given twice")
        if sum(collection.nodes for collection in opened) > MAX_NODES:
            _fail(event, f"more than {MAX_NODES} keys and values, aliases expanded")

    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            if len(opened) == MAX_DEPTH:
                _fail(event, f"nested deeper than {MAX_DEPTH}")
            opened.append(_Collection(event))
            if event.anchor:
                anchored[event.anchor] = None
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = opened.pop()
            if closed.anchor:
                anchored[closed.anchor] = closed.nodes
            add(event, None, closed.nodes)
        elif isinstance(event, yaml.AliasEvent):
            nodes = anchored.get(event.anchor, 1)  # an unknown one fails later
            if nodes is None:
                _fail(event, f"{short(event.anchor)} contains itself")
            add(event, None, nodes)
        elif isinstance(event, yaml.ScalarEvent):
            if event.anchor:
                anchored[event.anchor] = 1
            add(event, event.value, 1)


def _fail(event, reason):
    mark = event.start_mark
    raise ValueError(f"{reason}, line {mark.line + 1}, column {mark.column + 1}")
