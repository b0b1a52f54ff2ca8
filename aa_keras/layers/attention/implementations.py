"""Which implementation computes the attention of a layer.

| name | made for | how |
|---|---|---|
| listing | reading, sequences | the paper's operations, which hold every logit |
| fused | CPUs | blocks of logits that fit the cache |
| chunked | accelerators | blocks of logits bounded by memory |
| pallas | TPUs, on JAX | a kernel that stores no logits |
| cudnn | GPUs, on JAX, in 16 bits | cuDNN's flash attention |

The first three run everywhere. All compute the same attention, and the gradients of all
but the listing compute the logits again instead of storing them.
"""

from typing import NamedTuple

from keras import backend, ops

from aa_keras.backends import read_capability, read_device
from aa_keras.layers.attention.fused import (
    MEMORY,
    fused_attention,
    relative_windows,
)
from aa_keras.layers.attention.listing import listing_attention
from aa_keras.layers.attention.resampling import wide_float

IMPLEMENTATIONS = ("auto", "listing", "fused", "chunked", "pallas", "cudnn")
OF_JAX = ("pallas", "cudnn")
DEVICES = ("cpu", "gpu", "tpu")


class Platform(NamedTuple):
    """Where attention is computed.

    Args:
        device: str, one of `DEVICES`.
        capability: float, the compute capability of an NVIDIA GPU, else 0.
    """

    device: str
    capability: float = 0.0


def choose(platform, backend, size, dtype, depths) -> str:
    """Returns the implementation that `"auto"` uses.

    Args:
        platform: a `Platform`.
        backend: str, that of Keras.
        size: pair (H, W) of the map; ints, scalar tensors or None.
        dtype: str, of the layer's outputs.
        depths: pair of ints, the depths of keys and values of one head.
    """
    if any(isinstance(length, int) and length == 1 for length in size):
        # A sequence has few logits; embeddings of all its pairs take more memory.
        return "listing"
    if platform.device == "cpu":
        return "fused"
    place = (backend, platform.device)
    # The logits of a block never leave the core.
    if place == ("jax", "tpu") and _pallas().fits(size):
        return "pallas"
    # Tensor cores, and no logits in memory; cuDNN has it for 16 bits alone.
    gpu = (size, depths, dtype, platform.capability)
    if place == ("jax", "gpu") and _cudnn().fits(*gpu):
        return "cudnn"
    # Few large products.
    return "chunked"


def hide_keys(q, k, tables, mask):
    """Adds a channel that makes the logits of keys outside of a mask very negative.

    It is a channel like the others, so that every implementation hides the keys.

    Args:
        q, k, tables: as for `listing_attention`.
        mask: boolean tensor (B, *size), False for keys to hide.

    Returns:
        The tuple (q, k, tables).
    """
    batch, _, length, depth = ops.shape(k)
    hidden = ops.logical_not(ops.reshape(mask, (batch, 1, length, 1)))
    hidden = ops.cast(hidden, k.dtype) * ops.ones_like(k[..., :1])
    # Their product, -1e8 over the root of the channels, hides a key; each alone fits
    # into float16.
    k = ops.concatenate([k, hidden * -1e4], axis=-1)
    # Implementations scale by the number of channels, which the added one changes.
    scale = ((depth + 1) / depth) ** 0.5
    q = ops.concatenate([q * scale, ops.full_like(q[..., :1], 1e4)], axis=-1)
    tables = tuple(t if t is None else ops.pad(t, ((0, 0), (0, 1))) for t in tables)
    return q, k, tables


def attend(q, k, v, size, tables, implementation="auto", return_scores=False):
    """Computes attention in float32 (or float64), whatever the dtype of the arguments.

    Products in float16 overflow beyond logits of 65504, and in bfloat16 the gradient
    subtracts large numbers that differ little where values share an offset. `"cudnn"`
    alone takes 16 bits; it adds up in float32.

    The arguments and results are those of `listing_attention`; scores are None unless
    they are requested, as only the listing has them.

    Raises:
        ValueError: if the backend does not have the implementation.
    """
    narrow = backend.standardize_dtype(v.dtype)
    if return_scores:
        implementation = "listing"
    elif implementation == "auto":
        platform = Platform(read_device(), read_capability())
        depths = (k.shape[-1], v.shape[-1])
        implementation = choose(platform, backend.backend(), size, narrow, depths)
    if implementation in OF_JAX and backend.backend() != "jax":
        allowed = ", ".join(n for n in IMPLEMENTATIONS if n not in OF_JAX)
        raise ValueError(
            f"implementation: received {implementation!r}; allowed on the backend "
            f"{backend.backend()!r}: {allowed}"
        )
    dtype = narrow if implementation == "cudnn" else wide_float(narrow)
    q, k, v = (ops.cast(x, dtype) for x in (q, k, v))
    tables = tuple(
        None if table is None else ops.cast(table, dtype) for table in tables
    )
    if implementation == "listing":
        output, scores = listing_attention(q, k, v, size, tables)
        scores = ops.cast(scores, narrow) if return_scores else None
        return ops.cast(output, narrow), scores
    output = FUNCTIONS[implementation](q, k, v, size, tables)
    return ops.cast(output, narrow), None


def _chunked(q, k, v, size, tables):
    return fused_attention(q, k, v, size, tables, MEMORY)


def _with_windows(module, name):
    """Gives a function of JAX scaled queries and the embeddings of all pairs."""

    def attention(q, k, v, size, tables):
        windows = [
            None if table is None else relative_windows(table, length)
            for table, length in zip(tables, size, strict=True)
        ]
        function = getattr(module(), name)
        return function(q * q.shape[-1] ** -0.5, k, v, size, windows)

    return attention


def _pallas():
    from aa_keras.layers.attention import pallas

    return pallas


def _cudnn():
    from aa_keras.layers.attention import cudnn

    return cudnn


FUNCTIONS = {
    "fused": fused_attention,
    "chunked": _chunked,
    "pallas": _with_windows(_pallas, "pallas_attention"),
    "cudnn": _with_windows(_cudnn, "cudnn_attention"),
}
