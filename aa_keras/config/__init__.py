"""Experiment files: YAML in, a checked and frozen `Experiment` out.

The schema is strict. An unknown key, a wrong type or a value out of range stops
before anything is built, in one line that names the file, the key, the value and
what is allowed. Whether depths and heads fit the network is for the network to say,
when it is built.
"""

from aa_keras.config.files import (
    HOUSEKEEPING_KEYS,
    PATH_KEYS,
    differences,
    digest,
    dump,
    flatten,
    load,
)
from aa_keras.config.mistakes import ConfigError
from aa_keras.config.schema import Attention, Data, Experiment, Train

__all__ = [
    "Experiment",
    "Attention",
    "Data",
    "Train",
    "ConfigError",
    "load",
    "dump",
    "flatten",
    "differences",
    "digest",
    "PATH_KEYS",
    "HOUSEKEEPING_KEYS",
]
