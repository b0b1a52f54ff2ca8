"""Augmentation beyond the paper's, by Keras' own layers, off unless configured.

The layers draw from a generator with a state. Here its numbers follow from the seed of
the batch, so that the functions are pure.
"""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from aa_keras.keras_internals import SeededLayer


def rand_augment(strength) -> Callable:
    """Builds a function of images in 0..255 and a seed: `keras.layers.RandAugment`.

    All images of a batch get the same two changes. Keras draws each between nothing
    and `strength` in 0..1, in one direction: images shift down and right and get
    brighter. Posterization and solarization are strong at any strength.

    Reference:
        - Cubuk et al., "RandAugment", 2019.
    """
    layer = SeededRandAugment(value_range=(0, 255), num_ops=2, factor=strength)

    def apply(images, seed):
        return layer.with_generator(FoldedSeeds(seed))(tf.cast(images, tf.float32))

    return apply


def mix(mixup=None, cutmix=None) -> Callable:
    """Builds a function of images, one-hot labels and a seed that mixes both.

    `mixup` and `cutmix` are the alphas. With both, a coin selects one for each batch.

    Reference:
        - Zhang et al., "mixup: Beyond empirical risk minimization", 2018.
        - Yun et al., "CutMix", 2019.
    """
    layers = []
    if mixup:
        layers.append(SeededMixUp(alpha=mixup))
    if cutmix:
        # Keras draws alpha from the range `factor`; equal ends make it constant.
        layers.append(SeededCutMix(factor=(cutmix, cutmix)))

    def apply(images, labels, seed):
        coin_seed, seed = tf.unstack(tf.random.split(seed, 2))
        batch = {"images": images, "labels": labels}
        mixed = [
            layer.with_generator(FoldedSeeds(seed))(dict(batch)) for layer in layers
        ]
        if len(mixed) == 2:
            coin = tf.random.stateless_uniform((), coin_seed) < 0.5
            return tuple(tf.where(coin, mixed[0][key], mixed[1][key]) for key in batch)
        return mixed[0]["images"], mixed[0]["labels"]

    return apply


class FoldedSeeds(keras.random.SeedGenerator):
    """A generator without a variable: draw n is a function of (seed, n)."""

    def __init__(self, seed):
        # The parent's constructor would create a variable.
        self.seed = seed
        self.num_draws = 0

    def next(self, ordered=True):
        self.num_draws += 1
        return tf.random.fold_in(self.seed, self.num_draws)


class SeededRandAugment(SeededLayer, keras.layers.RandAugment):
    def transform_images(self, images, transformation, training=True):
        # Keras computes all eleven changes; this computes only the chosen ones.
        for chosen in tf.unstack(transformation["layer_idxes"]):
            images = tf.switch_case(
                chosen,
                [
                    functools.partial(getattr(self, name).transform_images, images, how)
                    for name, how in transformation["transforms"].items()
                ],
            )
        return images


class SeededMixUp(SeededLayer, keras.layers.MixUp):
    pass


class SeededCutMix(SeededLayer, keras.layers.CutMix):
    pass
