"""The page names every run, escapes what it did not write, and is the same every time."""

import base64
import functools
import html
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from rnn_exp import figures, report
from rnn_exp.profiles import RULE
from rnn_exp.report import page as page_module
from rnn_exp.report.comparison import compare
from rnn_exp.report.content import run_table, setting_table
from rnn_exp.report.glossary import task_words, words_in
from rnn_exp.report.paragraphs import done, question, standing
from rnn_exp.report.tables import RunTable, narrow_style
from rnn_exp.storage.study import Study as StudySaid
from rnn_exp.storage.study import StudyPage
from rnn_exp.tasks import TASKS
from tests.dose import FULL
from tests.tables import Study, altered, diverged, study

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def tables() -> Study:
    constant = {"training.optimizer": EVIL}
    whole = study(gains=(0.5, 2.0), lengths=(10,), seeds=2, updates=(0, 10, 20), **constant)
    whole = diverged(whole, "tanh-2.0-10-0", update=20, time=4)
    renamed = {"sigmoid-0.5-10-0": EVIL}
    named = (f.replace({"run": renamed}) for f in (whole.runs, whole.updates, whole.gradients))
    return Study(*named, whole.broken)


@pytest.fixture(scope="module")
def folder(tables: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("a") / "reach" / "report"
    report.write(tables, place, dpi=60)
    return place


@pytest.fixture
def page_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a report draw what is in its page, and no other files, which take longer."""
    alone = functools.partial(page_module.rendered, formats=("svg",))
    monkeypatch.setattr(page_module, "rendered", alone)


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "index.html").read_text("utf-8")


class Elements(HTMLParser):
    """Collects the tags and their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        """Parse the page at once."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.text.append(data)


def embedded(page: str) -> list[bytes]:
    return [base64.b64decode(text) for text in re.findall(r"svg\+xml;base64,([^\"]+)", page)]


def test_every_run_of_the_study_is_named_in_the_page(page: str, tables: Study) -> None:
    text = " ".join(Elements(page).text)
    assert all(run in text for run in tables.runs["run"])
    assert all(command in text for command in tables.runs["command"])


def test_every_figure_is_on_the_page_with_its_question_and_caption(page: str, folder: Path) -> None:
    elements = Elements(page)
    images = [attributes for tag, attributes in elements.tags if tag == "img"]
    assert [image["alt"] for image in images] != []
    assert len(images) == len(figures.names())
    assert all(str(image["alt"]) in " ".join(elements.text) for image in images)
    for name in figures.names():
        assert figures.figure(name).QUESTION in elements.text
        assert all((folder / f"{name}.{s}").stat().st_size > 100 for s in ("png", "svg", "pdf"))


def test_the_csv_holds_the_plotted_numbers(folder: Path, tables: Study) -> None:
    plotted = figures.figure("rates").table(tables).table
    saved = pd.read_csv(folder / "rates.csv")
    pd.testing.assert_frame_equal(saved, plotted, check_dtype=False)


def test_text_from_configurations_runs_nothing(page: str) -> None:
    assert EVIL not in page
    scripts = [attributes for tag, attributes in Elements(page).tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "explorer-data"}, {}]
    assert EVIL in " ".join(Elements(page).text)


def test_text_in_pictures_is_escaped() -> None:
    module = figures.figure("decay")
    plotted = module.table(study((EVIL,), (0.5, 1.0), (10,), 1, (0,)))
    drawing = page_module.rendered(module.draw(plotted), 40)["svg"].decode()
    assert EVIL not in drawing
    tree = ElementTree.fromstring(drawing)
    assert not tree.findall(".//{http://www.w3.org/2000/svg}script")
    assert any(EVIL in "".join(text.itertext()) for text in tree.iter())


def test_the_page_asks_for_nothing_from_outside(page: str) -> None:
    for tag, attributes in Elements(page).tags:
        assert tag not in {"link", "iframe", "object", "embed"}
        assert str(attributes.get("src", "data:")).startswith("data:")
        assert "://" not in str(attributes.get("href", ""))
    assert "url(" not in page
    assert "@import" not in page


@pytest.mark.dosed
def test_the_same_tables_give_the_same_bytes(
    tables: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not FULL:
        monkeypatch.setattr(figures, "names", lambda: ["decay", "learning"])
    once, again = tmp_path / "once" / "reach", tmp_path / "again" / "reach"
    for place in (once, again):
        report.write(tables, place, dpi=60)
    assert (once / "decay.png").exists()
    assert sorted(p.name for p in again.iterdir()) == sorted(p.name for p in once.iterdir())
    assert all(p.read_bytes() == (again / p.name).read_bytes() for p in once.iterdir())


def test_pictures_in_the_page_are_the_saved_ones(page: str, folder: Path) -> None:
    saved = [(folder / f"{name}.svg").read_bytes() for name in figures.names()]
    assert embedded(page) == saved


def test_text_in_pictures_stays_text(folder: Path) -> None:
    assert b"sigmoid, T = 10" in (folder / "decay.svg").read_bytes()


def test_the_title_of_a_study_that_asks_nothing_is_what_varies(page: str) -> None:
    assert "<h1>What does the gradient do, by gain g and activation?</h1>" in page


def test_the_page_begins_with_the_question_the_answer_and_what_was_done(page: str) -> None:
    text = [part.strip() for part in Elements(page).text if part.strip()]
    begin = text.index("What does the gradient do, by gain g and activation?", 2)
    [answer, paragraph] = text[begin + 1 : begin + 3]
    assert answer == figures_of(page)[0]
    networks = "8 runs of networks of 64 units (activations tanh and sigmoid)"
    assert paragraph.startswith(networks)
    assert "What varies: gain g (0.5 and 2); activation (tanh and sigmoid); 2 seeds of each" in (
        paragraph
    )
    assert "How the runs ended: 7 finished and 1 diverged." in paragraph
    assert "Left out: 1 folder (listed below)." in paragraph


def figures_of(page: str) -> list[str]:
    """The alternative texts of the pictures, in their order."""
    return [str(found["alt"]) for tag, found in Elements(page).tags if tag == "img"]


@pytest.mark.usefixtures("page_alone")
def test_a_study_declares_its_question_and_figures_whatever_its_folder_is_called(
    tables: Study, tmp_path: Path
) -> None:
    asked = StudySaid(
        "harm",
        StudyPage(f"Why {EVIL}?", ("rates", "decay")),
        f"rnn-exp note='{EVIL}'",
        "2026-01-02",
    )
    written = report.write(tables, tmp_path / "harm", asked, dpi=40).read_text("utf-8")

    assert EVIL not in written
    assert f"Why {EVIL}?" in Elements(written).text
    assert "Begun on 2026-01-02. To make it again:" in written
    assert [*tmp_path.glob("harm/*.svg")] != []
    assert {path.stem for path in tmp_path.glob("harm/*.svg")} == {"rates", "decay"}
    assert written.index('id="rates"') < written.index('id="decay"')


def test_a_question_of_ones_own_is_answered_by_the_figures_that_are_named(tables: Study) -> None:
    pictures = [
        page_module.Picture("decay", "How far?", "Far. And more.", svg=b"<svg/>"),
        page_module.Picture("rates", "Which?", "This one. And so on.", svg=b"<svg/>"),
    ]
    lead = r'<p class="lead"><strong>(.*)</strong></p>'

    def said(answer: tuple[str, ...] | None) -> str:
        asked = StudyPage("Why?", ("decay", "rates"), answer)
        return page_module.render(tables, pictures, StudySaid("a", asked))

    assert re.findall(lead, said(("rates",))) == ["This one."]
    assert re.findall(lead, said(("rates", "decay"))) == ["This one.", "Far."]
    free = said(None)
    assert said(("learning",)) == free  # it is not among the figures that are drawn
    assert re.findall(lead, free) == []
    assert "No figure of this page is said to answer this question." in free
    assert '<li><a href="#rates">Which?</a> This one.</li>' in free


@pytest.mark.usefixtures("page_alone")
def test_only_words_that_the_page_uses_are_explained(tables: Study, tmp_path: Path) -> None:
    shown = StudySaid("a", StudyPage(None, ("decay",)))
    written = report.write(tables, tmp_path, shown, dpi=40).read_text("utf-8")
    assert "<dt>gain g</dt>" in written
    assert "<dt>Lyapunov exponent</dt>" not in written


def test_a_report_waits_for_neither_torch_nor_statistics_that_it_does_not_use() -> None:
    code = (
        "import sys, rnn_exp.report, rnn_exp.storage.loading\n"
        "from rnn_exp import figures\n"
        "figures.of_page(None), figures.study_names()\n"
        "assert not {'torch', 'scipy.stats', 'hydra'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_words_of_an_explanation_are_explained_as_well() -> None:
    found = [each.word for each in words_in(["What the singular-value bound promises."])]
    assert {"singular-value bound", "W_hh"} <= set(found)
    assert words_in(["A sentence of other things."]) == []


def test_what_each_built_in_task_asks_of_a_network_is_said() -> None:
    assert [each.word for each in task_words(TASKS)] == [f"task {name}" for name in TASKS]
    assert task_words(["mine"]) == []


def test_a_single_run_is_told_as_one() -> None:
    runs = study(("tanh",), (4.0,), (60,), 1, (0, 40)).runs
    assert done(runs).startswith("1 run of a network of 64 units")
    assert standing(runs.assign(status="diverged"), pd.DataFrame()) == "The run diverged."
    clipped = runs.assign(clipped_at_start=True)
    told = "The gradient of the weights is clipped at the first update."
    assert told in standing(clipped, pd.DataFrame())


@pytest.mark.usefixtures("page_alone")
def test_what_a_figure_leaves_out_is_above_the_picture(tmp_path: Path) -> None:
    many = study(("tanh",), (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0), (10,), 1, (0,))
    shown = StudySaid("a", StudyPage(None, ("decay",)))
    written = report.write(many, tmp_path, shown, dpi=40).read_text("utf-8")
    left_out = written.index("Left out to keep the figure readable: g = ")
    assert written.index('id="decay"') < left_out < written.index("<img")


def test_what_varies_is_said_with_its_values_in_order() -> None:
    runs = study(("tanh",), (0.5, 10.0, 2.0), (10, 60), 1, (0,)).runs
    assert "What varies: length T (10 and 60); gain g (0.5, 2 and 10)." in done(runs)
    assert question(None, runs) == "What does the gradient do, by length T and gain g?"
    assert question("So?", runs) == "So?"
    more = study(("tanh",), (0.5,), (10,), 3, (0,)).runs
    some = pd.concat([runs, more[more["seed"] > 0]], ignore_index=True)
    assert done(some).endswith("; 1 to 3 seeds of each setting.")
    assert done(more).endswith("What varies: 3 seeds.")


def test_every_setting_has_a_row_with_the_verdicts_of_its_seeds() -> None:
    tables = study(("tanh",), (0.5, 1.0), (10, 60), 4, (0,))
    per_lag = np.where(tables.gradients["seed"] < 2, -0.05, 0.05)
    rows = tables.gradients.assign(
        log10_total=np.where(tables.gradients["init.gain"] == 1, per_lag, -0.5)
        * tables.gradients["lag"]
    )

    found = setting_table(altered(tables, rows).runs)

    assert found.headings[:5] == ["gradient", "rate (95 %)", "task.length", "init.gain", "seeds"]
    by_setting = {tuple(row[2:4]): [row[4], row[0], row[1]] for row in found.rows}
    assert len(by_setting) == 4
    assert by_setting["60", "0.5"][:2] == ["4", "vanishing for all 4 seeds"]
    assert by_setting["60", "1"][:2] == ["4", "2 vanishing and 2 exploding (seeds disagree)"]
    assert by_setting["60", "1"][2].startswith("1 (0.")


def test_a_run_says_half_life_or_doubling_time_and_infinite_only_where_1_is_possible() -> None:
    runs = study(("tanh",), (0.5, 4.0), (60,), 1, (0,)).runs
    level = {"half_life": np.nan, "decay_rate_low": 0.99, "decay_rate_high": 1.01}
    level = runs.iloc[:1].assign(run="level", decay_rate=1.0, **level)
    lost = level.assign(run="lost", decay_rate_low=0.5, decay_rate_high=0.6)

    found = run_table(pd.concat([runs, level, lost], ignore_index=True))

    lives = [row[found.headings.index("half-life or doubling time")] for row in found.rows]
    assert lives[0].startswith("half-life ")
    assert lives[1].startswith("doubling time ")
    assert lives[2:] == ["infinite (the interval of the rate holds 1)", "-"]
    assert found.headings.index("gradient") < found.headings.index("why")


def test_of_a_run_whose_profile_is_bent_the_table_of_runs_gives_no_rate() -> None:
    runs = study(("tanh",), (0.5,), (60,), 1, (0,)).runs
    bent = "bent: no one rate describes the profile"
    of_start = runs.assign(run="start", verdict_reason=bent, final_decay_rate=0.8)
    of_end = of_start.assign(run="end", verdict_reason="", final_verdict_reason=bent)

    found = run_table(pd.concat([of_start, of_end], ignore_index=True))

    names = ("rate (95 %)", "half-life or doubling time", "final rate")
    start, end = ([row[found.headings.index(name)] for name in names] for row in found.rows)
    assert start == ["-", "-", "0.8"]
    assert "-" not in end[:2]
    assert end[2] == "-"


def test_one_run_is_told_as_one_setting() -> None:
    runs = study(("tanh",), (4.0,), (60,), 1, (0, 40)).runs
    assert done(runs).endswith("One setting, one seed.")
    assert question(None, runs) == "What does the gradient do, back in time?"


def test_divergence_is_told_in_words(page: str) -> None:
    assert "<code>tanh-2.0-10-0</code> diverged at update 20, time 4, backward." in page


def test_the_rule_of_the_verdict_is_printed(page: str) -> None:
    assert f"Rule: {html.escape(RULE)}" in page


def test_broken_runs_are_listed_with_the_reason(page: str) -> None:
    assert "<code>half</code>: run.json is not readable" in page


@pytest.mark.usefixtures("page_alone")
def test_a_refused_figure_leaves_its_reason_and_no_stale_file(tmp_path: Path) -> None:
    (tmp_path / "heatmap.png").write_bytes(b"old")
    written = report.write(study(("tanh",), (0.5,), (10,), 1, (0,)), tmp_path, dpi=40).read_text()
    assert ": Not drawn. Gradients were recorded at fewer than two updates" in written
    assert not (tmp_path / "heatmap.png").exists()


def test_a_name_of_a_column_ends_no_style_sheet() -> None:
    hostile = RunTable(['a</style><script>"}'], [], [])
    style = narrow_style({"runs": hostile, "none": None})
    assert "</" not in style
    assert style.count('"') == 2
    assert "a\\3c \\2f style\\3e " in style


def test_what_is_not_a_figure_is_in_the_list_of_contents_too(page: str) -> None:
    contents = page[page.index("<nav") : page.index("</nav>")]
    parts = set(re.findall(r'<section id="([\w-]+)"', page)) - {"explorer-root"}
    assert parts >= {"decay", "settings", "words", "divergences", "runs", "made", "broken"}
    assert {part for part in parts if f'href="#{part}"' not in contents} == set()
    assert 'href="#explorer"' in contents


def test_a_study_with_nothing_but_broken_runs_still_has_a_page(tmp_path: Path) -> None:
    nothing = pd.DataFrame()
    broken = pd.DataFrame({"run": [EVIL], "why": ["empty"]})
    written = report.write(Study(nothing, nothing, nothing, broken), tmp_path).read_text("utf-8")
    assert "There is no run that can be read." in written
    assert "&lt;script&gt;" in written
    assert written.count("Not drawn.") == len(figures.names())


def test_runs_made_with_code_from_elsewhere_are_marked() -> None:
    own = f"task=mine mine.py {'ab' * 32}"
    runs = pd.DataFrame({"status": ["finished"] * 3, "sources": [own, None, None]})

    text = standing(runs, pd.DataFrame())

    assert "1 of 3 runs was made with code from elsewhere: task=mine mine.py abababababab…" in text
    assert "elsewhere" not in standing(runs.assign(sources=None), pd.DataFrame())


@pytest.mark.dosed
@pytest.mark.usefixtures("page_alone")
def test_two_studies_are_compared_in_settings_and_outcomes(tmp_path: Path) -> None:
    def named(name: str, **settings: object) -> Study:
        whole = study(("tanh",), (0.5, 2.0), (10,), 2, (0, 10), **settings)
        frames = (
            frame.assign(study=name, run=f"{name}/" + frame["run"].astype(str))
            for frame in (whole.runs, whole.updates, whole.gradients)
        )
        return Study(*frames, whole.broken.iloc[:0])

    one, other = named("one"), named(f"two {EVIL}", **{"training.optimizer": "adam"})
    for part, losses in ((one, [0.1, 0.2, 0.1, 0.2]), (other, [0.3, 0.4, 0.15, 0.9])):
        part.runs["final_loss"] = losses
    rows = other.gradients["init.gain"] == 0.5
    changed = other.runs.assign(
        verdict=other.runs["verdict"].where(other.runs["init.gain"] != 0.5, "exploding")
    )
    assert rows.any()
    both = Study(
        *(
            pd.concat(pair, ignore_index=True)
            for pair in (
                (one.runs, changed),
                (one.updates, other.updates),
                (one.gradients, other.gradients),
            )
        ),
        one.broken,
    )

    found = compare(both.runs)

    assert found is not None
    assert found.settings.rows == [["training.optimizer", "sgd", "adam"]]
    assert found.came_out == (
        "Of the 2 settings that both have, some give another result: gradient at update 0 in 1 and "
        "final loss in 1."
    )
    assert [row[0] for row in found.outcomes.rows] == ["0.5", "2"]  # what differs first
    [first, _] = found.outcomes.rows
    assert first[1:3] == ["vanishing for both seeds", "exploding for both seeds"]
    place = found.outcomes.headings.index("final loss: one")
    assert first[place : place + 2] == ["0.15 (0.1 to 0.2)", "0.35 (0.3 to 0.4)"]
    assert found.outcomes.headings[-2:] == ["status: one", f"status: two {EVIL}"]
    shown = StudySaid("a", StudyPage(None, None if FULL else ("decay",)))
    page = report.write(both, tmp_path, shown, dpi=40).read_text("utf-8")
    assert "What differs" in page
    assert EVIL not in page


def test_values_are_compared_in_the_order_of_numbers_and_seeds_by_their_words() -> None:
    few, more = (
        study(("tanh",), gains, (10,), seeds, (0,)).runs.assign(study=name)
        for name, gains, seeds in (("few", (2.0, 10.0), 2), ("more", (0.5, 2.0, 10.0), 3))
    )
    found = compare(pd.concat([few, more], ignore_index=True))
    assert found is not None
    assert found.settings.rows == [["init.gain", "2 and 10", "0.5, 2 and 10"]]
    assert "few has 2 seeds and more has 3 seeds. 1 setting is in one of them alone" in found.said
    # All of two seeds, all of three: the same word.
    assert found.came_out == "Of the 2 settings that both have, none gives another result."


def test_one_study_is_compared_with_nothing() -> None:
    assert compare(study(("tanh",), (0.5,), (10,), 1, (0,)).runs) is None


def test_what_all_runs_share_can_be_typed_again() -> None:
    more = {"training.clip_norm": None, "network.bias": True, "training.learning_rate": 0.01}
    runs = study(("tanh",), (0.5,), (10,), 2, (0,), **more).runs.assign(device="cuda:1")
    shared = dict(run_table(runs).shared)
    assert shared["training.clip_norm"] == "null"
    assert shared["network.bias"] == "true"
    assert shared["training.learning_rate"] == "0.01"
    assert shared["device"] == "cuda:1"
