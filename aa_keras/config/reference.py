"""Every key of an experiment file with its type, default and meaning.

The keys, types and defaults are those of the schema, the meanings its docstrings.
"""

import json
import re
import textwrap
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import annotated_types as bounds
from pydantic.fields import FieldInfo

from aa_keras.config.schema import experiment_type
from aa_keras.docstrings import argument_docs
from aa_keras.options import Section


class Key(NamedTuple):
    """A key of a file: where it stands, and what its value may be."""

    name: str
    type: str
    default: str
    meaning: str


class Group(NamedTuple):
    """The keys of a section, of one of the kinds that its `name` selects."""

    path: str  # "train.optimizer"; empty at the top
    kind: str  # "sgd", or empty where there are no kinds
    keys: tuple[Key, ...]

    @property
    def title(self) -> str:
        kind = f" with name: {self.kind}" if self.kind else ""
        return (self.path or "the file") + kind


TYPES = {int: "whole number", float: "number", bool: "true or false", str: "text"}
BOUNDS: dict[type, tuple[str, str]] = {
    bounds.Ge: ("ge", "at least"),
    bounds.Gt: ("gt", "above"),
    bounds.Le: ("le", "at most"),
    bounds.Lt: ("lt", "below"),
}


# Larger ones only stop a network that would take all memory.
LARGEST_TOLD = 10_000


def groups() -> list[Group]:
    """Returns the keys of an experiment file, those of registered networks too."""
    # Sections that several networks share appear once.
    return list(dict.fromkeys(_groups(experiment_type(), "")))


def as_text() -> str:
    """Returns the keys as text for a terminal of 80 columns."""
    wrap = textwrap.TextWrapper(80, " " * 6, " " * 6)
    lines = []
    for group in groups():
        lines += ["", group.title]
        for key in group.keys:
            lines.append(f"  {key.name}: {key.type}; {_with_word(key.default)}")
            lines.append(wrap.fill(key.meaning))
    return "\n".join(lines[1:])


def as_markdown() -> str:
    """Returns the keys as a table for each section."""
    tables = []
    for group in groups():
        rows = [
            "| key | type | default | meaning |",
            "|---|---|---|---|",
            *("| " + " | ".join(_cells(key)) + " |" for key in group.keys),
        ]
        tables.append(f"## {group.title}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(tables)


def _groups(section, path) -> Iterator[Group]:
    meanings = argument_docs(section)
    fields = {
        field.alias or name: field for name, field in section.model_fields.items()
    }
    kind = get_args(fields["name"].annotation) if "name" in fields else ()
    keys = (
        Key(
            name,
            _named(field.annotation, field.metadata),
            "" if name == "name" and kind else _default(field),
            _meaning(meanings.get(name, "")),
        )
        for name, field in fields.items()
    )
    yield Group(path, kind[0] if kind else "", tuple(keys))
    for name, field in fields.items():
        for inner in _sections(field.annotation):
            yield from _groups(inner, f"{path}.{name}" if path else name)


def _sections(annotation):
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _sections(inner)]


def _named(annotation, metadata=()) -> str:
    kind, inner = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        return _named(inner[0], inner[1:])
    if kind in (Union, types.UnionType):
        names = [_named(one, metadata) for one in inner if one is not type(None)]
        return " or ".join(dict.fromkeys(names))
    if kind is Literal:
        return ", ".join(map(str, inner))
    if kind is dict:
        return f"mapping from {_named(inner[0])} to {_named(inner[1])}"
    if kind in (list, tuple):
        number = "" if kind is list or Ellipsis in inner else f"{len(inner)} times "
        return f"list of {number}{_named(inner[0])}"
    if _sections(annotation):
        return "keys, see below"
    return TYPES.get(annotation, "any value") + _limits(metadata)


def _limits(metadata):
    # A Field inside of a type holds its bounds in metadata of its own.
    limits = [
        inner
        for one in metadata
        for inner in (one.metadata if isinstance(one, FieldInfo) else [one])
    ]
    texts = []
    for limit in limits:
        attribute, word = BOUNDS.get(type(limit), ("", ""))
        value = getattr(limit, attribute) if attribute else LARGEST_TOLD
        texts += [f"{word} {value}"] if value < LARGEST_TOLD else []
    return ", " + " and ".join(texts) if texts else ""


def _default(field):
    if field.is_required():
        return ""
    value: Any = field.get_default(call_default_factory=True)
    return "{}" if isinstance(value, Section) else json.dumps(value)


def _meaning(text):
    """The text without the type in Python in front of it, values as YAML has them."""
    word = (
        r"(?:int|float|string|bool|mapping|(?:list|sequence) of (?:int|float|string))"
    )
    text = re.sub(rf"^{word}, ", "", text)
    for word, in_yaml in (("None", "null"), ("True", "true"), ("False", "false")):
        text = text.replace(f"`{word}`", f"`{in_yaml}`")
    return text[:1].upper() + text[1:]


def _with_word(default):
    return f"default {default}" if default else "required"


def _cells(key):
    cells = (f"`{key.name}`", key.type, f"`{key.default}`", key.meaning)
    cells = cells if key.default else (*cells[:2], "required", cells[3])
    return [cell.replace("|", "\\|") for cell in cells]
