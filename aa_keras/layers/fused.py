"""Relative self-attention in blocks that fit the cache, nothing of size (HW, HW) kept.

Shape letters: B batch, N heads, H height, W width of the map, D key depth and V value
depth of one head. A map is one head of one image; a block takes m maps and h of their
H rows of queries, Q = hW queries. Keys of a block have C channels: D, or D + W.

The relative terms factor. With a = q R_h^T (a logit for each row of keys) and
b = q R_w^T (one for each column) at absolute positions,

    logits[i, j] = q_i . k_j + a[i, j_y] + b[i, j_x]
                 = [q_i, b_i] . [k_j, onehot(j_x)] + a[i, j_y].

So the rows are a broadcast sum in the cache, and so are the columns where there are
many of them; few ride along in the product of queries and keys. The gradient computes
each block again instead of keeping it.
"""

from typing import NamedTuple

from keras import ops

from aa_keras.layers.blocks import Parts, map_blocks, plan_grid
from aa_keras.layers.interpolation import wide_float

# Upper bounds for the logits of a block and for the relative terms of a chunk. Larger
# blocks leave the cache, smaller ones make poor products.
BLOCK_BYTES = 6 * 2**20
CHUNK_BYTES = 16 * 2**20
# Up to about this many columns the longer product costs less than the broadcast sum.
MOST_COLUMNS_IN_PRODUCT = 32


def relative_windows(table, length):
    """The embedding of every pair of positions of one axis.

    Args:
        table: tensor (2L-1, D), row `key - query + L - 1`.
        length: L, int or scalar tensor.

    Returns:
        Tensor (L, L, D), queries by keys.
    """
    depth = ops.shape(table)[-1]
    # The shift of `rel_to_abs` backwards: rows of 2L read as rows of 2L-1.
    table = ops.tile(ops.pad(table, ((0, 1), (0, 0))), (length, 1))
    last = length - 1 + length * (2 * length - 1)
    shape = (length, 2 * length - 1, depth)
    return ops.reshape(table[length - 1 : last], shape)[:, :length]


def fused_attention(q, k, v, size, tables, block_bytes=BLOCK_BYTES):
    """The attention of `listing_attention`, exactly, in memory that grows with HW.

    Args:
        q: tensor (B, N, HW, D), queries.
        k: tensor (B, N, HW, D), keys.
        v: tensor (B, N, HW, V), values.
        size: pair (H, W).
        tables: pair of relative embeddings (2H-1, D) and (2W-1, D), None for none.
        block_bytes: int, upper bound for the float32 logits of one block, as far as
            one row of queries of one map stays below it.

    Returns:
        Tensor (B, N, HW, V).
    """
    batch, num_heads, length, depth = ops.shape(q)
    num_maps, value_depth = batch * num_heads, v.shape[-1]
    height, width = size
    heights, widths = (
        () if table is None else (relative_windows(table, axis_length),)
        for table, axis_length in zip(tables, size, strict=True)
    )
    few = isinstance(width, int) and width <= MOST_COLUMNS_IN_PRODUCT
    columns = ("product" if few else "sum") if widths else None
    form = _Form(size, bool(heights), columns)
    # In rows of queries of one map.
    chunk_rows = CHUNK_BYTES // (4 * width * (height + width))
    block_rows = block_bytes // (4 * width * length)
    chunks = plan_grid(num_maps, height, chunk_rows)
    blocks = plan_grid(chunks.maps, chunks.rows, block_rows)

    @ops.custom_gradient
    def attend(q, k, v, *windows):
        parts = Parts((q,), (k, v), windows[: len(heights)], windows[len(heights) :])
        like = Parts((ops.reshape(v, (num_maps, height, width, value_depth)),))
        output = map_blocks(
            lambda parts: _attend_chunk(parts, form, blocks), parts, like, chunks
        ).queries[0]

        # TensorFlow and JAX call this with the upstream gradient alone, torch with
        # the inputs and the upstream gradient by name.
        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            gradients = map_blocks(
                lambda parts: _gradient_of_chunk(parts, form, blocks),
                parts._replace(queries=(q, output, upstream)),
                parts,
                chunks,
            )
            return tuple(x for kind in gradients for x in kind)

        return output, gradient

    output = attend(
        ops.reshape(q * depth**-0.5, (num_maps, height, width, depth)),
        ops.reshape(k, (num_maps, length, depth)),
        ops.reshape(v, (num_maps, length, value_depth)),
        *heights,
        *widths,
    )
    return ops.reshape(output, (batch, num_heads, length, value_depth))


class _Form(NamedTuple):
    """How the logits are made up."""

    size: tuple  # (H, W)
    rows: bool
    columns: str | None  # "product" or "sum"


def _attend_chunk(parts, form, blocks):
    output = parts.queries[0][..., :1] * parts.keys[1][:, :1, None]  # of its shape
    parts = _relative_parts(parts, form)
    return map_blocks(
        lambda parts: _attend_block(parts, form),
        parts,
        Parts((output,)),
        blocks,
        in_flight=2,
    )


def _relative_parts(parts, form):
    """From queries (m, h, W, D), keys and windows to what the blocks of a chunk take.

    Returns:
        Parts of queries (m, h, W, C), a (m, h, W, H) and -b (m, h, W, W) as far as
        they are sums, and of keys (m, HW, C) and values.
    """
    (q,), (k, v), heights, widths = parts
    queries, keys, sums = q, k, []
    if form.rows:
        sums.append(ops.einsum("mhwd,hyd->mhwy", q, heights[0]))
    if form.columns == "sum":
        # Subtracted later: of two sums in a row TensorFlow would first add the terms
        # to each other, at the full size of the logits.
        sums.append(ops.einsum("mhwd,wxd->mhwx", q, -widths[0]))
    if form.columns == "product":
        height, width = form.size
        columns = ops.einsum("mhwd,wxd->mhwx", q, widths[0])
        queries = ops.concatenate([q, columns], axis=-1)
        onehot = ops.tile(ops.eye(width, dtype=k.dtype), (height, 1))
        onehot = ops.broadcast_to(onehot, (*ops.shape(k)[:2], width))
        keys = ops.concatenate([k, onehot], axis=-1)
    return Parts((queries, *sums), (keys, v))


def _scores(parts, form):
    """Softmax (m, Q, HW) over the keys of a block."""
    (queries, *sums), (keys, _), *_ = parts
    queries = _flat(queries)
    maps, num_queries, _ = ops.shape(queries)
    logits = ops.matmul(queries, ops.swapaxes(keys, 1, 2))
    if sums:
        logits = ops.reshape(logits, (maps, num_queries, *form.size))
        if form.rows:
            logits = logits + _flat(sums[0])[..., None]
        if form.columns == "sum":
            logits = logits - _flat(sums[-1])[..., None, :]
        logits = ops.reshape(logits, (maps, num_queries, -1))
    scores = ops.softmax(ops.cast(logits, wide_float(keys.dtype)))
    return ops.cast(scores, keys.dtype)


def _attend_block(parts, form):
    v = parts.keys[1]
    output = ops.matmul(_scores(parts, form), v)
    return Parts((_unflat(output, parts.queries[0]),))


def _gradient_of_chunk(parts, form, blocks):
    q, output, upstream = parts.queries
    depth = q.shape[-1]
    parts = parts._replace(queries=(q,))
    relative = _relative_parts(parts, form)
    # With dlogits = p * (upstream . v - upstream . output), one product's upstream.
    delta = -ops.sum(upstream * output, axis=-1, keepdims=True)
    upstream = ops.concatenate([upstream, delta], axis=-1)
    (dqueries, *dsums), (dkeys, dv), *_ = map_blocks(
        lambda parts: _gradient_of_block(parts, form),
        relative._replace(queries=(upstream, *relative.queries)),
        relative,
        blocks,
        in_flight=2,
    )
    dq, dheights, dwidths = dqueries[..., :depth], (), ()
    if form.rows:
        da = dsums[0]
        dq = dq + ops.einsum("mhwy,hyd->mhwd", da, parts.rows[0])
        dheights = (ops.einsum("mhwy,mhwd->hyd", da, q),)
    if form.columns:
        db = dsums[-1] if form.columns == "sum" else dqueries[..., depth:]
        dq = dq + ops.einsum("mhwx,wxd->mhwd", db, parts.whole[0])
        dwidths = (ops.einsum("mhwx,mhwd->wxd", db, q),)
    return Parts((dq,), (dkeys[..., :depth], dv), dheights, dwidths)


def _gradient_of_block(parts, form):
    upstream, *queries = parts.queries
    keys, v = parts.keys
    parts = parts._replace(queries=queries)
    p = _scores(parts, form)
    q, upstream = _flat(queries[0]), _flat(upstream)
    dlogits = p * ops.matmul(upstream, _transpose_over_ones(v))
    # As (few, queries) x (queries, keys): no large matrix is transposed.
    dkeys = ops.matmul(_transpose_over_ones(q), dlogits)[:, :-1]
    dv = ops.matmul(ops.swapaxes(upstream, 1, 2), p)[:, :-1]
    dqueries = ops.matmul(dlogits, keys)
    dsums = []
    if len(queries) > 1:
        dlogits = ops.reshape(dlogits, (*ops.shape(p)[:2], *form.size))
        if form.rows:
            dsums.append(ops.sum(dlogits, axis=3))
        if form.columns == "sum":
            dsums.append(ops.sum(dlogits, axis=2))
    return Parts(
        tuple(_unflat(x, queries[0]) for x in (dqueries, *dsums)),
        (ops.swapaxes(dkeys, 1, 2), ops.swapaxes(dv, 1, 2)),
    )


def _flat(x):
    """(m, h, W, C) -> (m, Q, C)."""
    maps, rows, width, channels = ops.shape(x)
    return ops.reshape(x, (maps, rows * width, channels))


def _unflat(x, like):
    """(m, Q, C) -> (m, h, W, C)."""
    return ops.reshape(x, (*ops.shape(like)[:3], x.shape[-1]))


def _transpose_over_ones(x):
    """(m, L, C) -> (m, C+1, L), the last row ones.

    Without that row XLA folds the transposition into the product that follows, which
    then runs up to ten times slower on a CPU.
    """
    x = ops.swapaxes(x, 1, 2)
    return ops.concatenate([x, ops.ones_like(x[:, :1])], axis=1)
