"""The options of each network: `model` in a YAML file, and what its builder takes.

Names, ranges and defaults of the options stand here and nowhere else. This module
does not import Keras, so that a configuration is checked before TensorFlow is loaded.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from aa_keras.options import (
    NonNegative,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    Rate,
    Section,
    Share,
    refusal,
    with_description,
)

# Accepts a list, which YAML gives, as well as a tuple.
Numbers = Annotated[tuple[Positive, ...], Field(strict=False)]
Size = Annotated[tuple[Positive, Positive], Field(strict=False)]
StageNumber = Annotated[int, Field(ge=1, strict=False)]  # JSON has keys as text
Blocks = Annotated[
    Literal["all", "unstrided"] | dict[StageNumber, Numbers],
    with_description("all, unstrided, or a mapping as in {3: [2, 3]}"),
]
DownsampledStages = Annotated[
    Literal["large"] | Numbers, with_description("large, or a list as in [2, 3]")
]
Depth = Annotated[int, Field(ge=1, le=2000)]
LARGE_MAP = 28 * 28  # positions


class Attention(Section):
    """The attention of a network: how much, and in which of its stages.

    `None` selects the value of the paper for the family: `ATTENTION` in its module.

    Args:
        key_ratio: float, key depth over filters, the paper's kappa.
        value_ratio: float, value depth over filters, the paper's upsilon.
        num_heads: int, attention heads, N_h.
        min_key_depth_per_head: int, lower bound of the key depth of one head.
        stages: sequence of int, the stages with augmented convolutions, counted from
            1 as in the family's stage table.
        downsampled_stages: sequence of int, those of `stages` where attention runs on
            a map of half the height and width, or `"large"`: wherever the map has
            28 x 28 positions or more.
        position_encoding: string, `"relative"`, `"sine"`, `"coordconv"` or `"none"`, as
            of `AugmentedConv2D`, which checks it.
        key_depth: int, the key depth itself, in place of `key_ratio`, without a lower
            bound.
        value_depth: int, the value depth itself, in place of `value_ratio`.
        blocks: which blocks of `stages` have attention: `"all"`, `"unstrided"` for
            those with strides 1, or a mapping from a stage to the numbers of its
            blocks, counted from 1. A stage that it lacks has none.
        strided: string, how a strided block attends: `"sample"` reads one position in
            four, `"pool"` averages. See `AugmentedConv2D`.
        relative_scale: float, factor of the initial standard deviation of the relative
            embeddings.
        normalization_scale: float, initial gamma of the attention's channels in the
            batch normalisation that follows. With 0 the block starts without them.

    Reference:
        - Bello et al., "Attention Augmented Convolutional Networks", sections 3.3, 4.
    """

    key_ratio: Share | None = None
    value_ratio: Share | None = None
    num_heads: Positive | None = None
    min_key_depth_per_head: NonNegative | None = None
    stages: Numbers | None = None
    downsampled_stages: DownsampledStages | None = None
    position_encoding: str = "relative"
    key_depth: Positive | None = None
    value_depth: Positive | None = None
    blocks: Blocks = "all"
    strided: Literal["sample", "pool"] = "sample"
    relative_scale: PositiveFloat = 1.0
    normalization_scale: NonNegativeFloat = 1.0

    @pydantic.model_validator(mode="after")
    def _ratio_or_depth(self):
        for part in ("key", "value"):
            kinds = (f"{part}_depth", f"{part}_ratio")
            if None not in [getattr(self, kind) for kind in kinds]:
                raise refusal(f"{' or '.join(kinds)}, not both")
        return self

    def augments(self, stage: int, block: int, strides: int) -> bool:
        """Whether a block of a stage, both counted from 1, has attention."""
        if stage not in (self.stages or ()):
            return False
        if isinstance(self.blocks, str):
            return self.blocks == "all" or strides == 1
        return block in self.blocks.get(stage, ())

    def downsamples(self, stage: int, size: Sequence[int | None]) -> bool:
        """Whether attention on a map of `size` runs at half of its resolution."""
        if self.downsampled_stages != "large":
            return stage in (self.downsampled_stages or ())
        height, width = size
        if height is None or width is None:
            raise ValueError(
                "attention.downsampled_stages: received 'large' for images of unknown "
                "size; allowed: a list of stages, or max_size beside it"
            )
        return height * width >= LARGE_MAP


class StandAlone(Section):
    """Attention over windows in place of each 3x3 convolution of a network's blocks.

    Args:
        kernel_size: int, the height and width of a window.
        num_heads: int, the attention heads.
        stem: string, `"convolution"`, or `"attention"` for attention with spatially
            aware values and a max pooling over its windows, see `AttentionStem2D`.

    Reference:
        - Ramachandran et al., "Stand-Alone Self-Attention in Vision Models", 2019.
    """

    kernel_size: Positive = 7
    num_heads: Positive = 8
    stem: Literal["convolution", "attention"] = "convolution"


class Network(Section):
    """The options of every network.

    Args:
        name: string, the family.
        classes: int, the classes.

    The class attribute `task` is the kind of `aa_keras.tasks` that trains the network,
    and `title` the model's name, formatted with the options.
    """

    task: ClassVar[str] = "classification"
    title: ClassVar[str] = "{name}"
    name: str
    classes: Positive

    def network_name(self) -> str:
        """The name of the model that is built: `"resnet_50"`, `"aa_resnet_50"`."""
        values = self.model_dump()
        parts = [
            "aa" if values.get("attention") else "",
            "sa" if values.get("stand_alone") else "",
            values.get("channel_attention"),
        ]
        return "_".join([*filter(None, parts), self.title.format(**values)])


class AugmentableNetwork(Network):
    """The options of a network that may have attention.

    Args:
        attention: `Attention` or mapping of its fields. `{}` is the network of the
            paper, `None` the network without attention.
    """

    attention: Attention | None = None


class ResidualNetwork(AugmentableNetwork):
    """The options of a network of residual blocks.

    Args:
        depth: int, the layers with weights; of a RetinaNet, those of its backbone.
        channel_attention: string, `"se"`, `"ge"`, `"bam"`, `"cbam"` or `"gala"`, the
            mechanism that the paper compares with, or `None`.
    """

    depth: Depth
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None


class ResNet(ResidualNetwork):
    """The options of a ResNet.

    Args:
        dropout: float, the rate of the dropout before the classifier.
        widths: sequence of int, the filters of each stage. Defaults to those of the
            stage table.
        zero_init_last: bool, whether the scale of the last batch normalisation of a
            block starts from zero, as in the paper's code base, or from one. Defaults
            to `True`.
        stand_alone: `StandAlone` or mapping of its fields. `{}` is the network of that
            paper with a convolution as stem, `None` a network of convolutions.
    """

    title: ClassVar[str] = "resnet_{depth}"
    name: Literal["resnet"] = "resnet"
    dropout: Rate = 0.0
    widths: Numbers | None = None
    zero_init_last: bool = True
    stand_alone: StandAlone | None = None

    @pydantic.model_validator(mode="after")
    def _one_mechanism(self):
        others = {"attention", "channel_attention"}
        if self.stand_alone and any(getattr(self, name) for name in others):
            raise refusal("stand_alone without attention and channel_attention")
        return self


class WideResNet(ResidualNetwork):
    """The options of a Wide-ResNet.

    Args:
        width: int, the factor of the filters.
        dropout: float, the rate of the dropout before the classifier.
    """

    title: ClassVar[str] = "wide_resnet_{depth}_{width}"
    name: Literal["wide_resnet"] = "wide_resnet"
    width: Positive
    dropout: Rate = 0.0


class MnasNet(AugmentableNetwork):
    """The options of a MnasNet.

    Args:
        width_multiplier: float, the factor of the filters.
        dropout: float, the rate of the dropout before the classifier.
    """

    title: ClassVar[str] = "mnasnet_{width_multiplier}"
    name: Literal["mnasnet"] = "mnasnet"
    width_multiplier: PositiveFloat = 1.0
    dropout: Rate = 0.2


class Decoding(Section):
    """How the boxes of an image are selected from a detector's predictions.

    Args:
        score_threshold: float, the score that a box must exceed to be measured.
            Defaults to the 0.0067 of the paper's code base, a logit of -5: the mean
            average precision counts the boxes of small scores, too.
        serving_score_threshold: float, the same for `aa-keras predict` and exports,
            where a person or a program acts on each box.
        iou_threshold: float, the intersection over union with a better box of the same
            class that drops a box.
        max_boxes: int, the most boxes of an image.
        max_candidates: int, the pairs of an anchor and a class that are looked at,
            those with the largest scores.

    Reference:
        - The first TPU RetinaNet, models/official/retinanet/anchors.py.
    """

    score_threshold: Rate = 0.0067
    serving_score_threshold: Rate = 0.5
    iou_threshold: Share = 0.5
    max_boxes: Positive = 100
    max_candidates: Positive = 5000


class RetinaNet(ResidualNetwork):
    """The options of a RetinaNet.

    Args:
        decoding: `Decoding` or mapping of its fields.
    """

    task: ClassVar[str] = "detection"
    title: ClassVar[str] = "retinanet_{depth}"
    name: Literal["retinanet"] = "retinanet"
    decoding: Decoding = Decoding()


class Stack(AugmentableNetwork):
    """The options of a stack of equal layers that classifies every place of a map.

    Args:
        depth: int, the convolutions before the classifier.
        width: int, the filters of each.
        kernel_size: int, the size of their kernels. Defaults to `3`.
        max_size: (height, width) of the largest map. Defaults to `None`, needed where
            the size of the input is open and the position encoding is relative.
    """

    task: ClassVar[str] = "dense_classification"
    title: ClassVar[str] = "stack_{depth}"
    name: Literal["stack"] = "stack"
    depth: Depth
    width: Positive
    kernel_size: Positive = 3
    max_size: Size | None = None


# The options of each network by its name. The network's module has the same name, and
# the functions `build_<name>` and `resolve`. `models.register` adds networks of others.
NETWORKS: dict[str, type[Network]] = {
    "resnet": ResNet,
    "wide_resnet": WideResNet,
    "mnasnet": MnasNet,
    "retinanet": RetinaNet,
    "stack": Stack,
}
