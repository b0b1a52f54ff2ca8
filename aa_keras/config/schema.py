"""What an experiment file may hold, section by section."""

from typing import Annotated, Literal

import pydantic
import pydantic_core
from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]

# Names become file names.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False
    )


class PaperRow(Section):
    """A row of the paper's tables that a run reproduces."""

    table: Annotated[int, Field(ge=1, le=8)]
    row: str
    figure: Literal[5] | None = None


class Attention(Section):
    """Which convolutions are augmented, and how; left out: the family's own choice."""

    key_ratio: Annotated[float, Field(gt=0, le=1)] | None = None
    value_ratio: Annotated[float, Field(gt=0, le=1)] | None = None
    num_heads: Positive | None = None
    min_key_depth_per_head: Annotated[int, Field(ge=0)] | None = None
    stages: list[Positive] | None = None
    downsampled_stages: list[Positive] | None = None
    position_encoding: Literal["relative", "none", "sine", "coordconv"] | None = None


class Network(Section):
    name: str
    classes: Annotated[int, Field(ge=2)]
    attention: Attention | None = None
    channel_attention: Literal["se", "ge", "bam", "cbam"] | None = None


class ResNet(Network):
    name: Literal["resnet"]
    depth: Positive


class WideResNet(Network):
    name: Literal["wide_resnet"]
    depth: Positive
    width: Positive


class MnasNet(Network):
    name: Literal["mnasnet"]
    width_multiplier: Annotated[float, Field(gt=0)] = 1.0
    dropout: Fraction = 0.0


class RetinaNet(Network):
    name: Literal["retinanet"]
    depth: Positive


class Data(Section):
    """The images: which, where they lie, and what is done to them.

    The `*_options` are the arguments of the functions of `aa_keras.data`.
    """

    name: str
    batch_size: Positive
    image_size: Positive
    augmentation: Literal[
        "none", "crop", "flip", "cifar", "inception", "scale_jitter"
    ] = "none"
    data_dir: str | None = None
    download: bool = False
    validation_examples: Annotated[int, Field(ge=0)] = 0
    corrupt_images: Literal["stop", "skip"] = "stop"
    central_crop: Annotated[float, Field(gt=0, le=1)] | None = None
    scale_range: list[Annotated[float, Field(gt=0)]] = [0.8, 1.2]
    rand_augment: Annotated[float, Field(gt=0, le=1)] | None = None
    mixup: Annotated[float, Field(gt=0)] | None = None
    cutmix: Annotated[float, Field(gt=0, le=1)] | None = None

    @pydantic.field_validator("scale_range")
    @classmethod
    def _ascending(cls, scales):
        if len(scales) != 2 or scales[0] > scales[1]:
            raise pydantic_core.PydanticCustomError(
                "scale_range", "scale range", {"expected": "[smallest, largest]"}
            )
        return scales

    @property
    def source_options(self):
        return self.model_dump(
            include={
                "name",
                "data_dir",
                "download",
                "validation_examples",
                "corrupt_images",
            }
        )

    @property
    def preprocessing_options(self):
        return self.model_dump(include={"image_size", "central_crop"})

    @property
    def training_options(self):
        return self.model_dump(
            include={"augmentation", "batch_size", "rand_augment", "mixup", "cutmix"}
        )

    @property
    def detection_options(self):
        return self.model_dump(include={"augmentation", "batch_size", "scale_range"})


class SGD(Section):
    name: Literal["sgd"]
    learning_rate_per_256: Annotated[float, Field(gt=0)]
    momentum: Fraction = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[float, Field(gt=0)] | None = None


class RMSProp(Section):
    name: Literal["rmsprop"]
    learning_rate_per_256: Annotated[float, Field(gt=0)]
    decay: Fraction = 0.9
    momentum: Fraction = 0.9
    epsilon: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[float, Field(gt=0)] | None = None


class AdamW(Section):
    name: Literal["adamw"]
    learning_rate_per_256: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    clip_norm: Annotated[float, Field(gt=0)] | None = None


class Constant(Section):
    name: Literal["constant"]
    warmup_epochs: Annotated[float, Field(ge=0)] = 0


class Cosine(Section):
    name: Literal["cosine"]
    warmup_epochs: Annotated[float, Field(ge=0)] = 0


class Step(Section):
    name: Literal["step"]
    epochs: list[Annotated[float, Field(gt=0)]]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    warmup_epochs: Annotated[float, Field(ge=0)] = 0


class Exponential(Section):
    name: Literal["exponential"]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.97
    every_epochs: Annotated[float, Field(gt=0)] = 2.4
    warmup_epochs: Annotated[float, Field(ge=0)] = 0


class Train(Section):
    epochs: Positive
    optimizer: Annotated[SGD | RMSProp | AdamW, Field(discriminator="name")]
    schedule: Annotated[
        Constant | Cosine | Step | Exponential, Field(discriminator="name")
    ]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    deterministic: bool = False
    jit_compile: bool | None = None
    mixed_precision: Literal["float16", "bfloat16"] | None = None
    label_smoothing: Fraction = 0.0
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    accumulate_steps: Positive = 1
    distribution: Literal["none", "mirrored", "multi_worker"] = "none"
    steps_per_execution: Positive = 1
    keep_checkpoints: Positive = 3
    attention_maps_every: Annotated[int, Field(ge=0)] = 0  # epochs; 0 is never


class Experiment(Section):
    """One run: what is built, on which data, trained how. Plain data, frozen."""

    name: Name
    smoke: bool = False  # a short trial, as `--smoke` runs it; its numbers mean nothing
    paper: list[PaperRow] = []
    model: Annotated[
        ResNet | WideResNet | MnasNet | RetinaNet, Field(discriminator="name")
    ]
    data: Data
    train: Train
