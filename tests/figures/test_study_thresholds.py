"""The signature figure: known rates, bounds and thresholds, and what it refuses."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from rnn_exp import figures
from rnn_exp.figures.parts import crossings
from rnn_exp.figures.parts.carrier import settled_rates
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.parts.seeds import gain_at_rate_one
from rnn_exp.figures.studies import thresholds
from tests.tables import Study, concatenated, rate, study

GAINS = (0.25, 1.0, 4.0, 8.0)


def known(**more: object) -> Study:
    """Tanh and relu: the gradient of seed s changes by the known rate times e^(0.01 s) a lag."""
    tables = study(("relu", "tanh"), GAINS, (60,), 3, (0,), **more)
    rows = tables.gradients
    pairs = rows[["network.activation", "init.gain"]].to_numpy().tolist()
    slopes = np.log10([rate(str(name), float(gain)) for name, gain in pairs])
    exact = rows["lag"] * (slopes + 0.01 * rows["seed"] / np.log(10))
    # A burn-in and a read-out that a fit over all lags would see.
    bent = exact.where(rows["lag"].between(5, 50), 7.0)
    return Study(tables.runs, tables.updates, rows.assign(log10_total=bent), tables.broken)


def test_the_rate_is_the_slope_over_the_settled_lags():
    tables = known()

    found = settled_rates(tables, tables.runs["run"]).set_index("run")["measured"]

    assert found["tanh-4.0-60-0"] == pytest.approx(1.8, rel=1e-12)
    assert found["tanh-4.0-60-1"] == pytest.approx(1.8 * np.exp(0.01), rel=1e-12)


def test_a_run_with_a_lost_norm_has_no_rate():
    tables = known()
    lost = (tables.gradients["run"] == "tanh-4.0-60-0") & (tables.gradients["lag"] == 50)
    rows = tables.gradients.assign(log10_total=tables.gradients["log10_total"].mask(lost, -np.inf))

    found = settled_rates(Study(tables.runs, tables.updates, rows, rows), tables.runs["run"])

    assert found.loc[found["measured"].isna(), "run"].tolist() == ["tanh-4.0-60-0"]


@pytest.mark.parametrize(
    ("gains", "rates", "expected"),
    [
        ([1, 4], [0.5, 2], 2),
        ([4, 1], [2, 0.5], 2),
        ([1, 2, 4], [np.nan, 0.5, 2], np.sqrt(8)),
        ([1, 2, 3, 4], [0.5, 1, 0.5, 2], 2),
        ([1, 2], [0.5, 0.9], np.nan),
        ([1, 2], [1.5, 1.9], np.nan),
        ([1], [1], np.nan),
    ],
)
def test_the_crossing_is_on_straight_lines_through_logarithms(gains, rates, expected):
    assert gain_at_rate_one(gains, rates) == pytest.approx(expected, nan_ok=True)


def test_the_table_has_mean_and_interval_over_seeds_and_theory():
    table = thresholds.table(known()).table.set_index(["activation", "gain"])
    row = table.loc[("tanh", 4.0)]

    # Student's t with two degrees of freedom is 4.303; the seeds lie 0.01 apart.
    reach = 4.303 * 0.01 / np.sqrt(3)
    np.testing.assert_allclose(
        row[["low", "measured", "high"]].astype(float),
        1.8 * np.exp(0.01 + reach * np.array([-1, 0, 1])),
        rtol=1e-5,
    )
    assert row["predicted"] == pytest.approx(rate("tanh", 4.0))
    assert (row["asymptotic"], row["bound"], row["seeds"]) == (rate("tanh", 4.0), 8.0, 3)


def test_what_is_drawn_is_the_table_in_the_order_of_the_textbook():
    plotted = thresholds.table(known())
    table = plotted.table

    figure = thresholds.draw(plotted)

    assert [axes.get_title(loc="left") for axes in figure.axes] == ["tanh", "relu"]
    for axes, name in zip(figure.axes, ("tanh", "relu"), strict=True):
        part = table[table["activation"] == name]
        lines = {str(line.get_gid()): line for line in axes.lines}
        np.testing.assert_array_equal(axes.containers[0].lines[0].get_ydata(), part["measured"])
        assert (lines["predicted"].get_linestyle(), lines["bound"].get_linestyle()) == ("--", ":")
        for column in ("predicted", "bound"):
            np.testing.assert_array_equal(lines[column].get_ydata(), part[column])


def test_the_regions_meet_at_the_thresholds():
    axes = thresholds.draw(thresholds.table(known())).axes[1]
    lines = {str(line.get_gid()): line for line in axes.lines}
    at = {name: line.get_xdata()[0] for name, line in lines.items()}

    # relu: bound 2 g, predicted g / sqrt 2, measured e^0.01 times that
    assert at["bound edge"] == pytest.approx(0.5)
    assert at["predicted edge"] == pytest.approx(np.sqrt(2))
    assert at["measured edge"] == pytest.approx(np.sqrt(2) * np.exp(-0.01))
    styles = [lines[f"{name} edge"].get_linestyle() for name in ("bound", "measured", "predicted")]
    assert styles == [":", "-", "--"]
    assert regions(axes) == [0.25 / 1.08, pytest.approx(0.5), at["measured edge"], 8 * 1.08]


def test_what_theory_alone_calls_exploding_is_not_coloured_so():
    table = thresholds.table(known()).table
    # Of relu theory has 2.8 at a gain of 4, where 0.85 is measured now.
    plotted = figures.Plotted(table.assign(measured=0.3 * table["measured"]))

    tanh, relu = thresholds.draw(plotted).axes

    assert regions(tanh)[2:] == [8 * 1.08, 8 * 1.08]
    assert regions(relu)[2] == pytest.approx(np.sqrt(2) * np.exp(-0.01) / 0.3)


def test_no_region_goes_on_where_nothing_was_measured():
    table = thresholds.table(known()).table
    some = figures.Plotted(table.assign(measured=table["measured"].where(table["gain"] < 1)))
    of_one = table["activation"] == "tanh"
    one = figures.Plotted(table.assign(measured=table["measured"].where(of_one)))

    # relu: the bound guarantees vanishing up to 0.5, and the last gain that is measured is 0.25.
    assert regions(thresholds.draw(some).axes[1])[1:] == [0.5, 0.5, 0.5]
    assert regions(thresholds.draw(one).axes[1])[1:] == [0.5, 0.5, 0.5]


def test_the_edges_are_written_into_each_panel():
    axes = thresholds.draw(thresholds.table(known())).axes[1]

    assert "measured 1.4\ntheory 1.41" in [text.get_text() for text in axes.texts]


def regions(axes: Axes) -> list[float]:
    """Where the first region begins and each ends, each where the last one ended."""
    spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]
    for one, other in itertools.pairwise(spans):
        assert one[1] == pytest.approx(other[0])
    return [pytest.approx(end) for end in (spans[0][0], *(end for _, end in spans))]


def test_the_caption_gives_thresholds_and_the_largest_gaps():
    caption = whole_caption(thresholds, thresholds.table(known()))

    # The median seed is e^0.01 above the prediction, everywhere.
    assert (
        "With relu the bound guarantees vanishing below g = 0.5; theory first rises above 1 "
        "at 1.41; "
        "the mean measured rate first rises above 1 at 1.4 (its 95 % interval holds 1 from "
        "1.37 to 1.44)."
    ) in caption
    # ln of half the interval is 4.303 · 0.01 / sqrt 3: 2.5 % of the gain of relu, twice of tanh
    assert caption.startswith(
        "The gradient explodes from g = 1.21 (tanh) and 1.4 (relu) on (95 %: within 5.1 %); the "
        "bound guarantees vanishing only up to 36 to 41 % of that gain."
    )
    assert "differ by at most 0.195 (tanh, g = " in caption  # 45 lags of .01 nats
    assert "Mean rates above the bound: 0. The bound holds where only the last step has" in caption
    assert "3 seeds." in caption


def test_a_seed_above_the_bound_is_told():
    tables = known()
    runs = tables.runs.assign(bound=tables.runs["bound"].where(tables.runs["init.gain"] < 8, 1))

    caption = whole_caption(
        thresholds, thresholds.table(Study(runs, tables.updates, tables.gradients, runs))
    )

    assert "Mean rates above the bound: 2." in caption


def test_gains_that_never_explode_have_no_third_region():
    tables = known()
    calm = tables.runs["init.gain"] < 1
    plotted = thresholds.table(Study(tables.runs[calm], tables.updates, tables.gradients, None))

    assert "the bound stays below 1" in whole_caption(thresholds, plotted)
    figure = thresholds.draw(plotted)
    assert not [line for line in figure.axes[0].lines if "edge" in str(line.get_gid())]
    assert regions(figure.axes[0]) == [0.25 / 1.08, 0.25 * 1.08, 0.25 * 1.08, 0.25 * 1.08]


def test_gains_that_all_explode_have_the_third_region_alone():
    tables = known()
    wild = tables.runs["init.gain"] > 3
    plotted = thresholds.table(Study(tables.runs[wild], tables.updates, tables.gradients, None))

    assert regions(thresholds.draw(plotted).axes[0]) == [4 / 1.08, 4 / 1.08, 4 / 1.08, 8 * 1.08]


def test_without_theory_the_measured_rates_are_drawn_and_the_caption_says_why():
    plotted = thresholds.table(study(("tanh",), GAINS, (60,), 1, (0,), theory=False))

    figure = thresholds.draw(plotted)

    assert not [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    caption = whole_caption(thresholds, plotted)
    assert "No theory holds at these lags: there is no line of it." in caption
    assert "With tanh no theory is drawn where its premises fail: no synthetic" in caption


def test_cells_have_panels_of_their_own_and_no_bound_where_there_is_none():
    plain, leaky = (
        study(("tanh",), GAINS, (60,), 2, (0,), **{"network.cell": cell})
        for cell in ("rnn", "leaky")
    )
    leaky.runs["bound"] = np.nan

    plotted = thresholds.table(concatenated(plain, leaky))

    axes = thresholds.draw(plotted).axes
    assert [one.get_title(loc="left") for one in axes] == ["tanh", "leaky tanh"]
    dotted = [[line.get_gid() for line in one.lines].count("bound") for one in axes]
    assert dotted == [1, 0]
    assert "With leaky tanh there is no bound; theory first rises above 1" in whole_caption(
        thresholds, plotted
    )


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        (study(("tanh",), GAINS, (20,), 1, (0,)), "lag from 5 to 50"),
        (study(("tanh",), (np.nan,), (60,), 1, (0,), init="torch"), "more than their gain"),
        (study(("tanh",), GAINS, (60,), 1, (10,)), "update 0"),
    ],
    ids=["too short", "no gain", "no start"],
)
def test_it_refuses_what_it_cannot_draw(tables, why):
    with pytest.raises(figures.CannotDraw, match=why):
        thresholds.table(tables)


def test_an_empty_study_is_refused():
    tables = known()
    with pytest.raises(figures.CannotDraw):
        thresholds.table(Study(pd.DataFrame(), *[tables.updates] * 3))


def caption_with(**columns: object) -> str:
    """The caption of the known rates with other columns; those of tanh are named by their gain."""
    table = thresholds.table(known()).table
    changed = {name: table["gain"].map(rates).astype(float) for name, rates in columns.items()}
    return whole_caption(thresholds, figures.Plotted(table.assign(**changed)))


def test_the_caption_speaks_of_the_line_of_theory_that_crosses_1():
    asymptotic = {0.25: 0.5, 1.0: 0.8, 4.0: 1.25, 8.0: 2.0}

    caption = caption_with(predicted={8.0: 1.5}, asymptotic=asymptotic)

    assert "theory of these lags is known at g = 8 alone, above 1 there; " in caption
    assert "theory's asymptote first rises above 1 at 2; " in caption
    assert "stays above 1" not in caption


def test_theory_that_is_known_at_some_gains_alone_is_said_to_be():
    some = caption_with(predicted={0.25: 0.5, 8.0: 1.5}, asymptotic={})
    none = caption_with(predicted={}, asymptotic={0.25: 1.5, 1.0: 0.8, 4.0: 0.9, 8.0: 0.9})

    assert "theory of these lags, known at g = 0.25 and 8 alone, first rises above 1 at" in some
    assert "theory's asymptote does not rise from below 1 to above it" in none
    assert "theory of these lags" not in none


def test_how_well_the_gains_are_known_is_written_in_plain_numbers():
    one, several = {"measured": 2.0, "bound": 0.5}, {"measured": 1.0, "bound": math.nan}
    open_end = {"a": one | {"earliest": 1.0, "latest": 6.0}}

    assert "g = 2 (a) on (95 %: 1 to 6); the" in crossings.explodes(open_end)
    assert " on (95 %: from 1 on); " in crossings.explodes(
        {"a": one | {"earliest": 1.0, "latest": math.nan}}
    )
    two = open_end | {"b": several | {"earliest": math.nan, "latest": math.nan}}
    assert crossings.explodes(two) == (
        "The gradient explodes from g = 2 (a) and 1 (b) on (95 %: within a factor of 3; for one "
        "network the interval has no lower end; for one network the interval has no upper end); "
        "the bound guarantees vanishing only up to 25 % of that gain."
    )
    assert "e+" not in crossings.explodes({"a": one | {"earliest": 1.003, "latest": 3.99}})


def test_rates_above_1_at_every_gain_are_not_said_to_stay_below_it():
    caption = caption_with(measured={0.25: 1.5, 1.0: 2.0, 4.0: 3.0, 8.0: 4.0})

    assert caption.startswith("The mean measured rate is above 1 at every gain, the smallest one")
