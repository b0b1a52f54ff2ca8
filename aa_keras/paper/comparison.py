"""Experiments that ran with several seeds, compared with their baselines."""

import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from scipy import stats


class Difference(NamedTuple):
    """The difference of two means, its 95 % interval, and p by Welch's t-test.

    Interval and p are NaN where a side has one score only.
    """

    mean: float
    low: float
    high: float
    p: float


class Group(NamedTuple):
    """The runs of one experiment file, which differ in the seed.

    `scores` are the top-1 accuracies on `split`: the test split, or else the last one
    on which all runs were measured. `difference` is that to `baseline`, `None` without
    one. `curves` has a list of accuracies, one for each epoch, for each run.
    `mechanism` is a key of `visualization.style.MECHANISMS`.
    """

    name: str
    data: str
    params: int
    epochs: int
    split: str
    scores: list[float]
    curves: list[list[float]]
    mechanism: str = "convolution"
    baseline: str | None = None
    difference: Difference | None = None


def compare(scores, baseline) -> Difference:
    """Returns how far the mean of `scores` lies above that of `baseline`."""
    mean = statistics.mean(scores) - statistics.mean(baseline)
    if len(scores) < 2 or len(baseline) < 2:
        return Difference(mean, math.nan, math.nan, math.nan)
    test = stats.ttest_ind(scores, baseline, equal_var=False)
    low, high = test.confidence_interval(0.95)
    return Difference(mean, float(low), float(high), float(test.pvalue))


def group(runs: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Returns the experiments of classifiers among collected runs.

    `runs` are those of `collection.load_results`. An experiment is compared with its
    baseline where both were measured on the same split.

    Raises:
        ValueError: if the runs of an experiment have no split in common.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        if all("accuracy" in metrics for metrics in run["metrics"].values()):
            found.setdefault(run["name"], []).append(run)
    groups = {name: _group(runs) for name, runs in found.items()}
    return [_with_difference(one, groups.get(one.baseline)) for one in groups.values()]


def _with_difference(one, baseline):
    if baseline is None or baseline.split != one.split:
        return one._replace(baseline=None)
    return one._replace(difference=compare(one.scores, baseline.scores))


def _group(runs):
    first = runs[0]
    shared = [
        split
        for split in first["metrics"]
        if all(split in run["metrics"] for run in runs)
    ]
    if not shared:
        raise ValueError(
            f"{first['name']}: its runs were measured on different splits; allowed: "
            "one split for all, as of `aa-keras evaluate RUN --split SPLIT`"
        )
    split = "test" if "test" in shared else shared[-1]
    histories = [run.get("history", {}) for run in runs]
    return Group(
        name=first["name"],
        data=first["experiment"]["data"]["name"],
        params=first["params"],
        epochs=first["epochs"],
        split=split,
        scores=[run["metrics"][split]["accuracy"] for run in runs],
        curves=[h.get("val_accuracy", h.get("accuracy", [])) for h in histories],
        mechanism=_mechanism(first["experiment"]["model"]),
        baseline=first["baseline"],
    )


def _mechanism(model):
    if attention := model.get("attention"):
        return attention["position_encoding"]
    if model.get("stand_alone"):
        return "stand_alone"
    return model.get("channel_attention") or "convolution"


def series(groups: Iterable[Group]) -> dict[str, list[Group]]:
    """Returns the groups that are compared with others, by their data set.

    As soon as some of a data set were measured on the test split, they are those alone:
    accuracies of two splits are not compared.
    """
    groups = list(groups)
    named = {g.baseline for g in groups} - {None}
    found: dict[str, list[Group]] = {}
    for candidate in groups:
        if candidate.baseline or candidate.name in named:
            found.setdefault(candidate.data, []).append(candidate)
    return {
        data: [g for g in compared if g.split == "test"] or compared
        for data, compared in found.items()
    }
