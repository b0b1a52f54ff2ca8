"""Mistakes in the arguments of the builders: one line that says what is allowed."""

import keras
import pytest

from aa_keras import models

BASE = {"input_shape": (32, 32, 3), "classes": 10}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg", {}, r"name must be one of .*'vgg'"),
        ("resnet", {"width": 2}, r"options of 'resnet' must be among .*'width'"),
        ("resnet", {"depth": 22}, r"depth must be one of .*received 22"),
        ("resnet", {"classes": 0}, r"classes must be a positive integer; received 0"),
        ("resnet", {"input_shape": (32, 32)}, r"input_shape must be .*\(32, 32\)"),
        ("resnet", {"channel_attention": "eca"}, r"one of .*'cbam'.*'eca'"),
        ("resnet", {"pooling": "min", "include_top": False}, "pooling must be"),
        ("wide_resnet", {"depth": 27}, r"depth must be 6 n \+ 4.*received 27"),
        ("wide_resnet", {"width": 0}, r"width must be .*received 0"),
        ("mnasnet", {"width_multiplier": 0}, r"width_multiplier .*received 0"),
        ("mnasnet", {"channel_attention": "se"}, r"channel_attention must be None"),
        ("retinanet", {"depth": 20}, r"depth must be one of \[34, 50, 101, 152\]"),
        (
            "retinanet",
            {"classifier_activation": "softmax"},
            r"classifier_activation must be None .*'softmax'",
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
        ("relative", "attention must be None, a mapping"),
        ({"heads": 8}, r"unknown key 'heads'.*num_heads"),
        ({"num_heads": 0}, r"attention.num_heads .*received 0"),
        ({"num_heads": 8.0}, r"attention.num_heads .*received 8.0"),
        ({"min_key_depth_per_head": -1}, r"min_key_depth_per_head .*received -1"),
        ({"key_ratio": 2}, r"attention.key_ratio .*received 2"),
        ({"value_ratio": 0}, r"attention.value_ratio .*received 0"),
        ({"position_encoding": "rope"}, r"one of .*'relative'.*'rope'"),
        ({"stages": [2, 4]}, r"attention.stages must be between 1 and 3.*\[2, 4\]"),
        ({"stages": 2}, r"attention.stages must be a list.*received 2"),
        ({"stages": "23"}, r"attention.stages must be a list.*received '23'"),
        (
            {"stages": [3], "downsampled_stages": [2]},
            r"downsampled_stages must be among .*\[3\]; received \[2\]",
        ),
        ({"num_heads": 64}, r"num_heads=64 does not fit in filters=32"),
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
