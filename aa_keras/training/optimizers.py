"""Optimisers as the paper states them: rates per 256 images, decay on kernels."""

from keras import optimizers, regularizers


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
        own = {key: optimizer[key] for key in ("momentum", "epsilon")}
        return optimizers.RMSprop(rho=optimizer["decay"], **own, **common)
    return optimizers.AdamW(weight_decay=optimizer["weight_decay"], **common)


def decay_kernels(model, optimizer, weight_decay) -> None:
    """Applies weight decay to kernels, not to biases, norms or embeddings.

    The optimisers of the paper decay through the loss: a decay d adds the gradient d w,
    which is Keras' `L2(d / 2)`. AdamW itself decays decoupled from the gradient.
    """
    if isinstance(optimizer, optimizers.AdamW):
        optimizer.build(model.trainable_variables)
        others = [v for v in model.trainable_variables if not is_kernel(v)]
        optimizer.exclude_from_weight_decay(var_list=others)
    elif weight_decay:
        for variable in filter(is_kernel, model.trainable_variables):
            variable.regularizer = regularizers.L2(weight_decay / 2)


def is_kernel(variable) -> bool:
    return variable.name.endswith("kernel")  # depthwise_kernel too
