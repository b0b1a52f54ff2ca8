"""The page in a real browser: what a click shows are the model's scores."""

import re

import numpy as np
import pytest

from tests.visualization.explorer import (
    NAMES,
    SIZE,
    TITLE,
    assert_shows,
    colors_of,
    expected_maps,
    painted,
    shown,
)


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
