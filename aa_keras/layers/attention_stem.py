"""The stem of stand-alone networks: attention whose values depend on the position."""

import keras
from keras import ops

from aa_keras.layers import validation
from aa_keras.layers.attention.fused import relative_windows
from aa_keras.layers.attention.local import HIDDEN
from aa_keras.layers.attention.resampling import wide_float
from aa_keras.layers.shapes import known_channels
from aa_keras.layers.sublayers import FeatureMapLayer, build_sublayer, fresh_initializer


@keras.saving.register_keras_serializable(package="aa_keras")
class AttentionStem2D(FeatureMapLayer):
    """Self-attention inside each window of a grid, with spatially aware values.

    Edges are found by comparing neighbours, for which content alone is of little help
    in the colors of single pixels. So values are a mixture of several linear maps,
    whose weights depend on the place in the window:

        v = sum_m p(a, b, m) W_m x,  p(a, b, m) = softmax_m((row(a) + column(b)) . nu_m)

    Queries, keys and relative embeddings are those of `StandAloneAttention2D`. In the
    paper a max pooling over the same windows follows.

    Args:
        filters: int, the channels of queries, of keys and of the output over all heads.
            A head must have an even number of them.
        window: int, the height and width of a window. Defaults to `4`.
        num_heads: int, must divide `filters`. Defaults to `8`.
        mixtures: int, the linear maps of the values. Defaults to `4`.
        kernel_initializer: initializer of the linear maps. Defaults to
            `"glorot_uniform"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`. Height and width may vary between calls; the
        last windows may reach beyond the map, where there are no keys.

    Output shape:
        `(batch, height, width, filters)`.

    Raises:
        ValueError: if an argument is out of range, or if the channels of a head are not
            an even number.

    Reference:
        - [Ramachandran et al., 2019](https://arxiv.org/abs/1906.05909), section 3.2 and
          its appendix. The number of mixtures and the size of their embeddings are not
          verified.

    Example:

    >>> AttentionStem2D(64)(np.random.rand(2, 32, 32, 3)).shape
    (2, 32, 32, 64)
    """

    def __init__(
        self,
        filters,
        window=4,
        num_heads=8,
        mixtures=4,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.window = validation.positive_int("window", window)
        self.num_heads = validation.positive_int("num_heads", num_heads)
        self.filters = validation.head_depth("filters", filters, self.num_heads, 2)
        self.mixtures = validation.positive_int("mixtures", mixtures)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.qkv = build_sublayer(
            self,
            keras.layers.Conv2D,
            (2 + self.mixtures) * self.filters,
            1,
            use_bias=False,
            data_format="channels_last",
            kernel_initializer=self.kernel_initializer,
            name="qkv",
        )

    def build(self, input_shape):
        known_channels(input_shape)
        self.qkv.build(input_shape)
        depth = self.filters // self.num_heads
        normal = keras.initializers.RandomNormal(stddev=depth**-0.5)

        def table(name, *shape):
            initializer = fresh_initializer(normal)
            return self.add_weight(name=name, shape=shape, initializer=initializer)

        distances = 2 * self.window - 1
        self.relative_rows = table("relative_rows", distances, depth // 2)
        self.relative_columns = table("relative_columns", distances, depth // 2)
        self.mixture_rows = table("mixture_rows", self.window, depth)
        self.mixture_columns = table("mixture_columns", self.window, depth)
        self.mixture_embeddings = table("mixture_embeddings", depth, self.mixtures)

    def call(self, inputs):
        batch, height, width, _ = ops.shape(inputs)
        wide = wide_float(self.compute_dtype)
        qkv = ops.cast(self.qkv(ops.cast(inputs, self.compute_dtype)), wide)
        q, k, v = ops.split(qkv, (self.filters, 2 * self.filters), axis=-1)
        q, k, v = (self._windows(x) for x in (q, k, v))
        # (batch, window of the grid, head, position, position)
        logits = q @ ops.swapaxes(k, -1, -2) + self._relative_logits(q)
        inside = self._windows(ops.ones((1, height, width, self.num_heads), wide))
        logits = logits + HIDDEN * (1 - ops.swapaxes(inside, -1, -2))
        output = ops.softmax(logits) @ self._mix(v)
        return ops.cast(self._map(output, batch, height, width), self.compute_dtype)

    def mixture_weights(self):
        """Returns p, the tensor (window, window, mixtures) of weights that sum to 1."""
        rows, columns, embeddings = (
            ops.cast(weight, wide_float(self.compute_dtype))
            for weight in (
                self.mixture_rows,
                self.mixture_columns,
                self.mixture_embeddings,
            )
        )
        return ops.softmax((rows[:, None] + columns) @ embeddings)

    def _mix(self, v):
        """(..., positions, mixtures * D) to (..., positions, D)."""
        weights = ops.reshape(self.mixture_weights(), (-1, self.mixtures, 1))
        shape = (*ops.shape(v)[:-1], self.mixtures, self.filters // self.num_heads)
        return ops.sum(ops.reshape(v, shape) * weights, axis=-2)

    def _relative_logits(self, q):
        length, half = self.window, q.shape[-1] // 2
        rows, columns = (
            relative_windows(ops.cast(table, q.dtype), length)
            for table in (self.relative_rows, self.relative_columns)
        )
        *outer, _, depth = ops.shape(q)
        q = ops.reshape(q, (-1, length, length, depth))
        rows = ops.einsum("myxd,yad->myxa", q[..., :half], rows)
        columns = ops.einsum("myxd,xbd->myxb", q[..., half:], columns)
        logits = rows[..., None] + columns[..., None, :]
        return ops.reshape(logits, (*outer, length**2, length**2))

    def _windows(self, x):
        """(B, H, W, heads * C) to (B, windows of the grid, heads, positions, C)."""
        batch, height, width, channels = ops.shape(x)
        n = self.window
        padding = [(0, 0), (0, -height % n), (0, -width % n), (0, 0)]
        grid = (-(-height // n), -(-width // n))
        x = ops.reshape(ops.pad(x, padding), (batch, grid[0], n, grid[1], n, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        heads = (self.num_heads, channels // self.num_heads)
        x = ops.reshape(x, (batch, grid[0] * grid[1], n * n, *heads))
        return ops.transpose(x, (0, 1, 3, 2, 4))

    def _map(self, x, batch, height, width):
        """The inverse of `_windows`."""
        n = self.window
        grid = (-(-height // n), -(-width // n))
        x = ops.transpose(x, (0, 1, 3, 2, 4))
        x = ops.reshape(x, (batch, *grid, n, n, self.filters))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        x = ops.reshape(x, (batch, grid[0] * n, grid[1] * n, self.filters))
        return x[:, :height, :width]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)
