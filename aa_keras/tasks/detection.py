"""What a run does that finds objects: see `tasks.task` for the contract."""

import keras_cv
import tensorflow as tf

from aa_keras import data
from aa_keras.models import retinanet  # noqa: F401  registers it for load_model

PREPROCESSING = data.detection_batches.DetectionPreprocessing
FINAL_ACTIVATION = None  # KerasCV's decoder takes logits


def build_training(source, preprocessing, experiment, *, epochs):
    """Batches of `data.batch_size` for the range of `epochs`, one after the other."""
    return data.detection_batches.build_training(
        source,
        preprocessing,
        augmentation=experiment.data.augmentation,
        batch_size=experiment.data.batch_size,
        scale_range=experiment.data.scale_range,
        seed=experiment.train.seed,
        epochs=epochs,
    )


def build_validation(source, preprocessing, experiment):
    """Images without augmentation, for the losses: boxes in the network's pixels."""
    return data.detection_batches.build_training(
        source,
        preprocessing,
        augmentation="none",
        batch_size=experiment.data.batch_size,
        seed=experiment.train.seed,
        epochs=range(1),
        split="validation",
    )


def build_evaluation(source, preprocessing, experiment, *, split):
    """Every image of a split exactly once, boxes in pixels of the original image."""
    return data.detection_batches.build_evaluation(
        source, preprocessing, split=split, batch_size=experiment.data.batch_size
    )


def compile_arguments(experiment):
    """Losses of training, as arguments of `compile`: focal, and smooth L1 for boxes.

    Reference:
        - Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017; with the
          alpha and gamma of the first TPU RetinaNet.
    """
    return {
        "box_loss": "smoothl1",
        "classification_loss": keras_cv.losses.FocalLoss(
            alpha=0.25, gamma=1.5, from_logits=True, reduction="sum"
        ),
        # KerasCV's targets do not compile with XLA.
        "jit_compile": False,
    }


def score(row):
    """How good an epoch was, larger is better, or None without a validation split."""
    return -row["val_loss"] if "val_loss" in row else None


def measure(model, batches, experiment):
    """COCO's metrics of a final model, each image of `batches` counted once.

    Returns:
        A dictionary of plain numbers: `data.coco.METRICS`, and `images`.
    """
    seen = []

    @tf.function(reduce_retracing=True)
    def detect(images):
        return model.decode_predictions(model(images, training=False), images)

    def predictions():
        for images, targets in batches:
            seen.append(len(images))
            yield targets, detect(images)

    metrics = data.coco.measure(predictions(), experiment.data.image_size)
    return {**metrics, "images": sum(seen)}
