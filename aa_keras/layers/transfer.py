"""A trained model at another input size."""

import keras

from aa_keras.layers.attention.resampling import fit_table
from aa_keras.layers.augmented_conv import AugmentedConv
from aa_keras.layers.inspection import attention_layers
from aa_keras.layers.self_attention import SelfAttention


def resize_relative_embeddings(model, input_size) -> keras.Model:
    """Returns the model rebuilt for another input size, with its weights.

    Relative embeddings of a larger map are interpolated between those of the old one,
    see `on_larger_input`. A smaller map keeps the embeddings of the distances it has.
    The given model does not change; the new one is not compiled.

    Args:
        model: `keras.Model`, functional or Sequential, with one input. input_size: int
        or sequence of ints, one for each axis: (height, width) for images.

    Raises:
        ValueError: if the model has several inputs, or attention in a nested model.
        Build
            such a model at the new size and use `copy_weights`.

    Example:

    >>> model = keras.saving.load_model("trained_at_224.keras")
    >>> model = resize_relative_embeddings(model, (320, 320))
    """
    if len(model.inputs) != 1:
        raise ValueError(f"model must have one input; received {len(model.inputs)}")
    (old,) = model.inputs
    rank = len(old.shape) - 2
    size = (input_size,) * rank if isinstance(input_size, int) else tuple(input_size)
    if len(size) != rank or not all(isinstance(n, int) and n > 0 for n in size):
        raise ValueError(
            f"input_size must be {rank} positive integers; received {input_size!r}"
        )
    kinds = (AugmentedConv, SelfAttention)
    attending = [layer for layer in model.layers if isinstance(layer, kinds)]
    if len(attending) < len(attention_layers(model)):
        raise ValueError(
            "model must not nest attention in another layer; received "
            f"{', '.join(attention_layers(model))}: build the model at the new size "
            "and use copy_weights"
        )
    shape = (*size, old.shape[-1])
    if attending and attending[0].data_format == "channels_first":
        shape = (old.shape[1], *size)

    def clone(layer):
        config = layer.get_config()
        if isinstance(layer, kinds):
            config["max_size"] = None  # the input size is known
        return type(layer).from_config(config)

    # The name of the input is part of the model's signature.
    inputs = keras.Input(shape, dtype=old.dtype, name=old.name)
    resized = keras.models.clone_model(model, inputs, clone_function=clone)
    copy_weights(model, resized)
    return resized


def copy_weights(source, target) -> None:
    """Copies all weights between models that differ only in their input size.

    Relative embeddings are resized as in `resize_relative_embeddings`.

    Raises:
        ValueError: if the weights do not correspond; `target` is then unchanged.
    """
    if len(source.weights) != len(target.weights):
        raise ValueError(
            f"target must have the weights of source; received {len(target.weights)} "
            f"weights for {len(source.weights)}"
        )
    values = []
    for old, new in zip(source.weights, target.weights, strict=True):
        value = old.value
        if old.name.startswith("relative_") and old.name == new.name:
            value = fit_table(value, (new.shape[0] + 1) // 2, on_larger="resize")
        if value.shape != new.shape:
            raise ValueError(
                f"target must have the weights of source; received {new.path} of shape "
                f"{tuple(new.shape)} for {old.path} of shape {tuple(old.shape)}"
            )
        values.append(value)
    for weight, value in zip(target.weights, values, strict=True):
        weight.assign(value)
