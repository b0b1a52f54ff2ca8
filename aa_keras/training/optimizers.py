"""Optimisers of the paper, and weight decay as its code base has it."""

import keras
from keras import initializers, optimizers, regularizers

from aa_keras.training import normalization


@keras.saving.register_keras_serializable(package="aa_keras")
class RMSprop(optimizers.RMSprop):
    """RMSProp whose mean of squared gradients starts from a value other than zero.

    Args:
        initial_accumulator_value: float. Defaults to 1, as in TensorFlow 1. From 0, as
            in Keras, the first update is `(1 - rho) ** -0.5` times the learning rate,
            whatever the gradient.
        **options: the arguments of `keras.optimizers.RMSprop`.

    Reference:
        - `tf.compat.v1.train.RMSPropOptimizer`.
    """

    def __init__(self, *, initial_accumulator_value=1.0, **options):
        super().__init__(**options)
        self.initial_accumulator_value = initial_accumulator_value

    def add_optimizer_variables(self, trainable_variables, name, initializer="zeros"):
        if name == "velocity":
            initializer = initializers.Constant(self.initial_accumulator_value)
        return super().add_optimizer_variables(trainable_variables, name, initializer)

    def get_config(self):
        value = self.initial_accumulator_value
        return {**super().get_config(), "initial_accumulator_value": value}


def build_optimizer(optimizer, *, learning_rate) -> optimizers.Optimizer:
    """Returns a Keras optimiser from the mapping `train.optimizer`.

    `learning_rate` is a schedule over updates.
    """
    common = {
        "learning_rate": learning_rate,
        "global_clipnorm": optimizer.get("clip_norm"),
    }
    if optimizer["name"] == "sgd":
        own = {key: optimizer[key] for key in ("momentum", "nesterov")}
        return optimizers.SGD(**own, **common)
    if optimizer["name"] == "rmsprop":
        keys = ("momentum", "epsilon", "initial_accumulator_value")
        own = {key: optimizer[key] for key in keys}
        return RMSprop(rho=optimizer["decay"], **own, **common)
    return optimizers.AdamW(weight_decay=optimizer["weight_decay"], **common)


def decay_weights(model, optimizer, weight_decay) -> None:
    """Applies weight decay to all variables but those of batch normalisation.

    The optimisers of the paper decay through the loss: a decay d adds the gradient d w,
    which is Keras' `L2(d / 2)`. AdamW itself decays decoupled from the gradient.

    Reference:
        - The TPU ResNet and MnasNet code.
    """
    layers = normalization.batch_normalizations(model)
    normal = [v for layer in layers for v in layer.trainable_variables]
    if isinstance(optimizer, optimizers.AdamW):
        optimizer.build(model.trainable_variables)
        optimizer.exclude_from_weight_decay(var_list=normal)
    elif weight_decay:
        excluded = {id(variable) for variable in normal}
        for variable in model.trainable_variables:
            if id(variable) not in excluded:
                variable.regularizer = regularizers.L2(weight_decay / 2)
