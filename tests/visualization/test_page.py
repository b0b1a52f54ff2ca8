"""The page in a real browser: what a click shows are the model's scores."""

import re
import shutil

import numpy as np
import pytest

from aa_keras import models, visualization
from aa_keras.layers import attention_layers

SIZE = (12, 20)
# Unescaped, the first tag would end the data of the page and the next two hide its end.
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
def image():
    return np.random.default_rng(4).normal(size=(*SIZE, 3)).astype("float32")


@pytest.fixture(scope="module")
def page(network, image, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "maps.html"
    visualization.write_attention_page(path, network, image, query=(11, 0), title=TITLE)
    return path


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
    """Layer, query and scores of the page, and the scores as its pictures show them."""
    log = browser.get_log("browser")
    assert [entry for entry in log if entry["level"] == "SEVERE"] == []
    state = browser.execute_script(
        "const {layer, query, scores} = window.attentionMaps;"
        "return [layer, query, scores.map((one) => Array.from(one))]"
    )
    colors = browser.execute_script(
        "return [...document.querySelectorAll('#heads canvas')].map((canvas) =>"
        "Array.from(canvas.getContext('2d')"
        ".getImageData(0, 0, canvas.width, canvas.height).data))"
    )
    return *state, np.reshape(colors, (len(colors), -1, 4))


def assert_shows(browser, network, image, layer, query):
    name, at, scores, colors = shown(browser)
    assert (name, tuple(at)) == (layer, query)
    expected = visualization.attention_scores(network, image[None], [query], [layer])
    expected = expected[layer][0, :, 0].reshape(len(scores), -1)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    # Viridis grows lighter with the share: the colours have the order of the scores.
    lightness = colors[..., :3] @ [0.3, 0.6, 0.1]
    order = np.argsort(expected.ravel())
    assert (np.diff(lightness.ravel()[order]) > -3).all()
    assert np.ptp(lightness) > 100
    ring = browser.execute_script(
        "const mark = document.querySelector('#image .ring').style;"
        "return [parseFloat(mark.top), parseFloat(mark.left)]"
    )
    centre = [100 * (p + 0.5) / length for p, length in zip(query, SIZE, strict=True)]
    np.testing.assert_allclose(ring, centre, atol=1e-3)


def test_it_opens_on_the_first_layer(browser, network, image):
    assert browser.title == TITLE
    assert_shows(browser, network, image, "stage2_block1_conv1", (11, 0))
    size = browser.execute_script(
        "const picture = document.querySelector('#image img');"
        "return [picture.naturalHeight, picture.naturalWidth]"
    )
    assert tuple(size) == SIZE


def test_a_click_shows_the_maps_of_its_pixel(browser, network, image, click):
    for pixel in ((2, 17), (0, 0), (11, 19)):
        click("#image", pixel)
        assert_shows(browser, network, image, "stage2_block1_conv1", pixel)


def test_a_click_on_a_map_looks_from_there(browser, network, image, click):
    click("#heads figure:nth-child(2) .frame", (7, 4))
    assert_shows(browser, network, image, "stage2_block1_conv1", (7, 4))


def test_arrow_keys_move_the_query(browser, network, image, click):
    from selenium.webdriver.common.keys import Keys

    click("#image", (0, 3))
    frame = browser.find_element("css selector", "#image")
    frame.send_keys(Keys.ARROW_UP, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert_shows(browser, network, image, "stage2_block1_conv1", (2, 4))


def test_another_layer(browser, network, image, click):
    from selenium.webdriver.support.select import Select

    choice = Select(browser.find_element("id", "layer"))
    names = list(attention_layers(network))
    assert [option.text for option in choice.options] == names
    click("#image", (5, 6))
    choice.select_by_visible_text("stage3_block1_conv1")
    assert_shows(browser, network, image, "stage3_block1_conv1", (5, 6))
    assert browser.find_element("id", "size").text == "3 × 5 cells"
    choice.select_by_visible_text(names[0])


def test_captions_give_the_statistics(browser, network, image, click):
    name, query = "stage2_block1_conv1", (4, 9)
    click("#image", query)
    scores = visualization.attention_scores(network, image[None], [query], [name])[name]
    distance = visualization.mean_attention_distance(scores, [query], SIZE)[0]
    entropy = visualization.attention_entropy(scores)[0]
    captions = browser.find_elements("css selector", "#heads figcaption")
    for head, caption in enumerate(captions):
        numbers = [float(number) for number in re.findall(r"[\d.]+", caption.text)]
        assert numbers[0] == head
        assert numbers[1] == pytest.approx(100 * scores[0, head].max(), rel=6e-3)
        assert numbers[2] == pytest.approx(distance[head], abs=0.051)
        assert numbers[3] == pytest.approx(entropy[head], abs=0.0051)


def test_each_head_on_its_own_scale(browser, click):
    switch = browser.find_element("id", "shared")
    click("#image", (4, 9))
    switch.click()
    _, _, scores, colors = shown(browser)
    for head, values in enumerate(scores):  # the top colour of viridis everywhere
        assert colors[head, np.argmax(values), :3].tolist() == [253, 231, 36]
    switch.click()


def test_pointing_at_a_cell_reads_it(browser):
    from selenium.webdriver import ActionChains

    frame = browser.find_element("css selector", "#heads figure:nth-child(3) .frame")
    ActionChains(browser).move_to_element_with_offset(
        frame, -frame.size["width"] // 2 + 2, -frame.size["height"] // 2 + 2
    ).perform()
    _, _, scores, _ = shown(browser)
    text = browser.find_element("id", "pointed").text
    share = float(re.fullmatch(r"head 2, cell \(0, 0\): ([\d.e-]+) %", text)[1])
    assert share == pytest.approx(100 * scores[2][0], rel=6e-3)


def test_the_file_asks_for_nothing(page):
    text = page.read_text("utf-8")
    assert "http:" not in text
    assert "https:" not in text
    assert "__DATA__" not in text
    assert text.count("</script>") == 2


def test_a_query_outside_of_the_image(network, image, tmp_path):
    with pytest.raises(ValueError, match=r"\(12, 0\); allowed: .* 0 to 11"):
        visualization.write_attention_page(
            tmp_path / "page.html", network, image, query=(12, 0)
        )
    assert not list(tmp_path.iterdir())
