"""A layer's training step, lowered for devices that are not here.

As a program, on JAX with four devices: lowers it for a GPU and a TPU, runs the TPU's
kernel divided over four devices, and prints the name of each that is as expected.
"""

import operator

import jax
import numpy as np
from jax import numpy as jnp
from jax._src.cudnn import fused_attention_stablehlo as jax_cudnn

from aa_keras.layers import AugmentedConv2D
from tests.layers.comparison import draw, randomize


class CuDNN:
    """A cuDNN that is not here, as JAX asks for its version."""

    @staticmethod
    def cudnn_get_version():
        return 91200


def fake_gpu(capability, replace=setattr):
    """Lets JAX's own checks find a GPU of a compute capability, with cuDNN 9.12."""
    replace(jax_cudnn, "cuda_versions", CuDNN)
    for name, compare in (
        ("check_compute_capability", operator.ge),
        ("is_cuda_compute_capability_equal", operator.eq),
    ):
        replace(
            jax_cudnn,
            name,
            lambda wanted, compare=compare: compare(capability, float(wanted)),
        )


CUDNN_CALLS = ("__cudnn$fmhaSoftmax", "__cudnn$fmhaSoftmaxBackward")


def training_step(implementation, dtype, shape):
    """Gradients of a layer's weights and input, and the arguments of that function."""
    layer = AugmentedConv2D(64, 3, implementation=implementation, dtype=dtype)
    layer.build(shape)
    randomize(layer)
    weights = [weight.value for weight in layer.trainable_variables]

    def loss(weights, x):
        output, _ = layer.stateless_call(weights, [], x)
        return jnp.sum(jnp.square(output.astype("float32")))

    return jax.grad(loss, argnums=(0, 1)), (weights, draw(shape))


def lower(platform, implementation, dtype):
    step, arguments = training_step(implementation, dtype, (2, 13, 11, 32))
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), arguments)
    checks = map(jax.export.DisabledSafetyCheck.custom_call, CUDNN_CALLS)
    exported = jax.export.export(
        jax.jit(step), platforms=[platform], disabled_checks=list(checks)
    )(*shapes)
    return exported.mlir_module()


def divided():
    """The gradients of `pallas` where four devices share the batch, and of one."""
    step, (weights, x) = training_step("pallas", "float32", (4, 7, 5, 3))
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("batch",))
    shared = jax.NamedSharding(mesh, jax.P("batch"))
    whole = jax.NamedSharding(mesh, jax.P())
    on_four = jax.jit(step)(jax.device_put(weights, whole), jax.device_put(x, shared))
    return on_four, jax.jit(step)(weights, x)


if __name__ == "__main__":
    fake_gpu(9.0)
    module = lower("cuda", "cudnn", "mixed_bfloat16")
    assert all(module.count(f"@{call}(") == 1 for call in CUDNN_CALLS), module[:2000]
    print("cuda")
    module = lower("tpu", "pallas", "float32")
    assert module.count("@tpu_custom_call(") == 2, module[:2000]
    print("tpu")
    on_four, on_one = divided()
    assert len(on_four[1].sharding.device_set) == 4
    for one, other in zip(*map(jax.tree.leaves, (on_four, on_one)), strict=True):
        largest = np.abs(other).max()
        np.testing.assert_allclose(one, other, atol=1e-5 * largest)
    print("divided")
