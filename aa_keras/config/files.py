"""Experiments as YAML files, as flat dicts to compare, and as hashes."""

import hashlib
import importlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aa_keras import models
from aa_keras.config import bounded_yaml
from aa_keras.config.schema import Experiment, experiment_type
from aa_keras.options import check, short

# Keys that say where data and modules lie, which changes no result.
PATH_KEYS = frozenset({"data.data_dir", "data.download", "import_from"})
# Keys that change what a run stores, shows or costs, but not its result.
HOUSEKEEPING_KEYS = frozenset(
    f"train.{k}"
    for k in (
        "attention_maps_every",
        "checkpoint_minutes",
        "keep_checkpoints",
        "measure_every",
        "steps_per_execution",
    )
)


class ConfigError(ValueError):
    """A mistake in an experiment file, reported as a single line.

    Args:
        message: str, what was received and what is allowed.
    """

    def __init__(self, message):
        # A name of a file or a key may contain the end of a line.
        super().__init__(" ".join(message.splitlines()))


def load(path: str | Path, overrides: Iterable[str] = ()) -> Experiment:
    """Reads an experiment file.

    Args:
        path: a YAML file. Its top-level `base:` may name another file, relative to its
            own folder, whose values it overrides (one level).
        overrides: iterable of str, such as `"train.epochs=2"`, applied last.

    Raises:
        ConfigError: in one line with the file, the key, the value and what is allowed.
    """
    path = Path(path)
    values = _read(path)
    if "base" in values:
        name = values.pop("base")
        if not isinstance(name, str):
            raise ConfigError(
                f"{path}: base: received {short(name)}; allowed: the name of a file"
            )
        base = path.parent / name
        inherited = _read(base)
        if "base" in inherited:
            raise ConfigError(
                f"{path}: base: received {str(base)!r}, which has a base of its own; "
                "allowed: one level"
            )
        values = _merge(inherited, values)
    values.setdefault("name", path.stem)
    for override in overrides:
        _override(values, override)
    return parse(values, path)


def parse(values: dict[str, Any], path: Path) -> Experiment:
    """Returns an experiment from the content of a file; `path` is for its errors.

    Args:
        values: dictionary, the content of a file.
        path: path of the file, for errors and for the modules that it imports.
    """
    _import_modules(path, values)
    try:
        return check(experiment_type(), values)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _import_modules(path, values):
    names = values.get("import")
    if not names or not isinstance(names, list):
        return
    folder = str(values.setdefault("import_from", str(path.parent.resolve())))
    if folder not in sys.path:
        sys.path.append(folder)
    for name in names:
        try:
            importlib.import_module(str(name))
        except (Exception, SystemExit) as error:  # its own code may raise anything
            raise ConfigError(
                f"{path}: import: received {short(name)}, which cannot be imported: "
                f"{type(error).__name__}: {_one_line(error)}; allowed: modules that "
                f"are installed, in PYTHONPATH or in {folder}"
            ) from error


def dump(experiment: Experiment) -> str:
    """Returns the experiment as YAML text with all defaults, which `load` reads.

    Args:
        experiment: an `Experiment`.
    """
    values = experiment.model_dump(mode="json", exclude_none=True)
    return bounded_yaml.dump(values)


def resolve(experiment: Experiment) -> Experiment:
    """Returns the experiment with the family's value for each option left open.

    Args:
        experiment: an `Experiment`.
    """
    network = experiment.model
    options = models.resolved_options(**network.model_dump(exclude_none=True))
    return experiment.model_copy(update={"model": type(network)(**options)})


def without_paths(experiment: Experiment) -> dict[str, Any]:
    """Returns the experiment as plain data without `PATH_KEYS`, for other machines.

    Args:
        experiment: an `Experiment`.
    """
    values = experiment.model_dump(mode="json", exclude_none=True)
    for key in PATH_KEYS:
        section, _, name = key.rpartition(".")
        (values[section] if section else values).pop(name, None)
    return values


def flatten(experiment: Experiment) -> dict[str, Any]:
    """Returns the experiment as `{"train.epochs": 30, ...}`.

    Args:
        experiment: an `Experiment`.
    """
    return _flat(experiment.model_dump(mode="json", exclude_none=True))


def _flat(values):
    def walk(prefix, value):
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                yield from walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            yield prefix, value

    return dict(walk("", values))


def differences(
    first: Experiment, second: Experiment, ignore: Iterable[str] = ()
) -> dict[str, tuple[Any, Any]]:
    """Returns the keys, as in `flatten`, in which experiments differ, with both values.

    `None` stands for an absent value.

    Args:
        first: an `Experiment`.
        second: an `Experiment`.
        ignore: iterable of str, the keys to ignore, such as `PATH_KEYS`.
    """
    one, other = flatten(first), flatten(second)
    return {
        key: (one.get(key), other.get(key))
        for key in sorted((one.keys() | other.keys()) - set(ignore))
        if one.get(key) != other.get(key)
    }


def changeable_keys(experiment: Experiment) -> frozenset[str]:
    """Returns the keys that may have another value when a run is resumed.

    `train.epochs` is one of them where the rate of a step does not depend on it.

    Args:
        experiment: an `Experiment`.
    """
    schedule = experiment.train.schedule
    final = getattr(schedule, "final_learning_rate_per_256", None)
    fixed = schedule.name != "cosine" and final is None
    others = {"train.distribution", *(["train.epochs"] if fixed else [])}
    return PATH_KEYS | HOUSEKEEPING_KEYS | others


def digest(experiment: Experiment, ignore: Iterable[str] = PATH_KEYS) -> str:
    """Returns the SHA-256 hex digest of the configuration without the keys `ignore`.

    It excludes defaults, so that a new option does not change existing digests.

    Args:
        experiment: an `Experiment`.
        ignore: iterable of str, the keys to ignore. Defaults to `PATH_KEYS`.
    """
    values = _flat(experiment.model_dump(mode="json", exclude_defaults=True))
    values["model.name"] = experiment.model.name
    values = {k: v for k, v in values.items() if k not in ignore}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _read(path):
    try:
        values = bounded_yaml.parse(bounded_yaml.read_text(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(values, dict):
        fields = Experiment.model_fields.items()
        keys = ", ".join(field.alias or name for name, field in fields)
        raise ConfigError(f"{path}: received {short(values)}; allowed: the keys {keys}")
    return values


def _merge(base, values):
    merged = dict(base)
    for key, value in values.items():
        inherited = merged.get(key)
        both = isinstance(value, dict) and isinstance(inherited, dict)
        merged[key] = _merge(inherited, value) if both else value
    return merged


def _override(values, override):
    key, equals, text = override.partition("=")
    *parents, last = key.strip().split(".")
    if not equals or not last or len(parents) > bounded_yaml.MAX_DEPTH:
        raise ConfigError(
            f"--set: received {short(override)}; allowed: KEY=VALUE, as in "
            "train.epochs=2"
        )
    for parent in parents:
        inner = values.get(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set: {key}: {short(parent)} holds a value, not keys")
        values[parent] = dict(inner)  # an alias may be another key's value as well
        values = values[parent]
    try:
        values[last] = bounded_yaml.parse(text)
    except ValueError as error:
        raise ConfigError(f"--set: {key}: received {short(text)}, {error}") from None


def _one_line(error):
    return " ".join(str(error).split())
