"""A trained model at another input size, or as the start of an augmented one."""

import keras
from keras import ops

from aa_keras.keras_internals import copy_lambda, producers, sublayers, uncompiled
from aa_keras.layers import validation
from aa_keras.layers.attention.resampling import fit_table
from aa_keras.layers.augmented_conv import AugmentedConv
from aa_keras.layers.inspection import whole_map_layers
from aa_keras.layers.self_attention import SelfAttention

# The tables that have a row for each distance on a map, not for one in a window.
DISTANCES = {"relative_height", "relative_width", "relative_length"}


def resize_relative_embeddings(model, input_size) -> keras.Model:
    """Returns the model rebuilt for another input size, with its weights.

    Relative embeddings of a larger map are interpolated between those of the old one,
    see `on_larger_input`. A smaller map keeps the embeddings of the distances it has.
    The given model does not change; the new one is not compiled.

    Args:
        model: `keras.Model`, functional or Sequential, with one input.
        input_size: int or sequence of ints, one for each axis: (height, width) for
            images.

    Raises:
        ValueError: if the model has several inputs, or attention in a nested model.
            Build such a model at the new size and use `copy_weights`.

    Example:

    >>> model = keras.saving.load_model("trained_at_224.keras")
    >>> model = resize_relative_embeddings(model, (320, 320))
    """
    inputs = list(getattr(model, "inputs", ()))  # those that are no graph have none
    if len(inputs) != 1:
        raise ValueError(
            "model must be functional or Sequential, built, with one input; received "
            f"{type(model).__name__} with {len(inputs)}"
        )
    (old,) = inputs
    size = validation.int_tuple("input_size", input_size, len(old.shape) - 2)
    kinds = (AugmentedConv, SelfAttention)
    attending = [layer for layer in model.layers if isinstance(layer, kinds)]
    if len(attending) < len(whole_map_layers(model)):
        raise ValueError(
            "model must not nest attention in another layer; received "
            f"{', '.join(whole_map_layers(model))}: build the model at the new size "
            "and use copy_weights"
        )
    shape = (*size, old.shape[-1])
    if attending and attending[0].data_format == "channels_first":
        shape = (old.shape[1], *size)

    def clone(layer):
        if isinstance(layer, keras.layers.Lambda):
            return copy_lambda(layer)
        config = layer.get_config()
        if isinstance(layer, kinds):
            config["max_size"] = None  # the input size is known
        return type(layer).from_config(config)

    # The name of the input is part of the model's signature.
    inputs = keras.Input(shape, dtype=old.dtype, name=old.name)
    with uncompiled(model):
        resized = keras.models.clone_model(model, inputs, clone_function=clone)
    copy_weights(model, resized)
    return resized


def copy_weights(source, target, skip_mismatch=False) -> list[keras.Variable]:
    """Copies the weights of a model into a larger, smaller or augmented one.

    The models have the same layers in the same order, apart from these differences:

    - Their input sizes may differ. Relative embeddings are resized as in
      `resize_relative_embeddings`.
    - Where `source` has a convolution, `target` may have an augmented one of the same
      filters: attention replaces the last filters, and the convolution gets the others.
      The weights of the attention stay as they are, and so do its channels in a batch
      normalisation that directly follows, in which those of the convolution are
      copied. With a gamma of 0 for the attention (`normalization_scale` of the
      networks) `target` then starts as `source` without the replaced filters. An
      `AddedAttentionConv2D` keeps all filters.
    - With `skip_mismatch`, weights may have other shapes, such as those of a classifier
      of other classes. They stay as they are.

    Args:
        source: built `keras.Model` or layer.
        target: built `keras.Model` or layer.
        skip_mismatch: bool, whether weights of other shapes are skipped. Defaults to
            `False`.

    Returns:
        The weights of `target` that have got values of `source`.

    Raises:
        ValueError: if the weights do not correspond; `target` is then unchanged.

    Example:

    >>> plain = aa_keras.models.ResNet50(weights="plain.weights.h5")
    >>> augmented = aa_keras.models.AAResNet50(attention={"normalization_scale": 0.0})
    >>> copied = copy_weights(plain, augmented)
    """
    copied = []
    for name, weight, value in _matched(source, target):
        if value.shape == weight.shape:
            copied.append((weight, value))
        elif not skip_mismatch:
            raise ValueError(
                f"target must have the weights of source; received {weight.path} of "
                f"shape {tuple(weight.shape)} for {name} of shape {tuple(value.shape)}"
            )
    for weight, value in copied:
        weight.assign(ops.copy(value))  # JAX deletes an array that a step was given
    for layer in sublayers(target, recursive=True):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with constants made of its weights
    return [weight for weight, _ in copied]


def _matched(source, target):
    """Triples `(name of the source, weight of the target, new value)`."""
    if isinstance(target, AugmentedConv) and not isinstance(source, AugmentedConv):
        return _kept_filters(source, target)
    graphs = (keras.Sequential, keras.Function)
    counts = [len(whole_map_layers(model)) for model in (source, target)]
    if counts[0] == counts[1] or not isinstance(target, graphs):
        return _same_weights(source, target)
    _refuse_unequal("layers", source, target, source.layers, target.layers)
    triples = []
    kept = {}  # channels of the convolution by the augmented one
    for old, new in zip(source.layers, target.layers, strict=True):
        matched = _matched(old, new)
        if isinstance(new, keras.layers.BatchNormalization):
            before = {kept.get(id(operation)) for operation in producers(new)}
            count = before.pop() if len(before) == 1 else None
            matched = [
                (name, weight, _replace_first(weight, value, count))
                for name, weight, value in matched
            ]
        if isinstance(new, AugmentedConv) and not isinstance(old, AugmentedConv):
            kept[id(new)] = new.convolution.filters if new.convolution else 0
        triples += matched
    return triples


def _replace_first(weight, value, count):
    """The first `count` channels of `value`, the others of `weight`; None for all."""
    if count is None:
        return value
    return ops.concatenate([value[:count], weight.value[count:]], axis=0)


def _kept_filters(source, target):
    """Triples for the convolution of an augmented one: the first filters."""
    if getattr(source, "filters", None) != target.filters:
        raise ValueError(
            f"target must have the filters of source; received {target.filters} in "
            f"{target.name}, {getattr(source, 'filters', None)} in {source.name}"
        )
    if target.convolution is None:
        return []
    kept = target.convolution.filters
    cut = [old.value[..., :kept] for old in source.weights]
    _refuse_unequal("weights", source, target, cut, target.convolution.weights)
    return [
        (source.name, new, value)
        for new, value in zip(target.convolution.weights, cut, strict=True)
    ]


def _same_weights(source, target):
    _refuse_unequal("weights", source, target, source.weights, target.weights)
    triples = []
    for old, new in zip(source.weights, target.weights, strict=True):
        value = old.value
        if old.name in DISTANCES and old.name == new.name:
            value = fit_table(value, (new.shape[0] + 1) // 2, on_larger="resize")
        triples.append((old.path, new, value))
    return triples


def _refuse_unequal(what, source, target, first, second):
    if len(first) != len(second):
        raise ValueError(
            f"target must have the {what} of source; received {len(second)} in "
            f"{target.name} for {len(first)} in {source.name}"
        )
