"""Runs that solved their task stop early: what they ended with counts to the end."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from rnn_exp import figures
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.studies import harm
from tests.tables import Study, concatenated, study

UPDATES = (0, 10, 20, 30, 40)
SOLVED = {"tanh-1.0-10-0": 10, "tanh-1.0-10-1": 20}
"""Two of three seeds of the larger gain, and where each stopped."""
LEARNING = figures.figure("learning")


def solved(ends: dict[str, int] = SOLVED, **columns: object) -> Study:
    """Losses at chance (0.69) to the end, but for runs that stop at 0.001 with their task solved.

    Every table of a run that solved its task ends there.
    """
    tables = study(("tanh",), (0.5, 1.0), (10,), 3, UPDATES)
    last = tables.updates["run"].map(ends).fillna(40)
    is_end = tables.updates["run"].isin(ends) & (tables.updates["update"] == last)
    updates = tables.updates.assign(loss=np.where(is_end, 0.001, 0.69), weight_change=0.1)
    updates = updates.assign(error=np.where(is_end, 0.0, 0.5), **columns)
    runs = tables.runs.assign(
        chance_loss=0.69,
        chance_error=0.5,
        status=tables.runs["status"].mask(tables.runs["run"].isin(ends), "solved"),
        final_loss=np.where(tables.runs["run"].isin(ends), 0.001, 0.69),
    )
    rows = tables.gradients.assign(log10_contribution=0.0)
    rows = rows[rows["update"] <= rows["run"].map(ends).fillna(40)]
    return Study(runs, updates[updates["update"] <= last], rows, tables.broken)


def drawn_texts(tables: Study) -> list[str]:
    figure = LEARNING.draw(LEARNING.table(tables))
    return [t.get_text() for axes in figure.axes for t in axes.texts if t.get_gid() == "stuck"]


def of_gain(tables: Study, gain: float = 1.0) -> Study:
    runs = tables.runs[tables.runs["init.gain"] == gain]
    rows = [f[f["run"].isin(runs["run"])] for f in (tables.updates, tables.gradients)]
    return Study(runs, *rows, tables.broken)


def test_a_loss_ends_at_the_median_of_all_seeds_though_solved_ones_stopped():
    plotted = LEARNING.table(of_gain(solved()))
    caption = whole_caption(LEARNING, plotted)

    assert caption.startswith(
        "Yes: the loss ends at 0.001, seeds 0.001 to 0.69; chance 0.69; "
        "2 of 3 runs solved the task. The loss falls from 0.69 to 0.001 at update 40."
    )
    assert "still training and the last loss of solved ones; band" in caption
    assert "3 seeds." in caption
    assert drawn_texts(of_gain(solved())) == []


def test_the_curve_of_a_solved_run_goes_on_with_its_last_value():
    table = LEARNING.table(of_gain(solved())).table

    assert table["update"].tolist() == list(UPDATES)
    assert table["seeds"].tolist() == [3] * 5
    np.testing.assert_allclose(table["median"], [0.69, 0.69, 0.001, 0.001, 0.001])
    np.testing.assert_allclose(table["low"], [0.69, *[0.001] * 4])
    np.testing.assert_allclose(table["error"], [0.5, 0.5, 0.0, 0.0, 0.0])
    last = table.iloc[-1]
    assert (last["median"], last["low"], last["high"]) == (
        last["end"],
        last["end_low"],
        last["end_high"],
    )


def test_a_panel_whose_medians_stay_at_chance_says_how_many_solved_it():
    one = {"tanh-1.0-10-0": 10}

    assert drawn_texts(of_gain(solved(one))) == [
        "median ends above\n90 % of chance,\n1 of 3 solved"
    ]
    assert drawn_texts(solved(one)) == ["medians end above\n90 % of chance,\n1 of 6 solved"]


def test_of_several_settings_those_that_learn_are_counted_with_their_solved_seeds():
    caption = whole_caption(LEARNING, LEARNING.table(solved()))

    assert caption.startswith("In 1 of 2 settings the loss ends below half of chance; it ends ")
    assert "chance 0.69); 2 of 6 runs solved the task." in caption


def test_a_run_that_is_tested_alone_where_it_ends_makes_no_point_of_the_test():
    tables = of_gain(solved())
    at = tables.updates["update"]
    is_end = tables.updates["loss"] == 0.001
    tested = tables.updates.assign(test_loss=tables.updates["loss"].where(is_end | (at % 40 == 0)))
    table = LEARNING.table(dataclasses.replace(tables, updates=tested)).table

    np.testing.assert_allclose(table["test"], [0.69, np.nan, np.nan, np.nan, 0.001])


def test_the_loss_that_a_few_runs_ended_with_is_no_answer_where_most_diverged():
    tables = of_gain(solved({}))
    bad = tables.runs["run"].isin(SOLVED)
    status = tables.runs["status"].mask(bad, "diverged")
    runs = tables.runs.assign(status=status, final_loss=np.where(bad, 0.69, 0.001))
    runs["diverged_update"] = runs["diverged_update"].mask(bad, 20)
    rows = tables.updates[~(tables.updates["run"].isin(SOLVED) & (tables.updates["update"] > 20))]
    rows = rows.assign(loss=rows["loss"].mask(rows["update"] == 40, 0.001))
    caption = LEARNING.caption(LEARNING.table(dataclasses.replace(tables, runs=runs, updates=rows)))

    assert caption.startswith(
        "No: the loss ends at 0.001, 1 of 3 seeds; chance 0.69; 2 of 3 runs diverged."
    )


def test_the_heat_map_says_of_how_many_seeds_its_last_update_is():
    module = figures.figure("heatmap")

    every = module.caption(module.table(of_gain(solved({}))))
    some = module.caption(module.table(of_gain(solved())))
    assert "trained to update" not in every
    assert "times its norm at lag 0 (1 of 3 seeds trained to update 40)." in some


def test_harm_has_the_loss_of_solved_runs_to_the_end():
    plotted = harm.table(solved())
    rows = plotted.table[(plotted.table["panel"] == "loss")]
    rows = rows[rows["case"] == "tanh, g = 1"]

    assert rows["seeds"].tolist() == [3] * 5
    np.testing.assert_allclose(10 ** rows["log10_median"].iloc[-1], 0.001)
    caption = whole_caption(harm, plotted)
    assert "the loss ends at 0.001, where chance is 0.69; 2 of 3 runs solved the task" in caption
    assert "still training and the last values of solved ones" in caption


@pytest.mark.parametrize("is_tested", [False, True])
def test_curves_of_recipes_go_on_with_what_solved_runs_ended_with(is_tested):
    tables = of_gain(solved({"tanh-1.0-10-0": 20, "tanh-1.0-10-1": 30}))
    if is_tested:
        tested = tables.updates.assign(test_loss=tables.updates["loss"])
        tables = dataclasses.replace(tables, updates=tested)
    module = figures.figure("adding")
    plotted = module.table(tables)

    assert plotted.table["seeds"].tolist() == [3] * 5
    np.testing.assert_allclose(plotted.table["median"].iloc[-1], 0.001)
    caption = module.caption(plotted)
    assert "2 runs solved the task and stopped: their last loss counts to the end." in caption


@pytest.mark.parametrize("gains", [(0.5,), (8.0,), (0.5, 8.0)])
def test_parameters_answer_apart_for_what_vanishes_and_what_explodes(gains):
    module = figures.figure("parameters")
    parts = [study(("tanh", "sigmoid"), (gain,), (10, 30), 1, (0,)) for gain in gains]
    tables = parts[0] if len(parts) == 1 else concatenated(*parts)
    loud = (tables.updates["init.gain"] == 8.0) & (tables.updates["task.length"] == 30)
    norms = tables.updates["recurrent_grad_norm"].mask(loud, 1e30)
    caption = module.caption(
        module.table(
            dataclasses.replace(tables, updates=tables.updates.assign(recurrent_grad_norm=norms))
        )
    )

    said = {
        (0.5,): "Vanishing: no, along none of 2 lines. Vanishing most: with sigmoid, g = 0.5, ",
        (8.0,): "Exploding: yes, along all 2 lines. Exploding most: with tanh, g = 8, ",
        (0.5, 8.0): "Vanishing: no, along none of 2 lines; exploding: yes, along all 2 lines. ",
    }
    assert caption.startswith(said[gains])


def test_along_gains_parameters_go_from_the_gain_nearest_1_to_both_ends():
    module = figures.figure("parameters")
    tables = study(("sigmoid",), (1.0, 4.0, 16.0), (30,), 1, (0,))
    caption = module.caption(module.table(tables))

    assert caption.startswith("Vanishing: no, not along its 1 line; exploding: no, not along its 1")
    assert "Vanishing most: with sigmoid, from g = 4 to g = 1, what reaches step 1" in caption
    assert "Exploding most: with sigmoid, from g = 4 to g = 16, what reaches step 1" in caption


def test_a_gain_at_which_the_rate_is_1_is_of_the_longest_sequences_and_says_so():
    module = figures.figure("rates")

    def first(tables: Study) -> str:
        return module.caption(module.table(tables)).split(":")[0]

    gains = (0.5, 1.0, 2.0)
    several = study(("tanh",), gains, (10, 30), 1)
    assert first(study(("tanh",), gains, (10,), 1)) == "The gradient keeps its size at this gain"
    assert first(several) == "At T = 30 the gradient keeps its size at this gain"
    short = several.runs[~((several.runs["init.gain"] == 2) & (several.runs["task.length"] == 30))]
    assert first(dataclasses.replace(several, runs=pd.DataFrame(short))) == (
        "At the longest sequences (T = 10 to 30) the gradient keeps its size at this gain"
    )


def test_a_loss_begins_and_ends_with_the_same_runs_where_some_diverged():
    tables = of_gain(solved({}))
    names = list(tables.runs["run"])
    status = tables.runs["status"].mask(tables.runs["run"] == names[0], "diverged")
    runs = tables.runs.assign(status=status, final_loss=[0.69, 0.5, 0.5])
    runs["diverged_update"] = runs["diverged_update"].mask(runs["run"] == names[0], 20)
    at, run = tables.updates["update"], tables.updates["run"]
    rows = tables.updates.assign(loss=np.select([run == names[0], at == 0], [9.0, 0.3], 0.5))
    rows = rows[(run != names[0]) | (at <= 20)]
    caption = LEARNING.caption(LEARNING.table(dataclasses.replace(tables, runs=runs, updates=rows)))

    assert "the loss ends at 0.5, seeds 0.5 to 0.5, 2 of 3 seeds; chance 0.69" in caption
    assert "The loss rises from 0.3 to 0.5 at update 40." in caption  # 0.3 is not of all three
