"""Networks that several files read, and the page of one in a real browser."""

import shutil

import numpy as np
import pytest

from aa_keras import models, visualization
from aa_keras.layers import attention_layers
from tests.visualization.explorer import NAMES, PREDICTIONS, SIZE, TITLE
from tests.visualization.readings import layer_matrix, sharpen

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
        "resnet", depth=14, input_shape=(12, 8, 1), classes=3, attention={}
    )
    for name in list(attention_layers(model)):
        sharpen(model.get_layer(name))
    return model


@pytest.fixture(scope="session")
def small_network():
    model = models.build(
        "resnet", depth=8, input_shape=(*SIZE, 3), classes=4, attention={}
    )
    generator = np.random.default_rng(3)
    for layer in attention_layers(model).values():
        weights = [generator.normal(size=w.shape) for w in layer.get_weights()]
        layer.set_weights(weights)
    return model


@pytest.fixture(scope="session")
def small_images():
    return np.random.default_rng(4).normal(size=(2, *SIZE, 3)).astype("float32")


@pytest.fixture(scope="session")
def page(small_network, small_images, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "maps.html"
    options = {"names": ["first", "<b>second"], "predictions": PREDICTIONS}
    visualization.write_attention_page(
        path, small_network, small_images, query=(11, 0), title=TITLE, **options
    )
    return path


@pytest.fixture(scope="session")
def matrices(small_network, small_images):
    """The score matrices (heads, queries, keys) that the layers return themselves."""
    return {
        (image, name): layer_matrix(
            small_network, small_images[image : image + 1], name
        )
        for image in range(2)
        for name in NAMES
    }


@pytest.fixture(scope="session")
def chrome(tmp_path_factory):
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
        yield chrome


@pytest.fixture
def browser(chrome, page):
    """The browser, with the page as it opens."""
    chrome.get(page.as_uri())
    return chrome


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
