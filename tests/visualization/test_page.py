"""The page in a real browser: what a click shows are the model's scores."""

import html
import io
import re
import shutil

import matplotlib
import numpy as np
import pytest

from aa_keras import models, visualization
from aa_keras.layers import attention_layers
from tests.visualization.readings import layer_matrix

SIZE = (12, 20)
# Unescaped, the first tag would end the data of the page and the next two hide its end.
NAMES = ["stage2_block1_conv1", "stage3_block1_conv1"]
TITLE = "Maps </script><!--<script><b onclick=x>of</b> a \N{LATIN SMALL LETTER U}"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


@pytest.fixture(scope="module")
def network():
    model = models.build(
        "resnet", depth=8, input_shape=(*SIZE, 3), classes=4, attention={}
    )
    generator = np.random.default_rng(3)
    for layer in attention_layers(model).values():
        weights = [generator.normal(size=w.shape) for w in layer.get_weights()]
        layer.set_weights(weights)
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(4).normal(size=(2, *SIZE, 3)).astype("float32")


PREDICTIONS = [
    {"class_names": ["cat </script>", "dog"], "scores": np.array([0.875, 0.125])},
    {
        "class_names": ["cup", "jug"],
        "scores": [0.75, 0.5],
        "boxes": [[5, 3, 15, 9], [0, 0, 20, 12]],
    },
]


@pytest.fixture(scope="module")
def page(network, images, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "maps.html"
    options = {"names": ["first", "<b>second"], "predictions": PREDICTIONS}
    visualization.write_attention_page(
        path, network, images, query=(11, 0), title=TITLE, **options
    )
    return path


@pytest.fixture(scope="module")
def matrices(network, images):
    """The score matrices (heads, queries, keys) that the layers return themselves."""
    return {
        (image, name): layer_matrix(network, images[image : image + 1], name)
        for image in range(2)
        for name in NAMES
    }


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromium-driver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    with webdriver.Chrome(options=options, service=service) as chrome:
        chrome.get(page.as_uri())
        yield chrome


@pytest.fixture
def click(browser):
    from selenium.webdriver import ActionChains

    def click(selector, pixel):
        """Clicks the middle of a pixel of the image that an element shows."""
        frame = browser.find_element("css selector", selector)
        # Offsets are counted from the middle of the element.
        y, x = (
            ((position + 0.5) / length - 0.5) * frame.size[side]
            for position, length, side in zip(
                pixel, SIZE, ("height", "width"), strict=True
            )
        )
        actions = ActionChains(browser)
        actions.move_to_element_with_offset(frame, round(x), round(y)).click().perform()

    return click


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


def test_it_opens_on_the_first_layer(browser, matrices):
    assert browser.title == TITLE
    assert_shows(browser, matrices, 0, (11, 0))
    size = browser.execute_script(
        "const picture = document.querySelector('#image img');"
        "return [picture.naturalHeight, picture.naturalWidth]"
    )
    assert tuple(size) == SIZE


def test_a_click_shows_the_maps_of_its_pixel(browser, matrices, click):
    for pixel in ((2, 17), (0, 0), (11, 19)):
        click("#image", pixel)
        assert_shows(browser, matrices, 0, pixel)


def test_a_click_on_a_map_looks_from_there(browser, matrices, click):
    click("#heads figure:nth-child(2) .frame", (7, 4))
    assert_shows(browser, matrices, 0, (7, 4))


def test_arrow_keys_move_the_query(browser, matrices, click):
    from selenium.webdriver.common.keys import Keys

    click("#image", (0, 3))
    frame = browser.find_element("css selector", "#image")
    frame.send_keys(Keys.ARROW_UP, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert_shows(browser, matrices, 0, (2, 4))


def test_another_layer(browser, matrices, click):
    from selenium.webdriver.support.select import Select

    choice = Select(browser.find_element("id", "layer"))
    assert [option.text for option in choice.options] == NAMES
    click("#image", (5, 6))
    choice.select_by_visible_text(NAMES[1])
    assert_shows(browser, matrices, 1, (5, 6))
    assert browser.find_element("id", "size").text == "3 × 5 cells"
    choice.select_by_visible_text(NAMES[0])


def test_who_looks_at_the_pixel(browser, matrices, click):
    click("#image", (3, 18))
    browser.find_element("id", "received").click()
    assert_shows(browser, matrices, 0, (3, 18), received=True)
    columns = expected_maps(matrices[0, NAMES[0]], (6, 10), (3, 18), received=True)
    captions = browser.find_elements("css selector", "#heads figcaption")
    for column, caption in zip(columns, captions, strict=True):
        gets = float(re.search(r"gets ([\d.]+) × the average", caption.text)[1])
        assert gets == pytest.approx(column.sum(), abs=0.0051)
    browser.find_element("id", "looks").click()
    assert_shows(browser, matrices, 0, (3, 18))


def test_the_overview_shows_and_chooses_every_layer_and_head(browser, matrices, click):
    click("#image", (8, 2))
    small = colors_of(browser, "#overview canvas")
    expected = [
        painted(share, share.max())
        for name, size in zip(NAMES, ((6, 10), (3, 5)), strict=True)
        for share in expected_maps(matrices[0, name], size, (8, 2))
    ]
    assert len(small) == len(expected)
    for colors, one in zip(small, expected, strict=True):
        # A share at the edge of a step may fall on either side, as they differ by 1e-7.
        assert np.abs(colors.astype(int) - one).max() <= 3
    name = f"{NAMES[1]}, head 3"
    browser.find_element("css selector", f"#overview [aria-label='{name}']").click()
    state, _ = shown(browser)
    assert (state["layer"], state["head"]) == (1, 5)
    assert_shows(browser, matrices, 1, (8, 2))
    pressed = browser.find_elements("css selector", "#overview [aria-pressed='true']")
    assert [one.get_attribute("aria-label") for one in pressed] == [name]
    name = f"{NAMES[0]}, mean"
    browser.find_element("css selector", f"#overview [aria-label='{name}']").click()


def test_the_overlay_has_the_opacity_of_the_slider(browser):
    from selenium.webdriver.common.keys import Keys

    slider = browser.find_element("id", "opacity")
    slider.send_keys(Keys.HOME)
    overlay = browser.find_element("id", "overlay")
    assert overlay.value_of_css_property("opacity") == "0"
    assert hidden_share(browser) == pytest.approx(0, abs=0.02)
    slider.send_keys(Keys.END)
    assert overlay.value_of_css_property("opacity") == "1"
    assert hidden_share(browser) == pytest.approx(1, abs=0.02)
    slider.send_keys(*[Keys.ARROW_LEFT] * 5)
    assert overlay.value_of_css_property("opacity") == "0.75"
    assert hidden_share(browser) == pytest.approx(0.75, abs=0.02)


def hidden_share(browser):
    """How much of the picture the overlay hides, by the pixels of a screenshot."""
    from PIL import Image

    picture = browser.execute_script(
        "const canvas = new OffscreenCanvas(20, 12);"
        "const context = canvas.getContext('2d');"
        "context.drawImage(document.querySelector('#image img'), 0, 0);"
        "return Array.from(context.getImageData(0, 0, 20, 12).data)"
    )
    frame = browser.find_element("id", "image")
    taken = Image.open(io.BytesIO(frame.screenshot_as_png)).convert("RGB")
    # Middles of the pixels, far from the marks of the query.
    at = [(y, x) for y in (1, 2, 3) for x in range(9, 19)]
    steps = [
        length / pixels for length, pixels in zip(taken.size[::-1], SIZE, strict=True)
    ]
    seen = [
        taken.getpixel((int((x + 0.5) * steps[1]), int((y + 0.5) * steps[0])))
        for y, x in at
    ]
    cells = [y * 6 // 12 * 10 + x * 10 // 20 for y, x in at]
    below = np.reshape(picture, (*SIZE, 4))[*np.transpose(at), :3].astype(float)
    above = colors_of(browser, "#overlay")[0][cells, :3].astype(float)
    change, full = (np.array(seen) - below).ravel(), (above - below).ravel()
    return change @ full / (full @ full)


def test_another_image_with_its_prediction(browser, matrices, click):
    click("#image", (8, 2))
    answer = browser.find_element("id", "prediction")
    assert answer.text.split("\n") == ["cat </script>", "87.50 %", "dog", "12.50 %"]
    assert not browser.find_element("id", "show_boxes").is_displayed()
    _, second = browser.find_elements("css selector", "#images button")
    assert second.get_attribute("title") == "<b>second"
    second.click()
    assert_shows(browser, matrices, 0, (8, 2), image=1)
    assert answer.text.split("\n") == ["cup", "75.00 %", "jug", "50.00 %"]
    frame = browser.find_element("id", "image").rect
    (box, _) = browser.find_elements("css selector", "#boxes .box")
    sides = [box.rect[key] for key in ("x", "y", "width", "height")]
    scale = frame["width"] / SIZE[1]
    expected = [frame["x"] + 5 * scale, frame["y"] + 3 * scale, 10 * scale, 6 * scale]
    np.testing.assert_allclose(sides, expected, atol=1)
    assert box.text == "cup 0.75"
    browser.find_element("id", "show_boxes").click()
    assert not box.is_displayed()
    browser.find_element("id", "show_boxes").click()
    browser.find_element("css selector", "#images button").click()


def test_captions_give_the_statistics(browser, network, images, click):
    name, query = NAMES[0], (4, 9)
    click("#image", query)
    scores = visualization.attention_scores(network, images[:1], [query], [name])[name]
    distance = visualization.mean_attention_distance(scores, [query], SIZE)[0]
    entropy = visualization.attention_entropy(scores)[0]
    captions = browser.find_elements("css selector", "#heads figcaption")
    assert [c.text.split(" · ")[0] for c in captions[:3]] == [
        "Mean",
        "Maximum",
        "Head 0",
    ]
    for head, caption in enumerate(captions[2:]):
        numbers = [float(number) for number in re.findall(r"[\d.]+", caption.text)]
        assert numbers[0] == head
        assert numbers[1] == pytest.approx(100 * scores[0, head].max(), rel=6e-3)
        assert numbers[2] == pytest.approx(distance[head], abs=0.051)
        assert numbers[3] == pytest.approx(entropy[head], abs=0.0051)


def test_each_head_on_its_own_scale(browser, click):
    switch = browser.find_element("id", "shared")
    click("#image", (4, 9))
    switch.click()
    state, colors = shown(browser)
    for head, values in enumerate(state["scores"]):  # the top colour of viridis
        assert colors[head][np.argmax(values), :3].tolist() == [253, 231, 36]
    switch.click()


def test_pointing_at_a_cell_reads_it(browser):
    from selenium.webdriver import ActionChains

    frame = browser.find_element("css selector", "#heads figure:nth-child(5) .frame")
    ActionChains(browser).move_to_element_with_offset(
        frame, -frame.size["width"] // 2 + 2, -frame.size["height"] // 2 + 2
    ).perform()
    state, _ = shown(browser)
    text = browser.find_element("id", "pointed").text
    share = float(re.fullmatch(r"head 2, cell \(0, 0\): ([\d.e-]+)\s%", text)[1])
    assert share == pytest.approx(100 * state["scores"][4][0], rel=6e-3)


def test_a_notebook_shows_the_same_page(browser, network, images, page):
    frame = visualization.display_attention_page(
        network,
        images,
        height=400,
        query=(11, 0),
        title=TITLE,
        names=["first", "<b>second"],
        predictions=PREDICTIONS,
    )
    (source,) = re.findall(r'srcdoc="([^"]*)"', frame._repr_html_())
    assert html.unescape(source) == page.read_text("utf-8")
    browser.execute_script(
        "document.body.innerHTML = arguments[0]", frame._repr_html_()
    )
    browser.switch_to.frame(browser.find_element("css selector", "iframe"))
    try:
        assert browser.find_element("id", "title").text == TITLE
        assert len(colors_of(browser, "#heads canvas")) == 6
    finally:
        browser.switch_to.default_content()
        browser.get(page.as_uri())


def test_the_file_asks_for_nothing(page):
    text = page.read_text("utf-8")
    assert "http:" not in text
    assert "https:" not in text
    assert "__DATA__" not in text
    assert text.count("</script>") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query": (12, 0)}, r"\(12, 0\); allowed: .* 0 to 11"),
        ({"names": ["one"]}, "names: received 1; allowed: 2, one for each image"),
        ({"layers": ["conv"]}, f"received 'conv'; allowed: {NAMES[0]}, "),
    ],
)
def test_what_does_not_fit_is_refused(network, images, tmp_path, options, message):
    path = tmp_path / "page.html"
    with pytest.raises(ValueError, match=message):
        visualization.write_attention_page(path, network, images, **options)
    with pytest.raises(ValueError, match=r"received shape \(12, 20, 3\)"):
        visualization.write_attention_page(path, network, images[0])
    assert not path.exists()


@pytest.mark.parametrize(
    ("bound", "value", "message"),
    [
        ("MOST_CELLS", 59, "a map of 6 x 10 cells; allowed: 59 cells"),
        ("MOST_BYTES", 1e4, r"a page of \d+ MB; allowed: 0 MB"),
    ],
)
def test_a_page_has_a_bound(
    network, images, tmp_path, monkeypatch, bound, value, message
):
    monkeypatch.setattr(f"aa_keras.visualization.page.{bound}", value)
    path = tmp_path / "page.html"
    with pytest.raises(ValueError, match=message):
        visualization.write_attention_page(path, network, images)
    assert not path.exists()
