"""MnasNet-A1, plain and attention-augmented."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from aa_keras.layers import SqueezeExcite
from aa_keras.models import parts, spec, stages
from aa_keras.models.placement import resolve_attention
from aa_keras.options import check


@dataclasses.dataclass(frozen=True)
class Stage(stages.Stage):
    """One row of the stage table; `expansion` is the inverted bottleneck's."""

    kernel_size: int = 3
    expansion: int = 6
    squeeze: bool = False


# After the stem (3x3 with stride 2, 32 filters); filters are multiplied by the width;
# outputs for images of 224 x 224. The paper augments the last 13 blocks, at half the
# resolution where the map is large: in the first block of stage 3 (56 x 56), the others
# of stage 3 and the first of stage 4 (28 x 28), as an expansion precedes the strides.
#        filters strides attention blocks kernel expansion squeeze
STAGES = (
    Stage(16, 1, None, 1, 3, 1, False),  # 112 x 112
    Stage(24, 2, None, 2, 3, 6, False),  # 56 x 56
    Stage(40, 2, "full", 3, 5, 3, True),  # 28 x 28
    Stage(80, 2, "full", 4, 3, 6, False),  # 14 x 14
    Stage(112, 1, "full", 2, 3, 6, True),  # 14 x 14
    Stage(160, 2, "full", 3, 5, 6, True),  # 7 x 7
    Stage(320, 1, "full", 1, 3, 6, False),  # 7 x 7
)
STEM_FILTERS = 32
HEAD_FILTERS = 1280
SQUEEZE_RATIO = 0.25
ATTENTION = stages.paper_attention(
    STAGES,
    key_ratio=0.1,
    value_ratio=0.05,
    num_heads=4,
    min_key_depth_per_head=0,
    downsampled_stages="large",
)
KERNEL_INITIALIZER = parts.FAN_OUT_INITIALIZER
conv = functools.partial(parts.plain_convolution, kernel_initializer=KERNEL_INITIALIZER)
normalization = functools.partial(
    parts.batch_normalization, momentum=0.99, epsilon=1e-3
)


def inverted_bottleneck(x, stage, strides, convolution, name):
    """1x1 expansion (may be augmented), depthwise, squeeze and excite, 1x1."""
    shortcut, input_filters = x, x.shape[-1]
    if stage.expansion > 1:
        expanded = stage.expansion * input_filters
        x = convolution(expanded, 1, name=f"{name}_expansion_conv")(x)
        x = normalization(f"{name}_expansion_bn", gamma=convolution.gamma(expanded))(x)
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
    x = conv(stage.filters, 1, name=f"{name}_projection_conv")(x)
    x = normalization(f"{name}_projection_bn")(x)
    if strides == 1 and input_filters == stage.filters:
        x = layers.Add(name=f"{name}_output")([shortcut, x])
    return x


def round_filters(filters: int, width_multiplier: float) -> int:
    """Returns the multiple of 8 nearest to the product, at least 90 % of it."""
    wanted = filters * width_multiplier
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def resolve(options: Mapping[str, Any]) -> spec.MnasNet:
    """Returns checked options, with the paper's value for each left to the family."""
    checked = check(spec.MnasNet, options)
    chosen = checked.attention and checked.attention.stages
    if chosen and 1 in chosen:
        raise ValueError(
            f"attention.stages: received {list(chosen)}; allowed: 2 to {len(STAGES)}, "
            "as blocks of stage 1 have no expansion to augment"
        )
    return resolve_attention(checked, ATTENTION, STAGES)


def features(inputs, options, max_size, convolution):
    """The output of the last 1x1 convolution."""
    width = options.width_multiplier
    x = conv(round_filters(STEM_FILTERS, width), 3, 2, name="stem_conv")(inputs)
    x = normalization("stem_bn")(x)
    x = stages.build_stages(
        layers.ReLU(name="stem_relu")(x),
        [
            dataclasses.replace(stage, filters=round_filters(stage.filters, width))
            for stage in STAGES
        ],
        inverted_bottleneck,
        attention=options.attention,
        convolution=convolution,
        kernel_initializer=KERNEL_INITIALIZER,
        max_size=stages.strided_size(max_size, 2),
    )
    x = conv(HEAD_FILTERS, 1, name="head_conv")(x)
    x = normalization("head_bn")(x)
    return layers.ReLU(name="head_relu")(x)


def build_mnasnet(*, input_shape=(224, 224, 3), classes=1000, **options) -> keras.Model:
    """Builds a MnasNet-A1, the network of the paper's Table 4.

    Attention augments the 1x1 expansion of the inverted bottlenecks; its depths are
    shares of the expanded width. It runs at half resolution wherever the map has
    28 x 28 positions or more, which depends on the size of the images; where that is
    open, on `max_size`. Filters are rounded to multiples of 8; the last 1x1 convolution
    has 1280 at any width.

    Kernels start from a normal with variance 2 / fan_out, the classifier from a uniform
    distribution with variance 1 / (3 fan_out), as in the TPU MnasNet code.

    Args:
        **options: `width_multiplier` (in the paper 0.75, 1.0, 1.25 or 1.4),
            `attention`, `dropout` and the arguments of every network, see
            `aa_keras.models.build`, also for results and errors.
        input_shape: (height, width, channels) of the images.
        classes: int, the classes.

    Reference:
        - Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile",
          CVPR 2019.
        - Bello et al., "Attention Augmented Convolutional Networks", section 4.3.
    """
    return parts.build_classifier(
        resolve,
        features,
        input_shape=input_shape,
        classifier_initializer=parts.UNIFORM_CLASSIFIER_INITIALIZER,
        classes=classes,
        **options,
    )
