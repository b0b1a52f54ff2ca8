"""Initializers, regularizers and constraints of an attention's weights, by their names.

They are arguments of the layers, which keep them as attributes.
"""

import keras

WEIGHT_OPTIONS = {
    f"{weight}_{kind}": module
    for weight in ("kernel", "bias", "relative")
    for kind, module in (
        ("initializer", keras.initializers),
        ("regularizer", keras.regularizers),
        ("constraint", keras.constraints),
    )
}


def take_weight_options(kwargs) -> dict:
    """Removes the options from a constructor's arguments, and returns them."""
    return {name: kwargs.pop(name) for name in WEIGHT_OPTIONS if name in kwargs}


def set_weight_options(layer, options, head_depth) -> None:
    """Sets the attributes of a layer whose heads have `head_depth` key channels."""
    # The paper's listing passes this number where TensorFlow takes the mean.
    deviation = head_depth**-0.5
    defaults = {
        "kernel_initializer": "glorot_uniform",
        "bias_initializer": "zeros",
        "relative_initializer": keras.initializers.RandomNormal(stddev=deviation),
    }
    for name, module in WEIGHT_OPTIONS.items():
        setattr(layer, name, module.get(options.get(name) or defaults.get(name)))


def convolution_options(layer) -> dict:
    """Returns what a convolution inside the layer takes of its options."""
    names = (name for name in WEIGHT_OPTIONS if not name.startswith("relative"))
    return {name: getattr(layer, name) for name in names}


def serialized_weight_options(layer) -> dict:
    """Returns the options as part of the layer's configuration."""
    return {
        name: module.serialize(getattr(layer, name))
        for name, module in WEIGHT_OPTIONS.items()
    }
