"""The sections of an experiment file. `reference` prints their docstrings."""

import functools
import operator
from typing import Annotated, Any, Final, Literal

import pydantic
from pydantic import Field

from aa_keras.config.optimization import OPTIMIZERS, SCHEDULES
from aa_keras.models import spec
from aa_keras.options import (
    NonNegative,
    Positive,
    PositiveFloat,
    Rate,
    Section,
    Share,
    refusal,
)

MAIN_PAPER: Final = "attention-augmented"
# A name becomes a file name.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class PaperRow(Section):
    """A row of a paper's tables that a run reproduces.

    Args:
        table: int, the number of the table.
        row: string, the first column of the row.
        figure: int, 5 for a point of Figure 5.
        paper: string, whose table it is: that of "Attention Augmented Convolutional
            Networks", or of "Stand-Alone Self-Attention in Vision Models".
    """

    table: Annotated[int, Field(ge=1, le=8)]
    row: str
    figure: Literal[5] | None = None
    paper: Literal["attention-augmented", "stand-alone"] = MAIN_PAPER


class Data(Section):
    """The images, their folder, and their processing.

    The `*_options` are the arguments of the functions of `aa_keras.data`.

    Args:
        name: string, the data set: a name of `aa_keras.data`, or of one of your own.
        batch_size: int, images of a training step, over all devices.
        image_size: int, height and width of the images that the network takes.
        augmentation: string, the random changes of training images.
        data_dir: string, the folder of the data. Defaults to `TFDS_DATA_DIR`, or the
            folder of tensorflow-datasets.
        download: bool, whether tensorflow-datasets may download the data.
        validation_examples: int, training images that are put aside for validation.
        corrupt_images: string, whether an image that cannot be read stops the run, or
            is skipped and counted.
        max_skipped: int, the images of a split that may be skipped before the run
            stops. Defaults to none, and for an image folder to a hundredth of the
            split, at least one.
        central_crop: float, the side of the central square that is kept for evaluation,
            as a share of the short side of the image. Defaults to the whole image.
        scale_range: list of float, smallest and largest factor of `scale_jitter`.
        rand_augment: float, the strength of RandAugment. Defaults to none.
        mixup: float, the parameter of MixUp's beta distribution. Defaults to no
            MixUp.
        cutmix: float, the parameter of CutMix's beta distribution. Defaults to no
            CutMix.
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


class Train(Section):
    """The training.

    Args:
        epochs: int, passes over the training images.
        optimizer: the optimizer.
        schedule: the learning rate over the epochs.
        seed: int, of weights, order and augmentation.
        deterministic: bool, whether operations that differ from run to run are
            replaced by slower ones. It turns XLA off.
        jit_compile: bool, whether XLA compiles the step. Defaults to Keras' choice.
        mixed_precision: string, the type in which the network computes. Defaults to
            float32.
        initial_weights: string, the weights to start from: the work directory of a
            finished run, a `.keras` or a `.weights.h5` file, or the name of weights
            that come with the package. Weights of other shapes keep their random
            values, such as those of the classifier. A run reads it once, when it
            starts. Defaults to random weights.
        freeze: list of string, patterns of the names of layers that are not trained.
            Defaults to none.
        kept_learning_rate_factor: float, a factor of the learning rate of the weights
            that `initial_weights` gave. It needs TensorFlow and one device. Defaults to
            the rate of the others.
        learning_rate_factors: mapping, factors of the learning rate and weight decay of
            weights, by patterns of their names. The factors of all patterns that match
            a weight are multiplied. It needs TensorFlow and one device. Defaults to one
            rate.
        label_smoothing: float, the share of each label that goes to all classes.
        ema: float, the decay of the moving average of the weights, which the run ends
            with. Defaults to no average.
        accumulate_steps: int, the parts into which a batch is cut. They are computed
            one after the other, for one update of the weights.
        distribution: string, the devices: one, those of this machine (mirrored, on JAX
            data_parallel), or those of several machines.
        batch_norm: string, whose batch is normalised: that of each device, or all.
            With data_parallel it is always all.
        steps_per_execution: int, the steps of one call of the compiled function.
        keep_checkpoints: int, the newest checkpoints that are kept.
        checkpoint_minutes: float, the time between checkpoints inside an epoch.
            Defaults to none inside, one at the end of each epoch.
        attention_maps_every: int, the epochs from one drawing of attention maps for
            TensorBoard to the next. 0 is never.
        measure: list of string, the splits that are measured at the end. Defaults
            to all but train. A run that helps to choose a network must not
            measure test.
        measure_every: int, the epochs from one measurement of a detector on validation
            to the next. 0 is never.
    """

    epochs: Positive
    optimizer: Annotated[OPTIMIZERS, Field(discriminator="name")]
    schedule: Annotated[SCHEDULES, Field(discriminator="name")]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    deterministic: bool = False
    jit_compile: bool | None = None
    mixed_precision: Literal["float16", "bfloat16"] | None = None
    initial_weights: str | None = None
    freeze: list[str] = Field(default=[])
    kept_learning_rate_factor: Share | None = None
    learning_rate_factors: dict[str, PositiveFloat] = Field(default={})
    label_smoothing: Rate = 0.0
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    accumulate_steps: Positive = 1
    distribution: Literal["none", "mirrored", "multi_worker", "data_parallel"] = "none"
    batch_norm: Literal["replica", "sync"] = "replica"
    steps_per_execution: Positive = 1
    keep_checkpoints: Positive = 3
    checkpoint_minutes: PositiveFloat | None = None
    attention_maps_every: NonNegative = 0
    measure: list[str] | None = None
    measure_every: NonNegative = 0

    @pydantic.model_validator(mode="after")
    def _rates_of_weights(self):
        kept = self.kept_learning_rate_factor is not None
        if kept and self.initial_weights is None:
            raise refusal("kept_learning_rate_factor together with initial_weights")
        for key in ("kept_learning_rate_factor", "learning_rate_factors"):
            if getattr(self, key) and self.distribution != "none":
                raise refusal(f"{key} with distribution: none")
        return self


class Experiment(Section):
    """One run: the network, its data and its training. Plain data, frozen.

    Args:
        name: string, the name of the run and of its result. A file that gives none has
            its own name.
        smoke: bool, a short trial whose numbers mean nothing: `--smoke` sets it.
        import: list of string, modules that register networks or data sets. They are
            looked for where Python does, and in `import_from`.
        import_from: string, the folder of those modules. Defaults to that of the file.
        baseline: string, the experiment that a report compares this one with.
        paper: the rows of the paper that this run reproduces.
        model: the network.
        data: the images.
        train: the training.
    """

    name: Name
    smoke: bool = False
    imports: list[str] = Field(default=[], alias="import")
    import_from: str | None = None
    baseline: Name | None = None
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
