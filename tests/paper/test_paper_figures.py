"""The paper's figures show the rows they are given."""

import numpy as np

from aa_keras.paper import paper_figures


def row(name, top1, params_m=None, mark="V", **more):
    paper = {"top1": top1, "marks": {"top1": mark}} if top1 else {"marks": {}}
    return {"row": name, "params_m": params_m, "paper": paper, **more}


def curves(figure):
    """The lines of the legend by their labels, and those with hollow markers."""
    (axis,) = figure.axes
    lines = axis.get_lines()
    named = {
        line.get_label(): line.get_xydata().tolist()
        for line in lines
        if not line.get_label().startswith("_")
    }
    hollow = [
        line.get_xydata()[0].tolist()
        for line in lines
        if line.get_markerfacecolor() == "white"
    ]
    return named, hollow


def test_accuracy_by_parameters_has_a_line_a_family():
    rows = [
        row("Net-34", 73.6, 21.8),
        row("AA-Net-34", 74.7, 20.75, mark="M"),
        row("Net-50", 76.4, 25.56),
        row("AA-Net-50", 77.7, 25.81, mark="VD"),
    ]
    figure = paper_figures.draw_accuracy_by_parameters(rows, title="Table")
    named, hollow = curves(figure)
    assert named == {
        "Net": [[21.8, 73.6], [25.56, 76.4]],
        "AA-Net": [[20.75, 74.7], [25.81, 77.7]],
    }
    assert hollow == [[20.75, 74.7]]
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["34", "50", "34", "50"]


def test_attention_share_leaves_out_what_is_not_printed():
    rows = [
        row("0", 76.4),
        row("0.25", 77.7),
        row("1.0", 73.9),
        row("0.25 none", None, figure=5),
        row("1.0 none", 71.1, figure=5),
    ]
    figure = paper_figures.draw_attention_share(rows)
    named, hollow = curves(figure)
    assert named == {
        "relative position encoding": [[0, 76.4], [0.25, 77.7], [1, 73.9]],
        "no position encoding": [[1, 71.1]],
    }
    assert hollow == []
    dashed = [line for line in figure.axes[0].get_lines() if line.get_ls() == "--"]
    np.testing.assert_array_equal(dashed[0].get_xydata(), [[0, 76.4], [1, 71.1]])
