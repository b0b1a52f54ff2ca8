"""What the families share: input, convolution, normalisation, shortcut, head."""

import keras
from keras import layers, ops

CLASSIFIER_INITIALIZER = {
    "class_name": "RandomNormal",
    "config": {"mean": 0.0, "stddev": 0.01},
}
# The initial kernels of Wide-ResNet and MnasNet: a normal with variance 2 / fan_out.
FAN_OUT_INITIALIZER = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"},
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
            f"input_shape: received {input_shape}; allowed: (height, width, channels), "
            "where height and width may be None"
        )
    return keras.Input(input_shape, name="image")


def convolution(filters, kernel_size, strides=1, **kwargs) -> keras.layers.Conv2D:
    """Returns a convolution with "same" padding and no bias: a batch norm follows."""
    return layers.Conv2D(
        filters, kernel_size, strides, padding="same", use_bias=False, **kwargs
    )


def batch_normalization(
    name, *, gamma="ones", momentum=0.9, epsilon=1e-5
) -> keras.layers.BatchNormalization:
    """Returns batch normalisation with the constants of the TPU ResNet code."""
    return layers.BatchNormalization(
        momentum=momentum, epsilon=epsilon, gamma_initializer=gamma, name=name
    )


def parameter_free_shortcut(x, filters, strides, name) -> keras.KerasTensor:
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


POOLINGS = {
    None: None,
    "avg": layers.GlobalAveragePooling2D,
    "max": layers.GlobalMaxPooling2D,
}


def head(
    x,
    options,
    *,
    include_top,
    pooling,
    classifier_activation,
    kernel_initializer=CLASSIFIER_INITIALIZER,
) -> keras.KerasTensor:
    """Returns the output of a classification network on its last feature map.

    Args:
        x: tensor (batch, height, width, channels).
        options: the network's options, with `classes` and `dropout`.
        include_top: see `aa_keras.models.build`, also for the next two.
        pooling: see there.
        classifier_activation: see there.
        kernel_initializer: the initializer of the dense layer.

    Raises:
        ValueError: for an unknown `pooling`.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling: received {pooling!r}; allowed: {list(POOLINGS)}")
    if not include_top:
        return x if pooling is None else POOLINGS[pooling](name=f"{pooling}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    if options.dropout:
        x = layers.Dropout(options.dropout, name="dropout")(x)
    # float32 in every policy: a softmax, or a loss on logits, loses digits below.
    return layers.Dense(
        options.classes,
        activation=classifier_activation,
        kernel_initializer=kernel_initializer,
        dtype="float32",
        name="predictions",
    )(x)
