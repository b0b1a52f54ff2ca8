"""One look: each mechanism has one sign, and no text is too small."""

import numpy as np
import pytest
from matplotlib.text import Text

from aa_keras import visualization
from aa_keras.paper import comparison, paper_figures
from aa_keras.paper.collection import load_results
from aa_keras.visualization import style
from tests.paper.test_paper_figures import row

NAMES = {
    "ResNet-50": "convolution",
    "AA-ResNet-34 none": "none",
    "AA-MnasNet-1.0": "relative",
    "SE-RetinaNet-50": "se",
    "cifar100_aa_resnet_20": "relative",
    "cifar100_resnet_20": "convolution",
    "pointers_relative": "relative",
    "pointers_coordconv": "coordconv",
    "sa_resnet_26": "stand_alone",
    "cbam_resnet_50_25.6m": "cbam",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_tells_the_mechanism(name):
    assert style.mechanism_of(name) == NAMES[name]


def test_no_two_mechanisms_share_a_color_or_a_marker():
    for values in zip(*style.MECHANISMS.values(), strict=True):
        assert len(set(values)) == len(style.MECHANISMS)


def test_a_family_has_its_sign_in_a_figure_of_the_paper():
    rows = [row("ResNet-50", 76.4, 25.6), row("AA-ResNet-50", 77.7, 25.8)]
    (axis,) = paper_figures.draw_accuracy_by_parameters(rows).axes
    for line, name in zip(axis.get_lines(), ("convolution", "relative"), strict=True):
        sign = (line.get_color(), line.get_marker())
        assert sign == style.MECHANISMS[name]


def test_runs_have_the_sign_of_their_network_and_differ():
    groups = {group.name: group for group in comparison.group(load_results())}
    names = {"screen_plain": "convolution", "screen_pooled": "relative"}
    names |= {"screen_unstrided": "relative", "pointers_sine": "sine"}
    names |= {"pointers_none": "none"}
    chosen = [groups[name] for name in names]
    assert [group.mechanism for group in chosen] == list(names.values())
    (axis,) = paper_figures.draw_accuracy_by_epoch(chosen).axes
    lines = axis.get_lines()
    firsts = [line.get_color() for line in lines if line is not lines[2]]
    signs = [style.MECHANISMS[name].color for name in dict.fromkeys(names.values())]
    assert firsts == signs
    assert lines[2].get_color() not in firsts
    assert lines[2].get_linestyle() != lines[1].get_linestyle()


def test_text_can_be_read_at_half_the_size():
    scores = np.full((2, 1, 4, 3), 1 / 12)
    figures = [
        visualization.draw_attention_maps(np.zeros((8, 6)), scores, [(0, 1)]),
        visualization.draw_heads({"a": [1.0, 2.0]}, label="bits"),
        visualization.draw_matrices({"a": np.eye(2)}),
        visualization.draw_relative_tables({"a": np.eye(3)}),
        paper_figures.draw_accuracy_by_parameters([row("ResNet-50", 76.4, 25.6)]),
    ]
    for figure in figures:
        assert figure.dpi == style.DOTS_PER_INCH
        sizes = [
            text.get_fontsize() for text in figure.findobj(Text) if text.get_text()
        ]
        assert min(sizes) >= style.SMALL
