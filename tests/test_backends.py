"""Devices, and gradients that TensorFlow traces once."""

import gc
import weakref

import numpy as np
import tensorflow as tf

from aa_keras import backends


def test_a_traced_gradient_keeps_no_graph_and_is_traced_once():
    graphs, traced = [], []

    def function(factor, inputs):
        traced.append(factor)
        return factor * inputs[0] ** 2

    def gradient(factor, inputs, output, upstream):
        return (2 * factor * inputs[0] * upstream,)

    def step():
        @tf.function
        def call(x):
            graphs.append(weakref.ref(x.graph))
            y = backends.custom_gradient(function, gradient, 3.0)(x)
            return tf.gradients(y, x)[0]  # asks the registry, as a later graph does

        np.testing.assert_allclose(call(tf.constant([2.0, 5.0])), [12.0, 30.0])

    step()
    step()
    gc.collect()
    assert graphs[1]() is None  # TensorFlow holds the one that asked for the trace
    assert traced == [3.0]
