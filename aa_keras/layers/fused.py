"""Relative self-attention in blocks that fit the cache, nothing of size (HW, HW) kept.

Shape letters: B batch, N heads, H height, W width of the map, D key depth and V value
depth of one head. A block takes M of the B*N maps and h of the H rows of queries.

The relative terms factor. With a = q R_h^T (a logit for each row of keys) and
b = q R_w^T (one for each column) at absolute positions,

    logits[i, j] = q_i . k_j + a[i, j_y] + b[i, j_x]
                 = [q_i, b_i] . [k_j, onehot(j_x)] + a[i, j_y],

so the columns ride along in the product of queries and keys, and the rows are one
broadcast sum in the cache. The gradient computes the block again instead of keeping it.
"""

from keras import ops

from aa_keras.layers.interpolation import wide_float

# Large enough for efficient products, small enough for a cache; 4 to 16 MiB measured
# alike on the machine of benchmarks/layer.py.
BLOCK_BYTES = 8 * 2**20


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
    height, width = size
    batch, num_heads, length, depth = ops.shape(q)
    num_maps, value_depth = batch * num_heads, v.shape[-1]
    groups, maps = _split(num_maps, block_bytes // 4 // (length * length))
    row_blocks, rows = _split(height, block_bytes // 4 // (maps * width * length))

    def grouped(x, shape):
        x = _pad_first(ops.reshape(x, (num_maps, *shape)), groups * maps - num_maps)
        return ops.reshape(x, (groups, maps, *shape))

    row_table, column_table = (
        None if table is None else relative_windows(table, axis_length)
        for table, axis_length in zip(tables, size, strict=True)
    )
    attend = _block_attention(row_table is not None, column_table is not None)
    columns = () if column_table is None else (column_table,)
    row_padding = row_blocks * rows - height
    if row_table is not None:
        row_table = _pad_first(row_table, row_padding)
        row_table = ops.reshape(row_table, (row_blocks, rows, height, depth))

    def group(inputs):
        q, k, v = inputs
        q = _pad_first(ops.swapaxes(q, 0, 1), row_padding)
        q = ops.reshape(q, (row_blocks, rows, maps, width, depth))
        blocks = (q,) if row_table is None else (q, row_table)

        def block(inputs):
            q, *row_table = inputs
            return attend(ops.swapaxes(q, 0, 1), k, v, *row_table, *columns)

        output = _map(block, blocks, row_blocks)
        output = ops.swapaxes(output, 0, 1)
        shape = (maps, row_blocks * rows * width, value_depth)
        return ops.reshape(output, shape)[:, :length]

    inputs = (
        grouped(q * depth**-0.5, (height, width, depth)),
        grouped(k, (length, depth)),
        grouped(v, (length, value_depth)),
    )
    output = _map(group, inputs, groups)
    output = ops.reshape(output, (groups * maps, length, value_depth))[:num_maps]
    return ops.reshape(output, (batch, num_heads, length, value_depth))


def _block_attention(has_rows, has_columns):
    """Builds the attention of one block together with its gradient."""

    def unpack(tables):
        return tables[0] if has_rows else None, tables[-1] if has_columns else None

    def scores(q, k, *tables):
        """Keys with one-hot columns (M, HW, D+W) and softmax (M, hW, HW)."""
        rows, columns = unpack(tables)
        maps, num_rows, width, _ = ops.shape(q)
        length = ops.shape(k)[1]
        queries = q
        if has_columns:
            # einsum, as TensorFlow 2.21's matmul writes out of bounds where it
            # broadcasts over maps and an axis has a single position.
            b = ops.einsum("mhwd,wxd->mhwx", q, columns)
            queries = ops.concatenate([q, b], axis=-1)
            onehot = ops.arange(length)[:, None] % width == ops.arange(width)
            onehot = ops.broadcast_to(ops.cast(onehot, k.dtype), (maps, length, width))
            k = ops.concatenate([k, onehot], axis=-1)
        queries = ops.reshape(queries, (maps, num_rows * width, ops.shape(k)[-1]))
        logits = ops.matmul(queries, ops.swapaxes(k, 1, 2))
        if has_rows:
            a = ops.einsum("mhwd,hyd->mhwy", q, rows)
            a = ops.reshape(a, (maps, num_rows * width, length // width, 1))
            shape = (maps, num_rows * width, length // width, width)
            logits = ops.reshape(ops.reshape(logits, shape) + a, ops.shape(logits))
        weights = ops.softmax(ops.cast(logits, wide_float(k.dtype)))
        return k, ops.cast(weights, k.dtype)

    @ops.custom_gradient
    def attend(q, k, v, *tables):
        output = ops.matmul(scores(q, k, *tables)[1], v)

        # TensorFlow and JAX call this with the upstream gradient alone, torch with
        # the inputs and the upstream gradient by name.
        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            rows, columns = unpack(tables)
            maps, num_rows, width, depth = ops.shape(q)
            keys, p = scores(q, k, *tables)
            num_queries, length = ops.shape(p)[1:]
            # dlogits = p * (upstream . v - upstream . output), in one product.
            delta = -ops.sum(upstream * output, axis=-1, keepdims=True)
            upstream_delta = ops.concatenate([upstream, delta], axis=-1)
            dlogits = p * ops.matmul(upstream_delta, _transpose_over_ones(v))
            # As (few, queries) x (queries, keys): no large matrix is transposed.
            flat_q = ops.reshape(q, (maps, num_queries, depth))
            dk = ops.matmul(_transpose_over_ones(flat_q), dlogits)[:, :-1]
            dv = ops.matmul(_transpose_over_ones(upstream), p)[:, :-1]
            dqueries = ops.matmul(dlogits, keys)
            dqueries = ops.reshape(dqueries, (maps, num_rows, width, -1))
            dq, dtables = dqueries[..., :depth], ()
            if has_rows:
                shape = (maps, num_rows, width, length // width, width)
                da = ops.sum(ops.reshape(dlogits, shape), axis=-1)
                dq = dq + ops.einsum("mhwy,hyd->mhwd", da, rows)
                dtables += (ops.einsum("mhwy,mhwd->hyd", da, q),)
            if has_columns:
                db = dqueries[..., depth:]
                dq = dq + ops.einsum("mhwx,wxd->mhwd", db, columns)
                dtables += (ops.einsum("mhwx,mhwd->wxd", db, q),)
            return dq, ops.swapaxes(dk, 1, 2), ops.swapaxes(dv, 1, 2), *dtables

        return output, gradient

    return attend


def _transpose_over_ones(x):
    """(M, L, C) -> (M, C+1, L), the last row ones.

    Without that row XLA folds the transposition into the product that follows, which
    then runs up to ten times slower on a CPU.
    """
    x = ops.swapaxes(x, 1, 2)
    return ops.concatenate([x, ops.ones_like(x[:, :1])], axis=1)


def _split(total, most):
    """Number and size of the parts of `total`, each at most `most` but at least 1.

    A divisor near `most` goes before equal parts of which the last needs padding.
    """
    if isinstance(total, int) and isinstance(most, int):
        size = min(max(most, 1), total)
        divisors = (d for d in range(size, size // 2, -1) if total % d == 0)
        size = next(divisors, size)
    else:
        size = ops.minimum(ops.maximum(most, 1), total)
    count = -(-total // size)
    return count, -(-total // count)


def _pad_first(x, amount):
    """Appends zeros on the first axis; their gradient is zero, their output cut off."""
    if isinstance(amount, int) and amount == 0:
        return x
    return ops.pad(x, ((0, amount), *[(0, 0)] * (len(x.shape) - 1)))


def _map(function, inputs, count):
    """`ops.map`, but few iterations of a known number stand in the graph one by one."""
    if isinstance(count, int) and count <= 4:
        outputs = [function([x[index] for x in inputs]) for index in range(count)]
        return ops.stack(outputs)
    return ops.map(function, inputs)
