"""Metrics over a whole split, and a finished work directory in memory."""

import dataclasses
import json
from pathlib import Path

import keras

from aa_keras import config, data, layers  # noqa: F401  registers the layers
from aa_keras.tasks.task import find_task, open_data
from aa_keras.workdir import write_json


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run.

    Args:
        experiment: Its `config.Experiment`.
        model: The trained Keras model; ends in probabilities.
        preprocessing: The `data.Preprocessing` in front of it.
        class_names: One text per class.
        result: The content of `result.json`.
    """

    experiment: config.Experiment
    model: keras.Model
    preprocessing: data.Preprocessing
    class_names: tuple[str, ...]
    result: dict


def load_run(workdir):
    """Loads a finished work directory; the data itself need not be there.

    Raises:
        ValueError: In one line, if the folder holds no finished run.
    """
    workdir = Path(workdir)
    for name in ("config.yaml", "data.json", "model.keras", "result.json"):
        if not (workdir / name).is_file():
            raise ValueError(
                f"{workdir}: no {name} in it; allowed: the --workdir of a finished "
                "`aa-keras train`"
            )
    experiment = config.load(workdir / "config.yaml")
    description = json.loads((workdir / "data.json").read_text())
    preprocessing = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in description["preprocessing"].items()
    }
    return Run(
        experiment=experiment,
        model=keras.models.load_model(workdir / "model.keras", compile=False),
        preprocessing=find_task(experiment).PREPROCESSING(**preprocessing),
        class_names=tuple(description["class_names"]),
        result=json.loads((workdir / "result.json").read_text()),
    )


def evaluate(workdir, split="test"):
    """Measures a finished run on a whole split and notes it in its `result.json`.

    Args:
        workdir: The folder of a finished run.
        split: "test", "validation" or "train".

    Returns:
        The metrics, each image counted exactly once.

    Raises:
        ValueError: In one line, for a missing run, split or data set.
    """
    run = load_run(workdir)
    task = find_task(run.experiment)
    source, _ = open_data(run.experiment)
    batches = task.build_evaluation(
        source, run.preprocessing, run.experiment, split=split
    )
    metrics = task.measure(run.model, batches, run.experiment)
    result = {**run.result, "metrics": {**run.result["metrics"], split: metrics}}
    write_json(Path(workdir) / "result.json", result)
    return metrics
