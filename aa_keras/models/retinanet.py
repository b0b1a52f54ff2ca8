"""RetinaNet on our ResNets, trained and decoded by KerasCV's.

KerasCV provides anchors, targets, losses and decoding. Pyramid and heads are our own:
the paper's 33.4 M parameters and 182 GFLOPs follow from the first TPU RetinaNet, with 6
anchors per position (KerasCV: 9), four convolutions per head (3) and P6 made from P5
(KerasCV: from C5).
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import keras
import keras_cv
from keras import layers

from aa_keras.models import spec
from aa_keras.models.parts import CLASSIFIER_INITIALIZER, batch_normalization
from aa_keras.models.resnet import DEPTHS, STAGES, build_resnet, stage_table
from aa_keras.models.stages import paper_attention
from aa_keras.options import check

# The levels of the pyramid: 80 x 80, 40 x 40, 20 x 20, 10 x 10 and 5 x 5 for images of
# 640 x 640. The first three are made from stages of the backbone, the others from the
# level below.
LEVELS = (3, 4, 5, 6, 7)
STAGE_OF_LEVEL = {3: 2, 4: 3, 5: 4}
PYRAMID_FILTERS = 256
NUM_HEAD_CONVOLUTIONS = 4
ANCHOR_SCALES = (2**0, 2**0.5)
ANCHOR_RATIOS = (0.5, 1.0, 2.0)
NUM_ANCHORS = len(ANCHOR_SCALES) * len(ANCHOR_RATIOS)
# The paper does not state the heads. With those of its ResNets (8) the augmented
# network is 0.3 M larger than the plain one, where Table 5 has it 0.3 M smaller; 2
# heads come nearest to the counts of both depths.
ATTENTION = paper_attention(STAGES, key_ratio=0.2, value_ratio=0.1, num_heads=2)
BOX_FORMAT = "xyxy"
# The share of the anchors that the untrained network classifies as objects.
PRIOR_PROBABILITY = 0.01


def build_pyramid(features: Mapping[str, keras.KerasTensor]) -> list:
    """Returns the maps of all levels, finest first, from P3, P4, P5 of the backbone."""
    maps: dict[int, Any] = {}
    for level in sorted(STAGE_OF_LEVEL, reverse=True):
        x = features[f"P{level}"]
        x = layers.Conv2D(PYRAMID_FILTERS, 1, name=f"lateral{level}_conv")(x)
        if level + 1 in maps:
            double = layers.UpSampling2D(2, name=f"lateral{level}_upsampling")
            above = double(maps[level + 1])
            if above.shape[1:3] != x.shape[1:3]:
                # Strides round up, so the map may be one row or column too large.
                above = above[:, : x.shape[1], : x.shape[2]]
            x = layers.Add(name=f"lateral{level}_add")([x, above])
        maps[level] = x
    for level in LEVELS:
        from_backbone = level in STAGE_OF_LEVEL
        x = maps[level if from_backbone else level - 1]
        if not from_backbone and level - 1 not in STAGE_OF_LEVEL:
            x = layers.ReLU(name=f"pyramid{level}_relu")(x)
        strides, name = 1 if from_backbone else 2, f"pyramid{level}_conv"
        conv = layers.Conv2D(PYRAMID_FILTERS, 3, strides, padding="same", name=name)
        maps[level] = conv(x)
    return [batch_normalization(f"pyramid{n}_bn")(x) for n, x in sorted(maps.items())]


class PredictionHead:
    """Four 3x3 convolutions and a last one, shared by the levels of the pyramid.

    Each level has its own batch normalisation, because their statistics differ. KerasCV
    calls a head once for each level, the finest first, so calls tell the level.
    """

    def __init__(self, name, filters, bias=0.0):
        self.name = name
        self.levels = iter(LEVELS)
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
        # float32 in every policy: losses on logits and offsets lose digits below.
        self.prediction = conv(
            filters,
            bias_initializer=keras.initializers.Constant(bias),
            dtype="float32",
            name=f"{name}_predictions",
        )

    def __call__(self, x):
        level = next(self.levels)
        for index, convolution in enumerate(self.convolutions, start=1):
            x = convolution(x)
            x = batch_normalization(f"{self.name}_level{level}_bn{index}")(x)
            x = layers.ReLU(name=f"{self.name}_level{level}_relu{index}")(x)
        return self.prediction(x)


@keras.saving.register_keras_serializable(package="aa_keras")
class RetinaNet(keras_cv.models.RetinaNet):
    """`keras_cv.models.RetinaNet` on a ResNet of `aa_keras.models`.

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
        prediction_decoder=None,
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
        )
        backbone.pyramid_level_inputs = {
            f"P{level}": f"stage{stage}_block{DEPTHS[depth].blocks[stage - 1]}_output"
            for level, stage in STAGE_OF_LEVEL.items()
        }
        super().__init__(
            backbone=backbone,
            num_classes=classes,
            bounding_box_format=bounding_box_format,
            anchor_generator=keras_cv.layers.AnchorGenerator(
                bounding_box_format=bounding_box_format,
                sizes=[4.0 * 2**level for level in LEVELS],
                scales=list(ANCHOR_SCALES),
                aspect_ratios=list(ANCHOR_RATIOS),
                strides=[2**level for level in LEVELS],
                clip_boxes=True,
            ),
            feature_pyramid=build_pyramid,
            classification_head=PredictionHead(
                "class",
                NUM_ANCHORS * classes,
                bias=-math.log((1 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY),
            ),
            box_head=PredictionHead("box", NUM_ANCHORS * 4),
            prediction_decoder=prediction_decoder,
            name=name,
            trainable=trainable,
        )
        self._options = {
            **resolved.model_dump(mode="json", exclude={"name"}),
            "input_shape": tuple(input_shape),
            "max_size": max_size,
            "bounding_box_format": bounding_box_format,
        }

    def call(self, inputs, training=None, mask=None):
        # KerasCV declares a dict and feeds a tensor, at which Keras warns.
        if not isinstance(inputs, dict):
            inputs = {"images": inputs}
        return super().call(inputs, training=training, mask=mask)

    def get_config(self):
        return {**self._options, "name": self.name, "trainable": self.trainable}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def resolve(options: Mapping[str, Any]) -> spec.RetinaNet:
    """Returns checked options, with the paper's value for each left to the family."""
    checked = check(spec.RetinaNet, options)
    depths = sorted(d for d, depth in DEPTHS.items() if depth.kind != "small")
    if checked.depth not in depths:
        raise ValueError(f"depth: received {checked.depth}; allowed: {depths}")
    backbone = spec.ResNet(depth=checked.depth, classes=checked.classes)
    return spec.resolve_attention(checked, ATTENTION, stage_table(backbone))


def build_retinanet(
    depth=50, *, classifier_activation=None, name=None, **options
) -> RetinaNet:
    """Builds the RetinaNet of the paper's Tables 5 and 8.

    Attention is in the backbone only, where ResNet has it, by default with 2 heads.

    Args:
        depth: int, depth of the backbone, 34, 50, 101 or 152.
        classifier_activation: `None`; the classification loss is on logits.
        name: string, the name of the model.
        **options: `input_shape`, `max_size`, `attention`, `channel_attention` (see
            `aa_keras.models.build`), `classes`, which defaults to 90, COCO's category
            numbers, as in the paper's counts, and `bounding_box_format`, KerasCV's
            name of the format of boxes.

    Returns:
        A `RetinaNet` from images to a dict of `"box"` (batch, anchors, 4) and
        `"classification"` (batch, anchors, classes), both before decoding. Compile it
        with `jit_compile=False`.

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
    return RetinaNet(depth, name=name or f"retinanet_{depth}", **options)
