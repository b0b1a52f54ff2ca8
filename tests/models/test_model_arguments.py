"""Mistakes in the arguments of the builders: one line that says what is allowed."""

import keras
import pytest

from aa_keras import models
from aa_keras.models import spec
from aa_keras.options import check

BASE = {"input_shape": (32, 32, 3), "classes": 10}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg", {}, r"name: received 'vgg'; allowed: .*'wide_resnet'"),
        ("resnet", {"width": 2}, r"width: unknown key, received 2; .*allowed: .*depth"),
        (
            "resnet",
            {"max_size": 0},
            "max_size must be a positive integer or 2 of them; received 0",
        ),
        ("resnet", {"depth": 22}, r"depth: received 22; allowed: \[8, .*152\]"),
        ("resnet", {"depth": "50"}, r"depth: received '50'; allowed: a whole number"),
        ("resnet", {"classes": 0}, r"classes: received 0; allowed: .* 1"),
        ("resnet", {"input_shape": (32, 32)}, r"input_shape: received \(32, 32\)"),
        ("resnet", {"input_shape": None}, "input_shape: received None; allowed: .heig"),
        ("resnet", {"input_tensor": 3}, "input_tensor: received 3; allowed: a keras"),
        (
            "resnet",
            {"input_tensor": keras.KerasTensor((None, 32, 3))},
            r"input_tensor: received .*shape=\(None, 32, 3\)",
        ),
        (
            "resnet",
            {"channel_attention": "eca"},
            r"channel_attention: received 'eca'; allowed: .*'gala'",
        ),
        ("resnet", {"dropout": 1.0}, r"dropout: received 1.0; allowed: less than 1"),
        ("resnet", {"pooling": "min", "include_top": False}, "pooling: received 'min'"),
        ("wide_resnet", {"depth": 27}, r"depth: received 27; allowed: 6 n \+ 4"),
        ("wide_resnet", {"width": 0}, r"width: received 0; allowed: .* 1"),
        (
            "mnasnet",
            {"width_multiplier": 0},
            r"width_multiplier: received 0; allowed: greater than 0",
        ),
        (
            "mnasnet",
            {"channel_attention": "se"},
            r"channel_attention: unknown key, received 'se'",
        ),
        (
            "retinanet",
            {"depth": 20},
            r"depth: received 20; allowed: \[18, 26, 34, 38, 50, 101, 152\]",
        ),
        (
            "resnet",
            {"depth": 8, "widths": [16, 8, 64]},
            r"widths: received \[16, 8, 64\]; allowed: 3 numbers",
        ),
        (
            "resnet",
            {"attention": {}, "convolution": keras.layers.Conv2D},
            r"convolution: received .*Conv2D.* beside attention; allowed: one of them",
        ),
        (
            "mnasnet",
            {"attention": {"stages": [1]}},
            r"attention.stages: received \[1\]; allowed: 2 to 7",
        ),
        ("retinanet", {"dropout": 0.5}, r"dropout: unknown key, received 0.5"),
        (
            "retinanet",
            {"decoding": {"score_threshold": 1.0}},
            r"decoding.score_threshold: received 1.0; allowed: less than 1",
        ),
        (
            "retinanet",
            {"classifier_activation": "softmax"},
            r"classifier_activation: received 'softmax'; allowed: None",
        ),
    ],
)
def test_mistakes_in_options(name, options, message):
    with pytest.raises(ValueError, match=message) as error:
        models.build(name, **{**BASE, **options})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        ("relative", "attention: received 'relative'; allowed: a mapping"),
        ({"heads": 8}, r"attention.heads: unknown key.*did you mean 'num_heads'"),
        ({"num_heads": 0}, r"attention.num_heads: received 0; allowed: .* 1"),
        ({"num_heads": 8.0}, r"attention.num_heads: received 8.0; allowed: a whole"),
        ({"min_key_depth_per_head": -1}, r"min_key_depth_per_head: received -1"),
        ({"key_ratio": 2}, r"attention.key_ratio: received 2; allowed: .* 1"),
        ({"value_ratio": 0}, r"attention.value_ratio: received 0; allowed: .* 0"),
        (
            {"position_encoding": "rope"},
            r"position_encoding must be one of 'relative', .*; received 'rope'",
        ),
        ({"stages": [2, 4]}, r"attention.stages: received \[2, 4\]; allowed: 1 to 3"),
        ({"stages": [0]}, r"attention.stages.0: received 0; allowed: .* 1"),
        ({"stages": 2}, r"attention.stages: received 2; allowed: a list"),
        ({"stages": "23"}, r"attention.stages: received '23'; allowed: a list"),
        (
            {"stages": [3], "downsampled_stages": [2]},
            r"attention.downsampled_stages: received \[2\]; allowed: .*\[3\]",
        ),
        ({"num_heads": 64}, r"num_heads=64 does not fit in filters=32"),
        (
            {"key_ratio": 0.2, "key_depth": 8},
            r"attention: received .*; allowed: key_depth or key_ratio, not both",
        ),
        ({"blocks": "odd"}, r"attention.blocks: received 'odd'; allowed: all, unstr"),
        ({"blocks": {3: [2]}}, r"attention.blocks.3: received \[2\]; allowed: 1 to 1"),
        (
            {"stages": [3], "blocks": {2: [1]}},
            r"attention.blocks: received stage 2; allowed: .*\[3\]",
        ),
        ({"blocks": "unstrided"}, r"attention: received stages \[2, 3\] .* no block"),
        ({"stages": []}, r"attention: received stages \[\] .* no block"),
        (
            {"downsampled_stages": [2], "strided": "pool"},
            r"attention.strided: received 'pool' with downsampled_stages \[2\]",
        ),
    ],
)
def test_mistakes_in_attention(attention, message):
    with pytest.raises(ValueError, match=message) as error:
        models.build("resnet", depth=8, attention=attention, **BASE)
    assert "\n" not in str(error.value)


def test_channels_first_is_refused():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="must be 'channels_last'"):
            models.build("resnet", depth=8, **BASE)
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    ("name", "options", "rate"),
    [
        ("resnet", {"depth": 8}, None),
        ("resnet", {"depth": 8, "dropout": 0.3}, 0.3),
        ("mnasnet", {"width_multiplier": 0.25}, 0.2),
        ("mnasnet", {"width_multiplier": 0.25, "dropout": 0.0}, None),
    ],
)
def test_dropout_has_one_default_a_family(name, options, rate):
    model = models.build(name, input_shape=(32, 32, 3), classes=3, **options)
    rates = [x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)]
    assert rates == ([] if rate is None else [rate])
    section = {"resnet": spec.ResNet, "mnasnet": spec.MnasNet}[name]
    assert check(section, {"classes": 3, **options}).dropout == (rate or 0.0)
