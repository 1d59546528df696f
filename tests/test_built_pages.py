"""The built pages in a real browser, from disk: found by the search, as wide as the window."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.explorer.browser import chromium

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "docs" / "_build" / "html"
PAGES = sorted(page for page in BUILT.rglob("*.html") if "_static" not in page.parts)
# The theme has the page's text in a box that scrolls when a part of it is too wide.
TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll(".content")]
  .filter((box) => box.scrollWidth > box.clientWidth)
  .flatMap((box) => [...box.querySelectorAll("*")])
  .filter((one) => one.getBoundingClientRect().right > window.innerWidth)
  .slice(0, 5)
  .map((one) => `${one.tagName} ${one.className} ${one.innerText.slice(0, 40)}`)"""

pytestmark = pytest.mark.skipif(not PAGES, reason="there are no built pages: make docs builds them")


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with chromium() as browser:
        opened = browser.new_page()
        opened.set_default_timeout(120_000)
        yield opened


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("retain_grad", "background/visualizing-gradients.html"),
        ("vanishing", "background/what-is-said.html"),
        ("optimisers", "how-to/own/optimizer.html"),  # another ending than on the page
        ("梯度", "lesson/zh.html"),
        ("梯度去", "lesson/zh.html"),  # divided as the text is
    ],
)
def test_the_search_finds_a_page_from_disk(page, words, found):
    said = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((BUILT / "index.html").as_uri())
    page.fill("input.sidebar-search", words)
    page.press("input.sidebar-search", "Enter")
    page.wait_for_selector("#search-results li a")
    page.wait_for_function(
        "() => !/Searching/.test(document.querySelector('#search-results').innerText)"
    )
    links = page.eval_on_selector_all("#search-results li a", "all => all.map((one) => one.href)")
    assert any(found in link for link in links), links
    assert said == []


def test_a_search_for_what_is_nowhere_finds_nothing(page):
    page.goto(
        (BUILT / "search.html").as_uri() + "?q=梯失"
    )  # both characters are there, not the pair
    page.wait_for_function(
        "() => /did not match/.test(document.querySelector('#search-results').innerText)"
    )
    assert page.locator("#search-results li").count() == 0


@pytest.mark.parametrize("place", PAGES, ids=lambda place: str(place.relative_to(BUILT)))
def test_no_page_is_wider_than_the_window(page, place):
    page.goto(place.as_uri())
    for width in (1200, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(TOO_WIDE) == [], width
