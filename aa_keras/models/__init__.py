"""The paper's networks: `build`, a function for each ready network, their builders.

Families are imported when they are first built, RetinaNet's KerasCV above all.
"""

from aa_keras.models.registry import (
    FAMILIES,
    NETWORKS,
    build,
    builder,
    list_models,
    network,
)

_BUILDERS = {function: family for family, (_, function, *_) in FAMILIES.items()}

__all__ = ["build", "list_models", "feature_maps", *_BUILDERS, *NETWORKS]


def __getattr__(name):
    if name in NETWORKS:
        value = network(name)
    elif name in _BUILDERS:
        value = builder(_BUILDERS[name])
    elif name == "feature_maps":
        from aa_keras.models.feature_maps import feature_maps as value
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
