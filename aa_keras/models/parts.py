"""What the families share: input, head, convolution, normalisation, shortcut."""

from collections.abc import Sequence

import keras
from keras import layers, ops

from aa_keras.layers.validation import optional_size

CLASSIFIER_INITIALIZER = {
    "class_name": "RandomNormal",
    "config": {"mean": 0.0, "stddev": 0.01},
}
# The initial kernels of Wide-ResNet and MnasNet: a normal with variance 2 / fan_out.
FAN_OUT_INITIALIZER = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"},
}
# That of Wide-ResNet and MnasNet: a uniform distribution with variance 1 / (3 fan_out).
UNIFORM_CLASSIFIER_INITIALIZER = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1 / 3, "mode": "fan_out", "distribution": "uniform"},
}
POOLINGS = {
    None: None,
    "avg": layers.GlobalAveragePooling2D,
    "max": layers.GlobalMaxPooling2D,
}


def build_classifier(
    resolve,
    features,
    *,
    input_shape,
    input_tensor=None,
    include_top=True,
    pooling=None,
    classifier_activation="softmax",
    max_size=None,
    convolution=None,
    name=None,
    classifier_initializer=CLASSIFIER_INITIALIZER,
    **options,
) -> keras.Model:
    """Builds a classification network: input, features of a family, and head.

    Args:
        resolve: function that returns the checked options.
        features: function `(inputs, options, max_size, convolution)` that returns the
            last feature map, (batch, height, width, channels).
        classifier_initializer: the initializer of the last layer.
        **options: the options of the network.

    For the other arguments, results and errors see `aa_keras.models.build`.
    """
    resolved = resolve(options)
    if pooling not in POOLINGS:
        raise ValueError(f"pooling: received {pooling!r}; allowed: {list(POOLINGS)}")
    image = image_input(input_shape) if input_tensor is None else input_tensor
    _check_image(image)
    max_size = optional_size("max_size", max_size, 2)
    x = features(image, resolved, max_size, convolution)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        if resolved.dropout:
            x = layers.Dropout(resolved.dropout, name="dropout")(x)
        # float32 in every policy: a softmax, or a loss on logits, loses digits below.
        x = layers.Dense(
            resolved.classes,
            activation=classifier_activation,
            kernel_initializer=classifier_initializer,
            dtype="float32",
            name="predictions",
        )(x)
    elif pooling is not None:
        x = POOLINGS[pooling](name=f"{pooling}_pool")(x)
    name = name or resolved.network_name()
    sources = keras.utils.get_source_inputs(image)
    inputs = sources[0] if len(sources) == 1 else sources
    return keras.Model(inputs, x, name=name)


def image_input(input_shape) -> keras.KerasTensor:
    """Returns the input tensor for images of `input_shape` (height, width, channels).

    Raises:
        ValueError: if `input_shape` is not of length 3, its channels are unknown, or
            Keras is set to channels first.
    """
    _refuse_channels_first()
    given = input_shape if isinstance(input_shape, Sequence) else ()
    if len(given) != 3 or given[-1] is None:
        raise ValueError(
            f"input_shape: received {input_shape}; allowed: (height, width, channels), "
            "where height and width may be None"
        )
    return keras.Input(tuple(given), name="image")


def _refuse_channels_first():
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "keras.config.image_data_format() must be 'channels_last' for "
            f"aa_keras.models; received {keras.config.image_data_format()!r}"
        )


def _check_image(x):
    _refuse_channels_first()
    is_tensor = isinstance(x, keras.KerasTensor)
    if not is_tensor or len(x.shape) != 4 or x.shape[-1] is None:
        raise ValueError(
            f"input_tensor: received {x}; allowed: a keras.KerasTensor (batch, height, "
            "width, channels)"
        )


def plain_convolution(
    filters, kernel_size, strides=1, padding="same", **kwargs
) -> keras.layers.Conv2D:
    """Returns a convolution without a bias: a batch norm follows."""
    return layers.Conv2D(
        filters, kernel_size, strides, padding, use_bias=False, **kwargs
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
