"""Attention for accelerators on JAX: where it applies, what it computes and lowers to.

There is no accelerator here: kernels are interpreted, or lowered and not run.
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from aa_keras.layers.attention import cudnn, pallas
from aa_keras.layers.attention.implementations import Platform, choose
from tests import reference
from tests.layers.comparison import draw
from tests.layers.lowering import fake_gpu

ROOT = Path(__file__).resolve().parents[2]
KERNELS = {
    "pallas": pallas.pallas_attention,
    "cudnn": lambda *arguments: cudnn.cudnn_attention(*arguments, kernel="xla"),
}
CPU, TPU = Platform("cpu"), Platform("tpu")
AMPERE, HOPPER = Platform("gpu", 8.0), Platform("gpu", 9.0)


def windows_of(tables, size):
    """Row `query`, column `key` of the result is row key - query + L - 1 of a table."""
    return [
        table if table is None else table[offsets(length)]
        for table, length in zip(tables, size, strict=True)
    ]


def offsets(length):
    return np.arange(length) - np.arange(length)[:, None] + length - 1


def plain(q, k, v, size, windows):
    """Every logit by itself, from the embedding of its pair of positions."""
    length = size[0] * size[1]
    rows, columns = np.divmod(np.arange(length), size[1])
    logits = jnp.einsum("bnid,bnjd->bnij", q, k)
    for window, places in zip(windows, (rows, columns), strict=True):
        if window is not None:
            pairs = window[places[:, None], places]  # (L, L, D)
            logits += jnp.einsum("bnid,ijd->bnij", q, pairs)
    return jax.nn.softmax(logits) @ v


def inputs_of(size, depths=(5, 3), batch=2, heads=3):
    length = size[0] * size[1]
    shapes = [(batch, heads, length, depth) for depth in (*depths[:1] * 2, depths[1])]
    q, k, v = (draw(shape, seed) for seed, shape in enumerate(shapes))
    tables = [draw((2 * n - 1, depths[0]), 3 + n) for n in size]
    return q, k, v, tables


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (1, 11), (11, 13)])
def test_values_equal_the_reference(name, size):
    q, k, v, tables = inputs_of(size)

    def as_map(x):
        x = np.moveaxis(x, 1, 2)
        return x.reshape(len(x), *size, -1)

    expected, _ = reference.attention(*map(as_map, (q, k, v)), 3, tables)
    output = jax.jit(KERNELS[name], static_argnums=3)(
        q * 5**-0.5, k, v, size, windows_of(tables, size)
    )
    np.testing.assert_allclose(as_map(output), expected, atol=1e-5)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(
    ("size", "with_tables"),
    [
        ((7, 5), (1, 1)),
        ((7, 5), (0, 1)),
        ((7, 5), (0, 0)),
        ((29, 31), (1, 1)),
    ],  # several blocks
)
def test_gradients_equal_those_of_plain_logits(name, size, with_tables):
    q, k, v, tables = inputs_of(size)
    q = q * 5**-0.5  # logits of ordinary size
    tables = [t if on else None for t, on in zip(tables, with_tables, strict=True)]
    upstream = draw((*q.shape[:3], 3), 9)

    def gradients(attention):
        def loss(q, k, v, tables):
            return jnp.sum(
                attention(q, k, v, size, windows_of(tables, size)) * upstream
            )

        return jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3)))(q, k, v, tables)

    expected, result = gradients(plain), gradients(KERNELS[name])
    for one, other in zip(*map(jax.tree.leaves, (expected, result)), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_cudnns_form_in_16_bits_is_near_the_exact_one(dtype):
    size = (7, 5)
    q, k, v, tables = inputs_of(size)
    windows = windows_of(tables, size)
    rounded = jax.tree.map(lambda x: jnp.asarray(x, dtype), (q, k, v, windows))
    output = KERNELS["cudnn"](*rounded[:3], size, rounded[3])
    assert output.dtype == dtype
    expected = plain(q, k, v, size, windows)
    difference = np.linalg.norm(np.asarray(output, "float32") - expected)
    assert (
        difference / np.linalg.norm(expected)
        < {"bfloat16": 0.02, "float16": 3e-3}[dtype]
    )


def test_a_block_of_the_kernel_has_all_keys_and_fits():
    for length in (128, 256, 896, 1664, 4096):
        block = pallas._block(length)
        assert length % block == 0
        assert block % 128 == 0
        assert 4 * block * length <= pallas.LOGITS_BYTES
    assert pallas.fits((64, 64))
    assert not pallas.fits((64, 65))
    assert not pallas.fits((None, None))


@pytest.mark.parametrize(
    ("platform", "backend", "size", "dtype", "expected"),
    [
        (CPU, "tensorflow", (28, 28), "float32", "fused"),
        (CPU, "jax", (28, 28), "bfloat16", "fused"),
        (CPU, "torch", (None, None), "float32", "fused"),
        (CPU, "tensorflow", (None, 1), "float32", "listing"),
        (CPU, "tensorflow", (1, 4096), "float32", "listing"),
        (TPU, "jax", (28, 28), "float32", "pallas"),
        (TPU, "jax", (64, 64), "bfloat16", "pallas"),
        (TPU, "jax", (128, 128), "float32", "chunked"),
        (TPU, "jax", (1024, 1), "float32", "listing"),
        (TPU, "tensorflow", (28, 28), "float32", "chunked"),
        (HOPPER, "jax", (28, 28), "bfloat16", "cudnn"),
        (AMPERE, "jax", (28, 28), "float16", "cudnn"),
        (AMPERE, "jax", (56, 56), "float16", "chunked"),  # 20 + 56 + 56 channels
        (HOPPER, "jax", (56, 56), "float16", "cudnn"),
        (Platform("gpu", 7.5), "jax", (28, 28), "float16", "chunked"),
        (HOPPER, "jax", (28, 28), "float32", "chunked"),
        (HOPPER, "tensorflow", (28, 28), "bfloat16", "chunked"),
        (HOPPER, "torch", (28, 28), "bfloat16", "chunked"),
    ],
)
def test_the_choice(platform, backend, size, dtype, expected):
    assert choose(platform, backend, size, dtype, (20, 2)) == expected


def training_step(size, windows):
    def loss(q, k, v):
        return jnp.sum(cudnn.cudnn_attention(q, k, v, size, windows))

    return jax.grad(loss, argnums=(0, 1, 2))  # its own check is stricter


@pytest.mark.parametrize("capability", [8.0, 9.0, 10.0])
def test_where_cudnn_applies_is_where_jax_accepts_it(capability, monkeypatch):
    """Over the maps of the paper's networks, and depths that they have or nearly."""
    sizes = [(8, 8), (16, 16), (32, 32), (7, 7), (14, 14), (28, 28), (56, 56)]
    sizes += [(20, 20), (40, 40), (80, 80), (1, 200), (112, 112), (5, 7)]
    depths = [(20, 2), (20, 20), (64, 64), (23, 5), (40, 160)]
    applied = 0
    fake_gpu(capability, monkeypatch.setattr)
    for size, (key, value), dtype in itertools.product(
        sizes, depths, ("bfloat16", "float16", "float32")
    ):
        shapes = [(2, 3, size[0] * size[1], depth) for depth in (key, key, value)]
        windows = [jnp.zeros((n, n, key), dtype) for n in size]
        try:
            jax.eval_shape(
                training_step(size, windows),
                *(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes),
            )
            accepted = True
        except (NotImplementedError, ValueError):
            accepted = False
        fits = cudnn.fits(size, (key, value), dtype, capability)
        assert fits == accepted, (size, key, value, dtype)
        applied += fits
    assert applied > 20


@pytest.mark.slow
def test_training_steps_lower_for_accelerators_and_run_divided():
    done = subprocess.run(
        [sys.executable, "-m", "tests.layers.lowering"],
        cwd=ROOT,
        env=os.environ
        | {
            "KERAS_BACKEND": "jax",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        },
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["cuda", "tpu", "divided"], done.stderr
