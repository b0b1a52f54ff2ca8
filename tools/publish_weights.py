"""Puts the weights of finished runs into the package.

    python tools/publish_weights.py runs/cifar100_aa_resnet_14/seed_*

The runs are the seeds of one experiment. The seed whose accuracy is nearest to the mean
is published, not the best one; seeds in `results/` whose runs are gone count for the
mean. It writes the weights, a model card and `data.json` into
`aa_keras/models/weights/`, and the entry of the index last. docs/weights.md says more.
"""

import argparse
import json
import statistics
import sys
import tomllib
from pathlib import Path

import keras
import numpy as np
import yaml

from aa_keras import config, models
from aa_keras.models import pretrained
from aa_keras.paper.collection import UNCHANGING_KEYS
from aa_keras.whole_writes import whole_file, write_json, write_text
from aa_keras.workdir import WorkDir

ROOT = Path(__file__).resolve().parents[1]
SPLIT = "test"
MOST_BYTES = 1_500_000
CARD = Path(__file__).with_name("model_card.md")


def publish(workdirs, folder=None, results=None) -> str:
    """Puts the weights of one of several finished runs into a folder of weights.

    Args:
        workdirs: paths of the work directories of one experiment, one for each seed.
        folder: path of the folder. Defaults to that of the package.
        results: path of a folder of collected results, whose other seeds count for
            the mean. Defaults to none.

    Returns:
        The name of the weights, as in `"cifar100/aa_resnet_14"`.

    Raises:
        ValueError: in one line, if a run is not finished, is a smoke run, did not
            measure `test`, classifies no images, has a network of others, or was
            trained by several versions; if the runs differ in more than the seed; if
            the weights are too large, or their name is that of another experiment.
            Nothing is written then.
    """
    folder = Path(folder or pretrained.FOLDER)
    runs = dict(map(_read, workdirs))
    if len(runs) < len(workdirs):
        raise ValueError("train.seed: received one seed twice; allowed: each once")
    first, *others = (experiment for _, experiment, _ in runs.values())
    for other in others:
        differing = config.differences(first, other, UNCHANGING_KEYS)
        if differing:
            raise ValueError(
                f"received runs that differ in {', '.join(differing)}; allowed: the "
                "seeds of one experiment"
            )
    accuracies = {
        seed: round(result["metrics"][SPLIT]["accuracy"], 6)
        for seed, (_, _, result) in runs.items()
    }
    kept = tuple(accuracies)
    if results:
        accuracies = _collected(*runs[kept[0]][1:], Path(results)) | accuracies
    accuracies = dict(sorted(accuracies.items()))
    seed = nearest_to_mean(accuracies, kept)
    workdir, experiment, result = runs[seed]
    name = f"{experiment.data.name}/{experiment.model.network_name()}"
    index = pretrained.read_index(folder) if (folder / "index.json").exists() else {}
    if name in index and index[name].recipe != experiment.name:
        raise ValueError(
            f"{workdir}: {name} has the weights of {index[name].recipe!r}; allowed: "
            f"that experiment, not {experiment.name!r}"
        )
    run = workdir.load()
    _check_data(run.task, experiment.data.name, folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}{pretrained.SUFFIX}"
    with whole_file(file) as unfinished:
        run.model.save_weights(unfinished)
        if unfinished.stat().st_size > MOST_BYTES:
            raise ValueError(
                f"{workdir}: its weights have {unfinished.stat().st_size:,} bytes; "
                f"allowed: {MOST_BYTES:,}"
            )
        _check_outputs(run.model, experiment, unfinished)
    write_json(folder / experiment.data.name / "data.json", run.task.description())
    entry = pretrained.Entry(
        file=file.relative_to(folder).as_posix(),
        sha256=pretrained.checksum(file),
        format=pretrained.FORMAT,
        data=experiment.data.name,
        input_shape=run.task.preprocessing.output_shape,
        accuracy=accuracies[seed],
        split=SPLIT,
        images=result["metrics"][SPLIT]["images"],
        parameters=result["params"],
        recipe=experiment.name,
        epochs=result["epochs"],
        seed=seed,
        accuracies={str(key): value for key, value in accuracies.items()},
        licence=_licence(),
        revision=result["processes"][-1]["git_revision"],
        experiment=config.without_paths(experiment),
    )
    write_text(folder / f"{name}.md", card(name, entry, run, file.stat().st_size, kept))
    index[name] = entry
    values = {key: index[key].model_dump(mode="json") for key in sorted(index)}
    write_json(folder / "index.json", values)
    return name


def nearest_to_mean(accuracies: dict[int, float], kept=None) -> int:
    """Returns the seed whose accuracy is nearest to the mean, the least of equals.

    `kept` are the seeds whose weights are there. Defaults to all.
    """
    mean = statistics.mean(accuracies.values())
    return min(
        kept or accuracies, key=lambda seed: (abs(accuracies[seed] - mean), seed)
    )


def _collected(experiment, result, results):
    """The accuracies by seed in a folder of results, of runs as this one."""
    found = {}
    for path in results.glob(f"{experiment.name}-seed*.json"):
        other = json.loads(path.read_text("utf-8"))
        if all(other[key] == result[key] for key in ("params", "epochs")):
            found[other["seed"]] = round(other["metrics"][SPLIT]["accuracy"], 6)
    return found


def card(name, entry, run, size, kept) -> str:
    """Returns the text of a model card; `kept` are the seeds whose weights are kept."""
    height, width, channels = entry.input_shape
    versions = run.result["processes"][-1]["versions"]
    experiment = entry.experiment
    return CARD.read_text("utf-8").format(
        **entry.model_dump(exclude={"experiment"}),
        name=name,
        network=name.rpartition("/")[2],
        classes=experiment["model"]["classes"],
        seeds=_seeds(entry, kept),
        height=height,
        width=width,
        channels=channels,
        mean=", ".join(map(str, run.task.preprocessing.mean)),
        std=", ".join(map(str, run.task.preprocessing.std)),
        versions=", ".join(f"{p} {versions[p]}" for p in ("keras", "tensorflow")),
        kilobytes=round(size / 1000),
        call=_call(name, entry),
        model=yaml.safe_dump(experiment["model"], sort_keys=False),
    )


def _seeds(entry, kept):
    values = [100 * value for value in entry.accuracies.values()]
    listed = ", ".join(f"{value:.2f}" for value in values)
    if len(values) == 1:
        return "one"
    return (
        f"{len(values)}: {listed}; mean {statistics.mean(values):.2f}, standard "
        f"deviation {statistics.stdev(values):.2f}; this is the nearest to the mean"
        + _of_kept(entry, kept)
    )


def _of_kept(entry, kept):
    if len(kept) == len(entry.accuracies):
        return ""
    return (
        f" of the seeds whose weights were kept ({', '.join(map(str, sorted(kept)))})"
    )


def _call(name, entry):
    data, _, network = name.rpartition("/")
    for ready in models.list_models():
        if ready.lower() == network.replace("_", ""):
            return f'models.{ready}(weights="{data}")'
    return f'models.build("{entry.family}", weights="{name}")'


def _read(path):
    """Returns the seed of a run and `(work directory, experiment, result)`."""
    workdir = WorkDir(path)
    workdir.require_finished()
    experiment, result = workdir.read_experiment(), workdir.read_result()
    processes = [(p["versions"], p["git_revision"]) for p in result["processes"]]
    network = experiment.model
    refusals = {
        "a smoke run": experiment.smoke,
        f"a run of {network.task}": network.task != "classification",
        f"a network of others, {network.name!r}": (
            network.name not in models.registry.FAMILIES
        ),
        f"a run that measured {', '.join(result['metrics']) or 'nothing'}": (
            SPLIT not in result["metrics"]
        ),
        "a run that several versions trained": processes[1:] != processes[:-1],
    }
    for received, applies in refusals.items():
        if applies:
            raise ValueError(
                f"{path}: received {received}; allowed: a finished run of one version "
                f"that classifies images with a network of this package, measured on "
                f"{SPLIT}"
            )
    resolved = config.resolve(experiment)
    return experiment.train.seed, (workdir, resolved, result)


def _check_data(task, data, folder):
    """Refuses class names or preprocessing that differ from those of other weights."""
    known = folder / data / "data.json"
    if not known.exists():
        return
    there = type(task).load(None, pretrained.read_data(data, folder))
    if there.description() != task.description():
        raise ValueError(
            f"{known}: has other class names or another preprocessing than the run; "
            "allowed: the same for all weights of a data set"
        )


def _check_outputs(model, experiment, file):
    """Refuses weights with which the network of the package answers differently."""
    options = experiment.model.model_dump(exclude_none=True)
    shape = tuple(model.inputs[0].shape[1:])
    built = models.build(input_shape=shape, **options)
    built.load_weights(file)
    images = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    difference = np.abs(keras.ops.convert_to_numpy(built(images) - model(images))).max()
    if difference > 1e-5:
        raise ValueError(
            f"{experiment.name}: its network answers differently by {difference:.2g} "
            "when this version builds it; allowed: the same answers"
        )


def _licence():
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]["license"]


def main(arguments=None) -> None:
    """Publishes the runs that the command line names; an error is one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", help="work directories, one for each seed")
    parser.add_argument("--folder", help="defaults to that of the package")
    given = parser.parse_args(arguments)
    try:
        print(publish(given.runs, given.folder, ROOT / "results"))
    except (ValueError, OSError) as error:
        sys.exit(f"publish_weights: error: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
