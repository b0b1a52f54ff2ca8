"""An average of the weights over the updates, as TensorFlow 1 keeps it."""

import contextlib
from collections.abc import Iterator

import keras
from keras import ops

from aa_keras.training import normalization


class Average:
    """Exponential moving averages of a model's weights and normalisation statistics.

    Averaged are the trainable variables and the moving mean and variance of batch
    normalisation. After update `t`, which counts from 1, an average is
    `d * average + (1 - d) * variable` with `d = min(decay, (1 + t) / (10 + t))`. It
    starts from the variable's initial value.

    Keras' `use_ema` covers variables with a gradient only: averaged weights do not fit
    the statistics of the trained ones. It also has no ramp.

    Args:
        model: a compiled model whose optimiser is built. The averages are variables of
            this optimiser, so that they are part of each checkpoint.
        decay: float between 0 and 1, or `None` for no average: then nothing happens.

    Reference:
        - `tf.compat.v1.train.ExponentialMovingAverage` with `num_updates`, as in the
          TPU MnasNet code.
    """

    def __init__(self, model, decay: float | None):
        self.decay = decay
        self._model = model
        optimizer = model.optimizer
        self._optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        self._variables = averaged_variables(model) if decay else []
        self._averages = [
            self._optimizer.add_variable_from_reference(variable, name="average")
            for variable in self._variables
        ]
        self.start()

    def start(self) -> None:
        """Lets the averages start from what the variables are now."""
        for variable, average in zip(self._variables, self._averages, strict=True):
            average.assign(variable.value)

    def follow(self, train_step):
        """Returns a train step that also updates the averages; one update a step."""

        def averaged_step(data):
            before = ops.copy(self._optimizer.iterations)  # not the variable itself
            logs = train_step(data)
            self._update(before)
            return logs

        return averaged_step

    def _update(self, before):
        updates = ops.copy(self._optimizer.iterations)
        count = ops.cast(updates, "float32")
        rate = 1 - ops.minimum(self.decay, (1 + count) / (10 + count))
        # A loss scale skips updates whose gradients are not finite.
        rate = ops.where(updates > before, rate, 0.0)
        for variable, average in zip(self._variables, self._averages, strict=True):
            average.assign(average - rate * (average - variable))

    def exchange(self) -> None:
        """Gives the averages to the model, or gives it back what it had before."""
        for variable, average in zip(self._variables, self._averages, strict=True):
            value = ops.convert_to_numpy(variable)
            variable.assign(ops.convert_to_numpy(average))
            average.assign(value)

    @contextlib.contextmanager
    def in_model(self) -> Iterator[None]:
        """Returns a context in which the model has the averages."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()


def averaged_variables(model) -> list[keras.Variable]:
    """Returns a model's trainable variables and its normalisation statistics."""
    statistics = normalization.statistics(normalization.batch_normalizations(model))
    return [*model.trainable_variables, *statistics]
