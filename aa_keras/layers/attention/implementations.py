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
