"""Relative position logits in the paper's own formulation.

Shape letters: B batch, N heads, H height, W width, L the length of one axis, D key
depth of one head. A position is `row * W + column`.

Why 2L-1 rows, and how the shift works, for L = 3. Between the positions 0, 1, 2 of an
axis the distance key - query takes the five values -2, -1, 0, 1, 2, so a table has
five rows, row 0 for -2 and row 4 for +2. The product of the queries with the table
contains, for each query, the logits of all five distances. The attention needs, for
each query, those of the three keys (`.` is a distance that leads out of the axis):

    distance     -2 -1  0  1  2                 key          0  1  2
    query 0       .  .  c  d  e                 query 0      c  d  e
    query 1       .  g  h  i  .       ->        query 1      g  h  i
    query 2       k  l  m  .  .                 query 2      k  l  m

Each row of the result starts one column further to the left than the row above it.
With one zero appended, a row is six long. Reshaped into rows of five, row r is shifted
to the right by r, and the last L columns of the first L rows are the result:

    .  .  c  d  e  0
    .  g  h  i  .  0      flattened,      .  .  c  d  e
    k  l  m  .  .  0      rows of 5:      0  .  g  h  i
                                          .  0  k  l  m
                                          .  .  0  -  -

(`-` is padding that fills the last row.) Nothing is gathered.
"""

from keras import ops


def rel_to_abs(logits):
    """Logits by distance (B, N, L, 2L-1) to logits by key (B, N, L, L)."""
    batch, num_heads, length, num_distances = ops.shape(logits)
    logits = ops.pad(logits, ((0, 0), (0, 0), (0, 0), (0, 1)))
    logits = ops.reshape(logits, (batch, num_heads, length * (num_distances + 1)))
    logits = ops.pad(logits, ((0, 0), (0, 0), (0, length - 1)))
    logits = ops.reshape(logits, (batch, num_heads, length + 1, num_distances))
    return logits[:, :, :length, length - 1 :]


def relative_logits_1d(q, table):
    """Logits of the distances along the width, repeated over the height of the keys.

    From scaled queries (B, N, H, W, D) and a table (2W-1, D) to (B, N, H, W, H, W):
    height and width of the query, then of the key.
    """
    batch, num_heads, height, width, _ = ops.shape(q)
    logits = ops.einsum("bnhwd,rd->bnhwr", q, table)
    logits = ops.reshape(logits, (batch, num_heads * height, width, 2 * width - 1))
    logits = rel_to_abs(logits)
    logits = ops.reshape(logits, (batch, num_heads, height, width, 1, width))
    return ops.tile(logits, (1, 1, 1, 1, height, 1))


def relative_logits(q, size, tables):
    """The paper's S_H + S_W (B, N, HW, HW) of scaled queries q (B, N, HW, D).

    `tables` are (2H-1, D) and (2W-1, D), None for an axis without; 0 if there is none.
    """
    height, width = size
    batch, num_heads, length, depth = ops.shape(q)
    q = ops.reshape(q, (batch, num_heads, height, width, depth))
    logits = 0
    relative_height, relative_width = tables
    if relative_width is not None:
        logits = logits + relative_logits_1d(q, relative_width)
    if relative_height is not None:
        transposed = relative_logits_1d(ops.swapaxes(q, 2, 3), relative_height)
        logits = logits + ops.transpose(transposed, (0, 1, 3, 2, 5, 4))
    if relative_width is None and relative_height is None:
        return logits
    return ops.reshape(logits, (batch, num_heads, length, length))
