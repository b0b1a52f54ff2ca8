"""The attention of the paper operation by operation, as in other implementations.

Shape letters: B batch, N heads, H height, W width, L the length of one axis, D key
depth of one head.

`listing_attention` of the package is the same formulation with one full-size
transposition less: it repeats the logits of the width along their final axis. The paper
repeats those of both axes along one axis and then transposes both.
"""

from keras import ops

from aa_keras.layers import AugmentedConv2D, SelfAttention2D
from aa_keras.layers.attention.listing import combine_heads
from aa_keras.layers.attention.relative_logits import rel_to_abs


class PrintedAttention(SelfAttention2D):
    """SelfAttention2D with relative attention as the paper prints it."""

    def call(self, inputs, mask=None, return_attention_scores=False):
        projections = self.project(inputs, mask)
        output, scores = printed_attention(*projections)
        output = self.output_projection(combine_heads(output, projections.size))
        return (output, scores) if return_attention_scores else output


class PrintedConv2D(AugmentedConv2D):
    """AugmentedConv2D with the attention of `PrintedAttention`."""

    attention_class = PrintedAttention


def printed_attention(q, k, v, size, tables):
    """Arguments and results of `listing_attention`; both tables are needed."""
    q = q * q.shape[-1] ** -0.5
    batch, num_heads, _, depth = ops.shape(q)
    q_map = ops.reshape(q, (batch, num_heads, *size, depth))
    logits = ops.matmul(q, ops.swapaxes(k, 2, 3))
    # The axes (B, N, H, W, H, W) out of those of `_logits_1d`: (B, N, W, W, H, H) for
    # the height, W and H of the queries exchanged, and (B, N, H, H, W, W).
    by_height = _logits_1d(ops.swapaxes(q_map, 2, 3), tables[0], (0, 1, 4, 2, 5, 3))
    by_width = _logits_1d(q_map, tables[1], (0, 1, 2, 4, 3, 5))
    scores = ops.softmax(logits + by_height + by_width)
    return ops.matmul(scores, v), scores


def _logits_1d(q, table, axes):
    """Logits of one axis for all pairs of positions, (B, N, HW, HW)."""
    batch, num_heads, height, width, _ = ops.shape(q)
    logits = ops.einsum("bnhwd,rd->bnhwr", q, table)
    logits = ops.reshape(logits, (batch, num_heads * height, width, 2 * width - 1))
    logits = rel_to_abs(logits)
    logits = ops.reshape(logits, (batch, num_heads, height, 1, width, width))
    logits = ops.transpose(ops.tile(logits, (1, 1, 1, height, 1, 1)), axes)
    return ops.reshape(logits, (batch, num_heads, height * width, height * width))
