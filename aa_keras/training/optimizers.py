"""Optimisers as the paper states them: rates per 256 images, decay on kernels."""

import keras


def build_optimizer(
    optimizer, *, learning_rate, ema=None
) -> keras.optimizers.Optimizer:
    """Returns a Keras optimiser from `train.optimizer`.

    Args:
        optimizer: mapping with `name` (sgd, rmsprop, adamw) and its own keys.
        learning_rate: a schedule over updates.
        ema: float, the momentum of an average of the weights. Defaults to no average.
    """
    common = {
        "learning_rate": learning_rate,
        "global_clipnorm": optimizer.get("clip_norm"),
        "use_ema": ema is not None,
        "ema_momentum": 0.99 if ema is None else ema,
    }
    if optimizer["name"] == "sgd":
        return keras.optimizers.SGD(
            momentum=optimizer["momentum"], nesterov=optimizer["nesterov"], **common
        )
    if optimizer["name"] == "rmsprop":
        return keras.optimizers.RMSprop(
            rho=optimizer["decay"],
            momentum=optimizer["momentum"],
            epsilon=optimizer["epsilon"],
            **common,
        )
    return keras.optimizers.AdamW(weight_decay=optimizer["weight_decay"], **common)


def decay_kernels(model, optimizer, weight_decay) -> None:
    """Applies weight decay to kernels, not to biases, norms or embeddings.

    The optimisers of the paper decay through the loss: a decay d adds the gradient d w,
    which is Keras' `L2(d / 2)`. AdamW itself decays decoupled from the gradient.
    """
    if isinstance(optimizer, keras.optimizers.AdamW):
        optimizer.build(model.trainable_variables)
        optimizer.exclude_from_weight_decay(
            var_list=[v for v in model.trainable_variables if not is_kernel(v)]
        )
    elif weight_decay:
        regularizer = keras.regularizers.L2(weight_decay / 2)
        for variable in model.trainable_variables:
            if is_kernel(variable):
                variable.regularizer = regularizer


def is_kernel(variable) -> bool:
    return variable.name.endswith("kernel")  # depthwise_kernel too
