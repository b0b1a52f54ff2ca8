"""What a model's attention layers compute their scores from, as arrays.

It grows with the number of cells of the map, the scores with the square of it.
"""

import numpy as np
from keras import ops, tree

from aa_keras.layers import (
    Projections,
    SelfAttention2D,
    StandAloneAttention2D,
    attention_layers,
    record_projections,
)

MAPS = (SelfAttention2D, StandAloneAttention2D)  # not those of sequences


def projections(model, images, layers=None) -> dict[str, Projections]:
    """Runs a model once and returns what its attention layers project.

    The model does not change. Of a layer that is called several times the first call
    counts.

    Args:
        model: `keras.Model` that takes a batch of images.
        images: array (batch, height, width, channels) as the network takes them, after
            preprocessing.
        layers: list of names as in `aa_keras.layers.attention_layers`. Defaults to all.

    Returns:
        Dictionary from each name to `Projections` of float32 arrays.

    Raises:
        ValueError: if the model has no attention layer over maps, if a name is none of
            them, or if the model does not call the layer.
    """
    found = attention_layers(model).items()
    by_name = {n: layer for n, layer in found if isinstance(layer, MAPS)}
    if not by_name:
        raise ValueError(f"model {model.name!r} has no attention layer over maps")
    names = list(by_name) if layers is None else list(layers)
    for name in names:
        if name not in by_name:
            allowed = ", ".join(by_name)
            raise ValueError(f"layers: received {name!r}; allowed: {allowed}")
    if not model.built:  # building calls the layers without numbers
        model(images, training=False)
    _, recorded = record_projections(
        lambda: model(images, training=False), {name: by_name[name] for name in names}
    )
    if missing := [name for name in names if name not in recorded]:
        raise ValueError(f"layers: model {model.name!r} does not call {missing[0]!r}")
    return {name: tree.map_structure(_array, recorded[name]) for name in names}


def _array(value):
    if value is None or isinstance(value, int):
        return value
    return np.asarray(ops.convert_to_numpy(ops.cast(value, "float32")))
