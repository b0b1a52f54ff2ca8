"""The paper's networks, and their builders."""

from aa_keras.models.resnet import build_resnet

FAMILIES = {"resnet": build_resnet}


def build(name, *, input_shape, classes, **options):
    if name not in FAMILIES:
        raise ValueError(f"name must be one of {sorted(FAMILIES)}. Received: {name!r}")
    return FAMILIES[name](input_shape=input_shape, classes=classes, **options)
