"""What the families share: input, normalisation, shortcut, head."""

import dataclasses

import keras
from keras import layers, ops

CLASSIFIER_INITIALIZER = {
    "class_name": "RandomNormal",
    "config": {"mean": 0.0, "stddev": 0.01},
}


@dataclasses.dataclass(frozen=True)
class Stage:
    """One row of a stage table.

    Args:
        filters: the width of the stage's blocks.
        strides: the strides of its first block.
        attention: the paper's placement: `None`, `"full"`, or `"half"` for attention
            on a map of half the height and width.
    """

    filters: int
    strides: int
    attention: str | None


def placement(stages) -> dict[str, tuple[int, ...]]:
    """Returns `stages` and `downsampled_stages` as the stage table has them."""
    numbered = list(enumerate(stages, start=1))
    return {
        "stages": tuple(n for n, stage in numbered if stage.attention),
        "downsampled_stages": tuple(
            n for n, stage in numbered if stage.attention == "half"
        ),
    }


def image_input(input_shape) -> keras.KerasTensor:
    """Returns the input tensor for images of `input_shape` (height, width, channels).

    Raises:
        ValueError: if `input_shape` is not of length 3, its channels are unknown, or
            Keras is set to channels first.
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "keras.config.image_data_format() must be 'channels_last' for "
            f"aa_keras.models; received {keras.config.image_data_format()!r}"
        )
    input_shape = tuple(input_shape)
    if len(input_shape) != 3 or input_shape[-1] is None:
        raise ValueError(
            "input_shape must be (height, width, channels); height and width may be "
            f"None; received {input_shape}"
        )
    return keras.Input(input_shape, name="image")


def batch_normalization(name, *, gamma="ones", momentum=0.9, epsilon=1e-5):
    """Returns batch normalisation with the constants of the TPU ResNet code."""
    return layers.BatchNormalization(
        momentum=momentum, epsilon=epsilon, gamma_initializer=gamma, name=name
    )


def parameter_free_shortcut(x, filters, strides, name):
    """Returns `x` average-pooled by `strides` and zero-padded to `filters` channels.

    Wide-ResNet has 36.3 M parameters, as in the paper's Table 1, with this shortcut
    only; 1x1 convolutions would make 36.5 M.
    """
    if strides > 1:
        x = layers.AveragePooling2D(
            strides, strides, padding="same", name=f"{name}_shortcut_pool"
        )(x)
    missing = filters - x.shape[-1]
    if missing:
        before = missing // 2
        x = ops.pad(x, [(0, 0), (0, 0), (0, 0), (before, missing - before)])
    return x


def head(
    x,
    *,
    include_top,
    pooling,
    classes,
    classifier_activation,
    dropout=0.0,
    kernel_initializer=CLASSIFIER_INITIALIZER,
):
    """Returns the output of a classification network on the last feature map `x`.

    Args:
        x: the feature map, (batch, height, width, channels).
        include_top: whether to end in global average pooling and a dense layer.
        pooling: without the top: `None` for the feature map, `"avg"` or `"max"`.
        classes: number of classes.
        classifier_activation: activation of the dense layer; `None` for logits.
        dropout: rate of the dropout before the dense layer.
        kernel_initializer: initializer of the dense layer.

    Raises:
        ValueError: for an unknown `pooling` or fewer than one class.
    """
    poolings = {
        None: None,
        "avg": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
    }
    if pooling not in poolings:
        raise ValueError(
            f"pooling must be one of {list(poolings)}; received {pooling!r}"
        )
    if not include_top:
        return x if pooling is None else poolings[pooling](name=f"{pooling}_pool")(x)
    if not isinstance(classes, int) or classes < 1:
        raise ValueError(f"classes must be a positive integer; received {classes!r}")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    # float32 whatever the policy: a softmax, or a loss on logits, loses digits below.
    return layers.Dense(
        classes,
        activation=classifier_activation,
        kernel_initializer=kernel_initializer,
        dtype="float32",
        name="predictions",
    )(x)
