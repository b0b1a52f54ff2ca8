"""Experiment files: YAML in, a checked and frozen `Experiment` out.

The schema is strict: an unknown key, a wrong type or a value out of range is an error
before anything is built, reported as a single line. Whether depths and heads fit a
network is checked when the network is built.
"""

from aa_keras.config.files import (
    HOUSEKEEPING_KEYS,
    PATH_KEYS,
    ConfigError,
    changeable_keys,
    differences,
    digest,
    dump,
    flatten,
    load,
    parse,
    resolve,
    without_paths,
)
from aa_keras.config.schema import Data, Experiment, Train

__all__ = [
    "Experiment",
    "Data",
    "Train",
    "ConfigError",
    "load",
    "parse",
    "dump",
    "flatten",
    "changeable_keys",
    "differences",
    "digest",
    "resolve",
    "without_paths",
    "PATH_KEYS",
    "HOUSEKEEPING_KEYS",
]
