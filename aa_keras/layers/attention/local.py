"""Relative self-attention over a window around each position.

Shape letters: B batch, N heads, H height, W width of the map, D key depth and V value
depth of one head; K x K is the window. Positions outside of the map are no keys.

Each query has keys of its own, so there is no product of large matrices. The readable
form copies them. The lean one lets h x w queries share their keys, the
(h + K - 1) x (w + K - 1) positions around them. The relative terms factor as in
`fused`: with the channels of a query in halves q' and q'',

    logits[i, j] = q_i . k_j + q'_i . rows[j_y - i_y] + q''_i . columns[j_x - i_x],

a term for each row of a block's keys and one for each column. A very negative term
hides the rows or the columns outside of a query's window and outside of the map.
"""

from typing import NamedTuple

from keras import ops

HIDDEN = -1e9  # an infinity less an infinity would be no number


class Axis(NamedTuple):
    """How one axis of a map is cut.

    Args:
        length: int or scalar tensor, the positions of the map.
        window: int, the keys of a query (K).
        block: int, the queries of a block (h or w), at least half a window.
    """

    length: int
    window: int
    block: int

    @property
    def blocks(self):
        return -(-self.length // self.block)

    @property
    def keys(self):
        """The keys of a block."""
        return self.block + self.window - 1

    def fill(self, x, axis):
        """Appends zeros up to whole blocks."""
        return _pad(x, axis, 0, self.blocks * self.block - self.length)

    def surround(self, x, axis):
        """Cuts an axis into blocks and what surrounds each: (blocks, keys)."""
        before, after = (self.window - 1) // 2, self.window // 2
        total = self.blocks * self.block
        x = _pad(x, axis, before, total + self.block - self.length)

        def part(start, length):
            blocks = _split(_take(x, axis, start, total), axis, self.block)
            return _take(blocks, axis + 1, 0, length)

        own = part(before, self.block)
        parts = [part(0, before), own, part(before + self.block, after)]
        return ops.concatenate(parts, axis=axis + 1)

    def terms(self, q, table, axis):
        """The relative terms (..., keys) of queries (B, H, W, N, C) and a table (K, C).

        Both axes are whole blocks long. What is no key of a query has a term `HIDDEN`.
        """
        windows = self._windows(table)
        near = self._windows(ops.ones((self.window, 1), q.dtype))[..., 0]
        inside = self.surround(ops.ones((self.length,), q.dtype), 0)
        hidden = ops.reshape(HIDDEN * (1 - near * inside[:, None]), (-1, self.keys))
        windows = ops.tile(windows, (self.blocks, 1, 1))
        if axis == 1:
            return ops.einsum("bhwnd,hkd->bhwnk", q, windows) + hidden[:, None, None]
        return ops.einsum("bhwnd,wkd->bhwnk", q, windows) + hidden[:, None]

    def _windows(self, table):
        """Places a table (K, C) at the keys of each query: (block, keys, C), else 0."""
        # Rows of keys + 1 read as rows of keys: each starts one further to the right.
        table = ops.tile(ops.pad(table, ((0, self.block), (0, 0))), (self.block, 1))
        shape = (self.block, self.keys, table.shape[-1])
        return ops.reshape(table[: self.block * self.keys], shape)


def attend_in_blocks(q, k, v, tables, block=(4, 4)):
    """Computes attention over windows; memory grows with H W (h + K) (w + K) / (h w).

    Args:
        q, k: tensors (B, H, W, N, D), D even.
        v: tensor (B, H, W, N, V).
        tables: pair of tensors (K, D/2), the embeddings of the offsets of rows and of
            columns, the most negative offset first.
        block: pair of ints (h, w), the queries of a block.

    Returns:
        Tensor (B, H, W, N, V).
    """
    size, half = ops.shape(q)[1:3], q.shape[-1] // 2
    rows, columns = axes = tuple(
        Axis(length, table.shape[0], max(queries, table.shape[0] // 2))
        for length, table, queries in zip(size, tables, block, strict=True)
    )
    q = columns.fill(rows.fill(q, 1), 2)
    a = rows.terms(q[..., :half], tables[0], 1)
    b = columns.terms(q[..., half:], tables[1], 2)
    # (M, h w, channels), M blocks of all heads and images
    q, a, b = (_blocks(x, axes) for x in (q, a, b))
    keys, values = (_surroundings(x, axes) for x in (k, v))
    logits = q @ ops.swapaxes(keys, 1, 2)
    shape = (-1, rows.block * columns.block, rows.keys, columns.keys)
    logits = ops.reshape(logits, shape) + a[..., None] + b[..., None, :]
    logits = ops.reshape(logits, (*shape[:2], rows.keys * columns.keys))
    return _join(ops.softmax(logits) @ values, axes, ops.shape(v))


def attend_to_patches(q, k, v, tables):
    """Computes `attend_in_blocks`, and the scores, from a copy of each query's keys.

    Returns:
        The pair output (B, H, W, N, V) and scores (B, H, W, N, K, K).
    """
    size, half = ops.shape(q)[1:3], q.shape[-1] // 2
    axes = tuple(
        Axis(length, table.shape[0], 1)
        for length, table in zip(size, tables, strict=True)
    )
    keys, values = (_patches(x, axes) for x in (k, v))  # (B, H, W, K, K, N, D)
    by_row = ops.einsum("bhwnd,yd->bhwny", q[..., :half], tables[0])
    by_column = ops.einsum("bhwnd,xd->bhwnx", q[..., half:], tables[1])
    logits = ops.einsum("bhwnd,bhwyxnd->bhwnyx", q, keys)
    logits = logits + by_row[..., None] + by_column[..., None, :]
    inside = _patches(ops.ones((1, *size, 1, 1), q.dtype), axes)[..., 0, 0]
    logits = logits + HIDDEN * (1 - inside[:, :, :, None])
    shape = ops.shape(logits)
    scores = ops.softmax(ops.reshape(logits, (*shape[:-2], shape[-2] * shape[-1])))
    scores = ops.reshape(scores, shape)
    return ops.einsum("bhwnyx,bhwyxnv->bhwnv", scores, values), scores


def _blocks(x, axes):
    """(B, H, W, N, C) to the queries of blocks (M, h w, C)."""
    rows, columns = axes
    x = _split(_split(x, 2, columns.block), 1, rows.block)
    return _flat(x, rows.block * columns.block)


def _surroundings(x, axes):
    """(B, H, W, N, C) to the keys of blocks (M, keys, C)."""
    rows, columns = axes
    x = columns.surround(rows.surround(x, 1), 3)
    return _flat(x, rows.keys * columns.keys)


def _flat(x, positions):
    """(B, rows, y, columns, x, N, C) to (M, positions, C)."""
    x = ops.transpose(x, (0, 1, 3, 5, 2, 4, 6))
    return ops.reshape(x, (-1, positions, x.shape[-1]))


def _join(x, axes, shape):
    """The results of blocks (M, h w, V) to `shape`, that is (B, H, W, N, V)."""
    rows, columns = axes
    batch, height, width, num_heads, depth = shape
    blocks = (rows.blocks, columns.blocks)
    x = ops.reshape(x, (batch, *blocks, num_heads, rows.block, columns.block, depth))
    x = ops.transpose(x, (0, 1, 4, 2, 5, 3, 6))
    size = (blocks[0] * rows.block, blocks[1] * columns.block)
    return ops.reshape(x, (batch, *size, num_heads, depth))[:, :height, :width]


def _patches(x, axes):
    """(B, H, W, N, C) to the keys of each query (B, H, W, K, K, N, C)."""
    rows, columns = axes
    x = ops.stack([_shifted(x, 1, rows, offset) for offset in range(rows.window)], 3)
    return ops.stack(
        [_shifted(x, 2, columns, offset) for offset in range(columns.window)], 4
    )


def _shifted(x, axis, spec, offset):
    x = _pad(x, axis, (spec.window - 1) // 2, spec.window // 2)
    return _take(x, axis, offset, spec.length)


def _pad(x, axis, before, after):
    padding = [(0, 0)] * len(x.shape)
    padding[axis] = (before, after)
    return ops.pad(x, padding)


def _take(x, axis, start, length):
    # The gradient of an index of so many axes takes TensorFlow eight times as long.
    starts, shape = [0] * len(x.shape), list(ops.shape(x))
    starts[axis], shape[axis] = start, length
    return ops.slice(x, starts, shape)


def _split(x, axis, block):
    shape = ops.shape(x)
    return ops.reshape(x, (*shape[:axis], -1, block, *shape[axis + 1 :]))
