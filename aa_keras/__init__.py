"""Attention-augmented convolutional networks for Keras.

Reference: Bello, Zoph, Vaswani, Shlens, Le, "Attention Augmented Convolutional
Networks", ICCV 2019, https://arxiv.org/abs/1904.09925.

Importing the package is light: all names are resolved on first use, so that the command
line answers before TensorFlow is loaded.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors; at run time `__getattr__` imports them
    from aa_keras import (
        checkpoints,
        config,
        counting,
        data,
        export,
        layers,
        models,
        paper,
        tasks,
        training,
        visualization,
        workdir,
    )
    from aa_keras.layers import AugmentedConv2D, attention_depths
    from aa_keras.models import augment

try:
    __version__ = version("aa-keras")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

_NAMES = {
    "AugmentedConv2D": "layers",
    "attention_depths": "layers",
    "augment": "models",
}

__all__ = [
    "__version__",
    "AugmentedConv2D",
    "attention_depths",
    "augment",
    "checkpoints",
    "config",
    "counting",
    "data",
    "export",
    "layers",
    "models",
    "paper",
    "tasks",
    "training",
    "visualization",
    "workdir",
]


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
