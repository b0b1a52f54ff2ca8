"""Relative self-attention for a TPU, in one kernel that stores no logits.

Shape letters: M maps, each one head of one image; L positions of a map, P of them after
padding; D key depth and V value depth of one head; T relative terms of a position,
H + W; Q queries of a block.

Everything is (channels, positions): a TPU pads the last axis to 128 and the one before
it to 8, and there are few channels and many positions. Logits are (keys, queries). With
the factors a and b of `fused` under each other as `terms`,

    logits = k^T q + places^T terms,    places = [onehot(j_y), onehot(j_x)],

and one more term hides the keys that pad a map. A block has all keys of its queries, so
that its softmax needs no second pass. The gradient computes each block again.
"""

import functools

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.custom_partitioning import custom_partitioning
from jax.experimental.pallas import tpu as pltpu

from aa_keras.layers.attention.local import HIDDEN

LANES = 128  # positions come in multiples of it
# A block holds its logits some four times, and a TPU core has 16 MiB for all of it.
LOGITS_BYTES = 2 * 2**20


def fits(size) -> bool:
    """Returns whether the logits of a block of a map of size (H, W) fit a TPU core."""
    height, width = size
    known = isinstance(height, int) and isinstance(width, int)
    return known and 4 * LANES * _padded(height * width) <= LOGITS_BYTES


def pallas_attention(q, k, v, size, windows):
    """Computes the output of `listing_attention` with a kernel for a TPU.

    On another device the kernel is interpreted, which is exact and slow.

    Args:
        q, k: tensors (B, N, HW, D), q scaled.
        v: tensor (B, N, HW, V).
        size: pair of ints (H, W).
        windows: pair of tensors (H, H, D) and (W, W, D), the embeddings of all queries
            by all keys of an axis; None for an axis without.

    Returns:
        Tensor (B, N, HW, V).
    """
    batch, num_heads, length, _ = q.shape
    q, k, v = (_positions_last(x) for x in (q, k, v))
    maps = q.reshape(*q.shape[:2], *size)
    terms = [jnp.ones((len(q), 1, length), q.dtype)]
    places = [np.zeros((1, length))]
    for window, equation, axis in zip(
        windows, ("mdhw,hyd->myhw", "mdhw,wxd->mxhw"), (0, 1), strict=True
    ):
        if window is not None:
            terms.append(_flat(jnp.einsum(equation, maps, window)))
            places.append(np.eye(size[axis])[:, np.indices(size)[axis].ravel()])
    places = _pad(np.concatenate(places).astype(q.dtype))
    places[0, length:] = HIDDEN
    terms = jnp.concatenate(terms, axis=1)
    output = _attend(*(_pad(x) for x in (q, terms, k, v)), jnp.asarray(places))
    output = output[..., :length].swapaxes(1, 2)
    return output.reshape(batch, num_heads, length, -1)


@jax.custom_vjp
def _attend(q, terms, k, v, places):
    """From (M, channels, P) and places (T, P) to (M, V, P)."""
    return _per_map(_forward_call, "m d p, m t p, m d p, m v p, t p -> m v p")(
        q, terms, k, v, places
    )


def _attend_and_keep(q, terms, k, v, places):
    output = _attend(q, terms, k, v, places)
    return output, (q, terms, k, v, places, output)


def _gradient(kept, upstream):
    arguments = (*kept, upstream)
    inputs = "m d p, m t p, m d p, m v p, t p, m v p, m v p"
    rule = f"{inputs} -> m d p, m t p, m d p, m v p"
    return *_per_map(_gradient_call, rule)(*arguments), jnp.zeros_like(kept[4])


_attend.defvjp(_attend_and_keep, _gradient)


def _softmax(q, terms, k, places):
    """Scores (P, Q), keys by queries."""
    logits = _dot(k, q, (0, 0)) + _dot(places, terms, (0, 0))
    powers = jnp.exp(logits - jnp.max(logits, axis=0, keepdims=True))
    return powers / jnp.sum(powers, axis=0, keepdims=True)


def _forward_kernel(q, terms, k, v, places, output):
    scores = _softmax(q[0], terms[0], k[0], places[...])
    output[0] = _dot(v[0], scores, (1, 0))


def _gradient_kernel(
    q, terms, k, v, places, output, upstream, dq, dterms, dk, dv
):  # fmt: skip
    scores = _softmax(q[0], terms[0], k[0], places[...])
    delta = jnp.sum(upstream[0] * output[0], axis=0, keepdims=True)
    dlogits = scores * (_dot(v[0], upstream[0], (0, 0)) - delta)
    dq[0] = _dot(k[0], dlogits, (1, 0))
    dterms[0] = _dot(places[...], dlogits, (1, 0))

    @pl.when(pl.program_id(1) == 0)
    def _():
        dk[...] = jnp.zeros_like(dk)
        dv[...] = jnp.zeros_like(dv)

    # The blocks of a map come one after the other.
    dk[0] += _dot(q[0], dlogits, (1, 1))
    dv[0] += _dot(upstream[0], scores, (1, 1))


def _forward_call(q, terms, k, v, places):
    return _call(
        _forward_kernel,
        (("block", q), ("block", terms), ("map", k), ("map", v), ("all", places)),
        (("block", v),),
    )[0]


def _gradient_call(q, terms, k, v, places, output, upstream):
    inputs = (("block", q), ("block", terms), ("map", k), ("map", v), ("all", places))
    inputs += (("block", output), ("block", upstream))
    return _call(_gradient_kernel, inputs, inputs[:4])


def _call(kernel, inputs, like):
    """Calls a kernel for each block of queries of each map.

    `inputs` and `like`, whose arrays have the shapes of the results, are pairs of a
    kind and an array: what a call sees is a "block" of queries, a whole "map", or
    "all".
    """
    arrays = [array for _, array in inputs]
    num_maps, _, padded = arrays[0].shape
    block = _block(padded)

    def specification(kind, array):
        channels = array.shape[-2]
        return {
            "block": pl.BlockSpec((1, channels, block), lambda m, b: (m, 0, b)),
            "map": pl.BlockSpec((1, channels, padded), lambda m, b: (m, 0, 0)),
            "all": pl.BlockSpec((channels, padded), lambda m, b: (0, 0)),
        }[kind]

    results = [jax.ShapeDtypeStruct(array.shape, array.dtype) for _, array in like]
    logits, channels = num_maps * padded**2, sum(x.shape[-2] for x in arrays[:4])
    products = 1 if len(like) == 1 else 3  # each reads or writes all channels
    call = functools.partial(
        pl.pallas_call,
        kernel,
        out_shape=results,
        grid=(num_maps, padded // block),
        in_specs=[specification(*pair) for pair in inputs],
        out_specs=[specification(*pair) for pair in like],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "arbitrary")
        ),
        cost_estimate=pl.CostEstimate(
            flops=2 * products * logits * channels,
            transcendentals=logits,
            bytes_accessed=sum(x.size * x.dtype.itemsize for x in (*arrays, *results)),
        ),
    )
    return lax.platform_dependent(
        *arrays, tpu=call(interpret=False), default=call(interpret=True)
    )


def _per_map(function, rule):
    """Lets devices that share the maps call a kernel for their own.

    XLA cannot divide a kernel by itself.
    """
    divided = custom_partitioning(function)

    def partition(mesh, arguments, results):
        shardings = [
            jax.tree.map(lambda x: x.sharding, x) for x in (results, arguments)
        ]
        return mesh, function, *shardings

    divided.def_partition(
        partition, sharding_rule=rule, need_replication_factors=("d", "p", "t", "v")
    )
    return divided


def _dot(x, y, axes):
    """The product of matrices over an axis of each, in the precision of JAX."""
    return lax.dot_general(x, y, (((axes[0],), (axes[1],)), ((), ())))


def _block(padded):
    """The most queries, a divisor of P, whose logits stay within the limit."""
    divisors = (n for n in range(padded, 0, -LANES) if padded % n == 0)
    return next(n for n in divisors if 4 * n * padded <= LOGITS_BYTES or n == LANES)


def _padded(length):
    return -(-length // LANES) * LANES


def _pad(x):
    length = x.shape[-1]
    padding = [(0, 0)] * (x.ndim - 1) + [(0, _padded(length) - length)]
    return (np if isinstance(x, np.ndarray) else jnp).pad(x, padding)


def _flat(x):
    """(M, C, H, W) to (M, C, HW)."""
    return x.reshape(*x.shape[:2], -1)


def _positions_last(x):
    """(B, N, L, C) to (M, C, L)."""
    return x.reshape(-1, *x.shape[2:]).swapaxes(1, 2)
