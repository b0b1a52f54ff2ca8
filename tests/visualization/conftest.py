"""A network that several files read."""

import pytest

from aa_keras import models
from aa_keras.layers import attention_layers
from tests.visualization.readings import sharpen


@pytest.fixture(scope="module")
def network():
    model = models.build(
        "resnet", depth=14, input_shape=(12, 8, 1), classes=3, attention={}
    )
    for name in list(attention_layers(model)):
        sharpen(model.get_layer(name))
    return model
