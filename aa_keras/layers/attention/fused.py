"""Relative self-attention in blocks, without (HW, HW) tensors.

Shape letters: B batch, N heads, H height, W width of the map, D key depth and V value
depth of one head. A map is one head of one image; a block takes m maps and h of their
H rows of queries, Q = hW queries.

The relative terms factor. With a = q R_h^T (a logit for each row of keys) and
b = q R_w^T (one for each column) at absolute positions,

    logits[i, j] = q_i . k_j + a[i, j_y] + b[i, j_x],

so that all a and b together are small, and the logits of a block never leave a cache
that holds it. The gradient computes each block again instead of storing it.
"""

from typing import NamedTuple

from keras import ops

from aa_keras.backends import custom_gradient
from aa_keras.layers.attention.tiling import Parts, map_blocks, plan_grid


class Limits(NamedTuple):
    """How large the blocks are.

    Args:
        block_bytes: int, upper bound for the float32 logits of one block, as far as one
            row of queries of one map stays below it.
        chunk_bytes: int, upper bound for the relative terms of a chunk of blocks.
        in_flight: int, the most blocks computed, and in memory, at once.
        most_terms: int, the most relative terms of a query, H + W, that lengthen q and
            k; more are added to the logits.
    """

    block_bytes: int
    chunk_bytes: int
    in_flight: int
    most_terms: float


# On a CPU larger blocks leave the cache, smaller ones make poor products, and a long
# product costs more than sums in the cache.
CACHE = Limits(5 * 2**20, 16 * 2**20, 2, most_terms=30)
# An accelerator needs much work at once, and reads the logits from memory for each sum.
MEMORY = Limits(128 * 2**20, 256 * 2**20, 1, most_terms=float("inf"))


def relative_windows(table, length):
    """The embeddings (L, L, D) of all queries by all keys, from a table (2L-1, D)."""
    depth = ops.shape(table)[-1]
    # The shift of `rel_to_abs` backwards: rows of 2L read as rows of 2L-1.
    table = ops.tile(ops.pad(table, ((0, 1), (0, 0))), (length, 1))
    last = length - 1 + length * (2 * length - 1)
    shape = (length, 2 * length - 1, depth)
    return ops.reshape(table[length - 1 : last], shape)[:, :length]


def fused_attention(q, k, v, size, tables, limits=CACHE):
    """Computes the output of `listing_attention` in memory that grows with HW.

    Args:
        q, k, v, size, tables: as for `listing_attention`.
        limits: `Limits`. Defaults to `CACHE`.

    Returns:
        Tensor (B, N, HW, V).
    """
    batch, num_heads, length, depth = ops.shape(q)
    num_maps, value_depth = batch * num_heads, v.shape[-1]
    windows = [
        relative_windows(table, axis_length)
        for table, axis_length in zip(tables, size, strict=True)
        if table is not None
    ]
    form = _Form(tables[0] is not None, tables[1] is not None, limits)
    attend = custom_gradient(_attend, _gradient, form)
    output = attend(
        ops.reshape(q * depth**-0.5, (num_maps, *size, depth)),
        ops.reshape(k, (num_maps, length, depth)),
        ops.reshape(v, (num_maps, length, value_depth)),
        *windows,
    )
    return ops.reshape(output, (batch, num_heads, length, value_depth))


def _attend(form, inputs):
    q, k, v, *windows = inputs
    form, chunks, blocks = form.plan(q)
    like = Parts((ops.reshape(v, (*ops.shape(q)[:3], v.shape[-1])),))
    return map_blocks(
        lambda parts: _attend_chunk(parts, form, blocks),
        form.parts(q, k, v, windows),
        like,
        chunks,
    ).queries[0]


def _gradient(form, inputs, output, upstream):
    q, k, v, *windows = inputs
    form, chunks, blocks = form.plan(q)
    parts = form.parts(q, k, v, windows)
    (dq,), (dk, dv), dheights, dwidths = map_blocks(
        lambda parts: _gradient_of_chunk(parts, form, blocks),
        parts._replace(queries=(q, output, upstream)),
        parts,
        chunks,
    )
    return dq, dk, dv, *dheights, *dwidths


class _Form(NamedTuple):
    """Which relative terms there are, how large blocks are, and the size of the map."""

    has_rows: bool
    has_columns: bool
    limits: Limits
    size: tuple = ()  # (H, W)

    def plan(self, q):
        """Returns the form with the size of q's map, and the grids of its chunks and
        of a chunk's blocks.
        """
        num_maps, height, width, _ = ops.shape(q)
        # In rows of queries of one map.
        chunk_rows = self.limits.chunk_bytes // (4 * width * (height + width))
        block_rows = self.limits.block_bytes // (4 * width * height * width)
        chunks = plan_grid(num_maps, height, chunk_rows)
        blocks = plan_grid(chunks.maps, chunks.rows, block_rows)
        return self._replace(size=(height, width)), chunks, blocks

    def parts(self, q, k, v, windows):
        rows = int(self.has_rows)
        return Parts((q,), (k, v), tuple(windows[:rows]), tuple(windows[rows:]))

    @property
    def in_product(self):
        """Whether q and k are lengthened, by the terms and their places.

        The logits are [q_i, a_i, -b_i] . [k_j, onehot(j_y), -onehot(j_x)] then.
        """
        height, width = self.size
        terms = height * self.has_rows + width * self.has_columns
        return isinstance(terms, int) and 0 < terms <= self.limits.most_terms


def _attend_chunk(parts, form, blocks):
    (q,), (_, v), *_ = parts
    like = Parts((q[..., :1] * v[:, :1, None],))  # (m, h, W, V)

    def block(parts):
        output = _scores(parts, form) @ parts.keys[1]
        return Parts((_unflat(output, parts.queries[0]),))

    in_flight = form.limits.in_flight
    return map_blocks(block, _with_terms(parts, form), like, blocks, in_flight)


def _with_terms(parts, form):
    """Queries, a (m, h, W, H) and -b (m, h, W, W), all in one where `in_product`."""
    (q,), (k, v), heights, widths = parts
    (height, width), terms, places = form.size, [], []
    if form.has_rows:
        terms.append(ops.einsum("mhwd,hyd->mhwy", q, heights[0]))
    if form.has_columns:
        terms.append(ops.einsum("mhwd,wxd->mhwx", q, -widths[0]))
    if not form.in_product:
        return Parts((q, *terms), (k, v))
    if form.has_rows:
        places.append(ops.repeat(ops.eye(height, dtype=k.dtype), width, axis=0))
    if form.has_columns:
        places.append(ops.tile(-ops.eye(width, dtype=k.dtype), (height, 1)))
    places = ops.concatenate(places, axis=-1)
    places = ops.broadcast_to(places, (ops.shape(k)[0], *places.shape))
    queries = ops.concatenate([q, *terms], axis=-1)
    return Parts((queries,), (ops.concatenate([k, places], axis=-1), v))


def _scores(parts, form):
    """Softmax (m, Q, HW) over the keys of a block."""
    (q, *terms), (k, _), *_ = parts
    logits = _flat(q) @ ops.swapaxes(k, 1, 2)
    if terms:
        logits = _add_terms(logits, [_flat(term) for term in terms], form)
    return ops.softmax(logits)


def _add_terms(logits, terms, form):
    """Adds a (m, Q, H), subtracts -b (m, Q, W); the order is a matter of speed alone.

    One by one is two sums in place for TensorFlow, which would rewrite a sum of three
    and so gets b negated. XLA then computes the logits several times over, cell by
    cell, worst of all where rows are short or a multiple of its vectors (64x64: 2.5
    times slower).
    """
    width, shape = form.size[1], ops.shape(logits)
    at_once = isinstance(width, int) and (width <= 20 or width % 16 == 0)
    if at_once and len(terms) == 2:
        a, minus_b = terms
        return logits + ops.reshape(a[..., None] - minus_b[..., None, :], shape)
    logits = ops.reshape(logits, (*shape[:2], *form.size))
    if form.has_rows:
        logits = logits + terms[0][..., None]
    if form.has_columns:
        logits = logits - terms[-1][..., None, :]
    return ops.reshape(logits, shape)


def _gradient_of_chunk(parts, form, blocks):
    (q, output, upstream), _, heights, widths = parts
    parts = _with_terms(parts._replace(queries=(q,)), form)
    # dlogits = p * (upstream . v - upstream . output) takes both in one product.
    delta = -ops.sum(upstream * output, axis=-1, keepdims=True)
    upstream = ops.concatenate([upstream, delta], axis=-1)
    k_transposed, v_transposed = (_transpose_over_ones(x) for x in parts.keys)
    (dq, *dterms), (dk, dv), *_ = map_blocks(
        lambda parts: _gradient_of_block(parts, form),
        Parts((upstream, *parts.queries), (parts.keys[0], v_transposed)),
        parts._replace(keys=(k_transposed, v_transposed)),
        blocks,
        form.limits.in_flight,
    )
    depth = q.shape[-1]
    if form.in_product:
        rows = depth + form.size[0] * form.has_rows
        dterms = [dq[..., depth:rows], dq[..., rows:]]
        dq = dq[..., :depth]
    dheights, dwidths = (), ()
    if form.has_rows:
        dq = dq + ops.einsum("mhwy,hyd->mhwd", dterms[0], heights[0])
        dheights = (_sum_of_products(dterms[0], q, axis=1),)
    if form.has_columns:
        dq = dq - ops.einsum("mhwx,wxd->mhwd", dterms[-1], widths[0])
        dwidths = (-_sum_of_products(dterms[-1], q, axis=2),)
    dk, dv = (ops.swapaxes(x, 1, 2) for x in (dk[:, :depth], dv[:, :-1]))
    return Parts((dq,), (dk, dv), dheights, dwidths)


def _gradient_of_block(parts, form):
    """Gradients of q, a, -b; of k and v transposed, k's with an extra row to drop."""
    (upstream, *queries), (k, v_transposed), *_ = parts
    p = _scores(Parts(queries, parts.keys), form)
    upstream, q = _flat(upstream), _flat(queries[0])
    dlogits = p * (upstream @ v_transposed)
    # As (few, queries) x (queries, keys): no large matrix is transposed.
    dk = _transpose_over_ones(q) @ dlogits
    dv = ops.swapaxes(upstream, 1, 2) @ p
    results = [dlogits @ k]
    if len(queries) > 1:
        dlogits = ops.reshape(dlogits, (*ops.shape(dlogits)[:2], *form.size))
        if form.has_rows:
            results.append(ops.sum(dlogits, axis=3))
        if form.has_columns:
            results.append(-ops.sum(dlogits, axis=2))
    return Parts(tuple(_unflat(x, queries[0]) for x in results), (dk, dv))


def _sum_of_products(dterm, q, axis):
    """einsum("mhwl,mhwd->hld") for axis 1, -> "wld" for 2, several times as fast."""
    length, depth = ops.shape(q)[axis], q.shape[-1]
    q = ops.reshape(ops.moveaxis(q, (axis, 3), (0, 1)), (length, depth, -1))
    dterm = ops.moveaxis(dterm, axis, 0)
    dterm = ops.reshape(dterm, (length, -1, ops.shape(dterm)[-1]))
    return ops.swapaxes(q @ dterm, 1, 2)


def _flat(x):
    """(m, h, W, C) -> (m, Q, C)."""
    maps, rows, width, channels = ops.shape(x)
    return ops.reshape(x, (maps, rows * width, channels))


def _unflat(x, like):
    """(m, Q, C) -> (m, h, W, C)."""
    return ops.reshape(x, (*ops.shape(like)[:3], ops.shape(x)[-1]))


def _transpose_over_ones(x):
    """(m, L, C) -> (m, C+1, L), the last row ones.

    Without that row XLA folds the transposition into the product that follows, which
    then runs up to ten times slower on a CPU.
    """
    x = ops.swapaxes(x, 1, 2)
    return ops.concatenate([x, ops.ones_like(x[:, :1])], axis=1)
