"""Which implementation computes the attention of a layer."""

from keras import ops

from aa_keras.layers.attention.fused import fused_attention
from aa_keras.layers.attention.listing import listing_attention
from aa_keras.layers.attention.resampling import wide_float

IMPLEMENTATIONS = ("auto", "listing", "fused")


def choose_implementation(size) -> str:
    """Returns the implementation that `"auto"` uses for a map of size (H, W)."""
    # A sequence has few logits; embeddings of all its pairs would take more memory.
    is_sequence = isinstance(size[1], int) and size[1] == 1
    return "listing" if is_sequence else "fused"


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
    # Together at least -1e7, alone within float16.
    k = ops.concatenate([k, hidden * -1e4], axis=-1)
    # Implementations scale by the number of channels, which the added one changes.
    scale = ((depth + 1) / depth) ** 0.5
    q = ops.concatenate([q * scale, ops.full_like(q[..., :1], 1e4)], axis=-1)
    tables = tuple(t if t is None else ops.pad(t, ((0, 0), (0, 1))) for t in tables)
    return q, k, tables


def attend(q, k, v, size, tables, implementation="auto", return_scores=False):
    """Computes attention in float32 (or float64), whatever the dtype of the arguments.

    Products in float16 overflow beyond logits of 65504, and in bfloat16 the gradient
    subtracts large numbers that differ little where values share an offset.

    The arguments and results are those of `listing_attention`; scores are None unless
    they are requested, as only the listing has them.
    """
    narrow, wide = v.dtype, wide_float(v.dtype)
    q, k, v = (ops.cast(x, wide) for x in (q, k, v))
    tables = tuple(None if table is None else ops.cast(table, wide) for table in tables)
    if implementation == "auto":
        implementation = choose_implementation(size)
    if implementation == "fused" and not return_scores:
        return ops.cast(fused_attention(q, k, v, size, tables), narrow), None
    output, scores = listing_attention(q, k, v, size, tables)
    return ops.cast(output, narrow), ops.cast(scores, narrow)
