"""What the signatures of all tasks share: a network that answers fast, and inputs.

| signature | input |
|---|---|
| `serving_default` | `images`, uint8 (B, H, W, C) of any size |
| `serve_image_bytes` | `image_bytes`, (B,) JPEG or PNG files |
| `serve_preprocessed` | `inputs`, float32 (B, H, W, C), input of the network |

Shape letters: B batch, H height, W width, C channels.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from aa_keras.data.served_decoding import decode_picture
from aa_keras.layers import record_projections


class Signature(NamedTuple):
    """A function of an export, its input, and the layer whose scores it returns."""

    function: Callable
    input: tf.TensorSpec
    attention_layer: str | None = None


def build_network(model, input_shape, attention=None) -> Callable:
    """Builds a function that returns the outputs of a model.

    The weights become constants of the graph, so that TensorFlow folds normalization
    into convolutions when it loads the graph. A single image, the usual request, has a
    graph of its own in which all shapes are static. Each graph is stored once, however
    many functions call it.

    The function takes float32 (B, H, W, C), also an empty batch. It returns the outputs
    of the model, and of each layer in `attention` the `Projections`; for an empty batch
    those of one black image.
    """
    weights = [
        [variable.numpy() for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]

    def call(inputs):
        (outputs, _), projections = record_projections(
            lambda: model.stateless_call(*weights, inputs, training=False),
            attention or {},
        )
        return outputs, projections

    def trace(batch):
        specification = tf.TensorSpec((batch, *input_shape), tf.float32)
        return tf.function(call, input_signature=[specification], autograph=False)

    one, many = trace(1), trace(None)

    def network(inputs):
        return tf.cond(
            tf.shape(inputs)[0] > 1,
            lambda: many(inputs),
            lambda: one(first_or_black(inputs, input_shape)),
        )

    return network


def first_or_black(inputs, input_shape) -> tf.Tensor:
    """Returns a batch of the first image, or of a black one if there is none.

    Kernels of TensorFlow fail on an empty batch.
    """
    first = tf.concat([inputs, tf.zeros((1, *input_shape))], axis=0)[:1]
    return tf.reshape(first, (1, *input_shape))


def input_specs(preprocessing) -> dict[str, tf.TensorSpec]:
    """Returns the specs of the inputs that all tasks serve."""
    return {
        # uint8 images of any size, JPEG or PNG files, and inputs of the network
        "images": tf.TensorSpec(
            (None, None, None, preprocessing.channels), tf.uint8, "images"
        ),
        "image_bytes": tf.TensorSpec((None,), tf.string, "image_bytes"),
        "inputs": tf.TensorSpec(
            (None, *preprocessing.output_shape), tf.float32, "inputs"
        ),
    }


def preprocess_images(preprocessing, images) -> tf.Tensor:
    """Preprocesses uint8 (B, H, W, C); refuses a height or width of zero."""
    some = tf.debugging.Assert(
        tf.reduce_min(tf.shape(images)[1:3]) > 0,
        ["images without pixels, of shape:", tf.shape(images)],
    )
    with tf.control_dependencies([some]):
        return preprocessing(tf.identity(images))


def preprocess_files(preprocessing, image_bytes) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes and preprocesses files; returns network inputs and sizes (B, 2)."""

    def prepare(encoded):
        image = decode_picture(encoded, preprocessing.channels)
        return preprocessing(image), tf.shape(image)[:2]

    return tf.map_fn(
        prepare,
        image_bytes,
        fn_output_signature=(
            tf.TensorSpec(preprocessing.output_shape, tf.float32),
            tf.TensorSpec((2,), tf.int32),
        ),
    )
