"""Attention scores of chosen query pixels, and statistics of them.

Shape letters: B batch, N heads, Q chosen queries, H height, W width of the attended
map, D key depth of one head.
"""

import math

import numpy as np

from aa_keras.visualization.projections import projections

BLOCK_SCORES = 2**22  # at a time, where all rows are computed
NEVER = -1e8  # below any logit but those that hide what is outside of a window


def attention_scores(model, images, queries, layers=None) -> dict[str, np.ndarray]:
    """Returns how much chosen pixels attend to each cell of a layer's map.

    Only the rows of the chosen queries are computed, so that a large map costs no more
    than its number of cells. The model does not change.

    A layer attends on a map of cells (strides and `attention_downsampling` make it
    smaller than the image). A pixel belongs to the cell that covers its centre when
    the map is stretched over the whole image: `floor((y + 0.5) * H / image height)`.
    Cells outside of the window of a `StandAloneAttention2D` have a score of 0.

    Args:
        model, images, layers: as of `projections`.
        queries: sequence of pairs (y, x), in pixels of `images`.

    Returns:
        Dictionary from the name of each layer to a float32 array (batch, heads,
        queries, height, width of the map); the last two axes sum to 1.

    Raises:
        ValueError: if a name is not an attention layer (the message lists them), or a
            query is outside of the image.

    Example:

    >>> scores = attention_scores(model, images, [(3, 3), (0, 7)])
    >>> scores["stage2_block1_conv1"].shape
    (1, 4, 2, 4, 4)
    """
    image_size = _image_size(images)
    return {
        name: score_queries(layer, query_cells(queries, image_size, layer.size))
        for name, layer in projections(model, images, layers).items()
    }


def attention_received(model, images, pixels, layers=None) -> dict[str, np.ndarray]:
    """Returns how much of its attention each cell of a layer's map gives chosen pixels.

    Columns of the score matrix, where `attention_scores` returns rows. All rows are
    computed, some at a time, so the time grows with the square of the map.

    Args:
        model, images, layers: as of `projections`.
        pixels: sequence of pairs (y, x), in pixels of `images`.

    Returns:
        Dictionary from the name of each layer to a float32 array (batch, heads, pixels,
        height, width of the map). Its last two axes sum to the attention that the
        pixel's cell gets from all cells together, 1 on average over the cells.

    Raises:
        ValueError: as of `attention_scores`.

    Example:

    >>> received = attention_received(model, images, [(3, 3)])
    >>> received["stage2_block1_conv1"][0, 2, 0].sum()  # of head 2: 1 is the average
    """
    image_size = _image_size(images)
    received = {}
    for name, layer in projections(model, images, layers).items():
        y, x = query_cells(pixels, image_size, layer.size).T
        rows = [score_queries(layer, cells)[..., y, x] for cells in row_blocks(layer)]
        columns = np.moveaxis(np.concatenate(rows, axis=2), 2, -1)
        received[name] = columns.reshape(*columns.shape[:3], *layer.size)
    return received


def relative_fields(model, images, queries, layers=None) -> dict[str, np.ndarray]:
    """Returns what the relative embeddings add to the logits, by distance.

    For a query the logit of a key gets `q . r^H[dy] + q . r^W[dx]`, dy and dx being
    how many cells the key lies below and to the right. The field holds all the
    distances of the map. A query meets those that do not lead out of it.

    Args:
        model, images, queries, layers: as of `attention_scores`.

    Returns:
        Dictionary from the name of each layer to a float32 array (batch, heads,
        queries, 2H-1, 2W-1), distance 0 in the middle. Distances outside of the window
        of a `StandAloneAttention2D` are NaN, and blank in a figure.

    Raises:
        ValueError: also if a layer has no relative embeddings.
    """
    image_size = _image_size(images)
    fields = {}
    for name, layer in projections(model, images, layers).items():
        if layer.tables[0] is None:
            raise ValueError(f"layers: {name!r} has no relative embeddings")
        q = _scaled_queries(layer, query_cells(queries, image_size, layer.size))
        along_height, along_width = (q @ table.T for table in layer.tables)
        field = along_height[..., :, None] + along_width[..., None, :]
        fields[name] = np.where(field < NEVER, np.nan, field)
    return fields


def score_queries(layer, cells) -> np.ndarray:
    """Returns the scores (B, N, Q, H, W) of some cells of a layer's map.

    Args:
        layer: `aa_keras.layers.Projections` of arrays.
        cells: integer array (Q, 2), rows (y, x), as from `query_cells`.
    """
    logits = query_logits(layer, cells)
    scores = np.exp(logits - logits.max(axis=(-2, -1), keepdims=True))
    return scores / scores.sum(axis=(-2, -1), keepdims=True)


def query_logits(layer, cells) -> np.ndarray:
    """Returns the logits (B, N, Q, H, W) whose softmax are the scores of some cells."""
    q = _scaled_queries(layer, cells)
    logits = q @ np.swapaxes(layer.keys, -1, -2)
    logits = logits.reshape(*logits.shape[:3], *layer.size)
    for axis, table in enumerate(layer.tables):
        if table is None:
            continue
        length = layer.size[axis]
        for index, position in enumerate(cells[:, axis]):
            # Row `key - query + L - 1` of a table, for the keys 0 to L-1.
            rows = table[length - 1 - position :][:length]
            added = q[:, :, index] @ rows.T
            logits[:, :, index] += np.expand_dims(added, (-1, -2)[axis])
    return logits


def row_blocks(layer) -> list[np.ndarray]:
    """Returns all cells of a layer's map in order, in blocks with bounded scores."""
    height, width = layer.size
    rows, columns = np.indices((height, width)).reshape(2, -1)
    cells = np.stack([rows, columns], axis=-1)
    row = math.prod(layer.queries.shape[:2]) * len(cells)
    length = max(BLOCK_SCORES // row, 1)
    return [cells[start : start + length] for start in range(0, len(cells), length)]


def query_cells(queries, image_size, map_size) -> np.ndarray:
    """Returns the cells (Q, 2) of a map that cover the centres of pixels of an image.

    Args:
        queries: sequence of pairs (y, x) of pixels.
        image_size: pair (height, width) in pixels.
        map_size: pair (height, width) in cells.

    Raises:
        ValueError: if a query is not a pair, or outside of the image.
    """
    height, width = image_size
    for query in queries:
        is_pair = np.shape(query) == (2,)
        if not is_pair or not (0 <= query[0] < height and 0 <= query[1] < width):
            raise ValueError(
                f"queries: received {query!r}; allowed: (y, x) with y from 0 to "
                f"{height - 1} and x from 0 to {width - 1}"
            )
    centres = np.asarray(queries, dtype="float64").reshape(-1, 2) + 0.5
    return (centres * np.asarray(map_size) / np.asarray(image_size)).astype(int)


def query_grid(image_size, step=1) -> list[tuple[int, int]]:
    """Returns every `step`-th pixel of an image in both directions, as queries.

    Args:
        image_size: pair (height, width) in pixels.
        step: int, pixels from one query to the next; the first is at `step // 2`.
            Defaults to `1`.
    """
    rows, columns = (range(step // 2, length, step) for length in image_size)
    return [(y, x) for y in rows for x in columns]


def mean_attention_distance(scores, queries, image_size) -> np.ndarray:
    """Returns how far each head looks (batch, heads), in pixels of the image.

    The distance from the centre of the query's cell to the centre of each key's cell,
    weighted by attention, averaged over the queries.

    Args:
        scores: array (batch, heads, queries, height, width) from `attention_scores`.
        queries: sequence of pairs, for which `scores` were computed.
        image_size: pair (height, width) of the image in pixels.

    Reference:
        - Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, figure 7.
    """
    map_size = scores.shape[-2:]
    cells = query_cells(queries, image_size, map_size)
    down, right = (
        (np.arange(map_size[axis]) - cells[:, axis, None])
        * (image_size[axis] / map_size[axis])
        for axis in (0, 1)
    )
    distances = np.hypot(down[:, :, None], right[:, None, :])
    return (scores * distances).sum(axis=(-2, -1)).mean(axis=-1)


def attention_entropy(scores) -> np.ndarray:
    """Returns how spread out each head's attention is, in bits.

    0 if one cell gets everything, `log2(H * W)` if all cells get the same; averaged
    over the queries.

    Args:
        scores: as of `mean_attention_distance`, like the result.
    """
    bits = np.log2(scores, out=np.zeros_like(scores), where=scores > 0)
    return -(scores * bits).sum(axis=(-2, -1)).mean(axis=-1)


def _scaled_queries(layer, cells):
    q = layer.queries[:, :, cells @ (layer.size[1], 1)]
    return q * q.shape[-1] ** -0.5


def _image_size(images):
    shape = np.shape(images)
    if len(shape) != 4:
        raise ValueError(
            f"images must be (batch, height, width, channels); received shape {shape}"
        )
    return shape[1:3]
