"""The initial scale of normalised channels of which some come from attention."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="aa_keras")
class AttentionGamma(keras.initializers.Initializer):
    """One for the channels of the convolution, `scale` for those of the attention.

    Args:
        value_depth: int, the channels of the attention, which come last.
        scale: float.
    """

    def __init__(self, value_depth, scale):
        self.value_depth = value_depth
        self.scale = scale

    def __call__(self, shape, dtype=None):
        is_attention = ops.arange(shape[0]) >= shape[0] - self.value_depth
        return ops.cast(ops.where(is_attention, self.scale, 1.0), dtype or "float32")

    def get_config(self):
        return {"value_depth": self.value_depth, "scale": self.scale}
