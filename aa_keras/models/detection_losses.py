"""The losses of a RetinaNet, with the constants of the TPU code base.

The focal loss is KerasCV's, the Huber loss Keras'. KerasCV's RetinaNet has other
constants for boxes, and divides by the number of anchors with an object, not by one
more: a batch without any has no loss there.
"""

import keras
import keras_cv

ALPHA, GAMMA = 0.25, 1.5
HUBER_DELTA = 0.1
LOSS_WEIGHTS = {"box": 50.0, "classification": 1.0}


def build_losses() -> dict:
    """Returns the losses by the name of the output, for `keras.Model.compile`.

    Both are sums; `RetinaNet.compute_loss` weights each anchor by 1 over the number of
    anchors with an object, plus 1.

    Reference:
        - Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, section 3.
    """
    return {
        "box": keras.losses.Huber(HUBER_DELTA, reduction="sum"),
        "classification": keras_cv.losses.FocalLoss(
            ALPHA, GAMMA, from_logits=True, reduction="sum"
        ),
    }
