"""After Pascanu's fig. 7: who solves which length, counted; and after how many updates."""

import itertools

import numpy as np
import pandas as pd
import pytest

from rnn_exp import figures
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.parts.recipes import name_runs
from tests.studies import recipes, runs_of
from tests.tables import Study

FIGURE = figures.figure("pascanu2013_fig7")
STOPS = {
    "init": "pascanu",
    "init.variant": "smart_tanh",
    "training.stop_when_solved": True,
    "training.clip_norm": np.nan,
}
CLIPS = {**STOPS, "training.clip_norm": 1.0}
OMEGA = {**CLIPS, "training.omega": 2.0}
LENGTHS = (10, 20, 30)


def solving() -> Study:
    """SGD solves length 10 alone, clipping with seed 0 length 20 too, clipping + Ω all."""
    study = recipes([STOPS, CLIPS, OMEGA], lambda row, update: 1.0, LENGTHS)
    runs = study.runs
    reach = np.where(runs["training.omega"] > 0, 30, 10)
    reach = np.where((runs["training.clip_norm"] == 1) & (runs["seed"] == 0), 30, reach)
    reach = np.where((runs["training.omega"] == 0) & (reach == 30), 20, reach)
    solved = runs["task.length"] <= reach
    runs["status"] = np.where(solved, "solved", "finished")
    # A solved run ends at update 10 + 10 · seed.
    ends = dict(zip(runs["run"], np.where(solved, 10 + 10 * runs["seed"], 50), strict=True))
    kept = study.updates["update"] <= study.updates["run"].map(ends)
    return Study(runs, study.updates[kept], study.gradients, study.broken)


def test_the_share_of_seeds_that_solve_is_counted():
    table = FIGURE.table(solving()).table.set_index(["series", "length"])

    counts = {
        name: table.loc[name, "solved"].tolist()
        for name in ("plain SGD", "clipping", "clipping + Ω")
    }
    assert counts == {"plain SGD": [3, 0, 0], "clipping": [3, 1, 0], "clipping + Ω": [3, 3, 3]}
    assert table.loc[("clipping", 20), "share"] == pytest.approx(1 / 3)


def test_the_updates_needed_are_those_of_the_seeds_that_solve():
    table = FIGURE.table(solving()).table.set_index(["series", "length"])

    row = table.loc[("clipping + Ω", 30)]
    assert (row["low"], row["median"], row["high"]) == (11, 21, 31)
    assert table.loc[("clipping", 20), "median"] == 11
    assert np.isnan(table.loc[("plain SGD", 20), "median"])


def test_what_is_drawn_is_the_table_and_the_unsolved_are_marked():
    plotted = FIGURE.table(solving())
    table = plotted.table

    above, below = FIGURE.draw(plotted).axes

    names = ["plain SGD", "clipping", "clipping + Ω"]
    for line, name in zip(above.lines, names, strict=True):
        share = table.loc[table["series"] == name, "share"]
        np.testing.assert_allclose(line.get_ydata(), 100 * share)
    counts = [text.get_text() for text in above.texts if text.get_gid() == "count"]
    assert counts == [str(count) for count in table.sort_values(["series", "length"])["solved"]]
    marks = [line for line in below.lines if line.get_gid() == "ceiling"]
    assert [len(line.get_xdata()) for line in marks] == [2, 1]


def test_methods_that_do_equally_well_stand_beside_one_another():
    study = recipes([STOPS, CLIPS, OMEGA], lambda row, update: 1.0, LENGTHS)
    study.runs["status"] = "solved"

    above, below = FIGURE.draw(FIGURE.table(study)).axes

    for drawn in (above.lines, [container.lines[0] for container in below.containers]):
        places = np.array([line.get_xdata() for line in drawn])
        assert len(np.unique(places)) == places.size == 9
        assert {line.get_linestyle() for line in drawn} == {"None"}


def test_every_init_has_a_column_of_its_own():
    basic = [{**settings, "init.variant": "basic_tanh"} for settings in (STOPS, OMEGA)]
    study = recipes([*basic, STOPS, OMEGA], lambda row, update: 1.0, LENGTHS)
    study.runs["status"] = "solved"

    plotted = FIGURE.table(study)
    table = plotted.table

    assert list(table["init"].unique()) == ["basic tanh", "smart tanh"]
    assert set(table["series"]) == {"plain SGD", "clipping + Ω"}
    titles = [axes.get_title(loc="left") for axes in FIGURE.draw(plotted).axes]
    assert titles == ["init: basic tanh", "init: smart tanh", "", ""]


def test_the_caption_counts_seeds_and_updates():
    caption = whole_caption(FIGURE, FIGURE.table(solving()))

    assert caption.startswith(
        "All 3 seeds learn the task with plain SGD and clipping up to T = 10; with clipping + Ω "
        "up to T = 30 (of lengths up to 30)."
    )
    assert "plain SGD 3 of 3 at T = 10, 0 of 3 at T = 20 and 0 of 3 at T = 30; clipping" in caption
    assert "clipping + Ω 3 of 3 at T = 10, 3 of 3 at T = 20 and 3 of 3 at T = 30" in caption
    assert "Median number of updates at T = 30: clipping + Ω 21." in caption


def test_where_nobody_solves_it_the_caption_says_so():
    plotted = FIGURE.table(recipes([STOPS], lambda row, update: 1.0, LENGTHS))

    assert "no run solves the task" in whole_caption(FIGURE, plotted)
    FIGURE.draw(plotted)


def test_a_study_that_does_not_stop_when_solved_is_refused():
    settings = {**STOPS, "training.stop_when_solved": False}

    with pytest.raises(figures.CannotDraw, match="stop_when_solved=true"):
        FIGURE.table(recipes([settings], lambda row, update: 1.0))


def test_every_run_of_the_study_is_possible_and_has_a_name_of_a_recipe():
    runs = runs_of("pascanu2013_fig7")

    assert len({run.digest for run in runs}) == len(runs)
    frame = pd.DataFrame([run.settings() for run in runs])
    names = name_runs(frame, FIGURE.RECIPES, apart=["init.variant"])
    assert set(names) == {"plain SGD", "clipping", "clipping + Ω"}
    cells = itertools.product(set(names), set(frame["init.variant"]), set(frame["task.length"]))
    assert len(runs) == 3 * len(list(cells))
