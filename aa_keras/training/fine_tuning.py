"""Training that starts from a trained network: its weights and frozen layers."""

from pathlib import Path

import keras

from aa_keras import keras_internals
from aa_keras.finished_runs import find_run
from aa_keras.layers import copy_weights
from aa_keras.layers.inspection import matches
from aa_keras.models import pretrained


def freeze(model, patterns) -> None:
    """Freezes the layers whose names match, as `train.freeze` asks.

    Raises:
        ValueError: if a pattern matches no layer, or nothing is left to train.
    """
    paths = dict(_layers(model, ()))
    for pattern in patterns:
        matching = [layer for path, layer in paths.items() if matches(path, pattern)]
        if not matching:
            raise ValueError(
                f"train.freeze: received {pattern!r}, which matches no layer; allowed: "
                f"patterns of names, as in {', '.join(list(paths)[1:4])}"
            )
        for layer in matching:
            layer.trainable = False
    if not model.trainable_weights:
        raise ValueError(
            f"train.freeze: received {list(patterns)}, which leaves nothing to train; "
            "allowed: patterns that leave a layer"
        )


def _layers(parent, path):
    """Yields `(path, layer)` of all layers, those inside of others too."""
    for layer in keras_internals.sublayers(parent):
        inner = (*path, layer.name)
        yield "/".join(inner), layer
        yield from _layers(layer, inner)


def start(model, options, average, factors, report) -> str:
    """Prepares a new run with `initial_weights`, which no resumed one reads again.

    Args:
        model: a compiled model.
        options: the `config.Train` of the run.
        average: the `Average` of its weights.
        factors: its `UpdateFactors` or None.
        report: callable, called with a line for the console.

    Returns:
        The SHA-256 of the file: its content may change under its name.
    """
    kept = load_initial_weights(model, options.initial_weights, report)
    average.start()
    if options.kept_learning_rate_factor is not None:
        factors.multiply(kept, options.kept_learning_rate_factor)
    path = Path(options.initial_weights)
    file = path if path.is_file() else find_run(path).weights_file()
    return pretrained.checksum(file)


def load_initial_weights(model, path, report=print) -> list[keras.Variable]:
    """Gives a model the weights of a trained one, as `train.initial_weights` asks.

    Weights of other shapes, such as those of a classifier of other classes, stay as
    they are. So do those of attention that the trained model has not.

    Args:
        model: built `keras.Model`.
        path: the work directory of a finished run, a `.keras` or a `.weights.h5` file,
            or the name of shipped weights.
        report: callable, called with the line that says what was loaded.

    Returns:
        The weights that were loaded.

    Raises:
        ValueError: if the path is none of these, or the networks do not correspond.
    """
    try:
        loaded = _load(model, Path(path))
    except Exception as error:  # a file may contain any layer
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"train.initial_weights: {reason}") from error
    ids = {id(weight) for weight in loaded}
    new = [weight for weight in model.weights if id(weight) not in ids]
    if not loaded or len(new) == len(model.weights):
        raise ValueError(
            f"train.initial_weights: received {str(path)!r}, which has no weights for "
            f"{model.name}; allowed: those of the same layers"
        )
    report(
        f"train.initial_weights: {len(loaded)} of {len(model.weights)} weights come "
        f"from {path}" + (f"; new: {_named(new)}" if new else "")
    )
    return loaded


def _load(model, path):
    if path.is_dir() or path.as_posix() in pretrained.read_index():
        return copy_weights(find_run(path).load().model, model, skip_mismatch=True)
    if not path.is_file():
        raise ValueError(
            f"received {str(path)!r}; allowed: the work directory of a finished run, a "
            ".keras or a .weights.h5 file, or the name of shipped weights: "
            f"{pretrained.listing()}"
        )
    if path.name.endswith(".weights.h5"):
        return keras_internals.load_fitting_weights(model, path)
    trained = keras.saving.load_model(path, compile=False)
    return copy_weights(trained, model, skip_mismatch=True)


def _named(weights, most=4):
    layers = list(dict.fromkeys(weight.path.rpartition("/")[0] for weight in weights))
    more = len(layers) - most
    return ", ".join(layers[:most]) + (f" and {more} more layers" if more > 0 else "")
