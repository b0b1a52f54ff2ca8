"""The sections of an experiment file."""

import functools
import operator
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from aa_keras.models import spec
from aa_keras.options import (
    NonNegative,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    Rate,
    Section,
    Share,
    refusal,
)

# A name becomes a file name.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class PaperRow(Section):
    """A row of the paper's tables that a run reproduces."""

    table: Annotated[int, Field(ge=1, le=8)]
    row: str
    figure: Literal[5] | None = None


class Data(Section):
    """The images, their folder, and their processing.

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
    validation_examples: NonNegative = 0
    corrupt_images: Literal["stop", "skip"] = "stop"
    # Of a split; by default 0, and a hundredth of an image folder's.
    max_skipped: NonNegative | None = None
    central_crop: Share | None = None
    scale_range: list[PositiveFloat] = Field(default=[0.8, 1.2])
    rand_augment: Share | None = None
    mixup: PositiveFloat | None = None
    cutmix: Share | None = None

    @pydantic.field_validator("scale_range")
    @classmethod
    def _ascending(cls, scales):
        if len(scales) != 2 or scales[0] > scales[1]:
            raise refusal("[smallest, largest]")
        return scales

    @property
    def source_options(self):
        return self._pick(
            "name download data_dir validation_examples corrupt_images max_skipped"
        )

    @property
    def preprocessing_options(self):
        return self._pick("image_size central_crop")

    @property
    def training_options(self):
        return self._pick("augmentation batch_size rand_augment mixup cutmix")

    @property
    def detection_options(self):
        return self._pick("augmentation batch_size scale_range")

    def _pick(self, keys):
        return self.model_dump(include=set(keys.split()))


class Optimizer(Section):
    name: str
    learning_rate_per_256: PositiveFloat
    weight_decay: NonNegativeFloat = 0.0
    clip_norm: PositiveFloat | None = None


class SGD(Optimizer):
    name: Literal["sgd"]
    momentum: Rate = 0.9
    nesterov: bool = False


class RMSProp(Optimizer):
    name: Literal["rmsprop"]
    decay: Rate = 0.9
    momentum: Rate = 0.9
    epsilon: PositiveFloat = 1e-3
    initial_accumulator_value: NonNegativeFloat = 1.0


class AdamW(Optimizer):
    name: Literal["adamw"]
    weight_decay: NonNegativeFloat = 0.05


class Schedule(Section):
    name: str
    warmup_epochs: NonNegativeFloat = 0


class Constant(Schedule):
    name: Literal["constant"]


class Cosine(Schedule):
    name: Literal["cosine"]


class Step(Schedule):
    name: Literal["step"]
    epochs: list[PositiveFloat]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1


class Exponential(Schedule):
    """Multiplies the rate by `factor` every `every_epochs`.

    `final_learning_rate_per_256`, the rate of the last update, may take the place of
    `factor`.
    """

    name: Literal["exponential"]
    factor: Annotated[float, Field(gt=0, lt=1)] | None = None
    final_learning_rate_per_256: PositiveFloat | None = None
    every_epochs: PositiveFloat = 2.4

    @pydantic.model_validator(mode="after")
    def _one_of_two(self):
        if (self.factor is None) == (self.final_learning_rate_per_256 is None):
            raise refusal("one of factor and final_learning_rate_per_256")
        return self


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
    label_smoothing: Rate = 0.0
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    accumulate_steps: Positive = 1
    distribution: Literal["none", "mirrored", "multi_worker"] = "none"
    batch_norm: Literal["replica", "sync"] = "replica"  # whose batch it normalises
    steps_per_execution: Positive = 1
    keep_checkpoints: Positive = 3
    checkpoint_minutes: PositiveFloat | None = None  # between those inside an epoch
    attention_maps_every: NonNegative = 0  # epochs; 0 is never
    # What is measured at the end; by default validation and test. A run that helps to
    # choose a network leaves test out.
    measure: list[str] | None = None
    measure_every: NonNegative = 0  # epochs, of a detector on validation; 0 is never


class Experiment(Section):
    """One run: the network, its data and its training. Plain data, frozen.

    `import` names modules that register networks or data sets. They are looked for
    where Python does, and in the folder `import_from`, that of the file if not given.
    """

    name: Name
    smoke: bool = False  # a short trial whose numbers mean nothing
    imports: list[str] = Field(default=[], alias="import")
    import_from: str | None = None
    baseline: Name | None = None  # the experiment that a report compares this one with
    paper: list[PaperRow] = Field(default=[])
    model: spec.Network
    data: Data
    train: Train


def experiment_type() -> type[Experiment]:
    """Returns `Experiment` with the options of all networks that are registered."""
    return _experiment_type(tuple(spec.NETWORKS.values()))


@functools.cache
def _experiment_type(networks):
    union = functools.reduce(operator.or_, networks)
    model: Any = Annotated[union, Field(discriminator="name")]
    return pydantic.create_model("Experiment", __base__=Experiment, model=(model, ...))
