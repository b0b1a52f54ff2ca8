"""Keras' docstrings for mkdocstrings: what follows `Example:` is not indented there."""

import re

import griffe

EXAMPLE = re.compile(r"^Example:\n\n((?:>>>|\.\.\.).*\n?(?:\S.*\n?)*)", re.MULTILINE)


class KerasDialect(griffe.Extension):
    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            text = obj.docstring.value + "\n"
            obj.docstring.value = EXAMPLE.sub(_as_section, text).rstrip()


def _as_section(match):
    lines = match[1].splitlines()
    return "Examples:\n" + "".join(f"    {line}\n" for line in lines)
