"""What differs between the backends of Keras: devices, gradients and loops.

Elsewhere only `layers` name a backend, to choose among implementations.
"""

import functools
import weakref

import keras
from keras import ops


def read_device() -> str:
    """Returns the kind of device that computes: `"cpu"`, `"gpu"` or `"tpu"`.

    Keras lists devices on TensorFlow and JAX alone.
    """
    if keras.backend.backend() == "torch":
        from keras.src.backend.torch.core import get_device

        return "cpu" if get_device() == "cpu" else "gpu"
    return keras.distribution.list_devices()[0].split(":")[0].lower()


def read_capability() -> float:
    """Returns the compute capability of the NVIDIA GPU that JAX computes on, else 0."""
    if keras.backend.backend() != "jax" or read_device() != "gpu":
        return 0.0
    import jax

    capability = str(getattr(jax.devices()[0], "compute_capability", ""))
    return float(capability) if capability[:1].isdigit() else 0.0  # AMD: "gfx90a"


def custom_gradient(function, gradient, options):
    """Gives a function of tensors a gradient that reads its inputs and output alone.

    Args:
        function: function `(options, inputs)` of a sequence of tensors that returns one
            tensor.
        gradient: function `(options, inputs, output, upstream)` that returns the
            gradient with respect to each input.
        options: plain data, hashable.

    JAX derives no forward mode from a gradient, and does not say what to do instead.
    """

    @ops.custom_gradient
    def inner(*inputs):
        output = _traced(function, options)(inputs)

        # TensorFlow and JAX call this with the upstream gradient alone, torch with
        # the inputs and the upstream gradient by name.
        def backward(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return _traced(gradient, options)(inputs, output, upstream)

        return output, backward

    def call(*inputs):
        try:
            output = inner(*inputs)
        except TypeError as error:
            if "(jvp)" not in str(error):
                raise
            raise TypeError(
                "JAX's forward mode (jvp) needs attention with implementation='listing'"
            ) from error
        if hasattr(output, "graph") and keras.backend.backend() == "tensorflow":
            _register_without_graph(_traced(gradient, options), output)
        return output

    return call


def _traced(function, options):
    """Returns a function that every graph of TensorFlow calls in place of a copy.

    A copy in each graph is some 2,000 operations.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.inside_function():
            return _graph_function(function, options)
    return functools.partial(function, options)


@functools.cache
def _graph_function(function, options):
    import tensorflow as tf

    return tf.function(functools.partial(function, options), autograph=False)


def _register_without_graph(gradient, output):
    """Replaces the gradient that `tf.custom_gradient` registered for a graph's tensor.

    The registry keeps each one until the process ends. TensorFlow's own keeps its graph
    as well, 14 MB for a small network; this one reads its tensors from the operation.
    """
    from tensorflow.python.framework import ops as tf_ops

    graph, name = weakref.ref(output.graph), output.op.name

    def registered(op, *upstream):
        # SavedModel traces gradients without an operation.
        op = graph().get_operation_by_name(name) if op is None else op
        output, *inputs = op.inputs
        return [None, *gradient(inputs, output, upstream[0])]

    key = output.op.get_attr("_gradient_op_type").decode()
    tf_ops.gradient_registry._registry[key]["type"] = registered


def stack_of_calls(function, count, like, in_flight=1):
    """Stacks what a function returns for 0, 1, ... count - 1.

    On TensorFlow `ops.scan` stores its carry with the shape of the first one, and ONNX
    has no sequences of tensors whose shape is open. This loop has no carry.

    Args:
        function: callable from a scalar integer tensor to a structure of tensors.
        count: int or scalar tensor.
        like: structure of tensors of the dtypes and shapes of one result.
        in_flight: int, the most calls computed, and in memory, at once.

    Returns:
        The structure with tensors (count, *shape).
    """
    if keras.backend.backend() != "tensorflow":

        def step(_, index):
            result = function(index)
            return result, result

        carry = keras.tree.map_structure(ops.zeros_like, like)
        _, results = ops.scan(step, carry, ops.arange(count), unroll=in_flight)
        return results

    import tensorflow as tf

    shapes = keras.tree.flatten(like)
    arrays = [tf.TensorArray(x.dtype, count, infer_shape=False) for x in shapes]

    def body(index, arrays):
        results = keras.tree.flatten(function(index))
        return index + 1, [
            array.write(index, result)
            for array, result in zip(arrays, results, strict=True)
        ]

    _, arrays = tf.while_loop(
        lambda index, _: index < count,
        body,
        (0, arrays),
        parallel_iterations=in_flight,
    )
    results = [array.stack() for array in arrays]
    for result, x in zip(results, shapes, strict=True):
        result.set_shape((tf.get_static_value(count), *x.shape))
    return keras.tree.pack_sequence_as(like, results)
