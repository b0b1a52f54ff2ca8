"""ResNet, plain, attention-augmented, or with other attention on its channels."""

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

# After the stem (7x7 with stride 2, 3x3 max pooling with stride 2); outputs for images
# of 224 x 224. The paper augments the last three stages, the first of them on a map of
# half the size.
#         filters  strides  attention
STAGES = (
    Stage(64, 1, None),  # 56 x 56
    Stage(128, 2, "half"),  # 28 x 28, attention 14 x 14
    Stage(256, 2, "full"),  # 14 x 14
    Stage(512, 2, "full"),  # 7 x 7
)
# After the stem (3x3); outputs for images of 32 x 32. The small relatives of He et al.,
# section 4.2, are not in the paper; attention is where its cost is bearable.
SMALL_STAGES = (
    Stage(16, 1, None),  # 32 x 32
    Stage(32, 2, "full"),  # 16 x 16
    Stage(64, 2, "full"),  # 8 x 8
)
# depth: the kind of block, and how many blocks each stage has
DEPTHS = {
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
    **{6 * n + 2: ("small", (n, n, n)) for n in (1, 2, 3, 5, 7, 9)},
}
# kind of block: key ratio, value ratio, heads, least key depth of a head
ATTENTION = {
    "basic": Attention(0.25, 0.25, 8, 20, **placement(STAGES)),
    "bottleneck": Attention(0.2, 0.1, 8, 20, **placement(STAGES)),
    "small": Attention(0.25, 0.25, 4, 20, **placement(SMALL_STAGES)),
}
KERNEL_INITIALIZER = "lecun_normal"
conv = functools.partial(convolution, kernel_initializer=KERNEL_INITIALIZER)


def basic_block(x, filters, strides, convolution_1, gate, projection, name):
    """Two 3x3 convolutions; the first one is handed in."""
    shortcut = projection(x, filters, strides, name)
    x = convolution_1(filters, 3, strides, name=f"{name}_conv1")(x)
    x = batch_normalization(f"{name}_bn1")(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = conv(filters, 3, name=f"{name}_conv2")(x)
    x = batch_normalization(f"{name}_bn2", gamma="zeros")(x)
    x = gate(x, name)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_output")(x)


def bottleneck_block(x, filters, strides, convolution_2, gate, projection, name):
    """1x1, 3x3, 1x1 to four times the filters; the 3x3 (strided) is handed in."""
    shortcut = projection(x, 4 * filters, strides, name)
    x = conv(filters, 1, name=f"{name}_conv1")(x)
    x = batch_normalization(f"{name}_bn1")(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = convolution_2(filters, 3, strides, name=f"{name}_conv2")(x)
    x = batch_normalization(f"{name}_bn2")(x)
    x = layers.ReLU(name=f"{name}_relu2")(x)
    x = conv(4 * filters, 1, name=f"{name}_conv3")(x)
    x = batch_normalization(f"{name}_bn3", gamma="zeros")(x)
    x = gate(x, name)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_output")(x)


def projection_shortcut(x, filters, strides, name):
    """The identity, or a 1x1 convolution where the shape changes."""
    if strides == 1 and x.shape[-1] == filters:
        return x
    x = conv(filters, 1, strides, name=f"{name}_shortcut_conv")(x)
    return batch_normalization(f"{name}_shortcut_bn")(x)


def large_stem(x):
    x = conv(64, 7, 2, name="stem_conv")(x)
    x = batch_normalization("stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    return layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)


def small_stem(x):
    x = conv(16, 3, name="stem_conv")(x)
    x = batch_normalization("stem_bn")(x)
    return layers.ReLU(name="stem_relu")(x)


# kind of block: stem and its strides, stage table, block, shortcut
KINDS = {
    "basic": (large_stem, 4, STAGES, basic_block, projection_shortcut),
    "bottleneck": (large_stem, 4, STAGES, bottleneck_block, projection_shortcut),
    "small": (small_stem, 1, SMALL_STAGES, basic_block, parameter_free_shortcut),
}


def build_resnet(
    depth=50,
    *,
    input_shape=(224, 224, 3),
    classes=1000,
    attention=None,
    channel_attention=None,
    include_top=True,
    pooling=None,
    classifier_activation="softmax",
    dropout=0.0,
    max_size=None,
    name=None,
):
    """Builds a ResNet.

    Depths 34, 50, 101 and 152 are the networks of the paper's Tables 2, 3, 6 and 7
    (stem 7x7, four stages, the stride of a bottleneck in its 3x3). Depths 8, 14, 20,
    32, 44 and 56 are the small ones for images of about 32 x 32 (stem 3x3, three
    stages of 16, 32 and 64 filters, shortcuts without parameters).

    Attention augments the 3x3 of a bottleneck, and the first 3x3 of a basic block.
    Kernels start from a truncated normal with variance 1 / fan_in, the classifier from
    a normal of standard deviation 0.01, and the scale of the last batch normalisation
    of a block from zero, as in the TPU ResNet code that the paper builds on.

    Args:
        depth: number of layers with weights, see above.
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
        ValueError: for an unknown depth, attention that does not fit the stages or
            filters, or an unknown `channel_attention`.

    Reference:
        - He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
        - Bello et al., "Attention Augmented Convolutional Networks", section 4.2.
    """
    if depth not in DEPTHS:
        raise ValueError(f"depth must be one of {sorted(DEPTHS)}; received {depth!r}")
    kind, num_blocks = DEPTHS[depth]
    stem, stem_strides, stages, block, shortcut = KINDS[kind]
    attention = resolve_attention(attention, ATTENTION[kind], len(stages))
    gate = block_gate(channel_attention)

    inputs = image_input(input_shape)
    size = strided_size(max_size, stem_strides)
    x = stem(inputs)
    for number, stage in enumerate(stages, start=1):
        augmentable = stage_convolution(attention, number)
        for index in range(num_blocks[number - 1]):
            strides = stage.strides if index == 0 else 1
            x = block(
                x,
                stage.filters,
                strides,
                functools.partial(
                    augmentable, kernel_initializer=KERNEL_INITIALIZER, max_size=size
                ),
                gate,
                shortcut,
                name=f"stage{number}_block{index + 1}",
            )
            size = strided_size(size, strides)
        if number < len(stages):
            x = stage_gate(channel_attention)(x, f"stage{number}")
    outputs = head(
        x,
        include_top=include_top,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        dropout=dropout,
    )
    return keras.Model(inputs, outputs, name=name or f"resnet_{depth}")
