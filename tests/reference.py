"""The attention-augmented convolution in explicit loops, from the paper's equations.

Slow, and independent of the layers: NumPy only, one position at a time, any number of
axes. Arrays are (batch, *size, channels); a position is a tuple of indices.
"""

import itertools
import math

import numpy as np


def positions(size):
    """Every position of a map, the last axis fastest."""
    return list(itertools.product(*map(range, size)))


def convolution(x, kernel, bias, strides, padding, dilation_rate):
    """y[o] = b + sum over t of x[o * stride + t * dilation - before] kernel[t]."""
    rank = x.ndim - 2
    lengths, before = [], []
    for n, k, s, d in zip(
        x.shape[1:-1], kernel.shape[:rank], strides, dilation_rate, strict=True
    ):
        reach = (k - 1) * d + 1
        if padding == "same":
            length = math.ceil(n / s)
            lengths.append(length)
            before.append(max((length - 1) * s + reach - n, 0) // 2)
        else:
            lengths.append((n - reach) // s + 1)
            before.append(0)
    y = np.zeros((len(x), *lengths, kernel.shape[-1]))
    for o in positions(lengths):
        for t in positions(kernel.shape[:rank]):
            i = tuple(
                o[a] * strides[a] + t[a] * dilation_rate[a] - before[a]
                for a in range(rank)
            )
            if all(0 <= i[a] < x.shape[1 + a] for a in range(rank)):
                y[(slice(None), *o)] += x[(slice(None), *i)] @ kernel[t]
    return y + (0 if bias is None else bias)


def crop(x, kernel_size, dilation_rate):
    """What a "valid" convolution's centres see: (k-1)d//2 less at the start."""
    for axis, (k, d) in enumerate(
        zip(kernel_size, dilation_rate, strict=True), start=1
    ):
        margin = (k - 1) * d
        start = margin // 2
        x = x.take(range(start, x.shape[axis] - (margin - start)), axis=axis)
    return x


def pool(x, strides):
    """The mean of the cells less than a stride away from a window's centre."""
    size = x.shape[1:-1]
    lengths = [math.ceil(n / s) for n, s in zip(size, strides, strict=True)]
    y = np.zeros((len(x), *lengths, x.shape[-1]))
    for o in positions(lengths):
        centres = map(window_centre, o, size, strides)
        reach = [range(c - s + 1, c + s) for c, s in zip(centres, strides, strict=True)]
        cells = [
            (slice(None), *i)
            for i in itertools.product(*reach)
            if all(0 <= j < n for j, n in zip(i, size, strict=True))
        ]
        y[(slice(None), *o)] = np.mean([x[cell] for cell in cells], axis=0)
    return y


def encode_sine(x):
    """Adds sin and cos of position / wavelength, an equal share of channels an axis."""
    size, channels = x.shape[1:-1], x.shape[-1]
    waves = channels // (2 * len(size))
    y = x.astype("float64").copy()
    for i in positions(size):
        for axis, position in enumerate(i):
            for wave in range(waves):
                angle = position / 10000 ** (wave / max(waves - 1, 1))
                first = 2 * waves * axis + wave
                y[(slice(None), *i, first)] += math.sin(angle)
                y[(slice(None), *i, first + waves)] += math.cos(angle)
    return y


def encode_coordinates(x):
    """Appends one channel an axis, from -1 at its first to 1 at its last position."""
    size = x.shape[1:-1]
    y = np.concatenate([x, np.zeros((*x.shape[:-1], len(size)))], axis=-1)
    for i in positions(size):
        for axis, (position, n) in enumerate(zip(i, size, strict=True)):
            value = -1 + 2 * position / (n - 1) if n > 1 else 0
            y[(slice(None), *i, x.shape[-1] + axis)] = value
    return y


def window_centre(index, length, stride):
    """Where window `index` of a 3-wide "same" convolution is centred."""
    needed = (math.ceil(length / stride) - 1) * stride + 3
    before = max(needed - length, 0) // 2
    return index * stride - before + 1


def upsample(y, size, strides):
    """What attention on every `strides`-th cell of a pooled map gives its outputs.

    Linear interpolation between the centres of the pooled cells, in pixels of the map
    of `size`; an output lies where a "same" convolution with `strides` is centred.
    """
    outputs = [math.ceil(n / s) for n, s in zip(size, strides, strict=True)]
    for axis, (length, stride) in enumerate(zip(size, strides, strict=True)):
        cells = [window_centre(j * stride, length, 2) for j in range(y.shape[1 + axis])]
        wanted = [window_centre(o, length, stride) for o in range(outputs[axis])]
        columns = np.moveaxis(y, 1 + axis, 0)
        y = np.zeros((len(wanted), *columns.shape[1:]))
        for rest in positions(columns.shape[1:]):
            column = (slice(None), *rest)
            y[column] = np.interp(wanted, cells, columns[column])
        y = np.moveaxis(y, 0, 1 + axis)
    return y


def attention(q, k, v, num_heads, tables=None):
    """O_h = softmax((Q K^T + S_H + S_W) / sqrt(d)) V, one query and key at a time.

    q, k, v are (batch, *size, heads * depth); `tables` holds (2L-1, depth) for every
    axis, L being the size built for. Returns the output and the scores.
    """
    batch, *size, key_depth = q.shape
    depth, value_depth = key_depth // num_heads, v.shape[-1] // num_heads
    where = positions(size)
    output = np.zeros(v.shape)
    scores = np.zeros((batch, num_heads, len(where), len(where)))
    for b, h in itertools.product(range(batch), range(num_heads)):
        key_channels = slice(h * depth, (h + 1) * depth)
        value_channels = slice(h * value_depth, (h + 1) * value_depth)
        for row, i in enumerate(where):
            query = q[(b, *i, key_channels)]
            logits = np.zeros(len(where))
            for column, j in enumerate(where):
                logits[column] = query @ k[(b, *j, key_channels)]
                for axis, table in enumerate(tables or ()):
                    middle = (len(table) - 1) // 2
                    logits[column] += query @ table[j[axis] - i[axis] + middle]
            weights = np.exp((logits - logits.max()) / math.sqrt(depth))
            weights /= weights.sum()
            scores[b, h, row] = weights
            for column, j in enumerate(where):
                output[(b, *i, value_channels)] += (
                    weights[column] * v[(b, *j, value_channels)]
                )
    return output, scores


def augmented_conv(
    x,
    weights,
    num_heads,
    key_depth,
    kernel_size,
    strides,
    padding="same",
    dilation_rate=None,
    position_encoding="relative",
    attention_downsampling=1,
    strided="sample",
):
    """concat[Conv(X), MHA(X)] before any activation, and the attention's scores.

    `weights` maps "convolution", "qkv" and "output_projection" to pairs (kernel, bias),
    the first left out where there is no convolution, and "tables" to a list.
    """
    rank = x.ndim - 2
    dilation_rate = dilation_rate or (1,) * rank
    ones = (1,) * rank
    attended = crop(x, kernel_size, dilation_rate) if padding == "valid" else x
    size = attended.shape[1:-1]
    if attention_downsampling == 2:
        attended = pool(attended, (2,) * rank)
    qkv_strides = strides
    if strided == "pool":
        attended, qkv_strides = pool(attended, strides), ones
    if position_encoding == "sine":
        attended = encode_sine(attended)
    elif position_encoding == "coordconv":
        attended = encode_coordinates(attended)
    qkv = convolution(attended, *weights["qkv"], qkv_strides, "same", ones)
    q, k, v = np.split(qkv, [key_depth, 2 * key_depth], axis=-1)
    tables = weights["tables"] if position_encoding == "relative" else None
    output, scores = attention(q, k, v, num_heads, tables)
    output = convolution(output, *weights["output_projection"], ones, "same", ones)
    if attention_downsampling == 2:
        output = upsample(output, size, strides)
    if "convolution" in weights:
        convolved = convolution(
            x, *weights["convolution"], strides, padding, dilation_rate
        )
        output = np.concatenate([convolved, output], axis=-1)
    return output, scores


def stand_alone_attention(x, kernel, rows, columns, num_heads, strides):
    """Attention over windows, Ramachandran et al. 2019, equations 2 and 3.

    `kernel` (channels, 3 F) makes queries, keys and values; `rows` (K, D/2) and
    `columns` are the embeddings of the offsets, the most negative first. Positions
    outside of the map are no keys. The output's windows of `strides` are averaged.
    Returns the output and the scores (batch, heads, H, W, H, W) over all keys.
    """
    q, k, v = np.split(x @ kernel, 3, axis=-1)
    y = np.zeros_like(v)
    size, depth = x.shape[1:-1], v.shape[-1] // num_heads
    scores = np.zeros((len(x), num_heads, *size, *size))
    for image, head in itertools.product(range(len(x)), range(num_heads)):
        part = slice(head * depth, (head + 1) * depth)
        for i in positions(size):
            keys, logits, values = [], [], []
            for a, b in positions((len(rows), len(columns))):
                j = (
                    i[0] + a - (len(rows) - 1) // 2,
                    i[1] + b - (len(columns) - 1) // 2,
                )
                if 0 <= j[0] < size[0] and 0 <= j[1] < size[1]:
                    r = np.concatenate([rows[a], columns[b]])
                    query = q[(image, *i, part)]
                    keys.append(j)
                    logits.append(query @ k[(image, *j, part)] + query @ r)
                    values.append(v[(image, *j, part)])
            weights = np.exp(np.array(logits) - max(logits))
            weights /= weights.sum()
            y[(image, *i, part)] = weights @ np.array(values)
            scores[image, head, *i][tuple(np.transpose(keys))] = weights
    lengths = [math.ceil(n / s) for n, s in zip(size, strides, strict=True)]
    pooled = np.zeros((len(x), *lengths, y.shape[-1]))
    for o in positions(lengths):
        # A "same" window: what is missing lies half before the map, the rest behind.
        starts = [
            o[a] * s - (lengths[a] * s - size[a]) // 2 for a, s in enumerate(strides)
        ]
        window = tuple(
            slice(max(b, 0), b + s) for b, s in zip(starts, strides, strict=True)
        )
        pooled[(slice(None), *o)] = y[(slice(None), *window)].mean(axis=(1, 2))
    return pooled, scores


def attention_stem(x, kernel, tables, mixture, window, num_heads):
    """Attention inside windows of a grid, values mixed by the place in the window.

    `kernel` (channels, (2 + M) F) makes queries, keys and M maps of values. `tables`
    are the embeddings (2 window - 1, D/2) of the distances of rows and of columns.
    `mixture` is the triple row (window, D), column (window, D), nu (D, M).
    """
    row, column, nu = mixture
    maps = x @ kernel
    filters = kernel.shape[1] // (2 + nu.shape[1])
    depth = filters // num_heads
    y = np.zeros((*x.shape[:-1], filters))
    size = x.shape[1:-1]
    for image, i, head in itertools.product(
        range(len(x)), positions(size), range(num_heads)
    ):
        part = slice(head * depth, (head + 1) * depth)
        start = [n // window * window for n in i]
        logits, values = [], []
        for a, b in positions((window, window)):
            j = (start[0] + a, start[1] + b)
            if j[0] >= size[0] or j[1] >= size[1]:
                continue
            distance = (j[0] - i[0] + window - 1, j[1] - i[1] + window - 1)
            r = np.concatenate([t[d] for t, d in zip(tables, distance, strict=True)])
            q, k = maps[(image, *i)][part], maps[(image, *j)][filters:][part]
            logits.append(q @ (k + r))
            p = np.exp((row[a] + column[b]) @ nu)
            p /= p.sum()
            # Head by head, each with all of its mixtures.
            v = maps[(image, *j)][2 * filters :].reshape(num_heads, len(p), depth)
            values.append(p @ v[head])
        weights = np.exp(np.array(logits) - max(logits))
        y[(image, *i, part)] = weights @ np.array(values) / weights.sum()
    return y
