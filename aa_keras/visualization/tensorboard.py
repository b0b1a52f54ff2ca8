"""Attention maps of one image, watched while a network trains."""

import keras
import numpy as np

from aa_keras.visualization.figures import draw_attention_maps
from aa_keras.visualization.scores import attention_scores


class AttentionMaps(keras.callbacks.Callback):
    """Writes attention maps of a fixed image for TensorBoard.

    One picture `attention/<layer>` for each layer, at the step of the epoch, as
    `keras.callbacks.TensorBoard` counts them.

    Args:
        log_dir: path of the folder of TensorBoard's files.
        image: array (height, width, channels) as the network takes it.
        queries: sequence of pairs (y, x), in pixels of `image`.
        epochs: collection of ints, the epochs, counted from 0, at whose end to write,
            such as `range(0, 100, 10)`. Defaults to every epoch.
        layers: list of names as in `aa_keras.layers.attention_layers`. Defaults to all.

    Raises:
        ValueError: when training begins, if the network has no attention layers, a
            name is none of them, or a query is outside of the image.

    Example:

    >>> watch = AttentionMaps("runs/aa/tensorboard", x_test[0], [(3, 3)])
    >>> model.fit(x_train, y_train, epochs=10, callbacks=[watch])
    """

    def __init__(self, log_dir, image, queries, *, epochs=None, layers=None):
        super().__init__()
        self.log_dir = str(log_dir)
        self.image = np.asarray(image)
        self.queries = list(queries)
        self.epochs = epochs
        self.layers = layers
        self._writer = None

    def on_train_begin(self, logs=None):
        self._scores()  # mistakes show before hours of training, not after the first

    def on_epoch_end(self, epoch, logs=None):
        if self.epochs is not None and epoch not in self.epochs:
            return
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(self.log_dir)
        with self._writer.as_default(step=epoch):
            for name, scores in self._scores().items():
                title = f"{name}, epoch {epoch}"
                figure = draw_attention_maps(
                    self.image, scores[0], self.queries, title=title
                )
                tf.summary.image(f"attention/{name}", rasterize(figure)[np.newaxis])
        self._writer.flush()

    def on_train_end(self, logs=None):
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _scores(self):
        return attention_scores(self.model, self.image[None], self.queries, self.layers)


def rasterize(figure) -> np.ndarray:
    """Returns a figure's pixels, uint8 (height, width, 3)."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
