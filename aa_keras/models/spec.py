"""The options of each network: `model` in a YAML file, and what its builder takes.

Names, ranges and defaults of the options stand here and nowhere else. This module
does not import Keras, so that a configuration is checked before TensorFlow is loaded.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from aa_keras.options import NonNegative, Positive, PositiveFloat, Rate, Section, Share

# Accepts a list, which YAML gives, as well as a tuple.
Stages = Annotated[tuple[Positive, ...], Field(strict=False)]


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
            a map of half the height and width.
        position_encoding: string, `"relative"`, `"none"`, `"sine"` or `"coordconv"`.

    Reference:
        - Bello et al., "Attention Augmented Convolutional Networks", sections 3.3, 4.
    """

    key_ratio: Share | None = None
    value_ratio: Share | None = None
    num_heads: Positive | None = None
    min_key_depth_per_head: NonNegative | None = None
    stages: Stages | None = None
    downsampled_stages: Stages | None = None
    position_encoding: Literal["relative", "none", "sine", "coordconv"] = "relative"


class Network(Section):
    """The options of every network.

    Args:
        name: string, the family.
        classes: int, the classes.
        attention: `Attention` or mapping of its fields. `{}` is the network of the
            paper. Defaults to `None`, the network without attention.
    """

    name: str
    classes: Positive
    attention: Attention | None = None


class ResidualNetwork(Network):
    """The options of a network of residual blocks.

    Args:
        depth: int, the layers with weights; of a RetinaNet, those of its backbone.
        channel_attention: string, `"se"`, `"ge"`, `"bam"` or `"cbam"`, the mechanism
            that the paper compares with. Defaults to `None`.
    """

    depth: Positive
    channel_attention: Literal["se", "ge", "bam", "cbam"] | None = None


class ResNet(ResidualNetwork):
    """The options of a ResNet, with the dropout rate before the classifier."""

    name: Literal["resnet"] = "resnet"
    dropout: Rate = 0.0


class WideResNet(ResidualNetwork):
    """The options of a Wide-ResNet; `width` is the factor of the filters."""

    name: Literal["wide_resnet"] = "wide_resnet"
    width: Positive
    dropout: Rate = 0.0


class MnasNet(Network):
    """The options of a MnasNet; `width_multiplier` is the factor of the filters."""

    name: Literal["mnasnet"] = "mnasnet"
    width_multiplier: PositiveFloat = 1.0
    dropout: Rate = 0.2


class RetinaNet(ResidualNetwork):
    """The options of a RetinaNet."""

    name: Literal["retinanet"] = "retinanet"


AnyNetwork = Annotated[
    ResNet | WideResNet | MnasNet | RetinaNet, Field(discriminator="name")
]
NetworkT = TypeVar("NetworkT", bound=Network)


def resolve_attention(
    options: NetworkT, defaults: Attention, num_stages: int
) -> NetworkT:
    """Returns `options` with every `None` of the attention replaced.

    Args:
        options: a network's options.
        defaults: `Attention`, the family's values.
        num_stages: int, the stages of the network.

    Raises:
        ValueError: if the network does not have a stage.
    """
    if options.attention is None:
        return options
    given = options.attention.model_dump(exclude_none=True)
    attention: Any = defaults.model_copy(update=given)
    stages, downsampled = attention.stages, attention.downsampled_stages
    if any(stage > num_stages for stage in stages):
        raise ValueError(
            f"attention.stages: received {list(stages)}; allowed: 1 to {num_stages}"
        )
    if "downsampled_stages" not in given:
        # The default depends on a stage's resolution, so it holds for each stage.
        downsampled = tuple(stage for stage in downsampled if stage in stages)
    if not set(downsampled) <= set(stages):
        raise ValueError(
            f"attention.downsampled_stages: received {list(downsampled)}; allowed: "
            f"those of attention.stages, {list(stages)}"
        )
    attention = attention.model_copy(update={"downsampled_stages": downsampled})
    return options.model_copy(update={"attention": attention})
