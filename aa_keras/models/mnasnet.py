"""MnasNet-A1, plain and attention-augmented."""

import dataclasses
import functools

import keras
from keras import layers

from aa_keras.layers import SqueezeExcite
from aa_keras.models.parts import (
    batch_normalization,
    head,
    image_input,
    placement,
)
from aa_keras.models.spec import (
    Attention,
    convolution,
    resolve_attention,
    stage_convolution,
    strided_size,
)


@dataclasses.dataclass(frozen=True)
class Stage:
    """One row of the stage table; `expansion` is the inverted bottleneck's."""

    blocks: int
    kernel_size: int
    strides: int
    expansion: int
    filters: int
    squeeze: bool
    attention: str | None


# After the stem (3x3 with stride 2, 32 filters); filters are multiplied by the width;
# outputs for images of 224 x 224. The paper augments the last 13 blocks, the first of
# these stages on a map of half the size.
#        blocks kernel strides expansion filters squeeze attention
STAGES = (
    Stage(1, 3, 1, 1, 16, False, None),  # 112 x 112
    Stage(2, 3, 2, 6, 24, False, None),  # 56 x 56
    Stage(3, 5, 2, 3, 40, True, "half"),  # 28 x 28
    Stage(4, 3, 2, 6, 80, False, "full"),  # 14 x 14
    Stage(2, 3, 1, 6, 112, True, "full"),  # 14 x 14
    Stage(3, 5, 2, 6, 160, True, "full"),  # 7 x 7
    Stage(1, 3, 1, 6, 320, False, "full"),  # 7 x 7
)
STEM_FILTERS = 32
HEAD_FILTERS = 1280
SQUEEZE_RATIO = 0.25
# key ratio, value ratio, heads, least key depth of a head
ATTENTION = Attention(0.1, 0.05, 4, 0, **placement(STAGES))
KERNEL_INITIALIZER = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"},
}
conv = functools.partial(convolution, kernel_initializer=KERNEL_INITIALIZER)
normalization = functools.partial(batch_normalization, momentum=0.99, epsilon=1e-3)


def inverted_bottleneck(x, filters, stage, strides, expansion_convolution, name):
    """1x1 expansion (handed in), depthwise, squeeze-and-excitation, 1x1 projection."""
    shortcut, input_filters = x, x.shape[-1]
    if stage.expansion > 1:
        x = expansion_convolution(
            stage.expansion * input_filters, 1, name=f"{name}_expansion_conv"
        )(x)
        x = normalization(f"{name}_expansion_bn")(x)
        x = layers.ReLU(name=f"{name}_expansion_relu")(x)
    x = layers.DepthwiseConv2D(
        stage.kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        # The fan-out of a depthwise kernel (height, width, channels, 1) is its area.
        depthwise_initializer=KERNEL_INITIALIZER,
        name=f"{name}_depthwise_conv",
    )(x)
    x = normalization(f"{name}_depthwise_bn")(x)
    x = layers.ReLU(name=f"{name}_depthwise_relu")(x)
    if stage.squeeze:
        x = SqueezeExcite(
            squeezed_filters=max(int(SQUEEZE_RATIO * input_filters), 1),
            use_bias=True,
            kernel_initializer=KERNEL_INITIALIZER,
            name=f"{name}_se",
        )(x)
    x = conv(filters, 1, name=f"{name}_projection_conv")(x)
    x = normalization(f"{name}_projection_bn")(x)
    if strides == 1 and input_filters == filters:
        x = layers.Add(name=f"{name}_output")([shortcut, x])
    return x


def round_filters(filters, width_multiplier):
    """Returns the multiple of 8 nearest to the product, at least 90 % of it."""
    wanted = filters * width_multiplier
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def build_mnasnet(
    width_multiplier=1.0,
    *,
    input_shape=(224, 224, 3),
    classes=1000,
    attention=None,
    channel_attention=None,
    include_top=True,
    pooling=None,
    classifier_activation="softmax",
    dropout=0.2,
    max_size=None,
    name=None,
):
    """Builds a MnasNet-A1, the network of the paper's Table 4.

    Attention augments the 1x1 expansion of the inverted bottlenecks; its depths are
    shares of the expanded width. Filters are rounded to multiples of 8; the last 1x1
    convolution has 1280 at any width.

    Kernels start from a normal with variance 2 / fan_out, the classifier from a uniform
    distribution with variance 1 / (3 fan_out), as in the TPU MnasNet code.

    Args:
        width_multiplier: factor of the filters; the paper has 0.75, 1.0, 1.25, 1.4.
        input_shape: (height, width, channels); height and width may be `None`.
        classes: number of classes.
        attention: `None`, or a mapping of the fields of `Attention`; what is left out
            takes the paper's values, so that `{}` is the paper's network.
        channel_attention: `None`; squeeze-and-excitation is part of MnasNet-A1.
        include_top: whether to end in global pooling and the classifier.
        pooling: without the top: `None`, `"avg"` or `"max"`.
        classifier_activation: activation of the classifier; `None` for logits.
        dropout: rate of the dropout before the classifier.
        max_size: (height, width) of the largest image, where `input_shape` leaves
            them open and the position encoding is relative.
        name: name of the model.

    Returns:
        A `keras.Model` from images (batch, height, width, channels) to (batch,
        classes).

    Raises:
        ValueError: for a multiplier that is not positive, attention that does not fit
            the stages or filters, or any `channel_attention`.

    Reference:
        - Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile",
          CVPR 2019.
        - Bello et al., "Attention Augmented Convolutional Networks", section 4.3.
    """
    if width_multiplier <= 0:
        raise ValueError(
            f"width_multiplier must be positive; received {width_multiplier!r}"
        )
    if channel_attention is not None:
        raise ValueError(
            "channel_attention must be None for mnasnet, which has squeeze-and-"
            f"excitation in its own stages; received {channel_attention!r}"
        )
    attention = resolve_attention(attention, ATTENTION, len(STAGES))

    inputs = image_input(input_shape)
    size = strided_size(max_size, 2)
    x = conv(round_filters(STEM_FILTERS, width_multiplier), 3, 2, name="stem_conv")(
        inputs
    )
    x = normalization("stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    for number, stage in enumerate(STAGES, start=1):
        augmentable = stage_convolution(attention, number)
        for index in range(stage.blocks):
            strides = stage.strides if index == 0 else 1
            x = inverted_bottleneck(
                x,
                round_filters(stage.filters, width_multiplier),
                stage,
                strides,
                functools.partial(
                    augmentable, kernel_initializer=KERNEL_INITIALIZER, max_size=size
                ),
                name=f"stage{number}_block{index + 1}",
            )
            size = strided_size(size, strides)
    x = conv(HEAD_FILTERS, 1, name="head_conv")(x)
    x = normalization("head_bn")(x)
    x = layers.ReLU(name="head_relu")(x)
    outputs = head(
        x,
        include_top=include_top,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        dropout=dropout,
        kernel_initializer={
            "class_name": "VarianceScaling",
            "config": {"scale": 1 / 3, "mode": "fan_out", "distribution": "uniform"},
        },
    )
    return keras.Model(inputs, outputs, name=name or f"mnasnet_{width_multiplier}")
