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
        x = _split(self.fill(x, axis), axis, self.block)

        def from_neighbour(start, length, shift):
            part = _pad(_take(x, axis + 1, start, length), axis, 1 - shift, shift)
            return _take(part, axis, shift, self.blocks)

        previous = from_neighbour(self.block - before, before, shift=0)
        following = from_neighbour(0, after, shift=1)
        return ops.concatenate([previous, x, following], axis=axis + 1)

    def embeddings(self, table):
        """Places a table (K, C) at the keys of each query: (block, keys, C), else 0."""
        # Rows of keys + 1 read as rows of keys: each starts one further to the right.
        table = ops.tile(ops.pad(table, ((0, self.block), (0, 0))), (self.block, 1))
        shape = (self.block, self.keys, table.shape[-1])
        return ops.reshape(table[: self.block * self.keys], shape)

    def hidden(self, dtype):
        """`HIDDEN` at what is no key of a query: (blocks, block, keys), else 0."""
        near = self.embeddings(ops.ones((self.window, 1), dtype))[..., 0]
        inside = self.surround(ops.ones((self.length,), dtype), 0)
        return HIDDEN * (1 - near * inside[:, None])


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
    axes = tuple(
        Axis(length, table.shape[0], max(queries, table.shape[0] // 2))
        for length, table, queries in zip(ops.shape(q)[1:3], tables, block, strict=True)
    )
    queries = _queries(q, axes)
    keys, values = (_surroundings(x, axes) for x in (k, v))
    terms = ops.einsum("mbpd,pkd->mbpk", queries, _embeddings(tables, axes))
    terms = terms + _hidden(axes, q.dtype)
    # A product with ones and zeros adds both terms of each key, faster than two sums.
    # Of two axes, as TensorFlow's product of (M, 1, P, C) and a matrix is wrong.
    terms = ops.reshape(terms, (-1, terms.shape[-1]))
    terms = terms @ _rows_and_columns(axes, q.dtype)
    logits = queries @ ops.swapaxes(keys, 2, 3)
    logits = logits + ops.reshape(terms, ops.shape(logits))
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


def _queries(x, axes):
    """(B, H, W, N, C) to the queries of blocks (B N, blocks, h w, C)."""
    rows, columns = axes
    x = columns.fill(rows.fill(x, 1), 2)
    x = _split(_split(x, 2, columns.block), 1, rows.block)
    x = ops.transpose(x, (0, 5, 3, 1, 2, 4, 6))
    return _merged(x, axes, rows.block * columns.block)


def _surroundings(x, axes):
    """(B, H, W, N, C) to the keys of blocks (B N, blocks, keys, C)."""
    rows, columns = axes
    # Transposed before rows are copied, while the tensor is small.
    x = ops.transpose(columns.surround(x, 2), (0, 4, 2, 1, 3, 5))
    return _merged(rows.surround(x, 3), axes, rows.keys * columns.keys)


def _merged(x, axes, positions):
    blocks = axes[0].blocks * axes[1].blocks
    return ops.reshape(x, (-1, blocks, positions, x.shape[-1]))


def _embeddings(tables, axes):
    """The embeddings (h w, rows and columns of keys, D) of a block's queries."""
    rows, columns = axes
    half = tables[0].shape[1]
    by_row = ops.pad(rows.embeddings(tables[0]), ((0, 0), (0, 0), (0, half)))
    by_column = ops.pad(columns.embeddings(tables[1]), ((0, 0), (0, 0), (half, 0)))
    by_row = ops.tile(by_row[:, None], (1, columns.block, 1, 1))
    by_column = ops.tile(by_column[None], (rows.block, 1, 1, 1))
    both = ops.concatenate([by_row, by_column], axis=2)
    return ops.reshape(both, (-1, *both.shape[2:]))


def _hidden(axes, dtype):
    """`HIDDEN` at rows and columns that are no keys, for each block and query."""
    rows, columns = axes
    by_row = rows.hidden(dtype)[None, :, :, None]
    by_column = columns.hidden(dtype)[:, None, None]
    by_row = ops.tile(by_row, (columns.blocks, 1, 1, columns.block, 1))
    by_column = ops.tile(by_column, (1, rows.blocks, rows.block, 1, 1))
    both = ops.concatenate([by_row, by_column], axis=-1)
    return ops.reshape(both, (-1, rows.block * columns.block, rows.keys + columns.keys))


def _rows_and_columns(axes, dtype):
    """(rows + columns of keys, keys): 1 where a key is in the row or in the column."""
    rows, columns = (ops.eye(axis.keys, dtype=dtype) for axis in axes)
    by_row = ops.repeat(rows, axes[1].keys, axis=1)
    return ops.concatenate([by_row, ops.tile(columns, (1, axes[0].keys))], axis=0)


def _join(x, axes, shape):
    """The results of blocks (B N, blocks, h w, V) to `shape`: (B, H, W, N, V)."""
    rows, columns = axes
    batch, height, width, num_heads, depth = shape
    blocks = (columns.blocks, rows.blocks)
    x = ops.reshape(x, (batch, num_heads, *blocks, rows.block, columns.block, depth))
    x = ops.transpose(x, (0, 3, 4, 2, 5, 1, 6))
    size = (blocks[1] * rows.block, blocks[0] * columns.block)
    x = ops.reshape(x, (batch, *size, num_heads, depth))
    return _take(_take(x, 1, 0, height), 2, 0, width)


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
