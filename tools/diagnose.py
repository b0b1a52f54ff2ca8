"""Prints what the attention of finished ResNets learned.

    python tools/diagnose.py runs/screen_pooled/seed_0 [RUN...]

For each augmented layer, on training images: entropy (bits) and distance (pixels) of
attention, mean over heads; the scale of its channels in the batch normalisation that
follows, as a share of the scale of the convolution's channels; and the gradient of the
cross-entropy for each of its weights, as a share of the weight's norm. The first line
has these shares for the kernels of plain convolutions. `results/small/PROTOCOL.md` uses
the numbers.
"""

import argparse
import statistics

import keras
import numpy as np
import tensorflow as tf

from aa_keras import data, visualization
from aa_keras.layers import AugmentedConv2D
from aa_keras.training.evaluation import load_run

IMAGES = 512


def diagnose(workdir) -> list[str]:
    """Returns the lines about a run, of a classifier.

    Args:
        workdir: path of its work directory.
    """
    run = load_run(workdir)
    images, labels = _examples(run)
    size = images.shape[1:3]
    queries = visualization.query_grid(size, 4)
    scores = visualization.attention_scores(run.model, images[:64], queries)
    # Last, as this changes the moving averages of batch normalisation.
    shares = _gradient_shares(run.model, images, labels)
    lines = [
        f"{workdir}",
        f"  kernels of convolutions: {_range(_of_plain(run.model, shares))}",
    ]
    for layer in run.model.layers:
        if not isinstance(layer, AugmentedConv2D):
            continue
        own = scores[layer.name]
        entropy = visualization.attention_entropy(own).mean()
        distance = visualization.mean_attention_distance(own, queries, size).mean()
        normal = run.model.get_layer(layer.name.replace("_conv", "_bn"))
        gamma = np.abs(keras.ops.convert_to_numpy(normal.gamma))
        filters = layer.convolution.filters
        scale = gamma[filters:].mean() / gamma[:filters].mean()
        most = np.log2(own[0, 0, 0].size)
        lines.append(
            f"  {layer.name}: entropy {entropy:.1f} of {most:.0f} bits, "
            f"distance {distance:.1f} of {size[0]} pixels, scale {scale:.2f}"
        )
        lines += [
            f"    {weight.path.partition('/')[2]}: {shares[weight.path]:.4f}"
            for weight in layer.trainable_variables
        ]
    return lines


def _examples(run):
    """The first training images as the network takes them, and their labels."""
    options = run.experiment.data
    source = data.open_source(options.name, options.data_dir)
    batches = data.build_evaluation(
        source, run.task.preprocessing, split="train", batch_size=IMAGES
    )
    images, labels = next(batches.as_numpy_iterator())[:2]
    return images, labels


def _gradient_shares(model, images, labels):
    with tf.GradientTape() as tape:
        probabilities = model(images, training=True)
        loss = keras.losses.CategoricalCrossentropy()
        value = loss(labels, probabilities)
    weights = model.trainable_variables
    gradients = tape.gradient(value, [weight.value for weight in weights])
    return {
        weight.path: float(tf.norm(gradient) / tf.norm(weight.value))
        for weight, gradient in zip(weights, gradients, strict=True)
    }


def _of_plain(model, shares):
    plain = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    return [shares[layer.kernel.path] for layer in plain]


def _range(values):
    middle = statistics.median(values)
    return f"{min(values):.4f} to {max(values):.4f}, median {middle:.4f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    for name in parser.parse_args().runs:
        print("\n".join(diagnose(name)))
