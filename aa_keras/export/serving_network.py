"""A trained network as a function that is quick to answer."""

import tensorflow as tf


def build_network(model, input_shape):
    """A function of a batch that gives what the model gives.

    Weights are constants of the graph, so that TensorFlow folds normalisation into
    convolutions when it loads it. A single image, which is what a waiting person
    sends, has a graph of its own in which every shape is known. Both are stored once,
    whoever calls this.

    Args:
        model: A built Keras model of one input.
        input_shape: (height, width, channels).

    Returns:
        Function of float32 (batch, height, width, channels), of any batch, an empty
        one too.
    """
    weights = [
        [variable.numpy() for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]

    def call(inputs):
        outputs, _ = model.stateless_call(*weights, inputs, training=False)
        return outputs

    def trace(batch):
        specification = tf.TensorSpec((batch, *input_shape), tf.float32)
        return tf.function(call, input_signature=[specification], autograph=False)

    one, many = trace(1), trace(None)

    def network(inputs):
        num_images = tf.shape(inputs)[0]
        # Kernels of TensorFlow fail on an empty batch: they get a black image then.
        first = tf.concat([inputs, tf.zeros((1, *input_shape))], axis=0)[:1]
        outputs = tf.cond(
            num_images > 1,
            lambda: many(inputs),
            lambda: one(tf.reshape(first, (1, *input_shape))),
        )
        return tf.nest.map_structure(lambda output: output[:num_images], outputs)

    return network
