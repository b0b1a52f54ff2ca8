"""Attention put into a network that exists, in place of or beside its convolutions."""

from collections.abc import Callable

import keras

from aa_keras.keras_internals import (
    compile_arguments,
    copy_lambda,
    producer,
    sublayers,
    uncompiled,
)
from aa_keras.layers import AddedAttentionConv2D, AugmentedConv2D, copy_weights
from aa_keras.layers.depths import attention_depths, default_depths
from aa_keras.layers.validation import one_of
from aa_keras.models.choosing import GRAPHS, choose_convolutions, map_sizes

MODES = {"replace": AugmentedConv2D, "add": AddedAttentionConv2D}
# The arguments that a convolution and an augmented one share.
SHARED = (
    "filters",
    "kernel_size",
    "strides",
    "padding",
    "dilation_rate",
    "data_format",
    "activation",
    "use_bias",
    "kernel_regularizer",
    "kernel_constraint",
    "bias_regularizer",
    "bias_constraint",
)


def augment(
    model: keras.Model,
    where: str | int | Callable[[keras.layers.Layer], bool] = "last_stage",
    mode: str = "replace",
    num_heads: int | None = None,
    key_ratio: float | None = None,
    value_ratio: float | None = None,
    **options,
) -> keras.Model:
    """Returns a copy of a model in which convolutions are augmented with attention.

    With `mode="replace"` a `Conv2D` becomes an `AugmentedConv2D`: attention replaces
    the last `value_depth` filters, the convolution keeps the others with their kernels
    and biases. A batch normalisation that directly follows starts anew in the
    channels of the attention. With `mode="add"` it becomes an `AddedAttentionConv2D`:
    the convolution keeps all filters, and the attention is added to the last
    `value_depth` channels through a scale that starts at 0. The function of the model
    is then unchanged until it is trained.

    All other weights are copied. Names, sizes, data types, regularizers, activations
    and frozen layers stay as they are: an augmented convolution is frozen if the
    convolution was. The given model does not change. The copy is compiled, with a new
    optimizer, if `model` is. A subclass of a functional model becomes a plain one; it
    is not compiled if the class has a training step or a loss of its own.

    Args:
        model: built `keras.Model`, functional or Sequential. Models nested in it are
            augmented too; convolutions inside of other layers stay.
        where: which convolutions. A string is a pattern of names, as in
            `"conv5_*_2_conv"`, also of paths, as in `"backbone/conv5_*"`. An integer
            is the largest height and width of the output map, as in `14`.
            `"last_stage"` takes the smallest map of more than one position. A function
            of a layer returns whether to augment it. An integer and `"last_stage"`
            skip convolutions that cannot be augmented, and kernels of 1x1 if there are
            larger ones. Defaults to `"last_stage"`.
        mode: string, `"replace"` or `"add"`. Defaults to `"replace"`.
        num_heads: int, the attention heads. Defaults to `default_depths(filters)`.
        key_ratio: float, the key depth over filters, rounded down to a multiple of the
            heads. Defaults to `default_depths`.
        value_ratio: float, the attention's channels over filters, rounded alike.
            Defaults to `default_depths`.
        **options: other arguments of `AugmentedConv2D` for the attention, as in
            `position_encoding="sine"`; `max_size` is needed where the model leaves the
            size of images open.

    Returns:
        A `keras.Model` with the layers of `model` in the same order.

    Raises:
        ValueError: in one line, if the model is not a graph of layers, `where` chooses
            no convolution or one that cannot be augmented, or an option is out of
            range.

    Example:

    >>> model = keras.applications.ResNet50()
    >>> augmented = aa_keras.augment(model, where=14, mode="add")
    >>> aa_keras.counting.print_replacements(model, augmented)
    """
    one_of("mode", mode, MODES)
    if not isinstance(model, GRAPHS) or not model.built:
        kind = "built" if isinstance(model, GRAPHS) else "functional or Sequential"
        raise ValueError(
            f"model: received {type(model).__name__} {model.name!r}, which has no "
            f"graph of layers; allowed: a {kind} model"
        )
    chosen = {id(layer) for layer in choose_convolutions(model, where)}

    copies: dict[int, keras.layers.Layer] = {}

    def copy(layer):
        if id(layer) not in copies:  # it may be shared, by models too
            copies[id(layer)] = copied(layer)
        return copies[id(layer)]

    def copied(layer):
        if isinstance(layer, GRAPHS):
            inputs = None
            if not isinstance(layer, keras.Sequential):  # Keras names inputs anew
                inputs = keras.tree.map_structure(
                    lambda tensor: copy(producer(tensor)).output, layer.input
                )
            with uncompiled(layer):
                return keras.models.clone_model(layer, inputs, clone_function=copy)
        if id(layer) in chosen:
            return _augmented(layer, mode, num_heads, key_ratio, value_ratio, options)
        return _rebuilt(layer)

    augmented = copy(model)
    copy_weights(model, augmented)
    _copy_flags(model, augmented)
    _compile_alike(model, augmented)
    return augmented


def _augmented(layer, mode, num_heads, key_ratio, value_ratio, options):
    """Returns the augmented convolution for a convolution."""
    shared = {name: getattr(layer, name) for name in SHARED}
    inherited = {"name": layer.name, "dtype": layer.dtype_policy}
    try:
        depths = _depths(layer.filters, num_heads, key_ratio, value_ratio)
        return MODES[mode](
            **shared,
            **inherited,
            **{**depths._asdict(), "max_size": _largest_input(layer), **options},
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"layer {layer.name}: {error}") from error


def _largest_input(layer):
    """The largest input of a layer that is called at several sizes, else None."""
    sizes = set(map_sizes(layer, of_output=False))
    if len(sizes) == 1 or None in [n for size in sizes for n in size]:
        return None
    return tuple(map(max, zip(*sizes, strict=True)))


def _depths(filters, num_heads, key_ratio, value_ratio):
    depths = default_depths(filters, num_heads)
    heads = {"num_heads": depths.num_heads, "min_key_depth_per_head": 0}
    if key_ratio is not None:
        key_depth, _ = attention_depths(filters, key_ratio=key_ratio, **heads)
        depths = depths._replace(key_depth=key_depth)
    if value_ratio is not None:
        _, value_depth = attention_depths(filters, value_ratio=value_ratio, **heads)
        depths = depths._replace(value_depth=value_depth)
    return depths


def _rebuilt(layer):
    """Returns a layer or operation with the configuration of another."""
    try:
        if isinstance(layer, keras.layers.Lambda):
            return copy_lambda(layer)
        return type(layer).from_config(layer.get_config())
    except Exception as error:  # its own code may raise anything
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"layer {layer.name}: {type(layer).__name__} cannot be rebuilt from its "
            f"configuration: {reason}"
        ) from error


def _copy_flags(old, new):
    """Freezes what was frozen. A flag sets those of all layers inside, so go down."""
    new.trainable = old.trainable
    inner = sublayers(old), sublayers(new)
    is_same = type(old) is type(new) or isinstance(old, GRAPHS)  # copies are plain
    if is_same and len(inner[0]) == len(inner[1]):
        for pair in zip(*inner, strict=True):
            _copy_flags(*pair)


def _trains_in_its_own_way(kind):
    methods = "train_step", "compute_loss"
    return any(getattr(kind, m) is not getattr(keras.Model, m) for m in methods)


def _compile_alike(old, new):
    """Compiles a model as another one, with an optimizer and metrics of its own."""
    arguments = compile_arguments(old)
    if arguments is None or _trains_in_its_own_way(type(old)):
        return

    def renewed(one):
        has_state = isinstance(one, (keras.optimizers.Optimizer, keras.Metric))
        return type(one).from_config(one.get_config()) if has_state else one

    arguments["optimizer"] = old.optimizer  # it may have a loss scale, or not
    for key in ("optimizer", "metrics", "weighted_metrics"):
        arguments[key] = keras.tree.map_structure(renewed, arguments[key])
    new.compile(**arguments, auto_scale_loss=False)
