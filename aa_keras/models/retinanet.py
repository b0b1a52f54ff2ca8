"""RetinaNet on our ResNets, after the first TPU RetinaNet.

The paper's 33.4 M parameters and 182 GFLOPs follow from that code base, with 6 anchors
per position (KerasCV: 9), four convolutions per head (3) and P6 made from P5 (KerasCV:
from C5). `anchors` and `suppression` are our own as well, and say what KerasCV does
otherwise. KerasCV computes the focal loss and the intersection over union, and converts
the formats of boxes.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import keras
import keras_cv
from keras import layers, ops

from aa_keras.models import anchors, detection_losses, spec
from aa_keras.models.anchors import LEVELS
from aa_keras.models.backbones import feature_maps
from aa_keras.models.parts import (
    CLASSIFIER_INITIALIZER,
    batch_normalization,
    image_input,
)
from aa_keras.models.placement import resolve_attention
from aa_keras.models.resnet import DEPTHS, STAGES, build_resnet, stage_table
from aa_keras.models.stages import paper_attention
from aa_keras.models.suppression import suppress
from aa_keras.options import check

# The first three levels of the pyramid are made from stages of the backbone, the others
# from the level below.
STAGE_OF_LEVEL = {3: 2, 4: 3, 5: 4}
PYRAMID_FILTERS = 256
NUM_HEAD_CONVOLUTIONS = 4
# The paper does not state the heads. With those of its ResNets (8) the augmented
# network is 0.3 M larger than the plain one, where Table 5 has it 0.3 M smaller; 2
# heads come nearest to the counts of both depths.
ATTENTION = paper_attention(STAGES, key_ratio=0.2, value_ratio=0.1, num_heads=2)
BOX_FORMAT = "xyxy"
# The share of the anchors that the untrained network classifies as objects.
PRIOR_PROBABILITY = 0.01
# In every policy: losses on logits and offsets lose digits below.
OUTPUT_DTYPE = "float32"


@keras.saving.register_keras_serializable(package="aa_keras")
class CroppedAdd(layers.Layer):
    """Adds a map and the part of a second one that lies on it, whatever their sizes."""

    def call(self, inputs):
        x, above = inputs
        height, width = ops.shape(x)[1:3]
        return x + above[:, :height, :width]

    def compute_output_shape(self, input_shape):
        return input_shape[0]


def build_pyramid(features: Mapping[str, keras.KerasTensor]) -> dict[int, Any]:
    """Returns the map of each level from the outputs of the backbone's stages."""
    maps: dict[int, Any] = {}
    for level, stage in sorted(STAGE_OF_LEVEL.items(), reverse=True):
        x = features[f"stage{stage}"]
        x = layers.Conv2D(PYRAMID_FILTERS, 1, name=f"lateral{level}_conv")(x)
        if level + 1 in maps:
            double = layers.UpSampling2D(2, name=f"lateral{level}_upsampling")
            above = double(maps[level + 1])
            # Strides round up, so the map may be one row or column too large.
            fits = None not in x.shape[1:3] and above.shape[1:3] == x.shape[1:3]
            add = layers.Add if fits else CroppedAdd
            x = add(name=f"lateral{level}_add")([x, above])
        maps[level] = x
    for level in LEVELS:
        from_backbone = level in STAGE_OF_LEVEL
        x = maps[level if from_backbone else level - 1]
        if not from_backbone and level - 1 not in STAGE_OF_LEVEL:
            x = layers.ReLU(name=f"pyramid{level}_relu")(x)
        strides, name = 1 if from_backbone else 2, f"pyramid{level}_conv"
        conv = layers.Conv2D(PYRAMID_FILTERS, 3, strides, padding="same", name=name)
        maps[level] = conv(x)
    return {n: batch_normalization(f"pyramid{n}_bn")(maps[n]) for n in LEVELS}


class PredictionHead:
    """Four 3x3 convolutions and a last one, shared by the levels of the pyramid.

    Each level has its own batch normalisation, because their statistics differ. The
    head has `size` outputs for each anchor.
    """

    def __init__(self, name, size, bias=0.0):
        self.name = name
        self.size = size
        conv = functools.partial(
            layers.Conv2D,
            kernel_size=3,
            padding="same",
            kernel_initializer=CLASSIFIER_INITIALIZER,
        )
        self.convolutions = [
            conv(PYRAMID_FILTERS, use_bias=False, name=f"{name}_conv{index + 1}")
            for index in range(NUM_HEAD_CONVOLUTIONS)
        ]
        self.prediction = conv(
            anchors.PER_POSITION * size,
            bias_initializer=keras.initializers.Constant(bias),
            dtype=OUTPUT_DTYPE,
            name=f"{name}_predictions",
        )

    def __call__(self, x, level):
        """Returns the predictions (batch, anchors, size) of a level."""
        for index, convolution in enumerate(self.convolutions, start=1):
            x = convolution(x)
            x = batch_normalization(f"{self.name}_level{level}_bn{index}")(x)
            x = layers.ReLU(name=f"{self.name}_level{level}_relu{index}")(x)
        reshape = layers.Reshape((-1, self.size), dtype=OUTPUT_DTYPE)
        return reshape(self.prediction(x))


@keras.saving.register_keras_serializable(package="aa_keras")
class RetinaNet(keras.Model):
    """A RetinaNet on a ResNet of `aa_keras.models`.

    See `build_retinanet` for the arguments. A saved model contains them and is built
    from them when it is loaded. Import this module before loading one.
    """

    def __init__(
        self,
        depth=50,
        *,
        classes=90,
        input_shape=(640, 640, 3),
        max_size=None,
        bounding_box_format=BOX_FORMAT,
        name=None,
        trainable=True,
        **options,
    ):
        resolved = resolve({"depth": depth, "classes": classes, **options})
        backbone = build_resnet(
            depth,
            input_shape=input_shape,
            attention=resolved.attention,
            channel_attention=resolved.channel_attention,
            include_top=False,
            max_size=max_size,
            name=f"resnet_{depth}",  # part of the paths of weights in saved runs
        )
        feature_extractor = feature_maps(backbone, list(STAGE_OF_LEVEL.values()))
        images = image_input(input_shape)
        pyramid = build_pyramid(feature_extractor(images))
        prior = -math.log((1 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY)
        heads = {
            "box": PredictionHead("box", 4),
            "classification": PredictionHead("class", classes, bias=prior),
        }
        outputs = {
            key: layers.Concatenate(axis=1, dtype=OUTPUT_DTYPE, name=key)(
                [head(x, level) for level, x in pyramid.items()]
            )
            for key, head in heads.items()
        }
        name = name or resolved.network_name()
        super().__init__(images, outputs, name=name, trainable=trainable)
        self.feature_extractor = feature_extractor
        self.num_classes = classes
        self.decoding = resolved.decoding
        self.bounding_box_format = bounding_box_format
        self._options = {
            **resolved.model_dump(mode="json", exclude={"name"}),
            "input_shape": tuple(input_shape),
            "max_size": max_size,
            "bounding_box_format": bounding_box_format,
        }

    def compile(self, optimizer="rmsprop", **options):
        """Configures training with the losses of the paper's code base.

        The arguments are those of `keras.Model.compile` but for the losses. Only
        `fit` and `evaluate` need it, and take as targets a dictionary of `boxes`
        (batch, most, 4) and `classes` (batch, most), -1 where a row is no object.
        """
        options.setdefault("loss", detection_losses.build_losses())
        options.setdefault("loss_weights", detection_losses.LOSS_WEIGHTS)
        super().compile(optimizer=optimizer, **options)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if sample_weight is not None:
            raise ValueError(
                "sample_weight: received weights; allowed for a RetinaNet: None, and "
                "no class_weight"
            )
        places = anchors.build_anchors(*x.shape[1:3])
        boxes = self._convert(y["boxes"], x, source=self.bounding_box_format)
        # One image at a time: all overlaps of a batch do not fit into the memory.
        offsets, classes = ops.map(
            lambda image: anchors.assign(*image, places), (boxes, y["classes"])
        )
        matched = ops.cast(classes != anchors.BACKGROUND, "float32")
        normalizer = ops.sum(matched) + 1  # images without an object have a loss, too
        return super().compute_loss(
            x,
            {
                "box": offsets,
                "classification": ops.one_hot(classes, self.num_classes),
            },
            y_pred,
            {
                "box": matched / normalizer,
                "classification": ops.ones_like(matched) / normalizer,
            },
            training,
        )

    def decode_predictions(self, predictions, images, serving=False) -> dict:
        """Selects boxes from the outputs for `images`, as `decoding` says.

        Args:
            predictions: dictionary, the outputs of the model.
            images: float tensor (batch, height, width, channels).
            serving: bool, whether boxes must exceed `serving_score_threshold` rather
                than `score_threshold`. Defaults to `False`.

        Returns:
            A dictionary of `boxes` (batch, max_boxes, 4) in the model's format,
            clipped to the image, `confidence` and `classes` (batch, max_boxes), all
            -1 where there is no box, and `num_detections` (batch,).
        """
        height, width = images.shape[1:3]
        boxes = anchors.decode(predictions["box"], anchors.build_anchors(height, width))
        boxes = ops.clip(boxes, 0.0, [width, height, width, height])
        decoding = self.decoding
        found = suppress(
            boxes,
            predictions["classification"],
            score_threshold=(
                decoding.serving_score_threshold
                if serving
                else decoding.score_threshold
            ),
            iou_threshold=decoding.iou_threshold,
            max_boxes=decoding.max_boxes,
            max_candidates=decoding.max_candidates,
        )
        boxes = self._convert(found["boxes"], images, target=self.bounding_box_format)
        there = found["classes"][..., None] >= 0
        return {**found, "boxes": ops.where(there, boxes, -1.0)}

    def _convert(self, boxes, images, source=BOX_FORMAT, target=BOX_FORMAT):
        return keras_cv.bounding_box.convert_format(
            boxes, source=source, target=target, image_shape=tuple(images.shape[1:])
        )

    def get_config(self):
        return {
            **self._options,
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy.name,
            "frozen": [layer.name for layer in self._parts() if not layer.trainable],
        }

    @classmethod
    def from_config(cls, config):
        config = {**config}
        frozen = config.pop("frozen", ())
        outer = keras.config.dtype_policy()
        keras.config.set_dtype_policy(config.pop("dtype", outer))
        try:
            model = cls(**config)
        finally:
            keras.config.set_dtype_policy(outer)
        if frozen:
            for layer in model._parts():  # the backbone before what is in it
                layer.trainable = layer.name not in frozen
        return model

    def _parts(self):
        """The layers, whose names differ, and those of the backbone."""
        return [*self.layers, *self.feature_extractor.layers]


def resolve(options: Mapping[str, Any]) -> spec.RetinaNet:
    """Returns checked options, with the paper's value for each left to the family."""
    checked = check(spec.RetinaNet, options)
    depths = sorted(d for d, depth in DEPTHS.items() if depth.kind != "small")
    if checked.depth not in depths:
        raise ValueError(f"depth: received {checked.depth}; allowed: {depths}")
    backbone = spec.ResNet(depth=checked.depth, classes=checked.classes)
    return resolve_attention(checked, ATTENTION, stage_table(backbone))


def build_retinanet(
    depth=50, *, classifier_activation=None, name=None, **options
) -> RetinaNet:
    """Builds the RetinaNet of the paper's Tables 5 and 8.

    Attention is in the backbone only, where ResNet has it, by default with 2 heads.

    Args:
        depth: int, depth of the backbone, 18, 26, 34, 38, 50, 101 or 152.
        classifier_activation: `None`; the classification loss is on logits.
        name: string, the name of the model.
        **options: `input_shape`, `max_size`, `attention`, `channel_attention` (see
            `aa_keras.models.build`), `classes`, which defaults to 90, COCO's category
            numbers, as in the paper's counts, `decoding` (see
            `aa_keras.models.spec.Decoding`), and `bounding_box_format`, KerasCV's name
            of the format of boxes.

    Returns:
        A `RetinaNet` from images to a dict of `"box"` (batch, anchors, 4) and
        `"classification"` (batch, anchors, classes), logits. `decode_predictions`
        selects the boxes. Its `compile` has the losses.

    Raises:
        ValueError: for a depth without pyramid, a `classifier_activation`, or what
            `build_resnet` refuses.

    Reference:
        - Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
        - Bello et al., "Attention Augmented Convolutional Networks", section 4.4.
    """
    if classifier_activation is not None:
        raise ValueError(
            f"classifier_activation: received {classifier_activation!r}; allowed: None "
            "for a retinanet"
        )
    return RetinaNet(depth, name=name, **options)
