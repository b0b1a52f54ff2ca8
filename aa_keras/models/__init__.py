"""The paper's networks, and their builders."""

from aa_keras.models.mnasnet import build_mnasnet
from aa_keras.models.resnet import build_resnet
from aa_keras.models.wide_resnet import build_wide_resnet

FAMILIES = {
    "resnet": build_resnet,
    "wide_resnet": build_wide_resnet,
    "mnasnet": build_mnasnet,
}


def build(name, *, input_shape, classes, **options):
    if name not in FAMILIES:
        raise ValueError(f"name must be one of {sorted(FAMILIES)}; received {name!r}")
    return FAMILIES[name](input_shape=input_shape, classes=classes, **options)
