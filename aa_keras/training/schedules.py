"""Learning rates over the steps of a run, stated in epochs."""

import keras
from keras.optimizers import schedules


@keras.saving.register_keras_serializable(package="aa_keras")
class LinearWarmup(schedules.LearningRateSchedule):
    """Rises linearly from 0 to another schedule, which also counts from the start."""

    def __init__(self, schedule, warmup_steps):
        super().__init__()
        self.schedule = schedule
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        fraction = keras.ops.cast(step, "float32") / self.warmup_steps
        return self.schedule(step) * keras.ops.minimum(fraction, 1.0)

    def get_config(self):
        schedule = schedules.serialize(self.schedule)
        return {"schedule": schedule, "warmup_steps": self.warmup_steps}

    @classmethod
    def from_config(cls, config):
        return cls(schedules.deserialize(config["schedule"]), config["warmup_steps"])


def build_schedule(
    schedule, *, learning_rate_per_256, batch_size, epochs, steps_per_epoch
) -> schedules.LearningRateSchedule:
    """Returns a Keras schedule over train steps from the mapping `train.schedule`.

    The rate at the end of the warm-up is `learning_rate_per_256` times `batch_size` /
    256. `epochs` is the run's length.
    """
    learning_rate = learning_rate_per_256 * batch_size / 256

    def steps(epochs):
        return round(epochs * steps_per_epoch)

    warmup_steps = steps(schedule["warmup_epochs"])
    if schedule["name"] == "cosine":  # Keras' own warm-up: the cosine starts after it
        return schedules.CosineDecay(
            0.0 if warmup_steps else learning_rate,
            decay_steps=max(1, steps(epochs) - warmup_steps),
            warmup_target=learning_rate if warmup_steps else None,
            warmup_steps=warmup_steps,
        )
    if schedule["name"] == "step":
        # Keras lowers the rate after a boundary; it belongs to the epoch's first step.
        boundaries = [steps(epoch) - 1 for epoch in schedule["epochs"]]
        factors = [schedule["factor"] ** n for n in range(len(boundaries) + 1)]
        rates = [learning_rate * factor for factor in factors]
        after = schedules.PiecewiseConstantDecay(boundaries, rates)
    elif schedule["name"] == "exponential":
        every, factor = max(1, steps(schedule["every_epochs"])), schedule["factor"]
        final = schedule["final_learning_rate_per_256"]
        if final is not None:
            drops = max(1, (steps(epochs) - 1) // every)  # before the last step
            factor = (final / learning_rate_per_256) ** (1 / drops)
        after = schedules.ExponentialDecay(learning_rate, every, factor, staircase=True)
    else:
        after = schedules.ExponentialDecay(learning_rate, 1, decay_rate=1.0)
    return LinearWarmup(after, warmup_steps) if warmup_steps else after
