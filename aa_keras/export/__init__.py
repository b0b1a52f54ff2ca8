"""From a trained network to files for serving, each compared with the network.

Names are resolved on first use, so that the command line lists the formats without
loading TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors; at run time `__getattr__` imports them
    from aa_keras.export.exporting import export, export_model, export_saved_model

__all__ = ["export", "export_model", "export_saved_model"]


def __getattr__(name):
    if name in __all__:
        return getattr(importlib.import_module("aa_keras.export.exporting"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
