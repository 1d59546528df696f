"""The figure of the harms: three cases with known loss, movement and contributions."""

import numpy as np
import pandas as pd
import pytest

from rnn_exp import figures
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.studies import harm
from tests.tables import Study, diverged, study

UPDATES = (0, 1, 10, 100)


def case(activation, gain, moved, loss, per_lag) -> Study:
    """Two seeds whose loss and movement follow laws, and whose contribution falls per lag."""
    found = study((activation,), (gain,), (20,), 2, UPDATES)
    update = found.updates["update"]
    lags = found.gradients["lag"]
    return Study(
        found.runs.assign(chance_loss=0.5),
        found.updates.assign(
            weight_change=moved * update, loss=np.maximum(loss, 0.5 - 0.01 * update)
        ),
        found.gradients.assign(
            log10_contribution=np.where(lags == 19, -np.inf, lags * np.log10(per_lag))
        ),
        found.broken,
    )


def three() -> Study:
    name = "relu-3.0-20-0"
    loud = diverged(case("relu", 3.0, 1e20, 7.0, 2.0), name, update=10, time=4)
    loud = diverged(loud, "relu-3.0-20-1", update=10, time=5)
    parts = [case("tanh", 1.0, 1e-3, 0.01, 1.0), case("sigmoid", 0.5, 1e-6, 0.499, 0.1), loud]
    joined = (
        pd.concat([getattr(part, kind) for part in parts], ignore_index=True)
        for kind in ("runs", "updates", "gradients")
    )
    return Study(*joined, parts[0].broken)


def test_the_four_quantities_are_those_of_the_runs():
    table = harm.table(three()).table.set_index(["panel", "case", "x"])["log10_median"].sort_index()

    assert table["loss", "tanh, g = 1", 100] == pytest.approx(np.log10(0.01))
    assert table["weight_change", "sigmoid, g = 0.5", 100] == pytest.approx(-4)
    assert table["contribution", "sigmoid, g = 0.5", 7] == pytest.approx(-7)
    # Relative to the largest contribution, that of lag 18: step 1 adds nothing.
    assert table["contribution", "relu, g = 3", 7] == pytest.approx(-11 * np.log10(2))
    gradients = three().gradients.query("update == 0 and lag == 7")
    of_sigmoid = gradients[gradients["network.activation"] == "sigmoid"]["log10_total"]
    assert table["gradient", "sigmoid, g = 0.5", 7] == pytest.approx(of_sigmoid.median())
    assert ("weight_change", "tanh, g = 1", 0) not in table.index
    assert 19 not in table["contribution", "tanh, g = 1"].index


def test_what_is_drawn_is_the_table():
    plotted = harm.table(three())
    table = plotted.table

    figure = harm.draw(plotted)

    for axes, panel in zip(figure.axes, harm.PANELS, strict=True):
        for line in (line for line in axes.lines if "g = " in str(line.get_gid())):
            rows = table[(table["panel"] == panel) & (table["case"] == line.get_gid())]
            np.testing.assert_array_equal(line.get_xdata(), rows["x"])
            np.testing.assert_array_equal(line.get_ydata(), rows["log10_median"])


def test_the_axis_of_updates_is_smooth_from_update_0_on():
    axes = harm.draw(harm.table(three())).axes[0]

    places = axes.transScale.transform([(update, 0) for update in (0, 1, 10)])[:, 0]
    np.testing.assert_allclose(places, np.log([1, 2, 11]))


def test_the_first_sentence_says_what_becomes_of_the_smallest_and_of_the_largest_gradient():
    first = harm.caption(harm.table(three())).split(". ")[0]

    assert first.startswith("Gradient vanished (sigmoid, g = 0")
    caption = harm.caption(harm.table(three()))
    assert "; gradient exploded (relu, g = 3): 2 of 2 runs diverged, first at update 10" in caption


def test_a_run_that_diverged_is_marked_where_it_did():
    figure = harm.draw(harm.table(three()))

    [mark] = [line for line in figure.axes[0].lines if line.get_gid() == "ceiling"]
    assert list(mark.get_xdata()) == [10]


def test_chance_is_a_dashed_line_where_it_is_known():
    tables = three()
    unknown = Study(
        tables.runs.drop(columns="chance_loss"), tables.updates, tables.gradients, tables.broken
    )

    def dashed(study):
        lines = harm.draw(harm.table(study)).axes[0].lines
        return [line.get_ydata()[0] for line in lines if line.get_linestyle() == "--"]

    assert dashed(three()) == [pytest.approx(np.log10(0.5))]
    assert dashed(unknown) == []
    assert "chance" not in whole_caption(harm, harm.table(unknown))


def test_the_caption_says_which_part_of_the_claim_holds():
    caption = whole_caption(harm, harm.table(three()))

    assert "keeps 12.1 % of its size per step (rate 0.121, 95 % over 2 seeds 0.0908 " in caption
    assert (
        "tanh, g = 1 (gradient at update 0: 1 stable and 1 undetermined (seeds disagree)" in caption
    )
    assert "W_hh ends 10 % of its norm away" in caption
    assert "the loss ends at 0.01, where chance is 0.5" in caption
    assert "the loss ends at 0.499, which is chance (0.5); W_hh ends 0.01 % of its norm" in caption
    assert "at lag 18 a step adds 10⁻¹⁸ of the largest contribution, and all steps " in caption
    assert "beyond lag 7 add less than single precision keeps in their sum" in caption
    assert "2 of 2 runs diverged, first at update 10, time step 4, in the backward pass" in caption
    assert "W_hh ends 10²¹ times its norm away" in caption


def test_a_loss_far_above_chance_is_not_called_chance():
    caption = whole_caption(harm, harm.table(case("tanh", 1.0, 1e-3, 7.0, 1.0)))

    assert "the loss ends at 7, where chance is 0.5" in caption


def test_an_untrained_study_is_refused():
    tables = three()
    start = tables.updates[tables.updates["update"] == 0]

    with pytest.raises(figures.CannotDraw, match="nothing was trained"):
        harm.table(Study(tables.runs, start, tables.gradients, tables.broken))


def test_a_study_without_movement_is_refused():
    tables = three()

    with pytest.raises(figures.CannotDraw, match="no column weight_change"):
        harm.table(
            Study(
                tables.runs,
                tables.updates.drop(columns="weight_change"),
                tables.gradients,
                tables.broken,
            )
        )


def test_too_many_cases_are_refused():
    many = study(("tanh", "sigmoid", "relu"), (0.5, 1.0, 2.0), (10,), 1)

    with pytest.raises(figures.CannotDraw, match="more than 6 cases"):
        harm.table(many)
