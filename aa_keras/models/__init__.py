"""The paper's networks: `build`, a function for each ready network, their builders.

Importing this is light: Keras is imported when a network is built.
"""

import importlib
from typing import TYPE_CHECKING

from aa_keras.models import input_output, networks, registry
from aa_keras.models.input_output import *  # noqa: F403
from aa_keras.models.networks import *  # noqa: F403
from aa_keras.models.pretrained import list_weights
from aa_keras.models.registry import *  # noqa: F403

if TYPE_CHECKING:  # for editors; at run time `__getattr__` imports them
    from aa_keras.models.augmenting import augment
    from aa_keras.models.backbones import feature_maps
    from aa_keras.models.mnasnet import build_mnasnet
    from aa_keras.models.resnet import build_resnet
    from aa_keras.models.retinanet import build_retinanet
    from aa_keras.models.stack import build_stack
    from aa_keras.models.wide_resnet import build_wide_resnet

_MODULES = {f"build_{name}": f"aa_keras.models.{name}" for name in registry.FAMILIES}
_MODULES["augment"] = "aa_keras.models.augmenting"
_MODULES["feature_maps"] = "aa_keras.models.backbones"

__all__ = [*registry.__all__, *networks.__all__]
__all__ += [
    *input_output.__all__,
    "augment",
    "build_resnet",
    "build_wide_resnet",
    "build_mnasnet",
    "build_retinanet",
    "build_stack",
    "feature_maps",
    "list_weights",
]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
