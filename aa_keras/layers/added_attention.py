"""A whole convolution with attention added to it, for networks that are trained."""

import keras
from keras import ops

from aa_keras.layers.augmented_conv import AugmentedConv2D


@keras.saving.register_keras_serializable(package="aa_keras")
class AddedAttentionConv2D(AugmentedConv2D):
    """2D convolution to whose last channels self-attention is added.

    The convolution computes all `filters`. A learned `scale` for each of the
    `value_depth` channels of the attention multiplies them before they are added to
    the last `value_depth` channels of the convolution:

    `y = Conv(X);  y[..., -value_depth:] += scale * MHA(X)`

    The scale starts at 0. A layer that takes the place of a trained convolution then
    starts with its function. The first update of training moves the scale, the later
    ones the attention too.

    The arguments, the input and the output are those of `AugmentedConv2D`.

    Reference:
        - [Bello et al., 2019](https://arxiv.org/abs/1904.09925), section 3, for the
          attention.
        - [Bachlechner et al., 2020](https://arxiv.org/abs/2003.04887), for the scale.

    Example:

    >>> layer = AddedAttentionConv2D(64, 3, key_depth=32, value_depth=16, num_heads=4)
    >>> layer(np.random.rand(2, 14, 10, 3)).shape
    (2, 14, 10, 64)
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.scale = self.add_weight(
            name="scale", shape=(self.attention.value_depth,), initializer="zeros"
        )

    @property
    def _convolved(self):
        return self.filters

    def _join(self, convolved, attended):
        kept = self.filters - self.attention.value_depth
        attended = ops.cast(self.scale, attended.dtype) * attended
        outputs = [convolved[..., :kept], convolved[..., kept:] + attended]
        return ops.concatenate(outputs, axis=-1) if kept else outputs[1]
