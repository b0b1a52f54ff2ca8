"""Multi-head self-attention over a map, as functions of plain tensors.

Shape letters: B batch, N heads, H height, W width of the map, D key depth and V value
depth of one head. A position is `row * W + column`; HW positions are queries and keys.
Products of matrices are `@` in all of this package: Keras' `matmul` computes those of
float64 in float32 on torch.
"""

import math

from keras import ops

from aa_keras.layers.attention.relative_logits import relative_logits


def split_heads(x, num_heads):
    """(B, H, W, N*D) -> (B, N, HW, D); channels go head by head."""
    batch, *size, channels = ops.shape(x)
    shape = (batch, math.prod(size), num_heads, channels // num_heads)
    x = ops.reshape(x, shape)
    return ops.transpose(x, (0, 2, 1, 3))


def combine_heads(x, size):
    """(B, N, HW, V) -> (B, H, W, N*V), the inverse of `split_heads`."""
    batch, num_heads, _, depth = ops.shape(x)
    x = ops.transpose(x, (0, 2, 1, 3))
    return ops.reshape(x, (batch, *size, num_heads * depth))


def listing_attention(q, k, v, size, tables):
    """The paper's formulation, which holds every logit at once.

    Queries and keys are (B, N, HW, D), values (B, N, HW, V), `size` is (H, W), `tables`
    relative embeddings (2H-1, D) and (2W-1, D), each None for none.

    Returns:
        The pair output (B, N, HW, V) and scores (B, N, HW, HW), queries by keys.
    """
    # The scaled queries enter the relative logits too: (QK^T + S_H + S_W) / sqrt(D).
    q = q * q.shape[-1] ** -0.5
    logits = q @ ops.swapaxes(k, 2, 3) + relative_logits(q, size, tables)
    scores = ops.softmax(logits)
    return scores @ v, scores
