"""What a run measures: on which splits at its end, and after which epochs."""

import keras


def check(task) -> None:
    """Raises ValueError if `measure` or `measure_every` names what does not exist.

    `DamagedData` if files of a split are missing that the run reads, be it at its end.
    """
    for split in ("train", *measured_splits(task)):
        task.source.require(split)
    every = task.experiment.train.measure_every
    if every and task.fit_measures:
        allowed = "0 for classification, whose metrics every epoch has"
    elif every and "validation" not in task.source.num_examples:
        allowed = (
            "0 without a validation split; data.validation_examples carves one out of "
            "train"
        )
    else:
        return
    raise ValueError(f"train.measure_every: received {every}; allowed: {allowed}")


def measured_splits(task) -> list[str]:
    """Returns the splits that a run measures at its end; a ValueError if one is not.

    By default all but `train`, the images of which a network has seen.
    """
    chosen, splits = task.experiment.train.measure, list(task.source.num_examples)
    for split in chosen or ():
        if split not in splits:
            raise ValueError(
                f"train.measure: received {split!r}; allowed: {', '.join(splits)}"
            )
    return [s for s in splits if s != "train"] if chosen is None else chosen


class Measure(keras.callbacks.Callback):
    """Adds metrics that `fit` does not compute to the validation of some epochs.

    `measure` is called with the model, which has the weights of `average` then, and
    returns a dict of numbers; `epochs` are counted from 0. It must come before
    `RunState`, which stores the metrics.
    """

    def __init__(self, measure, epochs, average):
        super().__init__()
        self.measure = measure
        self.epochs = epochs
        self.average = average

    def on_epoch_end(self, epoch, logs=None):
        if epoch in self.epochs:
            with self.average.in_model():
                metrics = self.measure(self.model)
            logs.update({f"val_{name}": value for name, value in metrics.items()})


def measure(task, model, split, smoke=False) -> dict:
    """Returns the metrics of a model on a split, each image of it counted once.

    Args:
        smoke: bool, measure one batch alone. Defaults to `False`.

    Raises:
        DamagedData: if images of the split are missing.
    """
    source, batches = task.source, task.build_evaluation(split)
    metrics = task.measure(model, shorten(batches, smoke))
    if not smoke:
        source.check_count(split, metrics["images"])
    if source.corrupt_images == "skip":
        metrics["skipped"] = source.damage.count(split)
    return metrics


def skipped(source) -> dict:
    """Returns the number and the names of skipped images by split."""
    found = source.damage.skipped.items()
    return {split: {"count": len(names), "names": names} for split, names in found}


def measurements(task, plan, average) -> list[Measure]:
    """Returns the callbacks that `train.measure_every` asks for."""
    every = task.experiment.train.measure_every
    if not every:
        return []

    def measure(model):
        batches = task.build_evaluation("validation")
        metrics = task.measure(model, shorten(batches, task.experiment.smoke))
        return {name: value for name, value in metrics.items() if name != "images"}

    epochs = {*range(every - 1, plan.epochs, every), plan.epochs - 1}
    return [Measure(measure, epochs, average)]


def shorten(batches, smoke):
    """Returns the batches on which a run is measured: one in a smoke run."""
    return batches.take(1) if smoke else batches
