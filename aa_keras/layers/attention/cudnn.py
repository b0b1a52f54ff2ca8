"""Relative self-attention through cuDNN's flash attention, on JAX.

Shape letters: B batch, N heads, HW positions, D key depth and V value depth of one
head, H height and W width of the map.

With the factors a and b of `fused` the whole logit is one product,

    logits[i, j] = [q_i, a_i, b_i] . [k_j, onehot(j_y), onehot(j_x)],

so that attention without positions computes the paper's attention. JAX refuses odd
numbers of positions in training: they get one more, which a further term hides.
"""

import math

import jax
from jax import numpy as jnp

MULTIPLE = 8  # of the depth of a head
HIDDEN = -1e4  # within float16


def folded_depth(size, depths) -> int:
    """The depth of a head in cuDNN: D and the terms, or V, rounded up.

    Args:
        size: pair of ints (H, W).
        depths: pair of ints (D, V).
    """
    key_depth, value_depth = depths
    depth = max(key_depth + sum(size) + math.prod(size) % 2, value_depth)
    return -(-depth // MULTIPLE) * MULTIPLE


def fits(size, depths, dtype, capability) -> bool:
    """Returns whether cuDNN has a kernel for attention of this size.

    Args:
        size: pair (H, W) of ints or scalar tensors.
        depths: pair of ints (D, V).
        dtype: str.
        capability: float, the compute capability of the GPU.
    """
    if dtype not in ("bfloat16", "float16") or capability < 8:
        return False
    if not all(isinstance(length, int) for length in size):
        return False
    return folded_depth(size, depths) <= (256 if capability >= 9 else 128)


def cudnn_attention(q, k, v, size, windows, kernel="cudnn"):
    """Computes the output of `listing_attention` in the dtype of q.

    Products add up in float32.

    Args:
        q, k, v, size, windows: as for `pallas_attention`.
        kernel: str, the `implementation` of `jax.nn.dot_product_attention`.

    Returns:
        Tensor (B, N, HW, V).
    """
    (height, width), (*_, length, value_depth) = size, v.shape
    depth = folded_depth(size, (k.shape[-1], value_depth))
    maps = q.reshape(*q.shape[:2], *size, -1)
    queries, keys = [q], [k]
    for window, equation, places in zip(
        windows,
        ("bnhwd,hyd->bnhwy", "bnhwd,wxd->bnhwx"),
        (
            jnp.repeat(jnp.eye(height, dtype=k.dtype), width, axis=0),
            jnp.tile(jnp.eye(width, dtype=k.dtype), (height, 1)),
        ),
        strict=True,
    ):
        if window is not None:
            term = jnp.einsum(equation, maps, window)
            queries.append(term.reshape(*q.shape[:3], -1))
            keys.append(jnp.broadcast_to(places, (*k.shape[:3], places.shape[-1])))
    queries, keys = (jnp.concatenate(parts, axis=-1) for parts in (queries, keys))
    if length % 2:
        queries, keys, v = (_pad(x, -2) for x in (queries, keys, v))
        queries, keys = _pad(queries, -1, 1), _pad(keys, -1)
        keys = keys.at[:, :, -1, -1].set(HIDDEN)
    queries, keys, v = (_as_cudnn(x, depth) for x in (queries, keys, v))
    output = jax.nn.dot_product_attention(
        queries, keys, v, scale=1.0, implementation=kernel
    )
    return output[:, :length, :, :value_depth].swapaxes(1, 2)


def _pad(x, axis, value=0):
    padding = [(0, 0)] * x.ndim
    padding[axis] = (0, 1)
    return jnp.pad(x, padding, constant_values=value)


def _as_cudnn(x, depth):
    """(B, N, HW, channels) to (B, HW, N, depth), filled with zeros."""
    x = jnp.pad(x, [(0, 0)] * 3 + [(0, depth - x.shape[-1])])
    return x.swapaxes(1, 2)
