"""Mapping a function over blocks of queries of many maps.

Shape letters: H height, W width of a map, HW its positions, C channels. A map is one
head of one image. A block takes m maps and h of their rows of queries.
"""

from typing import NamedTuple

from keras import ops

from aa_keras.backends import stack_of_calls


class Parts(NamedTuple):
    """Arguments or results of a function of many maps, by how they are cut."""

    queries: tuple = ()  # (maps, H, W, C), cut into (m, h, W, C)
    keys: tuple = ()  # (maps, HW, C), cut into (m, HW, C)
    rows: tuple = ()  # (H, ...), alike for all maps, cut into (h, ...)
    whole: tuple = ()  # the same for every block


class Grid(NamedTuple):
    """How maps are cut: in groups of m, or one by one into blocks of h rows.

    Ints or scalar tensors.
    """

    num_maps: int
    height: int
    groups: int
    maps: int
    row_blocks: int
    rows: int


def plan_grid(num_maps, height, most) -> Grid:
    """Cuts into blocks of at most `most` rows of queries, counted over their maps."""
    groups, maps = _divide(num_maps, most // height)
    return Grid(num_maps, height, groups, maps, *_divide(height, most // maps))


def map_blocks(function, parts, like, grid, in_flight=1) -> Parts:
    """Calls a function of `Parts` for each block of `parts` and joins what it returns.

    `like` has the shapes of the joined results. At most `in_flight` blocks are
    computed, and in memory, at once. Where blocks return the same keys, rows or whole,
    they are added.
    """
    blocks = _cut(parts, grid)

    def call(index):
        group, row_block = index // grid.row_blocks, index % grid.row_blocks
        return function(_take(blocks, index, group, row_block))

    count = grid.groups * grid.row_blocks
    # Few blocks are unrolled, so that other work can run beside them.
    if isinstance(count, int) and count <= (4 if in_flight > 1 else 1):
        return _join(_stack([call(index) for index in range(count)]), grid)

    like = _take(_cut(like, grid), 0, 0, 0)
    return _join(stack_of_calls(call, count, like, in_flight), grid)


def _apply(parts, queries, keys, rows, whole=lambda x: x):
    """Applies one function to each kind of parts."""
    functions = (queries, keys, rows, whole)
    return Parts(
        *(tuple(map(f, kind)) for f, kind in zip(functions, parts, strict=True))
    )


def _stack(results):
    kinds = zip(*results, strict=True)
    return Parts(*(tuple(map(ops.stack, zip(*kind, strict=True))) for kind in kinds))


def _take(blocks, index, group, row_block):
    return _apply(
        blocks, lambda x: x[index], lambda x: x[group], lambda x: x[row_block]
    )


def _cut(parts, grid):
    _, _, groups, maps, row_blocks, rows = grid

    def queries(x):
        x = _pad(_pad(x, groups * maps, axis=0), row_blocks * rows, axis=1)
        # No axes change places: of `maps` and `row_blocks` one is 1.
        return ops.reshape(x, (groups * row_blocks, maps, rows, *ops.shape(x)[2:]))

    def keys(x):
        x = _pad(x, groups * maps, axis=0)
        return ops.reshape(x, (groups, maps, *ops.shape(x)[1:]))

    def by_row(x):
        x = _pad(x, row_blocks * rows, axis=0)
        return ops.reshape(x, (row_blocks, rows, *ops.shape(x)[1:]))

    return _apply(parts, queries, keys, by_row)


def _join(blocks, grid):
    num_maps, height, groups, maps, row_blocks, rows = grid

    def queries(x):
        x = ops.reshape(x, (groups * maps, row_blocks * rows, *ops.shape(x)[3:]))
        return x[:num_maps, :height]

    def keys(x):
        _, _, *shape = ops.shape(x)
        x = ops.reshape(x, (groups, row_blocks, maps, *shape))
        return ops.reshape(ops.sum(x, axis=1), (groups * maps, *shape))[:num_maps]

    def by_row(x):
        _, _, *shape = ops.shape(x)
        x = ops.reshape(x, (groups, row_blocks * rows, *shape))
        return ops.sum(x, axis=0)[:height]

    return _apply(blocks, queries, keys, by_row, lambda x: ops.sum(x, axis=0))


def _divide(total, most):
    """Number and size of the parts of `total`, each at most `most` but at least 1.

    A divisor near `most` is better than equal parts of which the last needs padding.
    """
    if isinstance(total, int) and isinstance(most, int):
        size = min(max(most, 1), total)
        divisors = (d for d in range(size, size // 2, -1) if total % d == 0)
        size = next(divisors, size)
    else:
        size = ops.minimum(ops.maximum(most, 1), total)
    count = -(-total // size)
    return count, -(-total // count)


def _pad(x, length, axis):
    """Appends zeros up to a length; the caller drops their results."""
    amount = length - ops.shape(x)[axis]
    if isinstance(amount, int) and amount == 0:
        return x
    padding = [(0, 0)] * len(x.shape)
    padding[axis] = (0, amount)
    return ops.pad(x, padding)
