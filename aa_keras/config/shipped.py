"""The experiment files that come with the package, by their names.

A wheel has them in `aa_keras/experiments`, where `setup.py` puts them; a checkout and
an editable installation have them beside the package.
"""

import difflib
import itertools
from pathlib import Path

from aa_keras.config.files import load
from aa_keras.config.schema import MAIN_PAPER

_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = (_PACKAGE / "experiments", _PACKAGE.parent / "experiments")


def experiments_folder() -> Path:
    """Returns the folder of the shipped experiment files."""
    return next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0])


def experiment_files(folder: str | Path | None = None) -> dict[str, Path]:
    """Returns the files of a folder of experiments, by how a command names them.

    Args:
        folder: path. Defaults to `None`, the shipped ones: `"experiments/..."`, which
            `find_experiment` finds in any folder.
    """
    root = experiments_folder() if folder is None else Path(folder)
    prefix = Path("experiments") if folder is None else root
    files = sorted(root.rglob("*.yaml"))
    return {(prefix / file.relative_to(root)).as_posix(): file for file in files}


def experiment_names() -> list[str]:
    """Returns the names of the shipped experiments, as in `"imagenet/aa_resnet_50"`."""
    return [_short(name) for name in experiment_files()]


def find_experiment(name: str) -> Path:
    """Returns the path of an experiment file.

    Args:
        name: string, a path, which is returned as it is if there is a file, or the name
            of a shipped experiment. `experiments/` in front and `.yaml` at the end may
            stand there, so that a command of the documentation works in any folder.

    Raises:
        ValueError: if there is neither; in one line with names that are like it.
    """
    if Path(name).exists() and not Path(name).is_dir():
        return Path(name)
    wanted = _short(name)
    names = experiment_names()
    if wanted in names:
        return experiments_folder() / f"{wanted}.yaml"
    by_end = [one for one in names if one.rpartition("/")[2] == wanted]
    close = by_end or difflib.get_close_matches(wanted[:100], names, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise ValueError(
        f"{name}: no such file or experiment; {hint}allowed: the path of a file, or a "
        "name that `aa-keras list` prints"
    )


def _short(name):
    return name.removeprefix("experiments/").removesuffix(".yaml")


def describe_experiments(table: int | None = None) -> dict[str, str]:
    """Returns what each shipped experiment is, by its name.

    Args:
        table: int, the table of "Attention Augmented Convolutional Networks" whose
            rows alone are wanted. Defaults to `None`, all experiments.
    """
    described = {}
    for name, path in experiment_files().items():
        experiment = load(path)
        listed = [row.table for row in experiment.paper if row.paper == MAIN_PAPER]
        if table is None or table in listed:
            described[_short(name)] = _description(path, experiment)
    return described


def _description(path, experiment):
    rows = [
        f"{'' if row.paper == MAIN_PAPER else f'{row.paper}, '}"
        f"Table {row.table}{', Figure 5' if row.figure else ''}: {row.row}"
        for row in experiment.paper
    ]
    if rows:
        return "; ".join(rows)
    # The first line of a file is its command.
    lines = path.read_text("utf-8").splitlines()[1:]
    header = itertools.takewhile(lambda line: line.startswith("#"), lines)
    text = " ".join(line.lstrip("# ") for line in header)
    network, data = experiment.model.network_name(), experiment.data.name
    return text or f"{network} on {data}, {experiment.train.epochs} epochs"
