"""Writes what is generated from the code: `python docs/generate.py`.

The list of the ready networks and their arguments, for editors, and pages: the keys of
an experiment file, the commands, the ready networks, heads and depths.
"""

import inspect
from pathlib import Path

import click
import keras

from aa_keras import counting, models
from aa_keras.cli.commands import cli
from aa_keras.config import reference
from aa_keras.layers import AugmentedConv2D, default_depths
from aa_keras.models import networks

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
COMMANDS_HEAD = """\
# Commands

<!-- Written by docs/generate.py; do not edit. -->

`python -m aa_keras` is the same program as `aa-keras`. A mistake ends in one line that
says what was received and what is allowed, with status 2; nothing is written then.
`--traceback` before the command shows where an error came from.

"""
NETWORKS_HEAD = """\
# Ready networks

<!-- Written by docs/generate.py; do not edit. -->

Each is a function of `aa_keras.models`, in the manner of `keras.applications`. All but
the RetinaNets take `input_shape`, `classes`, `weights`, `include_top`, `pooling`,
`classifier_activation` and `input_tensor`, and the options of their family. There are
no pretrained weights for ImageNet or COCO. Prefixes: AA attention-augmented, SA
stand-alone attention, SE Squeeze-and-Excitation, GE Gather-Excite; BAM, CBAM and GALA
are the modules of those names.

| function | same as `models.build` with | images | classes |
|---|---|---|---|
"""
WEIGHTS_HEAD = """
## Trained weights

Accuracies are in percent of the test split. Of the seeds that were run, the weights are
those of the one nearest to the mean ([how to load them](weights.md)).

| weights | parameters | epochs | accuracy | all seeds |
|---|---|---|---|---|"""
DEPTHS_WIDTHS = (8, 16, 32, 48, 64, 96, 128, 256, 512)
DEPTHS_HEAD = """\
# Heads and depths

<!-- Written by docs/generate.py; do not edit. -->

What `AugmentedConv2D(filters, 3)` takes by itself (`default_depths`), and what it
costs: parameters / operations, each divided by those of `Conv2D(filters, 3)`, on a
square map with as many input channels as filters. Operations are those of
`aa_keras.counting.count(...).gflops`. Those of attention grow with the square of the
positions; `attention_downsampling=2` divides them by 16.

Take more heads where a pixel should look at several places, at least 16 key channels
for each head where the map is large, and more value channels where attention should
carry more of the output. The paper takes a fifth of the filters as key channels, at
least 20 for each of 8 heads, and a tenth as value channels, both rounded down to a
multiple of the heads.

| filters | heads | key depth | value depth | map of 8 x 8 | 16 x 16 | 32 x 32 |
|---|---|---|---|---|---|---|
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


def depths_page() -> str:
    """Returns the text of `docs/depths.md`."""
    return DEPTHS_HEAD + "\n".join(map(_depths_row, DEPTHS_WIDTHS)) + "\n"


def commands_page() -> str:
    """Returns the text of `docs/commands.md`: what `--help` prints."""
    return COMMANDS_HEAD + "\n".join(map(_command, sorted(cli.commands)))


def _command(name):
    # The width of the terminal must not matter.
    program = click.Context(cli, info_name="aa-keras", terminal_width=80)
    command = cli.commands[name]
    with click.Context(command, program, name, terminal_width=80) as context:
        return f"## {name}\n\n```text\n{command.get_help(context)}\n```\n"


def networks_page() -> str:
    """Returns the text of `docs/networks.md`."""
    rows = [*map(_network, networks.READY), WEIGHTS_HEAD]
    rows += [_weights(name, about) for name, about in models.list_weights().items()]
    return NETWORKS_HEAD + "\n".join(rows) + "\n"


def _weights(name, about):
    seeds = ", ".join(f"{100 * share:.2f}" for share in about["accuracies"].values())
    accuracy = f"{100 * about['accuracy']:.2f}"
    return (
        f"| `{name}` | {about['parameters']:,} | {about['epochs']} | {accuracy} "
        f"| {seeds} |"
    )


def _network(name):
    family, kind, size = networks.READY[name]
    options = {**size, **kind}
    arguments = ", ".join(f"{key}={value!r}" for key, value in options.items())
    signature = inspect.signature(getattr(models, name))
    height, width, _ = signature.parameters["input_shape"].default
    classes = signature.parameters["classes"].default
    call = f"`{family!r}, {arguments}`"
    return f"| `{name}` | {call} | {height} x {width} | {classes} |"


def _depths_row(filters):
    cells = [filters, *default_depths(filters)]
    for size in (8, 16, 32):
        plain = _cost(size, filters, keras.layers.Conv2D)
        augmented = _cost(size, filters, AugmentedConv2D)
        ratios = augmented.params / plain.params, augmented.gflops / plain.gflops
        cells.append("{:.2f} / {:.2f}".format(*ratios))
    return "| " + " | ".join(map(str, cells)) + " |"


def _cost(size, filters, layer):
    x = keras.Input((size, size, filters))
    return counting.count(keras.Model(x, layer(filters, 3, padding="same")(x)))


GENERATED = {
    "aa_keras/models/networks.pyi": stub,
    "docs/configuration.md": page,
    "docs/depths.md": depths_page,
    "docs/commands.md": commands_page,
    "docs/networks.md": networks_page,
}

if __name__ == "__main__":
    for path, text in GENERATED.items():
        (ROOT / path).write_text(text(), encoding="utf-8")
