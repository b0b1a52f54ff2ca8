"""Which packages a command needs, and the extra that installs them.

The packages of an extra are those of the installed metadata, which pyproject.toml says.
Importing this module needs none of them.
"""

import importlib.util
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

# Where the name of the module is not that of the package with an underscore.
MODULES = {"pillow": "PIL", "pyyaml": "yaml", "scikit-learn": "sklearn"}


class MissingPackages(ValueError):
    """Packages that a command needs are not installed."""

    def __init__(self, packages, extras):
        names = ",".join(sorted(extras))
        super().__init__(
            f"needs {', '.join(sorted(packages))}, not installed here: "
            f"pip install 'aa-keras[{names}]'"
        )


def require(*extras: str) -> None:
    """Raises `MissingPackages` if packages of the extras are not installed."""
    missing = {
        package: extra
        for extra in extras
        for package in _packages(extra)
        if importlib.util.find_spec(_module(package)) is None
    }
    if missing:
        raise MissingPackages(missing, set(missing.values()))


def extras_of(experiment) -> list[str]:
    """Returns the extras that a run needs, from its training to its measurement."""
    needs = {
        "train": True,
        "detection": experiment.model.task == "detection",
        "viz": experiment.train.attention_maps_every > 0,
    }
    return [extra for extra, is_needed in needs.items() if is_needed]


def facts_extras(table: int | None = None, paper: str | None = None) -> list[str]:
    """Returns the extras that building the rows of a table needs, or of all tables."""
    from aa_keras.models import spec
    from aa_keras.paper import facts

    in_paper = facts.rows(paper or facts.MAIN_PAPER)
    rows = [row for row in in_paper if table in (None, row.table)]
    tasks = {spec.NETWORKS[row.model["name"]].task for row in rows}
    return ["detection"] if "detection" in tasks else []


def explain(error: ModuleNotFoundError) -> ModuleNotFoundError | MissingPackages:
    """Returns the error that names the extra, if one has the missing module."""
    module = (error.name or "").partition(".")[0]
    for extra in _extras():
        for package in _packages(extra):
            if _module(package) == module:
                return MissingPackages([package], [extra])
    return error


def _module(package):
    return MODULES.get(package, package.replace("-", "_"))


def _extras():
    try:
        return metadata.metadata("aa-keras").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:  # a source tree that was never installed
        return []


def _packages(extra) -> Iterator[str]:
    if extra not in _extras():
        return
    for text in metadata.requires("aa-keras") or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker and marker.evaluate({"extra": extra}):
            if requirement.name == "aa-keras":
                for other in requirement.extras:
                    yield from _packages(other)
            else:
                yield requirement.name
