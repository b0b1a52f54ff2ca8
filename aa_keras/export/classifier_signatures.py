"""The functions that an export answers, each with its preprocessing inside.

Shape letters: B batch, H height, W width, C channels, L classes, K = min(5, L).
"""

import inspect

import keras
import tensorflow as tf

from aa_keras.data.served_decoding import decode_picture
from aa_keras.export.serving_network import build_network

TOP_K = 5


def build_signatures(model, preprocessing, class_names, attention_layer=None):
    """The signatures of an exported classifier.

    | name | input | output |
    |---|---|---|
    | `serving_default` | `images`, uint8 (B, H, W, C) of any size | an answer |
    | `serve_image_bytes` | `image_bytes`, (B,) JPEG or PNG files | an answer |
    | `serve_preprocessed` | `inputs`, float32 as the network sees it | an answer |
    | `serve_attention` | `images`, as above | an answer and `attention_scores` |

    An answer is `probabilities` (B, L), `classes` (B,) and `class_names` (B,) of the
    most probable class, and `top_k_probabilities`, `top_k_classes` and
    `top_k_class_names` (B, K), most probable first.

    Args:
        model: A Keras model that ends in probabilities.
        preprocessing: A `data.Preprocessing`.
        class_names: One text per class.
        attention_layer: Name of the layer whose scores (B, heads, queries, keys)
            `serve_attention` gives; without one that signature is left out.

    Returns:
        Dictionary of name to (function, list of `tf.TensorSpec`).
    """
    channels = preprocessing.channels
    images, image_bytes, inputs = input_specs(preprocessing)
    names = tf.constant(list(class_names))

    def answer(probabilities):
        probabilities = tf.cast(probabilities, tf.float32)
        values, classes = tf.math.top_k(probabilities, min(TOP_K, len(class_names)))
        top_names = tf.gather(names, classes)
        return {
            "probabilities": probabilities,
            "classes": classes[:, 0],
            "class_names": top_names[:, 0],
            "top_k_probabilities": values,
            "top_k_classes": classes,
            "top_k_class_names": top_names,
        }

    if attention_layer is not None:
        layer = model.get_layer(attention_layer)
        outputs = {"probabilities": model.outputs[0], "features": layer.input}
        model = keras.Model(model.inputs, outputs)
    network = build_network(model, preprocessing.output_shape)

    def classify(inputs):
        outputs = network(inputs)
        with_features = isinstance(outputs, dict)
        return answer(outputs["probabilities"] if with_features else outputs)

    def serving_default(images):
        return classify(preprocessing(refuse_no_pixels(images)))

    def serve_image_bytes(image_bytes):
        inputs = tf.map_fn(
            lambda encoded: preprocessing(decode_picture(encoded, channels)),
            image_bytes,
            fn_output_signature=tf.TensorSpec(preprocessing.output_shape, tf.float32),
        )
        return classify(inputs)

    def serve_preprocessed(inputs):
        return classify(inputs)

    signatures = {
        "serving_default": (serving_default, [images]),
        "serve_image_bytes": (serve_image_bytes, [image_bytes]),
        "serve_preprocessed": (serve_preprocessed, [inputs]),
    }
    if attention_layer is not None:

        def serve_attention(images):
            inputs = preprocessing(refuse_no_pixels(images))
            outputs = network(inputs)
            features = outputs["features"]
            num_images = tf.shape(images)[0]
            one = tf.zeros((1, *layer.input.shape[1:]), features.dtype)
            some = tf.cond(num_images > 0, lambda: features, lambda: one)
            _, scores = layer(some, return_attention_scores=True)
            scores = tf.cast(scores[:num_images], tf.float32)
            return {**answer(outputs["probabilities"]), "attention_scores": scores}

        signatures["serve_attention"] = (serve_attention, [images])
    return signatures


def input_specs(preprocessing):
    """Specs of uint8 images of any size, of encoded files, and of network inputs."""
    return (
        tf.TensorSpec((None, None, None, preprocessing.channels), tf.uint8, "images"),
        tf.TensorSpec((None,), tf.string, "image_bytes"),
        tf.TensorSpec((None, *preprocessing.output_shape), tf.float32, "inputs"),
    )


def refuse_no_pixels(images):
    """The images, or an error for a height or width of zero."""
    some = tf.debugging.Assert(
        tf.reduce_min(tf.shape(images)[1:3]) > 0,
        ["images without pixels, of shape:", tf.shape(images)],
    )
    with tf.control_dependencies([some]):
        return tf.identity(images)


def attention_layers(model):
    """Names of the layers of a functional model that can give their scores."""
    if not isinstance(model, (keras.Sequential, keras.src.models.Functional)):
        return []
    return [
        layer.name
        for layer in model.layers
        if "return_attention_scores" in inspect.signature(layer.call).parameters
    ]
