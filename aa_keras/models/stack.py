"""A stack of equal layers without pooling, which classifies every place of a map.

It shows what one layer can do that another cannot: see `aa_keras.data.pointers`.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from aa_keras.models import parts, spec
from aa_keras.models.placement import resolve_attention
from aa_keras.models.stages import Stage, build_stages, paper_attention
from aa_keras.options import check

KERNEL_INITIALIZER = "he_normal"


def resolve(options: Mapping[str, Any]) -> spec.Stack:
    """Returns checked options, with a value for each that was not given."""
    checked = check(spec.Stack, options)
    stages = _stages(checked)
    defaults = paper_attention(stages, key_ratio=1.0, value_ratio=0.5, num_heads=1)
    return resolve_attention(checked, defaults, stages)


def _stages(options):
    return [Stage(options.width, strides=1, attention="full", blocks=options.depth)]


def build_stack(
    depth=1, *, input_shape=(None, None, 3), classes=10, **options
) -> keras.Model:
    """Builds a stack: `depth` times convolution, normalisation and ReLU, then classes.

    Args:
        depth: int, the convolutions, augmented or not, before the classifier.
        input_shape: (height, width, channels); height and width may be `None`.
        classes: int.
        **options: those of `aa_keras.models.spec.Stack`; `classifier_activation`,
            `convolution` and `name` as in `aa_keras.models.build`.

    Returns:
        A `keras.Model` from maps (batch, height, width, channels) to (batch, height,
        width, classes).
    """
    activation = options.pop("classifier_activation", "softmax")
    convolution, name = options.pop("convolution", None), options.pop("name", None)
    resolved = resolve({**options, "depth": depth, "classes": classes})

    def block(x, stage, strides, convolution, name):
        size = resolved.kernel_size
        x = convolution(stage.filters, size, strides, name=f"{name}_conv")(x)
        gamma = convolution.gamma(stage.filters)
        x = parts.batch_normalization(f"{name}_bn", gamma=gamma)(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    inputs = parts.image_input(input_shape)
    x = build_stages(
        inputs,
        _stages(resolved),
        block,
        attention=resolved.attention,
        convolution=convolution,
        kernel_initializer=KERNEL_INITIALIZER,
        max_size=resolved.max_size,
    )
    outputs = layers.Dense(
        resolved.classes, activation=activation, dtype="float32", name="predictions"
    )(x)
    return keras.Model(inputs, outputs, name=name or resolved.network_name())
