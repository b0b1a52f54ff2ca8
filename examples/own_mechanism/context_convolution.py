"""A mechanism of your own in the networks of aa_keras, in about 30 lines.

Every position of a convolution's output gets a projection of the mean of the map, so
that it depends on the whole image. `context_resnet_20.yaml` trains it in a ResNet-20.
"""

from functools import partial

import keras
from keras import ops

from aa_keras import models


@keras.saving.register_keras_serializable(package="context_convolution")
class ContextConv2D(keras.layers.Conv2D):
    """`Conv(X) + W mean(X)`, with W initially zero."""

    def build(self, input_shape):
        super().build(input_shape)
        self.context = keras.layers.Dense(
            self.filters, use_bias=False, kernel_initializer="zeros", name="context"
        )
        self.context.build((None, input_shape[-1]))

    def call(self, inputs):
        context = self.context(ops.mean(inputs, axis=(1, 2)))
        return super().call(inputs) + context[:, None, None, :]


models.register(
    "context_resnet",
    partial(models.build_resnet, convolution=ContextConv2D),
    options=models.spec.ResNet,
)
