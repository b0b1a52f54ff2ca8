"""What a run does that classifies images: see `tasks.task` for the contract."""

import keras

from aa_keras import data

PREPROCESSING = data.Preprocessing
FINAL_ACTIVATION = "softmax"  # trained on logits


def build_training(source, preprocessing, experiment, *, epochs):
    """Batches of `data.batch_size` for the range of `epochs`, one after the other."""
    return data.build_training(
        source,
        preprocessing,
        seed=experiment.train.seed,
        epochs=epochs,
        **experiment.data.training_options,
    )


def build_validation(source, preprocessing, experiment):
    """Every image of the validation split once, for loss and metrics of each epoch."""
    return build_evaluation(source, preprocessing, experiment, split="validation")


def build_evaluation(source, preprocessing, experiment, *, split):
    """Every image of a split exactly once."""
    return data.build_evaluation(
        source, preprocessing, split=split, batch_size=experiment.data.batch_size
    )


def compile_arguments(experiment):
    """Loss and metrics of training, as arguments of `compile`."""
    return _compile_arguments(
        from_logits=True, label_smoothing=experiment.train.label_smoothing
    )


def score(row):
    """How good an epoch was, larger is better, or None without a validation split."""
    return row.get("val_accuracy")


def measure(model, batches, experiment):
    """Metrics of a final model, each image of `batches` counted once.

    Returns:
        A dictionary of plain numbers: `loss`, `accuracy`, `top_5_accuracy`, `images`.
    """
    arguments = _compile_arguments(from_logits=False)
    arguments["metrics"].append(ImageCount(name="images"))
    model.compile(jit_compile=False, **arguments)
    metrics = model.evaluate(batches, verbose=0, return_dict=True)
    return {**metrics, "images": int(metrics["images"])}


class ImageCount(keras.metrics.Metric):
    """The number of images that were measured."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.total = self.add_variable((), initializer="zeros", dtype="int32")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(keras.ops.shape(y_true)[0])

    def result(self):
        return self.total.value


def _compile_arguments(*, from_logits, label_smoothing=0.0):
    return {
        "loss": keras.losses.CategoricalCrossentropy(
            from_logits=from_logits, label_smoothing=label_smoothing
        ),
        "metrics": [
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.TopKCategoricalAccuracy(5, name="top_5_accuracy"),
        ],
    }
