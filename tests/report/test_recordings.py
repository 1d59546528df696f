"""The page of a recording: the answer first, nothing believed to be markup, whatever was seen."""

import base64
import math
import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from rnn_exp.fields import SettingError
from rnn_exp.profiles import RULE
from rnn_exp.report import recordings
from rnn_exp.report.page import template
from rnn_exp.report.recordings import render, write
from tests.recordings.frames import NOTHING, recorded, rows, together
from tests.report.test_report import EVIL, Elements, embedded

TWO = together(
    *(
        rows(rate, update=update, layer=layer, losses=losses)
        for update, rate in ((0, 0.5), (5, 0.9))
        for layer, losses in ((1, 4), (0, 20))
    )
)


@pytest.fixture(scope="module")
def page():
    """The page of two layers at two updates, each fifth recorded."""
    return render(recorded(TWO, every=5))


def text_of(page):
    return re.sub(r"\s+", " ", " ".join(Elements(page).text))


@pytest.fixture
def words(monkeypatch):
    """What a page says, without its pictures, which take their time."""
    monkeypatch.setattr(recordings, "recording_names", lambda: [])
    return lambda frame, **others: text_of(render(recorded(frame, **others)))


def test_the_answer_is_the_first_thing_after_what_was_recorded(page):
    said = text_of(page[page.index("<body>") :])
    assert said.strip().startswith(
        "Recorded gradients 2 updates of core (LSTM) were recorded: from 0 to 5, the first of "
        "every 5. core, layer 1: ∂L/∂h_t over 20 steps: at update 0 vanishing, keeps 50 % "
        "of its size per step"
    )
    answers = re.findall(r"<li><strong>(.*?)</strong></li>", page)
    assert [answer.split(":")[0] for answer in answers] == ["core, layer 1", "core, layer 0"]
    assert all("at update 0" in answer and "at update 5" in answer for answer in answers)


def test_the_page_has_the_rule_the_words_and_what_each_layer_does(page):
    said = text_of(page)

    assert RULE in said
    words = ("total gradient", "direct gradient", "lag", "horizon", "verdict", "steps with a loss")
    assert all(f" {word} " in said for word in words)
    assert "core, layer 1 ∂L/∂h_t 20 vanishing 0.5 (0.5 to 0.5) 1.9e-06" in said


def test_many_losses_are_a_warning_for_the_top_layer_alone(page, words):
    said = text_of(page)

    assert said.count("a flat profile then says little of how far back one reaches") == 1
    assert "core, layer 1: 4 of 20 time steps are read by a loss" in said
    assert "time steps are read by a loss" not in words(rows(losses=1))


def test_pictures_are_in_the_page_and_nothing_is_fetched(page):
    pictures = [ElementTree.fromstring(svg) for svg in embedded(page)]
    assert [picture.tag for picture in pictures] == ["{http://www.w3.org/2000/svg}svg"] * 2
    assert "default-src 'none'" in page
    outside = [
        value
        for tag, attributes in Elements(page).tags
        for name, value in attributes.items()
        if name in ("src", "href") and not str(value).startswith("data:")
    ]
    assert outside == []


def test_a_recording_and_a_study_have_one_style_sheet(page):
    style = re.compile(r"<style>.*?</style>", re.DOTALL)
    [shared] = style.findall(template("base.html.jinja").render(title=""))

    assert style.findall(page)[0] == shared


@pytest.mark.parametrize("name", [EVIL, "a$b$", '"><img src=x>', "σ & {{ 7 * 7 }}"])
def test_names_of_modules_are_text(name):
    cuts = pd.DataFrame([{"update": 0, "module": name, "call": 3, "why": EVIL}])

    page = render(recorded(rows(module=name), cuts=cuts, bad=name))

    tags = [tag for tag, _ in Elements(page).tags]
    assert "script" not in tags
    assert tags.count("img") == 1
    assert name in text_of(page)
    [svg] = embedded(page)
    shown = "".join(ElementTree.fromstring(svg).itertext())
    assert name in shown


def test_a_picture_that_cannot_be_drawn_says_why():
    page = render(recorded(rows()))

    assert "Not drawn. Gradients were recorded at fewer than two updates" in page
    assert len(embedded(page)) == 1
    assert "Update 0 of core (LSTM) was recorded." in page


def test_a_recording_that_saw_nothing_says_so():
    said = text_of(render(recorded(NOTHING, modules={"core": "GRU", "": "LSTM"})))

    assert "Nothing was recorded of core (GRU) and the model (LSTM)" in said
    assert "Nothing can be said of any gradient." in said
    assert said.count("Not drawn. Nothing was recorded.") == 2


def test_a_module_of_which_nothing_was_seen_is_named(words):
    said = words(rows(), modules={"core": "LSTM", "unused": "GRU"})

    assert "Nothing was recorded of unused (GRU)." in said


@pytest.mark.parametrize(
    ("norm", "status", "why"),
    [
        (-math.inf, "cut_off", "undetermined (cut off at lag 0 by truncated backpropagation)"),
        (math.nan, "nan", "undetermined (not a number from lag 0 on)"),
        (math.inf, "inf", "undetermined (not finite from lag 0 on)"),
        (-math.inf, "zero", "undetermined (exactly zero at every lag)"),
    ],
)
def test_a_recording_without_a_finite_gradient_says_why(norm, status, why, words):
    lost = dict.fromkeys(range(9), (norm, status))
    frame = together(*(rows(steps=9, update=n, lost=lost) for n in (0, 1)))

    said = words(frame)

    assert why in said
    assert not re.search(r"\bnan\b", said)


def test_cuts_of_several_updates_are_one_line(words):
    cuts = pd.DataFrame(
        [{"update": n, "module": "core", "call": 26, "why": "a detach"} for n in (0, 4, 8)]
    )

    said = words(rows(), cuts=cuts)

    assert "core, call 26 (from 0): a detach (at 3 updates, first at update 0)" in said


def clipped(*norms):
    return pd.DataFrame({"update": range(len(norms)), "grad_norm": norms, "clipped": True})


def test_what_was_clipped_is_said_and_what_is_not_known_is_not(words):
    some = words(rows(), updates=clipped(1.0, 3.0, math.inf))
    assert "at 2 recorded updates: P50 2, P90 2.8, P99 2.98 (percentiles). It was clipped" in some
    assert "clipped at 100 % of them. At 1 more it is no finite number." in some
    assert "Clipping binds from update 0 on." in some
    unseen = words(rows(), updates=clipped(1.0, 3.0).assign(clipped=math.nan))
    assert "Whether it was clipped is not known." in unseen
    assert "update 0 " not in unseen[unseen.index("not known.") :].partition("What the")[0]
    none = words(rows(), updates=clipped(math.nan))
    assert "At none of 1 recorded update is the norm" in none
    assert "Nothing is known of clipping" in words(rows())


def test_the_first_value_that_is_not_finite_is_named(words):
    said = words(rows(), bad="update 3, core, layer 0, time step 7")

    assert "The first value that is not finite: update 3, core, layer 0, time step 7." in said
    assert "No value that was recorded was infinite or NaN." in words(rows())


def test_a_page_is_the_same_every_time(tmp_path, page):
    first = write(recorded(TWO, every=5), str(tmp_path / "gradients.html"))

    assert first == tmp_path / "gradients.html"
    assert first.read_text("utf-8") == page


def test_a_page_in_a_folder_that_is_missing_is_refused_and_the_folder_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.html: there is no folder .*new; make it"):
        write(recorded(TWO), tmp_path / "new" / "a.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [5, None, "", b"a.html"])
def test_what_names_no_page_is_refused(path):
    with pytest.raises(SettingError, match=r"path=.* is not possible: allowed is the path of an H"):
        write(recorded(TWO), path)


def test_a_page_that_cannot_be_made_leaves_the_former_one(tmp_path, monkeypatch):
    path = tmp_path / "gradients.html"
    path.write_text("former", "utf-8")

    def fail(*_, **__):
        raise RuntimeError("no picture")

    monkeypatch.setattr(recordings, "rendered", fail)
    with pytest.raises(RuntimeError, match="no picture"):
        write(recorded(TWO), path)

    assert path.read_text("utf-8") == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_page(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder: name a file, such as"):
        write(recorded(TWO), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_alternative_text_of_a_picture_is_its_question(page):
    images = [attributes for tag, attributes in Elements(page).tags if tag == "img"]

    assert [str(image["alt"])[-1] for image in images] == ["?", "?"]
    assert all(base64.b64decode(str(image["src"]).partition(",")[2]) for image in images)
