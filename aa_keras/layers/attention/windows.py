"""Attention over windows, written as attention over the whole map.

Readers of attention (figures, the page) know one form: `q . k` over all keys, and
relative tables of all distances. A window is a table in which every distance outside of
it has a very negative term: one more channel, which is 1 in every query.
"""

from typing import Any, NamedTuple

from keras import ops

from aa_keras.layers.attention.local import HIDDEN


class Windows(NamedTuple):
    """What attention over windows is computed from, as `attend_in_blocks` takes it.

    Shape letters: B batch, H height, W width of the map, N heads, D channels of a head;
    K x K is the window.

    Args:
        queries: tensor (B, H, W, N, D); they are not scaled.
        keys: tensor (B, H, W, N, D).
        values: tensor (B, H, W, N, D).
        tables: pair of tensors (K, D/2), the embeddings of the offsets of rows and of
            columns.
    """

    queries: Any
    keys: Any
    values: Any
    tables: tuple


def over_the_map(windows):
    """Returns `Windows` as the fields of `Projections`, which have the same scores."""
    q, k, v, tables = windows
    *_, height, width, num_heads, depth = ops.shape(q)
    # The readers divide by the root of the number of channels, this attention does not.
    q = ops.concatenate([q, ops.ones_like(q[..., :1])], axis=-1) * (depth + 1) ** 0.5
    k = ops.concatenate([k, ops.zeros_like(k[..., :1])], axis=-1)
    half = depth // 2
    rows = _all_distances(ops.pad(tables[0], ((0, 0), (0, half))), height)
    columns = _all_distances(ops.pad(tables[1], ((0, 0), (half, 0))), width)
    q, k, v = (_head_by_head(x, num_heads) for x in (q, k, v))
    return q, k, v, (height, width), (rows, columns)


def _all_distances(table, length):
    """A table (K, D) to (2 length - 1, D + 1), row `key - query + length - 1`."""
    before = (table.shape[0] - 1) // 2
    near = ops.ones_like(table[:, :1])
    table = ops.concatenate([table, near], axis=1)
    # Row 0 has the distance -(before + length).
    table = ops.pad(table, ((length, length), (0, 0)))
    table = table[before + 1 : before + 2 * length]
    hidden = HIDDEN * (1 - table[:, -1:])
    return ops.concatenate([table[:, :-1], hidden], axis=1)


def _head_by_head(x, num_heads):
    """(B, H, W, N, D) to (B, N, H W, D)."""
    batch, height, width, _, depth = ops.shape(x)
    x = ops.reshape(x, (batch, height * width, num_heads, depth))
    return ops.swapaxes(x, 1, 2)
