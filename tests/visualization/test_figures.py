"""Figures hold the values they were given, on scales that can be compared."""

import numpy as np
import pytest

from aa_keras import visualization

QUERIES = [(0, 1), (7, 5)]


@pytest.fixture(scope="module")
def scores():
    values = np.random.default_rng(0).exponential(size=(3, 2, 4, 3))
    return values / values.sum(axis=(-2, -1), keepdims=True)


def maps_of(figure):
    """The axes of the grid by row, without the colour bars."""
    axes = [axis for axis in figure.axes if axis.get_subplotspec() is not None]
    grid = axes[0].get_subplotspec().get_gridspec()
    pictures = [axis for axis in axes if axis.get_label() != "<colorbar>"]
    return np.reshape(pictures, (grid.nrows, grid.ncols))


def test_rows_are_queries_and_columns_heads(scores):
    image = np.arange(8 * 6, dtype="uint8").reshape(8, 6, 1)
    figure = visualization.draw_attention_maps(image, scores, QUERIES, title="layer")
    axes = maps_of(figure)
    assert axes.shape == (2, 4)
    for row, query in enumerate(QUERIES):
        np.testing.assert_array_equal(
            axes[row, 0].get_images()[0].get_array(), image[..., 0]
        )
        ring = axes[row, 0].get_lines()[0]
        assert (ring.get_ydata()[0], ring.get_xdata()[0]) == query
        for head in range(3):
            shown = axes[row, head + 1].get_images()[0]
            np.testing.assert_array_equal(shown.get_array(), scores[head, row])
            # Pixels and cells lie on the same coordinates.
            assert shown.get_extent() == axes[row, 0].get_images()[0].get_extent()
            assert shown.get_clim() == (0, scores[:, row].max())
            outline = axes[row, head + 1].patches[0]
            # Cells are 2 x 2 pixels; the queries lie in the first and the last one.
            corner = [(-0.5, -0.5), (3.5, 5.5)][row]
            assert outline.get_xy() == corner
            assert (outline.get_width(), outline.get_height()) == (2, 2)


def test_chosen_heads_set_the_scale(scores):
    image = np.zeros((8, 6))
    figure = visualization.draw_attention_maps(image, scores, QUERIES, heads=[2])
    axes = maps_of(figure)
    assert axes.shape == (2, 2)
    assert axes[0, 1].get_title() == "head 2"
    assert axes[1, 1].get_images()[0].get_clim() == (0, scores[2, 1].max())


def test_maps_over_the_image_with_mean_and_maximum(scores):
    image = np.arange(8 * 6, dtype="uint8").reshape(8, 6)
    heads = ["max", 1, "mean"]
    figure = visualization.draw_attention_maps(
        image, scores, QUERIES, heads=heads, opacity=0.25
    )
    axes = maps_of(figure)
    assert [axis.get_title() for axis in axes[0, 1:]] == ["max", "head 1", "mean"]
    for row in range(2):
        expected = [scores[:, row].max(axis=0), scores[1, row], scores[:, row].mean(0)]
        for axis, one in zip(axes[row, 1:], expected, strict=True):
            below, above = axis.get_images()
            np.testing.assert_array_equal(below.get_array(), image)
            np.testing.assert_allclose(above.get_array(), one)
            assert above.get_alpha() == 0.25
            assert below.get_extent() == above.get_extent()
            assert above.get_clim() == (0, scores[:, row].max())


def test_the_overview_has_a_row_for_each_layer(scores):
    image = np.arange(8 * 6, dtype="uint8").reshape(8, 6)
    layers = {"wide": scores[:, 0], "narrow": scores[:2, 1, :2]}
    figure = visualization.draw_attention_overview(image, layers, (7, 5))
    axes = maps_of(figure)
    assert axes.shape == (2, 6)
    titles = [axis.get_title() for axis in axes[0]]
    assert titles == ["mean on image", "mean", "max", "head 0", "head 1", "head 2"]
    assert not axes[1, 5].get_visible()  # the second layer has two heads
    for row, (name, heads) in zip(axes, layers.items(), strict=True):
        assert row[0].get_ylabel() == name
        expected = [heads.mean(axis=0), heads.max(axis=0), *heads]
        for axis, one in zip(row[1:], expected, strict=False):
            (shown,) = axis.get_images()
            np.testing.assert_allclose(shown.get_array(), one)
            assert shown.get_clim() == (0, one.max())
            corner = axis.patches[0].get_xy()
            assert corner == ((3.5, 5.5) if name == "wide" else (3.5, 3.5))
        below, above = row[0].get_images()
        np.testing.assert_array_equal(below.get_array(), image)
        np.testing.assert_allclose(above.get_array(), expected[0])


def test_the_ground_is_opaque_white(scores, tmp_path):
    from PIL import Image

    image = np.random.default_rng(0).normal(size=(8, 6, 3))  # a normalised input
    path = tmp_path / "maps.png"
    visualization.draw_attention_maps(image, scores, QUERIES).savefig(path)
    pixels = np.asarray(Image.open(path).convert("RGBA"))
    assert (pixels[..., 3] == 255).all()
    assert (pixels[[0, 0, -1, -1], [0, -1, 0, -1], :3] == 255).all()
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 50


def test_relative_fields_outline_the_met_distances():
    fields = np.random.default_rng(0).normal(size=(2, 2, 7, 5))  # a map of 4 x 3
    figure = visualization.draw_relative_fields(fields, QUERIES, image_size=(8, 6))
    axes = maps_of(figure)
    for row, (y, x) in enumerate([(0, 0), (3, 2)]):  # the cells of QUERIES
        limit = np.abs(fields[:, row]).max()
        for head in range(2):
            shown = axes[row, head].get_images()[0]
            np.testing.assert_array_equal(shown.get_array(), fields[head, row])
            assert shown.get_clim() == (-limit, limit)
            assert shown.get_extent() == [-2.5, 2.5, 3.5, -3.5]
            met = axes[row, head].patches[0]
            assert met.get_xy() == (-x - 0.5, -y - 0.5)
            assert (met.get_width(), met.get_height()) == (3, 4)


def test_relative_tables_are_drawn_by_distance():
    tables = {"height": np.eye(7, 4), "width": -np.ones((5, 4))}
    figure = visualization.draw_relative_tables(tables, title="stored")
    first, second = (axis for axis in figure.axes if axis.get_title())
    np.testing.assert_array_equal(first.get_images()[0].get_array(), tables["height"])
    assert first.get_images()[0].get_extent()[2:] == [3.5, -3.5]
    assert second.get_images()[0].get_clim() == (-1, 1)


def test_matrices_show_their_numbers():
    matrices = {"first": np.array([[1, -4], [2.25, 0]]), "second": np.array([[3.0]])}
    figure = visualization.draw_matrices(matrices, signed=True)
    (axis,) = figure.axes
    texts = {text.get_position(): text.get_text() for text in axis.texts}
    # One column lies between the matrices; rows count from the top.
    numbers = {(0.5, 0.5): "1", (1.5, 0.5): "-4", (0.5, 1.5): "2.2", (1.5, 1.5): "0"}
    labels = {(1, -0.2): "first", (3.5, -0.2): "second"}
    assert texts == numbers | labels | {(3.5, 0.5): "3"}
    assert axis.get_ylim()[0] > axis.get_ylim()[1]
    for mesh, matrix in zip(axis.collections, matrices.values(), strict=True):
        np.testing.assert_array_equal(mesh.get_array(), matrix)
        assert mesh.get_clim() == (-4, 4)


def test_heads_are_points_of_their_layer():
    values = {"first": np.array([3.0, 1.0]), "second": np.array([2.52, 2.5])}
    figure = visualization.draw_heads(
        values, label="bits", limits={"first": 4.0, "second": 3.0}
    )
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == list(values)
    points = [line for line in axis.get_lines() if line.get_marker() == "D"]
    marks = [line for line in axis.get_lines() if line.get_marker() == "|"]
    for row, heads in enumerate(values.values()):
        np.testing.assert_array_equal(points[row].get_xdata(), heads)
        np.testing.assert_array_equal(points[row].get_ydata(), [row, row])
        assert marks[row].get_xydata().tolist() == [[4.0 - row, row]]
    # Heads too near for two texts share one.
    texts = {text.get_text(): text.xy for text in axis.texts}
    assert texts == {"0": (3.0, 0), "1": (1.0, 0), "1 0": (pytest.approx(2.51), 1)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": [3]}, "received 3; allowed: 0 to 2, 'mean', 'max'"),
        ({"opacity": 1.5}, "opacity: received 1.5; allowed: 0 to 1"),
        ({"heads": []}, "at least one"),
        ({"queries": [(0, 0)]}, r"received shape \(3, 2, 4, 3\)"),
        ({"image": np.zeros((8, 6, 4))}, r"received shape \(8, 6, 4\)"),
    ],
)
def test_what_does_not_fit_is_refused(scores, changes, message):
    arguments = {"image": np.zeros((8, 6)), "scores": scores, "queries": QUERIES}
    with pytest.raises(ValueError, match=message):
        visualization.draw_attention_maps(**(arguments | changes))


def test_nothing_global_is_touched(scores, tmp_path):
    from matplotlib import pyplot, rcParams

    before = dict(rcParams), pyplot.get_backend(), pyplot.get_fignums()
    figure = visualization.draw_attention_maps(np.zeros((8, 6)), scores, QUERIES)
    figure.savefig(tmp_path / "maps.pdf")
    assert (dict(rcParams), pyplot.get_backend(), pyplot.get_fignums()) == before
