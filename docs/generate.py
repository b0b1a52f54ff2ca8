"""Writes what is generated from the code: `python docs/generate.py`.

The list of the ready networks and their arguments, for editors, and the page of the
keys of an experiment file.
"""

import inspect
from pathlib import Path

from aa_keras import models
from aa_keras.config import reference

ROOT = Path(__file__).resolve().parents[1]
STUB_HEAD = '''\
"""The ready networks with their arguments. `docs/generate.py` writes this file."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras

from aa_keras.models import spec

def list_models() -> list[str]:
    """Returns the names of the ready networks, each a function of `aa_keras.models`."""

'''
PAGE_HEAD = """\
# Experiment files

<!-- Written by docs/generate.py; do not edit. -->

`aa-keras config` prints this list. A key that is not in it stops the run. `base:` names
another file whose values a file overrides. `--set train.epochs=2` changes one value.

"""


def stub() -> str:
    """Returns the text of `aa_keras/models/networks.pyi`."""
    names = models.list_models()
    return STUB_HEAD + "".join(map(_stub_function, names)) + _stub_names(names)


def page() -> str:
    """Returns the text of `docs/configuration.md`."""
    return PAGE_HEAD + reference.as_markdown()


def _stub_function(name):
    function = getattr(models, name)
    signature = inspect.signature(function)
    lines = [
        f"    {p.name}: {p.annotation}".replace("'", '"')
        + ("" if p.default is p.empty else f" = {_literal(p.default)}")
        for p in signature.parameters.values()
    ]
    first = inspect.getdoc(function).splitlines()[0]
    return (
        f"def {name}(\n    *,\n"
        + "".join(f"{line},\n" for line in lines)
        + f') -> {signature.return_annotation}:\n    """{first}"""\n\n'
    )


def _literal(value):
    if isinstance(value, str):
        return f'"{value}"'
    return repr(value) if isinstance(value, (int, float, tuple, type(None))) else "..."


def _stub_names(names):
    listed = "".join(f'    "{name}",\n' for name in ("list_models", *names))
    return f"__all__ = [\n{listed}]\n"


GENERATED = {"aa_keras/models/networks.pyi": stub, "docs/configuration.md": page}

if __name__ == "__main__":
    for path, text in GENERATED.items():
        (ROOT / path).write_text(text(), encoding="utf-8")
