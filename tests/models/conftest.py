"""Networks that several files read."""

import pytest

from aa_keras import models


@pytest.fixture(scope="session")
def aa_resnet_50():
    return models.AAResNet50(include_top=False, input_shape=(64, 64, 3))
