"""What differs between classification and detection, in one table.

Each task is a module of plain functions, called by `training.run` and
`training.evaluation` under these names:

| name | is |
|---|---|
| `PREPROCESSING` | the class of what stands between images and network |
| `FINAL_ACTIVATION` | `classifier_activation` of the network that is saved |
| `build_training(source, preprocessing, experiment, *, epochs)` | a `tf.data.Dataset` of whole batches of `data.batch_size`, for that range of epochs |
| `build_validation(source, preprocessing, experiment)` | one of the validation split, as `model.evaluate` takes it in training |
| `build_evaluation(source, preprocessing, experiment, *, split)` | one with every image once, as `measure` takes it |
| `compile_arguments(experiment)` | loss, metrics (and more) for `model.compile` in training |
| `score(row)` | how good an epoch was by its row of metrics.csv, or None; larger is better |
| `measure(model, batches, experiment)` | metrics of a final model as plain numbers, with `images` |
"""  # noqa: E501

import importlib

TASKS = ("classification", "detection")


def task_name(experiment):
    """What an experiment's network does, one of `TASKS`."""
    return "detection" if experiment.model.name == "retinanet" else "classification"


def find_task(experiment):
    """The module of an experiment's task. Imported when asked for: KerasCV is slow."""
    return importlib.import_module(f"aa_keras.tasks.{task_name(experiment)}")


def open_data(experiment):
    """The experiment's data set and its preprocessing.

    Raises:
        ValueError: If the data is unknown, not there, or of another task, in one line.
    """
    from aa_keras import data

    task = find_task(experiment)
    source = data.open_source(**experiment.data.source_options)
    if source.task != task_name(experiment):
        raise ValueError(
            f"data.name: received {source.name!r}, a set for {source.task}; allowed: "
            f"sets for what model.name, {experiment.model.name!r}, does"
        )
    num_classes = len(source.class_names)
    if experiment.model.classes != num_classes:
        raise ValueError(
            f"model.classes: received {experiment.model.classes}; allowed: "
            f"{num_classes}, the classes of {source.name!r}"
        )
    preprocessing = task.PREPROCESSING(
        mean=source.mean, std=source.std, **experiment.data.preprocessing_options
    )
    return source, preprocessing
