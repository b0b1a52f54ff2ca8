"""ResNet, plain, attention-augmented, or with other attention on its channels."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
from keras import layers

from aa_keras.layers import AttentionStem2D, StandAloneAttention2D
from aa_keras.models import parts, spec
from aa_keras.models.channel_attention import BLOCK_LAYERS, STAGE_LAYERS, gate
from aa_keras.models.parts import batch_normalization, parameter_free_shortcut
from aa_keras.models.placement import resolve_attention
from aa_keras.models.stages import Stage, build_stages, paper_attention, strided_size
from aa_keras.options import check

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
ATTENTION = {
    "basic": paper_attention(STAGES, key_ratio=0.25, value_ratio=0.25, num_heads=8),
    "bottleneck": paper_attention(STAGES, key_ratio=0.2, value_ratio=0.1, num_heads=8),
    "small": paper_attention(
        SMALL_STAGES, key_ratio=0.25, value_ratio=0.25, num_heads=4
    ),
}
KERNEL_INITIALIZER = "lecun_normal"
conv = functools.partial(parts.plain_convolution, kernel_initializer=KERNEL_INITIALIZER)


class Depth(NamedTuple):
    """The kind of a ResNet of some depth, and how many blocks each stage has."""

    kind: str
    blocks: tuple[int, ...]


DEPTHS = {
    18: Depth("basic", (2, 2, 2, 2)),
    26: Depth("bottleneck", (1, 2, 4, 1)),
    34: Depth("basic", (3, 4, 6, 3)),
    38: Depth("bottleneck", (2, 3, 5, 2)),
    50: Depth("bottleneck", (3, 4, 6, 3)),
    101: Depth("bottleneck", (3, 4, 23, 3)),
    152: Depth("bottleneck", (3, 8, 36, 3)),
    **{6 * n + 2: Depth("small", (n, n, n)) for n in (1, 2, 3, 5, 7, 9)},
}


def basic_block(
    x, stage, strides, convolution, name, *, second, branch_gate, shortcut, gamma
):
    """Two 3x3 convolutions; attention may augment the first one."""
    identity = shortcut(x, stage.filters, strides, name)
    x = convolution(stage.filters, 3, strides, name=f"{name}_conv1")(x)
    x = batch_normalization(f"{name}_bn1", gamma=convolution.gamma(stage.filters))(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = second(stage.filters, 3, name=f"{name}_conv2")(x)
    x = batch_normalization(f"{name}_bn2", gamma=gamma)(x)
    x = branch_gate(x, name)
    x = layers.Add(name=f"{name}_add")([identity, x])
    return layers.ReLU(name=f"{name}_output")(x)


def bottleneck_block(
    x, stage, strides, convolution, name, *, second, branch_gate, shortcut, gamma
):
    """1x1, 3x3, 1x1 to four times the filters; attention may augment the 3x3."""
    identity = shortcut(x, 4 * stage.filters, strides, name)
    x = conv(stage.filters, 1, name=f"{name}_conv1")(x)
    x = batch_normalization(f"{name}_bn1")(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = convolution(stage.filters, 3, strides, name=f"{name}_conv2")(x)
    x = batch_normalization(f"{name}_bn2", gamma=convolution.gamma(stage.filters))(x)
    x = layers.ReLU(name=f"{name}_relu2")(x)
    x = conv(4 * stage.filters, 1, name=f"{name}_conv3")(x)
    x = batch_normalization(f"{name}_bn3", gamma=gamma)(x)
    x = branch_gate(x, name)
    x = layers.Add(name=f"{name}_add")([identity, x])
    return layers.ReLU(name=f"{name}_output")(x)


def stand_alone(options, filters, kernel_size, strides=1, *, name, **unused):
    """The attention that takes the place of a convolution."""
    return StandAloneAttention2D(
        filters,
        options.kernel_size,
        options.num_heads,
        strides,
        kernel_initializer=KERNEL_INITIALIZER,
        name=name,
    )


def projection_shortcut(x, filters, strides, name):
    """The identity, or a 1x1 convolution where the shape changes."""
    if strides == 1 and x.shape[-1] == filters:
        return x
    x = conv(filters, 1, strides, name=f"{name}_shortcut_conv")(x)
    return batch_normalization(f"{name}_shortcut_bn")(x)


def large_stem(x, filters):
    # The same padding for even and odd sizes, where "same" would shift by a pixel.
    x = layers.ZeroPadding2D(3, name="stem_padding")(x)
    x = conv(filters, 7, 2, "valid", name="stem_conv")(x)
    x = batch_normalization("stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    return layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)


def attention_stem(x, filters, num_heads):
    """Attention in windows of 4x4 and a max pooling over the same windows."""
    x = AttentionStem2D(
        filters,
        num_heads=num_heads,
        kernel_initializer=KERNEL_INITIALIZER,
        name="stem_attention",
    )(x)
    x = batch_normalization("stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    return layers.MaxPooling2D(4, 4, padding="same", name="stem_pool")(x)


def small_stem(x, filters):
    x = conv(filters, 3, name="stem_conv")(x)
    x = batch_normalization("stem_bn")(x)
    return layers.ReLU(name="stem_relu")(x)


class Kind(NamedTuple):
    """The parts of a kind of ResNet."""

    stem: Callable
    stem_strides: int
    stages: tuple[Stage, ...]
    block: Callable
    shortcut: Callable


KINDS = {
    "basic": Kind(large_stem, 4, STAGES, basic_block, projection_shortcut),
    "bottleneck": Kind(large_stem, 4, STAGES, bottleneck_block, projection_shortcut),
    "small": Kind(small_stem, 1, SMALL_STAGES, basic_block, parameter_free_shortcut),
}


def resolve(options: Mapping[str, Any]) -> spec.ResNet:
    """Returns checked options, with the paper's value for each left to the family."""
    checked = check(spec.ResNet, options)
    if checked.depth not in DEPTHS:
        raise ValueError(f"depth: received {checked.depth}; allowed: {sorted(DEPTHS)}")
    kind = DEPTHS[checked.depth].kind
    stem = checked.stand_alone.stem if checked.stand_alone else "convolution"
    if stem == "attention" and kind == "small":
        raise ValueError(
            "stand_alone.stem: received 'attention' for a network of small images; "
            "allowed: 'convolution'"
        )
    return resolve_attention(checked, ATTENTION[kind], stage_table(checked))


def stage_table(options) -> list[Stage]:
    """Returns the rows of a network's stages, with its widths and numbers of blocks."""
    depth = DEPTHS[options.depth]
    rows = KINDS[depth.kind].stages
    widths = options.widths or [row.filters for row in rows]
    if len(widths) != len(rows) or list(widths) != sorted(widths):
        raise ValueError(
            f"widths: received {list(widths)}; allowed: {len(rows)} numbers, none "
            "smaller than the one before"
        )
    return [
        dataclasses.replace(row, filters=width, blocks=blocks)
        for row, width, blocks in zip(rows, widths, depth.blocks, strict=True)
    ]


def features(inputs, options, max_size, convolution):
    """The output of the last stage."""
    kind, stages = KINDS[DEPTHS[options.depth].kind], stage_table(options)
    stem, second = kind.stem, conv
    if options.stand_alone is not None:
        if convolution is not None:
            raise ValueError(
                f"convolution: received {convolution!r} beside stand_alone; allowed: "
                "one of them"
            )
        convolution = second = functools.partial(stand_alone, options.stand_alone)
        if options.stand_alone.stem == "attention":
            stem = functools.partial(
                attention_stem, num_heads=options.stand_alone.num_heads
            )
    return build_stages(
        stem(inputs, stages[0].filters),
        stages,
        functools.partial(
            kind.block,
            second=second,
            branch_gate=gate(options.channel_attention, BLOCK_LAYERS),
            shortcut=kind.shortcut,
            gamma="zeros" if options.zero_init_last else "ones",
        ),
        attention=options.attention,
        convolution=convolution,
        kernel_initializer=KERNEL_INITIALIZER,
        max_size=strided_size(max_size, kind.stem_strides),
        stage_gate=gate(options.channel_attention, STAGE_LAYERS),
    )


def build_resnet(
    depth=50, *, input_shape=(224, 224, 3), classes=1000, **options
) -> keras.Model:
    """Builds a ResNet.

    Depths 34, 50, 101 and 152 are the networks of the paper's Tables 2, 3, 6 and 7
    (stem 7x7, four stages, the stride of a bottleneck in its 3x3); depth 18 is like
    them and not in the paper. Depths 26, 38 and 50 are those of "Stand-Alone
    Self-Attention in Vision Models", with `stand_alone`. Depths 8, 14, 20, 32, 44 and
    56 are the small ones for images of about 32 x 32 (stem 3x3, three stages of 16, 32
    and 64 filters, shortcuts without parameters).

    Attention augments the 3x3 of a bottleneck, and the first 3x3 of a basic block.
    Kernels start from a truncated normal with variance 1 / fan_in, the classifier from
    a normal of standard deviation 0.01, and the scale of the last batch normalisation
    of a block from zero (or one, see `zero_init_last`), as in the TPU ResNet code that
    the paper builds on.

    Args:
        depth: int, the layers with weights.
        **options: `attention`, `channel_attention`, `stand_alone`, `dropout`, `widths`,
            `zero_init_last` and the arguments of every network, see
            `aa_keras.models.build`, also for results and errors.
        input_shape: (height, width, channels) of the images.
        classes: int, the classes.

    Reference:
        - He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
        - Bello et al., "Attention Augmented Convolutional Networks", section 4.2.
    """
    options |= {"depth": depth, "classes": classes}
    return parts.build_classifier(resolve, features, input_shape=input_shape, **options)
