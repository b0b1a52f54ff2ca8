"""The losses of a RetinaNet, with the constants of the TPU code base.

KerasCV's focal loss takes the probability first, so that it has no gradient where the
network is sure and wrong; its box loss has another delta.
"""

import keras
from keras import ops

ALPHA, GAMMA = 0.25, 1.5
HUBER_DELTA = 0.1
BOX_LOSS_WEIGHT = 50.0


class FocalLoss(keras.losses.Loss):
    """The focal loss of logits, summed over the classes of an anchor.

    Args:
        alpha: float, the weight of an object; that of background is 1 - alpha.
        gamma: float, the exponent of 1 minus the probability of the truth.

    Reference:
        - Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, section 3.
    """

    def __init__(
        self, alpha=ALPHA, gamma=GAMMA, reduction="sum", name="focal_loss", **options
    ):
        super().__init__(reduction=reduction, name=name, **options)
        self.alpha = alpha
        self.gamma = gamma

    def call(self, y_true, y_pred):
        """Returns (batch, anchors) from 0 or 1 and logits (batch, anchors, classes)."""
        # With s = 1 for an object and -1 for background, p_t = sigmoid(s y_pred).
        wrong = ops.where(y_true == 1, -y_pred, y_pred)
        weights = ops.where(y_true == 1, self.alpha, 1 - self.alpha)
        modulation = ops.exp(self.gamma * ops.log_sigmoid(wrong))
        return ops.sum(weights * modulation * ops.softplus(wrong), axis=-1)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


def build_losses() -> dict:
    """Returns the losses by the name of the output, for `keras.Model.compile`.

    Both are sums; `RetinaNet.compute_loss` weights each anchor by 1 over the number of
    anchors with an object, plus 1.
    """
    return {
        "box": keras.losses.Huber(HUBER_DELTA, reduction="sum"),
        "classification": FocalLoss(),
    }


LOSS_WEIGHTS = {"box": BOX_LOSS_WEIGHT, "classification": 1.0}
