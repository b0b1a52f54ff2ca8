"""Short forms of `make fuzz` and `make soak`, and what they do with a failure."""

import numpy as np
import pytest

from aa_keras import training
from tests.faults import fuzz, soak
from tests.faults.campaign import Campaign


@pytest.fixture
def campaign():
    return Campaign()


def test_mutated_experiment_files(campaign):
    fuzz.load_files(campaign, 0, range(300))
    assert campaign.failures == []
    assert campaign.counts["experiment files", "read"] > 10
    assert campaign.counts["experiment files", "refused in one line"] > 100


def test_mutated_pictures(campaign, served):
    fuzz.ask_pictures(campaign, served, 0, range(150))
    assert campaign.failures == []
    assert campaign.counts["requests", "answered"] == 150
    assert campaign.counts["pictures", "cannot be decoded"] > 30


def test_requests_and_predictions_keep_the_memory(campaign, served, quickstart_run):
    run = training.load_run(quickstart_run)
    soak.soak_requests(campaign, served, 150)
    soak.soak_predictions(campaign, run.model, run.task, 100)
    soak.soak_models(campaign, 3)
    assert campaign.failures == []


def test_a_failure_is_told_and_is_status_1(campaign, capsys):
    leak = []
    soak.measure(campaign, "requests", 100, lambda index: leak.append(b"1" * 2**20))
    assert campaign.show("soak") == 1
    told = capsys.readouterr().out
    assert "FAILED" in told
    assert "requests: " in told


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"probabilities": np.array([[0.5, 0.5], [np.nan, 0]])}, "not finite"),
        ({"probabilities": np.array([[0.5, 0.5], [1, 0]])}, "beside an error"),
        ({"probabilities": np.array([[0.5, 0.4], [0, 0]])}, "no sum of 1"),
        ({"class_names": np.array([b"a", b"b"])}, "class names"),
        ({"errors": np.array([b"", b"odd"])}, "odd"),
        ({"probabilities": np.array([[0.4, 0.6], [0, 0]])}, "the sound picture"),
    ],
)
def test_a_wrong_answer_is_seen(changed, message):
    answer = {
        "probabilities": np.array([[0.5, 0.5], [0, 0]]),
        "class_names": np.array([b"a", b""]),
        "errors": np.array([b"", b"too large"]),
    }
    fuzz.judge(answer, 0, [0.5, 0.5])
    with pytest.raises(AssertionError, match=message):
        fuzz.judge({**answer, **changed}, 0, [0.5, 0.5])
