"""From pictures to the input of trained networks, and from their output to names.

The numbers and the names are those of the runs: `data.json` beside the weights.
"""

from typing import Any

import numpy as np

from aa_keras.models import pretrained


def preprocess_input(x: Any, data: str = "cifar100") -> Any:
    """Scales pictures as the trained networks of this package take them.

    The pictures must have the network's size: 32 x 32 for CIFAR-100.

    Args:
        x: array or tensor (..., height, width, channels), values in 0..255.
        data: string, the data set of the weights. Defaults to `"cifar100"`.

    Returns:
        float32 of the shape of `x`, each channel with the mean 0 and the standard
        deviation 1 over the training images. A NumPy array for one, else a tensor.

    Raises:
        ValueError: if there are no weights for the data set, or the channels differ.

    Example:

    >>> network = models.AAResNet8(weights="cifar100")
    >>> scores = network(models.preprocess_input(pictures))
    >>> models.decode_predictions(scores, top=3)
    """
    values = pretrained.read_data(data)["preprocessing"]
    mean, std = np.array(values["mean"]), np.array(values["std"])
    if not getattr(x, "shape", ()) or x.shape[-1] != len(mean):
        received = tuple(getattr(x, "shape", ())) or type(x).__name__
        raise ValueError(f"x: received {received}; allowed: (..., {len(mean)})")
    # As `Preprocessing.normalize` of the training's pipeline.
    scale, offset = np.float32(1 / (255 * std)), np.float32(mean / std)
    if isinstance(x, np.ndarray):
        return x.astype("float32") * scale - offset
    from keras import ops  # when it is needed, so that this module stays light

    return ops.cast(x, "float32") * scale - offset


def decode_predictions(
    preds: Any, top: int = 5, data: str = "cifar100"
) -> list[list[tuple[int, str, float]]]:
    """Returns the most probable classes of each picture with their names.

    Args:
        preds: array or tensor (pictures, classes) of probabilities.
        top: int, how many classes. Defaults to `5`.
        data: string, the data set of the weights. Defaults to `"cifar100"`.

    Returns:
        For each picture a list of `(class index, name, probability)`, the most
        probable first.

    Raises:
        ValueError: if there are no weights for the data set, or the number of classes
            is another.
    """
    names = pretrained.read_data(data)["class_names"]
    if len(getattr(preds, "shape", ())) != 2 or preds.shape[1] != len(names):
        received = tuple(getattr(preds, "shape", ())) or type(preds).__name__
        raise ValueError(
            f"preds: received {received}; allowed: (pictures, {len(names)})"
        )
    from keras import ops

    scores = ops.convert_to_numpy(preds)
    orders = np.argsort(-scores, axis=-1, kind="stable")[:, :top]
    return [
        [(int(index), names[index], float(row[index])) for index in order]
        for row, order in zip(scores, orders, strict=True)
    ]


__all__ = ["decode_predictions", "preprocess_input"]
