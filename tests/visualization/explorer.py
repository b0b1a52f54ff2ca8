"""What a page of maps should show, by NumPy, and what it shows in a browser."""

import matplotlib
import numpy as np

SIZE = (12, 20)
# Unescaped, the first tag would end the data of the page and the next two hide its end.
NAMES = ["stage2_block1_conv1", "stage3_block1_conv1"]
TITLE = "Maps </script><!--<script><b onclick=x>of</b> a \N{LATIN SMALL LETTER U}"
PREDICTIONS = [
    {"class_names": ["cat </script>", "dog"], "scores": np.array([0.875, 0.125])},
    {
        "class_names": ["cup", "jug"],
        "scores": [0.75, 0.5],
        "boxes": [[5, 3, 15, 9], [0, 0, 20, 12]],
    },
]


def shown(browser):
    """What the page says that it shows, and the colours of its large maps."""
    log = browser.get_log("browser")
    assert [entry for entry in log if entry["level"] == "SEVERE"] == []
    state = browser.execute_script(
        "const {scores, ...state} = window.attentionMaps;"
        "return {...state, scores: scores.map((one) => Array.from(one))}"
    )
    return state, colors_of(browser, "#heads canvas")


def colors_of(browser, selector):
    colors = browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((canvas) =>"
        "Array.from(canvas.getContext('2d')"
        ".getImageData(0, 0, canvas.width, canvas.height).data))",
        selector,
    )
    return [np.reshape(one, (-1, 4)) for one in colors]


def painted(shares, limit):
    """Viridis as matplotlib has it, opaque."""
    index = np.minimum(255 * np.ones(shares.shape), np.floor(256 * shares / limit))
    return matplotlib.colormaps["viridis"](index.astype(int), bytes=True)


def expected_maps(matrix, size, query, received=False):
    """Mean, maximum and each head, by NumPy from the whole matrices."""
    y, x = (
        (2 * p + 1) * n // (2 * s) for p, n, s in zip(query, size, SIZE, strict=True)
    )
    cell = y * size[1] + x
    heads = matrix[:, :, cell] if received else matrix[:, cell]
    return np.stack([heads.mean(axis=0), heads.max(axis=0), *heads])


def assert_shows(browser, matrices, layer, query, image=0, received=False):
    state, colors = shown(browser)
    assert (state["image"], state["layer"]) == (image, layer)
    assert (tuple(state["query"]), state["received"]) == (query, received)
    size = ((6, 10), (3, 5))[layer]
    expected = expected_maps(matrices[image, NAMES[layer]], size, query, received)
    np.testing.assert_allclose(state["scores"], expected, atol=1e-6)
    scores = np.array(state["scores"])
    np.testing.assert_array_equal(colors, painted(scores, scores.max()))
    (overlay,) = colors_of(browser, "#overlay")
    chosen = scores[state["head"]]
    np.testing.assert_array_equal(overlay, painted(chosen, chosen.max()))
    ring = browser.execute_script(
        "const mark = document.querySelector('#image .ring').style;"
        "return [parseFloat(mark.top), parseFloat(mark.left)]"
    )
    centre = [100 * (p + 0.5) / length for p, length in zip(query, SIZE, strict=True)]
    np.testing.assert_allclose(ring, centre, atol=1e-3)
