"""Learning curves against chance: what is drawn is the smoothed loss, and the caption counts it."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rnn_exp import figures
from rnn_exp.figures.parts import curves
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.parts.recipes import ANY, Recipes, name_runs
from tests.studies import recipes, runs_of
from tests.tables import Study

ORTHOGONAL = {"init": "orthogonal", "init.gain": 1.0}
KEPT = {**ORTHOGONAL, "network.parametrization": "orthogonal"}
FIGURE = figures.figure("copy_memory")


def falling(row: dict, update: int) -> float:
    """The default stays at 0.25; the orthogonal ones fall by a known factor, seed 1 in between."""
    rate = {"torch": 0.0, "orthogonal": 0.05}[row["init"]]
    rate *= 2 if row["network.parametrization"] == "orthogonal" else 1
    return 0.25 * math.exp(-rate * update) + 0.001 * (row["seed"] - 1) * (rate > 0)


def copying(**more) -> Study:
    return recipes([{}, ORTHOGONAL, KEPT], falling, **more)


def test_what_is_drawn_is_the_median_and_range_of_the_smoothed_loss():
    plotted = FIGURE.table(copying())
    table = plotted.table

    drawn = table.set_index(["series", "update"])
    # The running median over five of a monotone loss is the loss itself away from the ends.
    for update in (20, 30):
        row = drawn.loc[("tanh, orthogonal init", update)]
        exact = 0.25 * math.exp(-0.05 * update)
        assert row["median"] == pytest.approx(exact)
        assert (row["low"], row["high"]) == pytest.approx((exact - 0.001, exact + 0.001))
        assert row["seeds"] == 3
    assert set(table["chance"]) == {0.25}
    assert list(table["series"].cat.categories) == [
        "tanh, default init",
        "tanh, orthogonal init",
        "tanh, W kept orthogonal",
    ]


def test_the_lines_are_the_table_and_chance_is_dashed():
    plotted = FIGURE.table(copying(lengths=(20, 40)))
    table = plotted.table

    figure = FIGURE.draw(plotted)

    for axes, length in zip(figure.axes, (20, 40), strict=True):
        solid = [line for line in axes.lines if line.get_linestyle() == "-"]
        for line, series in zip(solid, table["series"].cat.categories, strict=True):
            rows = table[(table["length"] == length) & (table["series"] == series)]
            np.testing.assert_array_equal(line.get_ydata(), rows["median"])
        [dashed] = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert set(dashed.get_ydata()) == {0.25}


def test_the_caption_says_who_learns_first_and_who_stays_at_chance():
    caption = whole_caption(FIGURE, FIGURE.table(copying()))

    assert caption.startswith(
        "Carrying symbols over the delay (T = 20; loss, chance 0.25): learned by tanh with "
        "W kept orthogonal (0.00458, seeds 0.00358 to 0.00558) and tanh with orthogonal init "
        "(0.0338, seeds 0.0328 to 0.0348); not by tanh with default init. T = 20: the loss ends at "
    )
    assert "tanh, default init 0.25 (chance 0.25)" in caption
    assert "median over 3 seeds" in caption


def test_a_loss_that_is_not_finite_is_marked_and_told():
    plotted = FIGURE.table(recipes([{}], lambda row, update: math.nan if update > 30 else 1.0))
    table = plotted.table

    assert table["ceiling"].tolist() == [0, 0, 0, 0, 3, 3]
    figure = FIGURE.draw(plotted)
    [marks] = [line for line in figure.axes[0].lines if line.get_gid() == "ceiling"]
    assert marks.get_xdata().tolist() == [40, 50]
    assert "3 runs diverged (triangles)." in whole_caption(FIGURE, plotted)


def test_lines_that_all_end_far_above_chance_are_seen_all_the_same():
    figure = FIGURE.draw(FIGURE.table(recipes([{}], lambda row, update: 2.0)))

    assert figure.axes[0].get_ylim()[1] > 2


def test_no_loss_is_cut_off():
    plotted = FIGURE.table(recipes([{}], lambda row, update: 40.0 if update < 20 else 0.2))

    bottom, top = FIGURE.draw(plotted).axes[0].get_ylim()
    assert bottom < plotted.table["low"].min()
    assert plotted.table["high"].max() < top


def test_tests_on_fixed_sequences_are_drawn_where_every_run_was_tested():
    study = copying(updates=(0, 10, 20, 30, 40))
    updates = study.updates.assign(test_loss=study.updates["loss"] / 2)
    updates["test_loss"] = updates["test_loss"].where(updates["update"].isin([0, 20, 40]))
    runs = study.runs.assign(**{"evaluation.sequences": 1000})
    tested = replace(study, runs=runs, updates=updates)

    plotted = FIGURE.table(tested)
    table = plotted.table.set_index(["series", "update"])
    assert sorted(set(plotted.table["update"])) == [0, 20, 40]
    # No running median: the median over seeds of each test is the one of seed 1.
    assert table.loc[("tanh, orthogonal init", 20), "median"] == pytest.approx(0.125 * math.exp(-1))
    assert "loss on 1,000 fixed sequences that training never sees" in FIGURE.reading(plotted)
    [first, *_] = FIGURE.draw(plotted).axes[0].lines
    assert (first.get_marker(), first.get_markevery()) == ("o", 1)

    some = updates.assign(test_loss=updates["test_loss"].mask(updates["run"] == "run-0-20-0"))
    batches = FIGURE.table(replace(tested, updates=some))
    assert sorted(set(batches.table["update"])) == [0, 10, 20, 30, 40]
    assert "loss of a batch" in FIGURE.reading(batches)


def test_lines_are_told_apart_by_markers_too():
    figure = FIGURE.draw(FIGURE.table(copying()))

    solid = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
    assert len({line.get_marker() for line in solid}) == len(solid) == 3


def test_runs_without_a_chance_level_are_drawn_without_one():
    study = copying()
    bare = replace(study, runs=study.runs.drop(columns="chance_loss"))

    plotted = FIGURE.table(bare)

    assert not [line for line in FIGURE.draw(plotted).axes[0].lines if line.get_linestyle() == "--"]
    assert "chance" not in whole_caption(FIGURE, plotted)


def test_an_untrained_study_is_refused():
    with pytest.raises(figures.CannotDraw, match="Fewer than two updates"):
        FIGURE.table(copying(updates=(0,)))


def test_a_study_without_lengths_is_refused():
    study = copying()
    bare = replace(study, runs=study.runs.drop(columns="task.length"))

    with pytest.raises(figures.CannotDraw, match=r"no column task\.length"):
        FIGURE.table(bare)


def test_what_is_left_out_is_said():
    many = [{"training.learning_rate": rate / 100} for rate in range(1, 8)]
    plotted = FIGURE.table(recipes(many, lambda row, update: 1.0))
    table = plotted.table

    assert table["series"].nunique() == 6
    assert "Left out to keep the figure readable: " in whole_caption(FIGURE, plotted)


RECIPES = Recipes(
    plain={"init": "torch", "training.omega": "0"},
    plain_name="plain",
    known={"Ω": {"training.omega": ANY}, "orthogonal": {"init": "orthogonal"}},
)


def names(*several: dict) -> list[str]:
    runs = recipes(several, lambda row, update: 1.0, seeds=1).runs
    return [str(name) for name in name_runs(runs, RECIPES)]


def test_a_recipe_is_told_by_its_settings_whatever_else_it_brings():
    assert names({}, {"training.omega": 2.0}, ORTHOGONAL) == ["plain", "Ω", "orthogonal"]
    assert names({"training.omega": 2.0}) == ["Ω"]


def test_an_unknown_setting_is_named_beside_the_recipe():
    assert names({}, {**ORTHOGONAL, "network.hidden_size": 9}, {"training.omega": 1.0}) == [
        "plain",
        "orthogonal, units 9",
        "Ω",
    ]


def test_two_values_of_one_recipe_are_never_pooled():
    assert names({}, {"training.omega": 1.0}, {"training.omega": 2.0}) == [
        "plain",
        "Ω, omega 1",
        "Ω, omega 2",
    ]


def test_names_are_in_the_order_of_the_recipes():
    runs = recipes([ORTHOGONAL, {"training.omega": 2.0}, {}], lambda row, update: 1.0, seeds=1).runs

    assert list(name_runs(runs, RECIPES).cat.categories) == ["plain", "Ω", "orthogonal"]


def test_every_run_of_the_study_is_possible_and_has_a_name_of_a_recipe():
    runs = runs_of("copy_memory")

    assert len({run.digest for run in runs}) == len(runs)
    frame = pd.DataFrame([run.settings() for run in runs])
    assert set(name_runs(frame, FIGURE.RECIPES)) <= {
        FIGURE.RECIPES.plain_name,
        *FIGURE.RECIPES.known,
    }
    assert curves.SMOOTH % 2
