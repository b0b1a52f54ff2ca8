"""What the signatures of all tasks share: a network that answers fast, and inputs.

| signature | input |
|---|---|
| `serving_default` | `images`, uint8 (B, H, W, C) of any size |
| `serve_image_bytes` | `image_bytes`, (B,) JPEG or PNG files |
| `serve_preprocessed` | `inputs`, float32 (B, H, W, C), input of the network |

Each answer has `errors` (B,): why a row of the batch is not answered, and empty where
it is. Other rows do not depend on it.

Shape letters: B batch, H height, W width, C channels.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from aa_keras.data import served_decoding
from aa_keras.data.decoding import attempt
from aa_keras.layers import record_projections

NOT_FINITE = "not finite"  # an input, or what the network makes of it


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


def preprocess_files(preprocessing, files) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Decodes and preprocesses files (B,), each by itself.

    Returns:
        Inputs of the network, sizes (B, 2) of the pictures, and `errors` (B,): why a
        picture has no input, and empty where it has one.
    """
    no_input = tf.zeros(preprocessing.output_shape), tf.ones((2,), tf.int32)
    specs = tuple(tf.TensorSpec(x.shape, x.dtype) for x in no_input)

    def prepare(encoded):
        image = served_decoding.decode_picture(encoded, preprocessing.channels)
        return preprocessing(image), tf.shape(image)[:2]

    def prepare_all(files):
        reasons, costs = served_decoding.screen(files)
        sound = tf.reduce_all(reasons == "") & served_decoding.is_covered(costs)
        with tf.control_dependencies([tf.debugging.Assert(sound, [reasons])]):
            files = tf.identity(files)
        inputs = tf.map_fn(prepare, files, fn_output_signature=specs)
        return *inputs, reasons

    def prepare_each(files):
        reasons, costs = tf.map_fn(
            lambda encoded: attempt(
                served_decoding.screen_one, encoded, (served_decoding.BROKEN, 0.0)
            ),
            files,
            fn_output_signature=(tf.string, tf.float32),
        )
        covered = served_decoding.covered(costs)
        errors = tf.where(covered, reasons, served_decoding.REQUEST_TOO_LARGE)

        def prepare_one(arguments):
            encoded, error = arguments
            return tf.cond(
                error == "",
                lambda: attempt(
                    lambda x: (*prepare(x), ""),
                    encoded,
                    (*no_input, served_decoding.BROKEN),
                ),
                lambda: (*no_input, error),
            )

        return tf.map_fn(
            prepare_one,
            (files, errors),
            fn_output_signature=(*specs, tf.TensorSpec((), tf.string)),
        )

    # TensorFlow catches errors in data sets alone. An attempt costs as much as a small
    # picture, so that a sound batch has one, not one for each file. The second data set
    # is not computed where the first one has an element.
    batch = tf.data.Dataset.from_tensors(files)
    sound, each = batch.map(prepare_all).ignore_errors(), batch.map(prepare_each)
    return sound.concatenate(each).take(1).get_single_element()


def no_errors(rows) -> tf.Tensor:
    """Returns `errors` (B,) without any, for a batch of rows."""
    return tf.fill([tf.shape(rows)[0]], "")


def refuse_not_finite(errors, *tensors) -> tf.Tensor:
    """Adds to `errors` (B,) the rows in which a number of the tensors is not finite."""
    for tensor in tensors:
        axes = list(range(1, tensor.shape.rank))
        finite = tf.reduce_all(tf.math.is_finite(tensor), axis=axes)
        errors = tf.where((errors == "") & ~finite, NOT_FINITE, errors)
    return errors
