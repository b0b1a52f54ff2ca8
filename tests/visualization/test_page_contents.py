"""The page in a real browser: picture, answers and numbers; the file itself."""

import html
import io
import re

import numpy as np
import pytest

from aa_keras import visualization
from tests.visualization.explorer import (
    NAMES,
    PREDICTIONS,
    SIZE,
    TITLE,
    assert_shows,
    colors_of,
    shown,
)


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


def test_captions_give_the_statistics(browser, small_network, small_images, click):
    name, query = NAMES[0], (4, 9)
    click("#image", query)
    scores = visualization.attention_scores(
        small_network, small_images[:1], [query], [name]
    )[name]
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


def test_a_notebook_shows_the_same_page(browser, small_network, small_images, page):
    frame = visualization.display_attention_page(
        small_network,
        small_images,
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
    assert browser.find_element("id", "title").text == TITLE
    assert len(colors_of(browser, "#heads canvas")) == 6


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
def test_what_does_not_fit_is_refused(
    small_network, small_images, tmp_path, options, message
):
    path = tmp_path / "page.html"
    with pytest.raises(ValueError, match=message):
        visualization.write_attention_page(path, small_network, small_images, **options)
    with pytest.raises(ValueError, match=r"received shape \(12, 20, 3\)"):
        visualization.write_attention_page(path, small_network, small_images[0])
    assert not path.exists()


@pytest.mark.parametrize(
    ("bound", "value", "message"),
    [
        ("MOST_CELLS", 59, "a map of 6 x 10 cells; allowed: 59 cells"),
        ("MOST_BYTES", 1e4, r"a page of \d+ MB; allowed: 0 MB"),
    ],
)
def test_a_page_has_a_bound(
    small_network, small_images, tmp_path, monkeypatch, bound, value, message
):
    monkeypatch.setattr(f"aa_keras.visualization.page.{bound}", value)
    path = tmp_path / "page.html"
    with pytest.raises(ValueError, match=message):
        visualization.write_attention_page(path, small_network, small_images)
    assert not path.exists()
