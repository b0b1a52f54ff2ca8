"""The sections `train.optimizer` and `train.schedule` of an experiment file."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from aa_keras.options import (
    NonNegativeFloat,
    PositiveFloat,
    Rate,
    Section,
    refusal,
)


class Optimizer(Section):
    """The options of every optimizer.

    Args:
        name: string, the optimizer.
        learning_rate_per_256: float, the highest rate for 256 images a step. The rate
            of a run is in proportion to its batch.
        weight_decay: float, the decay of all weights but those of batch normalisation.
            AdamW takes it from the weights directly. For the others it is an L2 loss
            with half this factor.
        clip_norm: float, the largest norm of the gradient. Defaults to no bound.
    """

    name: str
    learning_rate_per_256: PositiveFloat
    weight_decay: NonNegativeFloat = 0.0
    clip_norm: PositiveFloat | None = None


class SGD(Optimizer):
    """Gradient descent.

    Args:
        momentum: float, the momentum.
        nesterov: bool, whether it is Nesterov's.
    """

    name: Literal["sgd"]
    momentum: Rate = 0.9
    nesterov: bool = False


class RMSProp(Optimizer):
    """RMSProp, as in TensorFlow 1.

    Args:
        decay: float, the share of the mean square that a step keeps.
        momentum: float, the momentum.
        epsilon: float, what is added to the mean square.
        initial_accumulator_value: float, the mean square before the first step.
    """

    name: Literal["rmsprop"]
    decay: Rate = 0.9
    momentum: Rate = 0.9
    epsilon: PositiveFloat = 1e-3
    initial_accumulator_value: NonNegativeFloat = 1.0


class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"]
    weight_decay: NonNegativeFloat = 0.05


class Schedule(Section):
    """The options of every schedule of the learning rate.

    Args:
        name: string, the schedule.
        warmup_epochs: float, the epochs in which the rate rises from zero.
    """

    name: str
    warmup_epochs: NonNegativeFloat = 0


class Constant(Schedule):
    """One rate."""

    name: Literal["constant"]


class Cosine(Schedule):
    """Half a cosine, from the highest rate to zero."""

    name: Literal["cosine"]


class Step(Schedule):
    """Multiplies the rate by `factor` at each of `epochs`.

    Args:
        epochs: list of float, when the rate drops, ascending.
        factor: float, by which it is multiplied.
    """

    name: Literal["step"]
    epochs: list[PositiveFloat]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @pydantic.field_validator("epochs")
    @classmethod
    def _ascending(cls, epochs):
        if not epochs or epochs != sorted(set(epochs)):
            raise refusal("ascending epochs, at least one")
        return epochs


class Exponential(Schedule):
    """Multiplies the rate by `factor` every `every_epochs`.

    Args:
        factor: float, by which the rate is multiplied.
        final_learning_rate_per_256: float, the rate of the last update for 256 images
            a step, in place of `factor`.
        every_epochs: float, the epochs from one drop to the next.
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


OPTIMIZERS = SGD | RMSProp | AdamW
SCHEDULES = Constant | Cosine | Step | Exponential
