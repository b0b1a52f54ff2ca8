"""The length of a run, in epochs and steps."""

from typing import NamedTuple

from aa_keras.data.batches import check_num_batches


class Plan(NamedTuple):
    """The length of a run: all epochs, and the updates of the weights in an epoch."""

    epochs: int
    steps: int


def make_plan(task, num_replicas: int = 1) -> Plan:
    """Returns a run's length; a ValueError if batch, replicas, steps do not divide."""
    options, batch_size = task.experiment.train, task.experiment.data.batch_size
    parts = options.accumulate_steps * num_replicas
    if batch_size % parts:
        raise ValueError(
            f"data.batch_size: received {batch_size}; allowed: multiples of {parts} "
            f"(train.accumulate_steps {options.accumulate_steps} times {num_replicas} "
            "replicas)"
        )
    steps = check_num_batches(task.source, "train", batch_size)
    if task.experiment.smoke:
        return Plan(epochs=1, steps=2)
    if steps % options.steps_per_execution:
        # Keras would run into the next epoch's images to fill the last execution.
        divisors = [n for n in range(1, steps + 1) if steps % n == 0]
        raise ValueError(
            f"train.steps_per_execution: received {options.steps_per_execution}; "
            f"allowed: divisors of the {steps} steps of an epoch, {divisors}"
        )
    return Plan(options.epochs, steps)


def check_rest(plan, step, steps_per_execution) -> None:
    """Raises ValueError if the rest of an epoch is no whole number of executions."""
    rest = plan.steps - step
    if rest % steps_per_execution:
        divisors = [n for n in range(1, rest + 1) if plan.steps % n == rest % n == 0]
        raise ValueError(
            f"train.steps_per_execution: received {steps_per_execution}; allowed: "
            f"divisors of the {rest} steps that an interrupted epoch has left, "
            f"{divisors}"
        )
