"""Wide-ResNet, plain, attention-augmented, or with other attention on its channels."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from aa_keras.models import parts, spec
from aa_keras.models.channel_attention import BLOCK_LAYERS, STAGE_LAYERS, gate
from aa_keras.models.parts import batch_normalization, parameter_free_shortcut
from aa_keras.models.placement import resolve_attention
from aa_keras.models.stages import Stage, build_stages, paper_attention
from aa_keras.options import check

# After the stem (3x3, 16 filters); filters are multiplied by the width; outputs for
# images of 32 x 32. The paper augments all three stages, none at half the size.
#         filters  strides  attention
STAGES = (
    Stage(16, 1, "full"),  # 32 x 32
    Stage(32, 2, "full"),  # 16 x 16
    Stage(64, 2, "full"),  # 8 x 8
)
ATTENTION = paper_attention(STAGES, key_ratio=0.2, value_ratio=0.1, num_heads=8)
KERNEL_INITIALIZER = parts.FAN_OUT_INITIALIZER
conv = functools.partial(parts.plain_convolution, kernel_initializer=KERNEL_INITIALIZER)


def pre_activation_block(x, stage, strides, convolution, name, *, branch_gate):
    """Batch norm, ReLU, 3x3, twice; attention may augment the first 3x3."""
    shortcut = x
    x = batch_normalization(f"{name}_bn1")(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    if name == "stage1_block1":  # nothing has activated the output of the stem
        shortcut = x
    x = convolution(stage.filters, 3, strides, name=f"{name}_conv1")(x)
    x = batch_normalization(f"{name}_bn2", gamma=convolution.gamma(stage.filters))(x)
    x = layers.ReLU(name=f"{name}_relu2")(x)
    x = conv(stage.filters, 3, name=f"{name}_conv2")(x)
    x = branch_gate(x, name)
    shortcut = parameter_free_shortcut(shortcut, stage.filters, strides, name)
    return layers.Add(name=f"{name}_output")([shortcut, x])


def resolve(options: Mapping[str, Any]) -> spec.WideResNet:
    """Returns checked options, with the paper's value for each left to the family."""
    checked = check(spec.WideResNet, options)
    if checked.depth < 10 or (checked.depth - 4) % 6:
        raise ValueError(
            f"depth: received {checked.depth}; allowed: 6 n + 4, such as 16 or 28"
        )
    return resolve_attention(checked, ATTENTION, stage_table(checked))


def stage_table(options) -> list[Stage]:
    """Returns the rows of a network's stages, with its widths and numbers of blocks."""
    blocks = (options.depth - 4) // 6
    return [
        dataclasses.replace(row, filters=options.width * row.filters, blocks=blocks)
        for row in STAGES
    ]


def features(inputs, options, max_size, convolution):
    """The activated output of the last stage."""
    x = build_stages(
        conv(16, 3, name="stem_conv")(inputs),
        stage_table(options),
        functools.partial(
            pre_activation_block,
            branch_gate=gate(options.channel_attention, BLOCK_LAYERS),
        ),
        attention=options.attention,
        convolution=convolution,
        kernel_initializer=KERNEL_INITIALIZER,
        max_size=max_size,
        stage_gate=gate(options.channel_attention, STAGE_LAYERS),
    )
    x = batch_normalization("final_bn")(x)
    return layers.ReLU(name="final_relu")(x)


def build_wide_resnet(
    depth=28, width=10, *, input_shape=(32, 32, 3), classes=100, **options
) -> keras.Model:
    """Builds a Wide-ResNet-depth-width.

    28 and 10 are the network of the paper's Table 1. Attention augments the first 3x3
    of every residual block. Shortcuts have no parameters: the identity, or an average
    pooling and zero-padded channels.

    Kernels start from a normal with variance 2 / fan_out, the classifier from a uniform
    distribution with variance 1 / (3 fan_out), as in AutoAugment's Wide-ResNet. That
    one also adds the input of each stage to its output, and the stem's output to the
    last stage's. The paper does not mention it, and no count shows it.

    Args:
        depth: int, the layers with weights, 6 n + 4 for n blocks in each stage.
        width: int, the factor of the filters 16, 32, 64 of the stages.
        **options: `attention`, `channel_attention`, `dropout` and the arguments of
            every network, see `aa_keras.models.build`, also for results and errors.
        input_shape: (height, width, channels) of the images.
        classes: int, the classes.

    Reference:
        - Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016.
        - Bello et al., "Attention Augmented Convolutional Networks", section 4.1.
    """
    options |= {"depth": depth, "width": width, "classes": classes}
    return parts.build_classifier(
        resolve,
        features,
        input_shape=input_shape,
        classifier_initializer=parts.UNIFORM_CLASSIFIER_INITIALIZER,
        **options,
    )
