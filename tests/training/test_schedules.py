"""Learning rates against numbers worked out by hand."""

import numpy as np
import pytest

from aa_keras.training.schedules import build_schedule

# (schedule, {step: rate}) for a peak of 0.8, 10 epochs of 100 steps.
CASES = {
    "constant": ({"name": "constant", "warmup_epochs": 0}, {0: 0.8, 999: 0.8}),
    "constant after a warm-up": (
        {"name": "constant", "warmup_epochs": 2},
        {0: 0.0, 50: 0.2, 100: 0.4, 200: 0.8, 999: 0.8},
    ),
    "cosine": (
        {"name": "cosine", "warmup_epochs": 0},
        # 0.8 (1 + cos(pi t)) / 2 at t = 0, 1/4, 1/2, 1
        {0: 0.8, 250: 0.6828427, 500: 0.4, 1000: 0.0},
    ),
    "cosine after a warm-up": (
        {"name": "cosine", "warmup_epochs": 2},
        # the cosine spans the 800 steps that are left
        {0: 0.0, 100: 0.4, 200: 0.8, 400: 0.6828427, 600: 0.4, 1000: 0.0},
    ),
    "step": (
        {"name": "step", "epochs": [3, 6], "factor": 0.1, "warmup_epochs": 1},
        # epochs count from the start of the run, not from the end of the warm-up
        {0: 0.0, 50: 0.4, 100: 0.8, 299: 0.8, 300: 0.08, 599: 0.08, 600: 0.008},
    ),
    "exponential": (
        {
            "name": "exponential",
            "factor": 0.97,
            "final_learning_rate_per_256": None,
            "every_epochs": 2.4,
            "warmup_epochs": 0.5,
        },
        # a staircase: 0.8 x 0.97, then x 0.97 again
        {25: 0.4, 239: 0.8, 240: 0.776, 479: 0.776, 480: 0.75272},
    ),
    "exponential to a final rate": (
        {
            "name": "exponential",
            "factor": None,
            "final_learning_rate_per_256": 0.0256,
            "every_epochs": 2.4,
            "warmup_epochs": 0,
        },
        # four drops to 0.1024, each by (0.0256 / 0.2) ** (1 / 4) = 0.5981395
        {239: 0.8, 240: 0.4785116, 959: 0.1711975, 960: 0.1024, 999: 0.1024},
    ),
    "exponential within a step": (
        {
            "name": "exponential",
            "factor": 0.5,
            "final_learning_rate_per_256": None,
            "every_epochs": 0.001,
            "warmup_epochs": 0,
        },
        {0: 0.8, 1: 0.4, 2: 0.2},
    ),
}

RUN = {
    "learning_rate_per_256": 0.2,
    "batch_size": 1024,
    "epochs": 10,
    "steps_per_epoch": 100,
}


@pytest.mark.parametrize(("schedule", "rates"), CASES.values(), ids=CASES)
def test_rates(schedule, rates):
    built = build_schedule(schedule, **RUN)
    for step, rate in rates.items():
        np.testing.assert_allclose(float(built(step)), rate, rtol=1e-5, atol=1e-7)


def test_a_warm_up_survives_its_configuration():
    built = build_schedule(CASES["step"][0], **RUN)
    again = type(built).from_config(built.get_config())
    for step in (0, 50, 300, 601):
        assert float(again(step)) == float(built(step))
