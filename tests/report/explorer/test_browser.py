"""In a real browser every control does what it says, and nothing is said on the console."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest

from rnn_exp.report import page as page_module
from rnn_exp.report.explorer import embedding
from rnn_exp.storage.study import Study as StudySaid
from rnn_exp.words import magnitude, rates
from tests.report.explorer.browser import chromium
from tests.tables import Study, concatenated, diverged, study
from tests.test_words import CASES as RATES

EVIL = "<img src=x onerror=hacked=1><script>hacked=1</script>"
ENDED = "tanh-2.0-30-1"
WIDTHS = (390, 820, 1280)


@pytest.fixture(scope="module")
def tables() -> Study:
    whole = study(("tanh", "sigmoid"), (0.5, 1.0, 2.0), (10, 30), 2, (0, 10, 20))
    whole = diverged(whole, ENDED, update=20, time=4)
    renamed = {"sigmoid-1.0-30-0": EVIL}
    runs, updates, rows = (
        frame.replace({"run": renamed}) for frame in (whole.runs, whole.updates, whole.gradients)
    )
    evil = runs["run"] == EVIL
    runs["command"] = runs["command"].mask(evil, f"rnn-exp note='{EVIL}'")
    runs["failure"] = runs["failure"].mask(evil, f"log: {EVIL}")
    return Study(runs, updates, rows, whole.broken)


@pytest.fixture(scope="module")
def address(tables: Study, tmp_path_factory: pytest.TempPathFactory) -> str:
    place: Path = tmp_path_factory.mktemp("page") / "index.html"
    place.write_text(page_module.render(tables, [], StudySaid(EVIL)), encoding="utf-8")
    return place.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


class Opened:
    """The page in a window of its own, and all that it said or asked for."""

    def __init__(self, browser: Any, address: str, fragment: str = "", **window: Any) -> None:
        """Open it and wait for nothing: its script runs before it is loaded."""
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **window})
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address + fragment)

    def part(self, name: str) -> Any:
        """An element of the explorer."""
        return self.page.locator(f"#explorer-{name}")

    def picture(self, name: str) -> tuple[Any, dict[str, float]]:
        """A drawing of the explorer, and its place once it is in view."""
        drawing = self.part(name).locator("svg")
        drawing.scroll_into_view_if_needed()
        return drawing, drawing.bounding_box()

    def text(self, name: str) -> str:
        """What it says."""
        return self.part(name).text_content()

    def run(self) -> str:
        """The name of the chosen run."""
        return self.text("run")

    def paths(self) -> list[str]:
        """The lines of the profile."""
        return self.page.eval_on_selector_all(
            "#explorer-profile .line path:not(.lost)",
            "found => found.map(p => p.getAttribute('d'))",
        )

    def choose(self, setting: str, value: str) -> None:
        """Choose a value of a setting."""
        self.page.get_by_role("combobox", name=setting, exact=True).select_option(label=value)

    def slide(self, name: str, place: int) -> None:
        """Move a slider as a hand does."""
        self.part(name).evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }",
            place,
        )

    def kept(self) -> dict[str, str]:
        """What the address keeps, when it has been written."""
        # A timer that is set later and runs longer ends after that of the page.
        self.page.evaluate("new Promise(done => setTimeout(done, 200))")
        fragment = self.page.url.partition("#explorer&")[2]
        return {key: value for key, [value] in parse_qs(fragment).items()}

    def rows(self) -> list[list[str]]:
        """The rows of the table that are seen."""
        return self.page.eval_on_selector_all(
            "#explorer-table tbody tr:not([hidden])",
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))",
        )


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Opened]:
    window = Opened(browser, address)
    yield window
    assert window.said == []
    window.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_at_any_width_the_page_is_seen_without_a_word_on_the_console(
    browser: Any, address: str, width: int, scheme: str
) -> None:
    window = Opened(browser, address, viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert window.part("root").is_visible()
    assert window.page.evaluate("document.documentElement.scrollWidth") == width
    wide = window.page.eval_on_selector_all(
        "#explorer-root :is(select, input, button, .drawing svg)",
        "(found, width) => found.filter(e => !e.closest('.wide')"
        " && e.getBoundingClientRect().right > width).length",
        width,
    )
    assert wide == 0
    assert window.said == []
    assert [url for url in window.asked if not url.startswith(("data:", address))] == []
    window.context.close()


def test_choosing_settings_shows_the_run_that_has_them(opened: Opened, tables: Study) -> None:
    opened.choose("network.activation", "tanh")
    opened.choose("init.gain", "2")
    opened.choose("task.length", "30")
    opened.choose("seed", "1")
    assert opened.run() == ENDED
    row = tables.runs[tables.runs["run"] == ENDED].iloc[0]
    assert opened.text("command") == row["command"]
    assert row["verdict_reason"] in opened.text("facts")
    assert "diverged at update 20, time 4, backward" in opened.text("facts")


def test_the_slider_moves_the_profile_through_the_updates(opened: Opened, tables: Study) -> None:
    opened.choose("task.length", "30")
    opened.part("beside").select_option(label="this run alone")
    opened.slide("lag", 29)
    seen = []
    for place, update in enumerate((0, 10, 20)):
        opened.slide("update", place)
        assert opened.text("update-value") == str(update)
        rows = tables.gradients[tables.gradients["run"] == opened.run()]
        [norm] = rows.loc[(rows["update"] == update) & (rows["lag"] == 29), "log10_total"]
        said = opened.part("lines").locator("b").text_content()
        assert said == magnitude(norm) or said.startswith(f"{magnitude(norm)} (")
        seen.append(opened.paths()[-1])
    assert len(set(seen)) == 3


def test_pointing_at_the_picture_says_the_values_there(opened: Opened) -> None:
    drawing, box = opened.picture("profile")
    drawing.hover(position={"x": box["width"] - 16, "y": 100})
    assert opened.text("lag-value") == "9, t = 1"
    assert opened.part("lines").locator("li").first.text_content() == "norm at lag 9:"


def test_lag_and_time_are_mirrored_and_a_linear_axis_begins_at_zero(opened: Opened) -> None:
    opened.part("beside").select_option(label="this run alone")
    by_lag = opened.paths()[-1]
    opened.page.get_by_label("time t").check()
    assert "time step t" in opened.text("profile")
    first, second = (
        np.array(re.findall(r"([\d.]+) ([\d.]+)", path), dtype=float)
        for path in (by_lag, opened.paths()[-1])
    )
    assert np.allclose(first[:, 0] + second[:, 0], first[0, 0] + second[0, 0], atol=0.21)
    assert np.allclose(first[:, 1], second[:, 1], atol=0.11)
    assert first[-1, 0] - first[0, 0] > 300
    opened.page.get_by_label("linear").check()
    labels = opened.part("profile").locator("svg text").all_text_contents()
    assert "0" in labels


def test_a_line_is_drawn_for_each_value_of_the_setting_that_is_chosen(opened: Opened) -> None:
    for setting, values in (
        ("init.gain", "0.5 1 2"),
        ("network.activation", "sigmoid tanh"),
        ("seed", "0 1"),
    ):
        opened.part("beside").select_option(label=f"one for each {setting}")
        names = opened.part("lines").locator("li span").all_text_contents()
        assert names == [f"{setting} = {value}" for value in values.split()]
        assert len(opened.paths()) == len(names)


def test_pressing_the_heat_map_moves_to_that_update_and_lag(opened: Opened) -> None:
    heat, box = opened.picture("heat")
    heat.click(position={"x": box["width"] - 20, "y": 20})
    assert opened.text("update-value") == "20"
    assert opened.text("lag-value").startswith("9,")


def test_where_a_run_diverged_is_written_into_its_heat_map(opened: Opened) -> None:
    assert "diverged" not in opened.text("heat")
    opened.page.goto(f"{opened.page.url.partition('#')[0]}#explorer&run={ENDED}")
    assert "diverged at update 20, time 4, backward" in opened.text("heat")


def test_a_line_of_an_earlier_update_says_which(browser: Any, tmp_path: Path) -> None:
    first = study(("tanh",), (0.5,), (10,), 1, (0, 10, 20))
    second = study(("tanh",), (2.0,), (10,), 1, (0, 20, 40))
    page = tmp_path / "index.html"
    page.write_text(
        page_module.render(concatenated(first, second), [], StudySaid("two")), encoding="utf-8"
    )
    window = Opened(browser, page.as_uri())
    window.slide("update", 1)
    said = window.part("lines").locator("b").all_text_contents()
    assert ["at update" in text for text in said] == [False, True]
    assert said[1].endswith(", at update 0")
    window.choose("init.gain", "2")
    window.slide("update", 2)
    assert "ended at update 20" in window.text("lines")
    window.context.close()


def test_pressing_a_cell_of_the_map_shows_its_run(opened: Opened) -> None:
    opened.choose("seed", "1")
    opened.part("map-y").select_option(label="network.activation")
    opened.part("map").locator("tbody tr").first.locator("button").nth(2).click()
    assert opened.run() == "tanh-2.0-10-1"
    pressed = opened.part("map").locator("button[aria-pressed=true]")
    assert pressed.count() == 1
    assert opened.page.locator("select[data-setting] >> nth=0").input_value() == "0"


def test_the_map_shows_the_measure_that_is_chosen(opened: Opened, tables: Study) -> None:
    cell = opened.part("map").locator("tbody tr").last.locator("button").first
    assert cell.text_content() == "↓"
    opened.part("measure").select_option(label="change over the sequence, update 0")
    runs = tables.runs[tables.runs["run"].isin(["tanh-0.5-10-0", "tanh-0.5-10-1"])]
    assert cell.text_content() == magnitude(runs["log10_change"].mean())


def test_the_table_has_a_row_a_setting_with_its_verdict_first(
    opened: Opened, tables: Study
) -> None:
    rows = {(row[2], row[3], row[4]): row[0] for row in opened.rows()}
    assert len(rows) == 12
    runs = tables.runs
    for (length, activation, gain), said in rows.items():
        same = (runs["task.length"] == int(length)) & (runs["network.activation"] == activation)
        words = runs.loc[same & (runs["init.gain"] == float(gain)), "verdict"].tolist()
        assert all(word in said for word in words)
        assert (len(set(words)) > 1) == ("1 " in said)
    assert opened.part("table").locator("th").first.text_content() == "gradient"


def test_a_heading_sorts_by_number_and_back(opened: Opened) -> None:
    heading = opened.part("table").get_by_role("button", name="rate", exact=True)
    place = opened.part("table").locator("th").all_text_contents().index("rate")
    heading.click()
    rates = [float(row[place]) for row in opened.rows()]
    assert rates == sorted(rates)
    heading.click()
    assert [float(row[place]) for row in opened.rows()] == rates[::-1]
    assert opened.part("table").locator("th[aria-sort=descending]").text_content() == "rate"


def test_the_filter_leaves_rows_that_have_all_words(opened: Opened) -> None:
    opened.part("filter").fill("tanh length=30")
    rows = opened.rows()
    assert {(row[2], row[3]) for row in rows} == {("30", "tanh")}
    assert opened.text("count") == "3 of 12 settings (6 of 24 runs)"
    opened.part("filter").fill("backward")
    assert len(opened.rows()) == 1
    opened.part("filter").fill("")
    assert len(opened.rows()) == 12


def test_the_table_shows_the_seeds_alone_that_are_named(opened: Opened, tables: Study) -> None:
    place = opened.part("table").locator("th").all_text_contents().index("change")
    opened.part("filter").fill("tanh seed=1 gain=2 length=30")
    [row] = opened.rows()
    [change] = tables.runs.loc[tables.runs["run"] == ENDED, "log10_change"]
    assert row[1] == "show"
    assert row[place] == magnitude(change)
    assert opened.text("count") == "1 of 12 settings (1 of 24 runs)"
    opened.part("filter").fill("seed=0,1")
    assert opened.text("count") == "12 of 12 settings (24 of 24 runs)"
    opened.part("filter").fill("seed=7")
    assert opened.rows() == []


def test_on_a_phone_each_value_of_a_row_is_named(browser: Any, address: str) -> None:
    window = Opened(browser, address, viewport={"width": 390, "height": 800})
    named = "e => getComputedStyle(e, '::before').content"
    cells = window.part("table").locator("tbody tr").first.locator("td")
    assert cells.nth(0).evaluate(named).startswith('"gradient')
    static = window.page.locator("#table-settings tbody tr").first.locator("td")
    assert static.nth(2).evaluate(named) == '"task.length: "'
    rights = window.page.eval_on_selector_all(
        ".rows td", "cells => cells.map(cell => cell.getBoundingClientRect().right)"
    )
    assert max(rights) <= 390
    window.context.close()


def test_the_seeds_of_a_setting_unfold_and_are_chosen(opened: Opened) -> None:
    opened.part("filter").fill("sigmoid gain=2 task.length=10")
    opened.part("table").get_by_role("button", name="2 seeds").first.click()
    assert len(opened.rows()) == 3
    opened.part("table").get_by_role("button", name="show sigmoid-").nth(1).click()
    assert opened.run().endswith("-1")
    opened.part("table").get_by_role("button", name="2 seeds").first.click()
    assert opened.part("table").locator("tr.seed:not([hidden])").count() == 0


def test_everything_is_done_with_the_keyboard_alone(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    reached = set()
    for _ in range(400):
        found = page.evaluate(
            "(({id, dataset, name}) => [id, dataset.setting || name || ''])(document.activeElement)"
        )
        name = found[0] or found[1]
        first = name not in reached
        reached.add(name)
        if first and name == "explorer-update":
            page.keyboard.press("ArrowRight")
            assert opened.text("update-value") == "10"
        if first and name == "explorer-lag":
            page.keyboard.press("End")
            assert opened.text("lag-value").startswith("9,")
        if first and name == "explorer-scale":
            page.keyboard.press("ArrowRight")
            assert opened.kept()["scale"] == "linear"
        if first and name == "explorer-filter":
            page.keyboard.type("tanh")
            assert len(opened.rows()) == 6
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
    assert {
        "0",
        "1",
        "2",
        "explorer-copy",
        "explorer-beside",
        "explorer-axis",
        "explorer-map-x",
        "explorer-measure",
    } <= reached
    assert opened.part("map").locator("button").count() > 0
    opened.part("map").locator("button").last.focus()
    page.keyboard.press("Enter")
    assert opened.run() == "tanh-2.0-10-0"


def test_the_address_keeps_what_is_seen_and_brings_it_back(
    opened: Opened, browser: Any, address: str
) -> None:
    opened.choose("init.gain", "2")
    opened.slide("update", 1)
    opened.page.get_by_label("time t").check()
    opened.part("filter").fill("vanishing")
    opened.part("table").get_by_role("button", name="change").click()
    kept = opened.kept()
    assert kept["update"] == "10"
    assert (kept["axis"], kept["filter"], kept["sort"]) == ("t", "vanishing", "change")
    again = Opened(browser, address, "#" + opened.page.url.partition("#")[2])
    assert again.run() == opened.run()
    assert again.text("update-value") == "10"
    assert again.page.get_by_label("time t").is_checked()
    assert again.rows() == opened.rows()
    assert again.said == []
    again.context.close()


def test_a_page_that_is_only_looked_at_keeps_its_address(opened: Opened) -> None:
    assert opened.kept() == {}


def test_an_address_of_a_map_that_cannot_be_is_corrected(browser: Any, address: str) -> None:
    same = "right=init.gain&up=init.gain"
    window = Opened(browser, address, f"#explorer&{same}")
    kept = window.kept()
    assert kept["right"] != kept["up"]
    assert kept["right"] == "init.gain"
    window.context.close()
    window = Opened(browser, address, "#explorer&right=seed&up=seed&lines=none")
    kept = window.kept()
    assert "seed" not in {kept["right"], kept["up"]}
    assert kept["lines"] == "none"
    assert window.part("map-x").input_value() != ""
    window.context.close()


@pytest.mark.parametrize(
    "fragment", ["#explorer&run=none&update=-3&axis=x&lines=y&sort=z", "#explorer&%%%", "#runs"]
)
def test_an_address_of_something_else_changes_nothing(
    browser: Any, address: str, fragment: str
) -> None:
    window = Opened(browser, address, fragment)
    assert window.run() == "tanh-0.5-10-0"
    assert window.said == []
    window.context.close()


def test_the_command_is_copied_as_it_is(browser: Any, address: str, tables: Study) -> None:
    window = Opened(browser, address, permissions=["clipboard-read", "clipboard-write"])
    window.part("copy").click()
    window.part("copied").get_by_text("Copied.").wait_for()
    [command] = tables.runs.loc[tables.runs["run"] == window.run(), "command"]
    assert window.page.evaluate("navigator.clipboard.readText()") == command
    window.context.close()


def test_where_nothing_may_be_copied_the_command_is_marked(opened: Opened) -> None:
    opened.page.evaluate("Navigator.prototype.__defineGetter__('clipboard', () => undefined), 0")
    opened.part("copy").click()
    opened.part("copied").get_by_text("Marked").wait_for()
    assert opened.page.evaluate("String(getSelection())") == opened.text("command")


def test_hostile_names_commands_and_log_lines_show_as_text(opened: Opened) -> None:
    opened.choose("network.activation", "sigmoid")
    opened.choose("init.gain", "1")
    opened.choose("task.length", "30")
    assert opened.run() == EVIL
    assert EVIL in opened.text("command")
    assert f"log: {EVIL}" in opened.text("facts")
    assert opened.page.evaluate("typeof hacked") == "undefined"
    assert opened.page.locator("#explorer-root img").count() == 1


def test_the_policy_stops_a_script_that_is_not_the_pages_own(browser: Any, address: str) -> None:
    window = Opened(browser, address)
    window.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'hacked = 1'}))"
    )
    assert window.page.evaluate("typeof hacked") == "undefined"
    assert "Content Security Policy" in " ".join(window.said)
    window.context.close()


def test_without_scripts_the_page_says_everything_and_has_no_dead_control(
    browser: Any, address: str, tables: Study
) -> None:
    window = Opened(browser, address, java_script_enabled=False)
    assert window.part("root").is_hidden()
    static = window.page.locator("#runs").text_content()
    assert all(run in static for run in tables.runs["run"])
    window.context.close()


def test_print_shows_the_static_page(opened: Opened) -> None:
    opened.page.emulate_media(media="print")
    assert opened.part("root").is_hidden()
    assert opened.page.locator("#runs").is_visible()


def test_the_maps_change_their_colours_with_the_scheme_while_the_page_is_open(
    opened: Opened,
) -> None:
    picture = opened.part("heat").locator("image")
    light = picture.get_attribute("href")
    opened.page.emulate_media(color_scheme="dark")
    opened.page.wait_for_function(
        "light => document.querySelector('#explorer-heat image').getAttribute('href') !== light",
        arg=light,
    )


def test_nothing_on_the_page_moves_by_itself(opened: Opened) -> None:
    opened.slide("update", 2)
    assert opened.page.evaluate("document.getAnimations().length") == 0


def test_rates_are_written_as_the_page_writes_them(opened: Opened) -> None:
    source = (Path(embedding.__file__).parent / "study.js").read_text(encoding="utf-8")
    functions = source[source.index("const exponential") :]
    every = [*RATES, (1.0,), (0.99996,), (2.5e7, 1e7, 3e7), (3.1e-5, 3e-5, 3.2e-5)]
    said = opened.page.evaluate(
        f"(all) => {{ {functions}; return all.map((each) => rates(...each)); }}", every
    )
    assert said == [rates(*each) for each in every]
