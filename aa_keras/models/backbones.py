"""The feature maps inside a network, by the names of its stages."""

import re

import keras


def feature_maps(model, stages=None) -> keras.Model:
    """Returns a model of the outputs of stages, for detection and the like.

    It shares its weights with `model`.

    Args:
        model: `keras.Model`, a network of `aa_keras.models` but RetinaNet.
        stages: sequence of int, the stages, counted from 1. Defaults to all.

    Returns:
        A `keras.Model` from images to a dict of `"stage<n>"` and feature maps.

    Example:

    >>> model = aa_keras.models.AAResNet50(include_top=False)
    >>> maps = aa_keras.models.feature_maps(model, stages=[2, 3, 4])
    >>> {name: tensor.shape for name, tensor in maps.output.items()}
    {'stage2': (None, 28, 28, 512), 'stage3': (None, 14, 14, 1024), ...}
    """
    outputs = {}
    for layer in model.layers:
        found = re.match(r"stage(\d+)_", layer.name)
        if found:  # the last one of a stage stays
            outputs[int(found[1])] = layer.output
    stages = sorted(outputs) if stages is None else list(stages)
    missing = [stage for stage in stages if stage not in outputs]
    if missing or not stages:
        raise ValueError(
            f"stages: received {stages}; allowed: {sorted(outputs)} of {model.name}"
        )
    return keras.Model(
        model.input,
        {f"stage{stage}": outputs[stage] for stage in stages},
        name=f"{model.name}_feature_maps",
    )
