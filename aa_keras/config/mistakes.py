"""A mistake in an experiment file, told in one line."""

import difflib
from typing import get_args

from aa_keras.config.schema import Experiment, Section


class ConfigError(ValueError):
    """A mistake in an experiment file, told in one line."""


# What a value may be, by pydantic's error type; where absent, pydantic's words serve.
_ALLOWED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list, as in [2, 3]",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "string_pattern_mismatch": "letters, digits and . _ -, with a letter or digit first",
    "dict_type": "a mapping of keys to values",
}


def explain(error):
    """One of pydantic's errors in the words of the file."""
    path, section = _locate(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        key, allowed = path.rpartition(".")[2], list(section.model_fields)
        close = difflib.get_close_matches(key, allowed, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return (
            f"{path}: unknown key, received {short(error['input'])}; {hint}"
            f"allowed: {', '.join(allowed)}"
        )
    if kind == "missing":
        return f"{path}: missing; it has no default"
    if kind == "union_tag_not_found":
        return f"{path}.name: missing; allowed: {', '.join(_tags(section, path))}"
    if kind == "union_tag_invalid":
        return (
            f"{path}.name: received {context['tag']!r}; "
            f"allowed: {context['expected_tags']}"
        )
    allowed = _ALLOWED.get(kind) or context.get("expected")
    if not allowed:  # the bounds: "Input should be less than 1"
        allowed = error["msg"].removeprefix("Input should be ")
    return f"{path}: received {short(error['input'])}; allowed: {allowed}"


def _locate(loc):
    """The key path of an error as the user wrote it, and the section it lies in.

    Pydantic puts the tag of a tagged union into the location ("model", "resnet",
    "depth"), which stands in no file.
    """
    section, path, position = Experiment, [], 0
    while position < len(loc):
        key = loc[position]
        path.append(str(key))
        position += 1
        field = section.model_fields.get(key) if isinstance(key, str) else None
        if field is None or position == len(loc):
            continue
        members = _sections(field.annotation)
        if field.discriminator:
            members = [m for m in members if loc[position] in _tag(m)]
            position += 1
        section = members[0] if members else section
    return ".".join(path), section


def _sections(annotation):
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [s for inner in get_args(annotation) for s in _sections(inner)]


def _tag(section):
    return get_args(section.model_fields["name"].annotation)


def _tags(section, path):
    field = section.model_fields[path.rpartition(".")[2]]
    return [tag for member in _sections(field.annotation) for tag in _tag(member)]


def short(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def one_line(error):
    return " ".join(str(error).split())
