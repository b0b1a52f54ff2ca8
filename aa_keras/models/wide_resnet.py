"""Wide-ResNet, plain, attention-augmented, or with other attention on its channels."""

import functools

import keras
from keras import layers

from aa_keras.models.channel_attention import block_gate, stage_gate
from aa_keras.models.parts import (
    Stage,
    batch_normalization,
    head,
    image_input,
    parameter_free_shortcut,
    placement,
)
from aa_keras.models.spec import (
    Attention,
    convolution,
    resolve_attention,
    stage_convolution,
    strided_size,
)

# After the stem (3x3, 16 filters); filters are multiplied by the width; outputs for
# images of 32 x 32. The paper augments all three stages, none at half the size.
#         filters  strides  attention
STAGES = (
    Stage(16, 1, "full"),  # 32 x 32
    Stage(32, 2, "full"),  # 16 x 16
    Stage(64, 2, "full"),  # 8 x 8
)
# key ratio, value ratio, heads, least key depth of a head
ATTENTION = Attention(0.2, 0.1, 8, 20, **placement(STAGES))
KERNEL_INITIALIZER = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"},
}
conv = functools.partial(convolution, kernel_initializer=KERNEL_INITIALIZER)


def pre_activation_block(
    x, filters, strides, convolution_1, gate, activate_shortcut, name
):
    """Batch norm, ReLU, 3x3, twice; the first 3x3 is handed in."""
    shortcut = x
    x = batch_normalization(f"{name}_bn1")(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    if activate_shortcut:
        shortcut = x
    x = convolution_1(filters, 3, strides, name=f"{name}_conv1")(x)
    x = batch_normalization(f"{name}_bn2")(x)
    x = layers.ReLU(name=f"{name}_relu2")(x)
    x = conv(filters, 3, name=f"{name}_conv2")(x)
    x = gate(x, name)
    shortcut = parameter_free_shortcut(shortcut, filters, strides, name)
    return layers.Add(name=f"{name}_output")([shortcut, x])


def build_wide_resnet(
    depth=28,
    width=10,
    *,
    input_shape=(32, 32, 3),
    classes=100,
    attention=None,
    channel_attention=None,
    include_top=True,
    pooling=None,
    classifier_activation="softmax",
    dropout=0.0,
    max_size=None,
    name=None,
):
    """Builds a Wide-ResNet-depth-width.

    28 and 10 are the network of the paper's Table 1. Attention augments the first 3x3
    of every residual block. Shortcuts have no parameters: the identity, or an average
    pooling and zero-padded channels.

    Kernels start from a normal with variance 2 / fan_out, the classifier from a normal
    of standard deviation 0.01.

    Args:
        depth: number of layers, 6 n + 4 for n blocks in each of the three stages.
        width: factor of the filters 16, 32, 64 of the stages.
        input_shape: (height, width, channels); height and width may be `None`.
        classes: number of classes.
        attention: `None`, or a mapping of the fields of `Attention`; what is left out
            takes the paper's values, so that `{}` is the paper's network.
        channel_attention: `None`, `"se"`, `"ge"`, `"bam"` or `"cbam"`.
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
        ValueError: for a depth that is not 6 n + 4, attention that does not fit the
            stages or filters, or an unknown `channel_attention`.

    Reference:
        - Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016.
        - Bello et al., "Attention Augmented Convolutional Networks", section 4.1.
    """
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"depth must be 6 n + 4, such as 16 or 28; received {depth!r}")
    if width < 1:
        raise ValueError(f"width must be a positive integer; received {width!r}")
    attention = resolve_attention(attention, ATTENTION, len(STAGES))
    gate = block_gate(channel_attention)

    inputs = image_input(input_shape)
    size = max_size
    x = conv(16, 3, name="stem_conv")(inputs)
    for number, stage in enumerate(STAGES, start=1):
        augmentable = stage_convolution(attention, number)
        for index in range((depth - 4) // 6):
            strides = stage.strides if index == 0 else 1
            x = pre_activation_block(
                x,
                width * stage.filters,
                strides,
                functools.partial(
                    augmentable, kernel_initializer=KERNEL_INITIALIZER, max_size=size
                ),
                gate,
                activate_shortcut=number == 1 and index == 0,
                name=f"stage{number}_block{index + 1}",
            )
            size = strided_size(size, strides)
        if number < len(STAGES):
            x = stage_gate(channel_attention)(x, f"stage{number}")
    x = batch_normalization("final_bn")(x)
    x = layers.ReLU(name="final_relu")(x)
    outputs = head(
        x,
        include_top=include_top,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        dropout=dropout,
    )
    return keras.Model(inputs, outputs, name=name or f"wide_resnet_{depth}_{width}")
