"""The paper's networks: `build`, a function for each ready network, their builders.

Importing this is light: Keras is imported when a network is built.
"""

import importlib

from aa_keras.models import registry
from aa_keras.models.registry import *  # noqa: F403

_MODULES = {f"build_{name}": f"aa_keras.models.{name}" for name in registry.FAMILIES}
_MODULES["feature_maps"] = "aa_keras.models.backbones"

__all__ = [*registry.__all__, *_MODULES]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
