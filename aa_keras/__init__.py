"""Attention-augmented convolutional networks for Keras.

Reference: Bello, Zoph, Vaswani, Shlens, Le, "Attention Augmented Convolutional
Networks", ICCV 2019, https://arxiv.org/abs/1904.09925.

Importing the package is light: subpackages and `AugmentedConv2D` are resolved on
first use, so that the command line answers before TensorFlow is loaded.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("aa-keras")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

_SUBMODULES = (
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
)
_NAMES = {"AugmentedConv2D": "layers", "attention_depths": "layers"}

__all__ = ["__version__", *_NAMES, *_SUBMODULES]


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
