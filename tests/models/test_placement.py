"""Which convolutions of a network have attention, and how much."""

import keras
import pytest

from aa_keras import models
from aa_keras.layers import AugmentedConv2D


def augmented(model):
    return {
        layer.name: layer
        for layer in model.layers
        if isinstance(layer, AugmentedConv2D)
    }


def test_attention_of_resnet_50(aa_resnet_50):
    """3, 4, 6, 3 blocks; every 3x3 of the last three stages, at 160 key channels."""
    layers = augmented(aa_resnet_50)
    assert list(layers) == [
        f"stage{stage}_block{block}_conv2"
        for stage, blocks in ((2, 4), (3, 6), (4, 3))
        for block in range(1, blocks + 1)
    ]
    depths = {2: (128, 160, 8, 2), 3: (256, 160, 24, 1), 4: (512, 160, 48, 1)}
    for name, layer in layers.items():
        filters, key_depth, value_depth, downsampling = depths[int(name[5])]
        assert layer.kernel_size == (3, 3)
        assert layer.filters == filters
        assert (layer.attention.key_depth, layer.attention.value_depth) == (
            key_depth,
            value_depth,
        )
        assert layer.attention.attention_downsampling == downsampling
        assert layer.attention.num_heads == 8
        assert layer.strides == ((2, 2) if "block1_" in name else (1, 1))
        assert not layer.convolution.use_bias
        assert not layer.attention.use_bias


@pytest.mark.parametrize(
    ("name", "options", "suffix", "expected"),
    [
        # blocks a stage; depths at the first and the last layer
        ("resnet", {"depth": 34}, "conv1", ({2: 4, 3: 6, 4: 3}, (160, 32), (160, 128))),
        (
            "wide_resnet",
            {"depth": 28, "width": 10},
            "conv1",
            ({1: 4, 2: 4, 3: 4}, (160, 16), (160, 64)),
        ),
        (
            "mnasnet",
            {},
            "expansion_conv",
            ({3: 3, 4: 4, 5: 2, 6: 3, 7: 1}, (4, 4), (96, 48)),
        ),
    ],
)
def test_attention_of_the_other_families(name, options, suffix, expected):
    blocks, first, last = expected
    model = models.build(
        name, input_shape=(64, 64, 3), classes=7, attention={}, **options
    )
    layers = augmented(model)
    assert list(layers) == [
        f"stage{stage}_block{block}_{suffix}"
        for stage, count in blocks.items()
        for block in range(1, count + 1)
    ]
    depths = [
        (layer.attention.key_depth, layer.attention.value_depth)
        for layer in layers.values()
    ]
    assert (depths[0], depths[-1]) == (first, last)


@pytest.mark.parametrize("name", ["resnet", "wide_resnet", "mnasnet"])
def test_augmented_and_plain_networks_differ_in_the_convolution_only(name):
    """Same layers, same wiring, same shapes, same settings but for the augmented."""
    options = {"input_shape": (48, 48, 3), "classes": 7}
    if name == "wide_resnet":
        options |= {"depth": 10, "width": 2}
    plain = models.build(name, **options)
    other = models.build(name, attention={}, **options)
    replaced = augmented(other)
    assert replaced
    assert [layer.name for layer in plain.layers] == [
        layer.name for layer in other.layers
    ]
    for layer, counterpart in zip(plain.layers, other.layers, strict=True):
        assert layer.output.shape == counterpart.output.shape
        if layer.name in replaced:
            assert isinstance(layer, keras.layers.Conv2D)
            assert layer.kernel_size == counterpart.kernel_size
            assert layer.strides == counterpart.strides
        else:
            assert layer.get_config() == counterpart.get_config()


def test_full_share_leaves_no_spatial_convolution_in_the_last_stages():
    model = models.build(
        "resnet",
        depth=50,
        input_shape=(64, 64, 3),
        classes=7,
        attention={"key_ratio": 1.0, "value_ratio": 1.0},
    )
    assert len(augmented(model)) == 13
    assert all(layer.convolution is None for layer in augmented(model).values())
    spatial = [
        layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel_size != (1, 1)
    ]
    assert spatial == [
        "stem_conv",
        "stage1_block1_conv2",
        "stage1_block2_conv2",
        "stage1_block3_conv2",
    ]


@pytest.mark.parametrize(
    ("channel_attention", "names"),
    [
        (None, []),
        ("se", ["stage1_block1_se", "stage2_block1_se", "stage3_block1_se"]),
        ("ge", ["stage1_block1_ge", "stage2_block1_ge", "stage3_block1_ge"]),
        ("cbam", ["stage1_block1_cbam", "stage2_block1_cbam", "stage3_block1_cbam"]),
        ("gala", ["stage1_block1_gala", "stage2_block1_gala", "stage3_block1_gala"]),
        ("bam", ["stage1_bam", "stage2_bam"]),
    ],
)
@pytest.mark.parametrize(
    ("name", "options"), [("resnet", {"depth": 8}), ("wide_resnet", {"depth": 10})]
)
def test_where_channel_attention_stands(name, options, channel_attention, names):
    model = models.build(
        name,
        input_shape=(16, 16, 3),
        classes=7,
        channel_attention=channel_attention,
        **options,
    )
    found = [
        layer.name
        for layer in model.layers
        if type(layer).__module__.startswith("aa_keras")
    ]
    assert found == names


def test_options_are_resolved_with_the_values_of_the_family():
    assert models.resolved_options(
        "retinanet", depth=50, classes=3, attention={"key_ratio": 0.5}
    ) == {
        "name": "retinanet",
        "depth": 50,
        "classes": 3,
        "channel_attention": None,
        "attention": {
            "key_ratio": 0.5,
            "value_ratio": 0.1,
            "num_heads": 2,
            "min_key_depth_per_head": 20,
            "stages": [2, 3, 4],
            "downsampled_stages": [2],
            "position_encoding": "relative",
            "key_depth": None,
            "value_depth": None,
            "blocks": "all",
            "strided": "sample",
            "relative_scale": 1.0,
            "normalization_scale": 1.0,
        },
        "decoding": {
            "score_threshold": 0.0067,  # a logit of -5
            "serving_score_threshold": 0.5,
            "iou_threshold": 0.5,
            "max_boxes": 100,
            "max_candidates": 5000,
        },
    }
    plain = models.resolved_options("mnasnet", classes=3)
    assert (plain["attention"], plain["dropout"]) == (None, 0.2)


def test_stages_left_out_of_attention_are_not_downsampled_either():
    model = models.build(
        "resnet",
        depth=34,
        attention={"stages": [3, 4]},
        input_shape=(32, 32, 3),
        classes=7,
    )
    layers = augmented(model).values()
    assert {layer.attention.attention_downsampling for layer in layers} == {1}


@pytest.mark.parametrize(
    ("size", "max_size", "halved"),
    [
        ((112, 112), None, ["stage3_block1"]),  # 28 x 28 before its strides
        ((112, 108), None, []),
        ((None, None), (112, 112), ["stage3_block1"]),
        # 56 x 56, then 28 x 28 up to the strides of the next stage.
        (
            (None, None),
            (224, 224),
            [f"stage3_block{n}" for n in (1, 2, 3)] + ["stage4_block1"],
        ),
    ],
)
def test_mnasnet_attends_to_large_maps_at_half_resolution(size, max_size, halved):
    model = models.build(
        "mnasnet",
        width_multiplier=0.25,
        input_shape=(*size, 3),
        max_size=max_size,
        classes=7,
        attention={},
    )
    assert [
        name.removesuffix("_expansion_conv")
        for name, layer in augmented(model).items()
        if layer.attention.attention_downsampling == 2
    ] == halved


def test_large_maps_need_a_known_size():
    attention = {"position_encoding": "none"}
    options = {"input_shape": (None, None, 3), "classes": 7, "attention": attention}
    with pytest.raises(ValueError, match=r"received 'large' .*allowed: .*max_size"):
        models.build("mnasnet", **options)
    attention["downsampled_stages"] = []
    models.build("mnasnet", **options)
