"""Learning rates of their own for some weights."""

from keras import ops

from aa_keras.layers.inspection import matches


def prepare(model, options) -> "UpdateFactors | None":
    """Returns the factors that an experiment asks for, or None for one rate.

    Args:
        model: a compiled model whose optimizer is built.
        options: the `config.Train` of the run.

    Raises:
        ValueError: if a pattern of `learning_rate_factors` matches no weight.
    """
    if not options.learning_rate_factors and options.kept_learning_rate_factor is None:
        return None
    factors = UpdateFactors(model)
    weights = model.trainable_variables
    for pattern, factor in options.learning_rate_factors.items():
        matching = [weight for weight in weights if matches(weight.path, pattern)]
        if not matching:
            last = list(dict.fromkeys(w.path.rpartition("/")[2] for w in weights))
            raise ValueError(
                f"train.learning_rate_factors: received {pattern!r}, which matches no "
                f"trained weight; allowed: patterns of {', '.join(last[:8])} or of "
                f"whole paths, as {weights[0].path}"
            )
        factors.multiply(matching, factor)
    return factors


class UpdateFactors:
    """A factor for the updates of each weight: a learning rate of its own.

    It also scales the decay of AdamW. The gradients stay as they are: Adam and RMSProp
    divide by their size. The factors are variables of the optimizer, so that they are
    part of each checkpoint, and start at 1.

    Args:
        model: a compiled model whose optimizer is built.
    """

    def __init__(self, model):
        self._weights = model.trainable_variables
        optimizer = model.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a loss scale
        self._factors = inner.add_variable(
            (len(self._weights),), initializer="ones", name="update_factors"
        )
        self._apply = optimizer.apply
        optimizer.apply = self._scaled

    def multiply(self, weights, factor: float) -> None:
        """Multiplies the factors of some weights."""
        ids = {id(weight) for weight in weights}
        factors = [factor if id(w) in ids else 1.0 for w in self._weights]
        self._factors.assign(self._factors * factors)

    def _scaled(self, gradients, trainable_variables=None):
        before = [ops.copy(weight) for weight in self._weights]
        self._apply(gradients, trainable_variables)
        for index, (weight, old) in enumerate(zip(self._weights, before, strict=True)):
            factor = self._factors[index]
            scaled = old + factor * (weight - old)
            weight.assign(ops.where(factor == 1, weight, scaled))  # 1 rounds nothing
