"""Figures show exactly their table, refuse what they cannot show, and lose nothing silently."""

import dataclasses
import functools
import math
import re
import warnings
from collections.abc import Callable, Iterator

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pandas.testing import assert_frame_equal, assert_series_equal

from rnn_exp import figures
from rnn_exp.figures.parts import panels
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.parts.selection import select_runs
from rnn_exp.figures.parts.style import categories, in_style, ordered, style
from tests.tables import Study, altered, concatenated, diverged, rate, study

NAN = math.nan
SMALL = {"lengths": (5, 10), "gains": (0.5, 1.0), "updates": (0, 10)}
CASES: dict[str, Callable[[], Study]] = {
    "default": lambda: study(**SMALL, seeds=2),
    "single run": lambda: study(("tanh",), (1.2,), (20,), 1),
    "one gain": lambda: study(gains=(1.0,), lengths=(10, 20), seeds=2),
    "one length": lambda: study(gains=(0.5, 1.0, 2.0), lengths=(20,), seeds=2),
    "torch": lambda: study(("relu",), (NAN,), (10, 20), 2, init="torch"),
    "two inits": lambda: concatenated(
        study(("tanh",), (0.5,), (20,), 2), study(("tanh",), (NAN,), (20,), 2, init="torch")
    ),
    "hostile names": lambda: concatenated(
        study(("tanh",), (1.0,), (20,), 1, **{"network.cell": "rnn"}),
        study(("tanh",), (1.0,), (20,), 1, **{"network.cell": "a$b_{"}),
    ),
    "optimizers": lambda: concatenated(
        study(("tanh",), (1.0,), (20,), 1),
        study(("tanh",), (1.0,), (20,), 1, **{"training.optimizer": "a$b_{"}),
    ),
    "many": lambda: study(
        ("tanh",), (0.2, 0.5, 0.7, 1.0, 1.1, 1.2, 1.5, 2.0), (5, 6, 7, 8, 9), 1, (0, 10)
    ),
    "no theory": lambda: study(("tanh",), (0.5, 1.0), (10,), 1, theory=False),
    "untrained": lambda: study(("tanh",), (0.5, 1.0), (10,), 1, (0,)),
    "diverged": lambda: diverged(study(("tanh",), (2.0,), (10,), 2), "tanh-2.0-10-0"),
    "diverged at once": lambda: diverged(
        study(("tanh",), (2.0,), (10,), 1), "tanh-2.0-10-0", 0, 10
    ),
}

REFUSED = {
    ("single run", "parameters"),
    ("untrained", "heatmap"),
    ("untrained", "learning"),
    ("optimizers", "parameters"),
    ("optimizers", "rates"),
    ("diverged", "parameters"),
    ("diverged at once", "parameters"),
    ("diverged at once", "heatmap"),
    ("diverged at once", "learning"),
    ("diverged at once", "rates"),
}


@functools.cache
def named(case: str) -> Study:
    return CASES[case]()


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(name: str, tables: Study) -> tuple[pd.DataFrame, Figure, str]:
    module = figures.figure(name)
    plotted = module.table(tables)
    return plotted.table, module.draw(plotted), whole_caption(module, plotted)


def lines(figure: Figure, style: str) -> list[np.ndarray]:
    found = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == style]
    return [np.asarray(line.get_ydata(), dtype=float) for line in found]


def marks(figure: Figure, gid: str) -> list[float]:
    found = [line for axes in figure.axes for line in axes.lines if line.get_gid() == gid]
    return sorted(float(x) for line in found for x in line.get_xdata())


def test_figures_are_found_by_name() -> None:
    assert figures.names() == ["decay", "heatmap", "learning", "parameters", "rates"]


def test_an_unknown_figure_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(
        ValueError, match=r"figure decays; .*decay, heatmap, learning, parameters, rates"
    ):
        figures.figure("decays")


@pytest.mark.parametrize("name", figures.names())
@pytest.mark.parametrize("case", CASES)
def test_every_study_is_drawn_or_refused_in_words(name: str, case: str) -> None:
    if (case, name) in REFUSED:
        with pytest.raises(figures.CannotDraw, match=r"\.$"):
            drawn(name, named(case))
        return
    table, figure, caption = drawn(name, named(case))
    labels = [figure.get_supxlabel(), figure.get_supylabel()]
    labels += [label for a in figure.axes for label in (a.get_xlabel(), a.get_ylabel())]
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert any(labels)
    assert all(axes.lines or axes.collections or axes.texts for axes in panels)
    assert caption[0].isupper()
    assert caption.endswith(".")
    assert "nan" not in caption.replace("NaN", "")
    assert len(table)


@pytest.mark.parametrize("name", figures.names())
def test_a_study_without_rows_is_refused(name: str) -> None:
    whole = named("default")
    empty = Study(*(f.iloc[:0] for f in (whole.runs, whole.updates, whole.gradients)), whole.broken)
    with pytest.raises(figures.CannotDraw, match="no"):
        figures.figure(name).table(empty)


@pytest.mark.parametrize("name", figures.names())
def test_plotted_table_is_not_the_callers_frame(name: str) -> None:
    tables = named("default")
    before = [f.copy() for f in (tables.runs, tables.updates, tables.gradients)]
    plotted = figures.figure(name).table(tables)
    kept = plotted.table.copy()
    figures.figure(name).draw(plotted)
    assert_frame_equal(plotted.table, kept)
    plotted.table["series"] = "changed"
    for frame, same in zip((tables.runs, tables.updates, tables.gradients), before, strict=True):
        assert_frame_equal(frame, same)


@pytest.mark.parametrize("name", figures.names())
def test_drawing_leaves_the_global_style_alone(name: str) -> None:
    before = dict(matplotlib.rcParams)
    drawn(name, named("default"))
    assert dict(matplotlib.rcParams) == before


def test_decay_shows_the_median_and_the_range_over_seeds() -> None:
    tables = study(seeds=3, lengths=(10,), gains=(0.5, 1.0))
    plotted = figures.figure("decay").table(tables).table
    start = tables.gradients[tables.gradients["update"] == 0]
    by = ["network.activation", "init.gain", "lag"]
    expected = start.groupby(by)["log10_total"].agg(["median", "min", "max"]).reset_index()
    expected.columns = pd.Index(
        ["activation", "value", "lag", "log10_median", "log10_low", "log10_high"]
    )
    got = plotted[list(expected.columns)].sort_values(["activation", "value", "lag"])
    assert_frame_equal(got.reset_index(drop=True), expected)


def test_the_predicted_line_has_the_predicted_slope_and_the_measured_start() -> None:
    plotted = figures.figure("decay").table(study(("tanh",), (0.5,), (10,), 1)).table
    assert plotted["log10_predicted"].iloc[0] == plotted["log10_median"].iloc[0]
    slopes = np.diff(plotted["log10_predicted"])
    np.testing.assert_allclose(slopes, np.log10(rate("tanh", 0.5)), rtol=1e-12)


@pytest.mark.parametrize("name", ["decay", "rates"])
def test_theory_is_dashed_where_there_is_theory_and_only_there(name: str) -> None:
    assert lines(drawn(name, named("default"))[1], "--")
    assert not lines(drawn(name, named("no theory"))[1], "--")


def test_the_true_curve_goes_through_the_floor_and_a_circle_says_where_training_loses_it() -> None:
    tables = study(("sigmoid",), (0.5,), (100,), 1)
    start = tables.gradients[tables.gradients["update"] == 0].sort_values("lag")
    lost = start.loc[start["status"] == "underflow", "lag"]
    table, figure, caption = drawn("decay", tables)
    np.testing.assert_array_equal(table["log10_median"], start["log10_total"])
    assert np.isfinite(table["log10_median"]).all()
    assert set(table.loc[table["unseen"] > 0, "lag"]) == set(lost)
    assert marks(figure, "unseen") == [lost.min()]
    assert marks(figure, "floor") == []
    assert "lost to training" in [t.get_text() for t in figure.legends[0].get_texts()]
    assert f"At {len(lost)} points training lost the norm of a seed" in caption


def test_theory_is_drawn_to_the_lag_to_which_it_goes_and_no_further() -> None:
    tables = study(("tanh",), (0.5,), (30,), 1)
    far = tables.gradients["lag"] > 10
    rows = tables.gradients.assign(log10_predicted=tables.gradients["log10_predicted"].mask(far))
    table, figure, caption = drawn("decay", altered(tables, rows))
    [dashed] = lines(figure, "--")
    assert np.isfinite(dashed).sum() == 11
    assert table["predicted_lags"].unique() == [10]
    assert "decades at lag 10" in caption


def test_seeds_that_disagree_are_said_and_their_interval_holds_1() -> None:
    """Sixteen seeds of one setting: four vanish, six are stable, six explode."""
    tables = study(("tanh",), (1.0,), (60,), 16, (0,))
    per_lag = np.repeat([-0.03, 0.0, 0.03], (4, 6, 6))[tables.gradients["seed"]]
    rows = tables.gradients.assign(log10_total=per_lag * tables.gradients["lag"])
    disagreeing = altered(tables, rows)

    table, _, caption = drawn("rates", disagreeing)
    assert float(table["rate_low"].iloc[0]) < 1 < float(table["rate_high"].iloc[0])
    assert table[["seeds", "vanishing", "stable", "exploding"]].iloc[0].tolist() == [16, 4, 6, 6]
    _, _, said = drawn("decay", disagreeing)
    assert "4 vanishing, 6 stable and 6 exploding (seeds disagree) with g = 1" in said
    assert "16 seeds." in caption


@pytest.mark.parametrize("name", figures.names())
def test_the_caption_of_one_run_compares_it_with_nothing(name: str) -> None:
    module = figures.figure(name)
    try:
        plotted = module.table(study(("tanh",), (1.2,), (20,), 1))
    except figures.CannotDraw:
        return
    found = whole_caption(module, plotted)
    for word in ("most", "largest", "nearest", "smallest", "best", "worst", "cases"):
        assert f" {word} " not in found


def test_overflow_and_nan_are_drawn_as_ceiling_markers() -> None:
    tables = diverged(study(("tanh",), (2.0,), (10,), 1), "tanh-2.0-10-0", update=0, time=4)
    _, figure, caption = drawn("decay", tables)
    assert marks(figure, "ceiling") == [6, 7, 8, 9]
    assert "1 diverged" in caption


def test_a_zero_gradient_in_two_of_three_seeds_has_no_finite_median() -> None:
    tables = study(("tanh",), (0.5,), (10,), 3)
    bad = (tables.gradients["lag"] == 9) & (tables.gradients["seed"] > 0)
    lost = {"log10_total": -np.inf, "status": "zero"}
    rows = tables.gradients.assign(**{k: tables.gradients[k].mask(bad, v) for k, v in lost.items()})
    tables = Study(tables.runs, tables.updates, rows, tables.broken)
    last = figures.figure("decay").table(tables).table.iloc[-1]
    assert (last["log10_median"], last["floor"], last["seeds"]) == (-np.inf, 2, 3)
    assert np.isfinite(last["log10_high"])


def test_heat_map_is_relative_to_lag_zero_of_the_same_update() -> None:
    tables = study(("tanh",), (0.5,), (10,), 1)
    rows = tables.gradients.set_index(["update", "lag"])["log10_total"].sort_index()
    cells = figures.figure("heatmap").table(tables).table
    got = cells.set_index(["update", "lag"])["log10_median"]
    expected = rows - rows.xs(0, level="lag").reindex(rows.index, level="update")
    assert_series_equal(got, expected, check_names=False)


def test_lost_cells_of_the_heat_map_have_a_colour_and_a_legend_entry() -> None:
    tables = study(("sigmoid",), (0.5,), (100,), 1)
    lost = {"log10_total": -np.inf, "status": "zero"}
    far = tables.gradients["lag"] > 50
    rows = tables.gradients.assign(**{k: tables.gradients[k].mask(far, v) for k, v in lost.items()})
    table, figure, caption = drawn("heatmap", altered(tables, rows))
    assert (table["kind"] == "floor").any()
    assert "no number: zero, cut off or lost" in [
        t.get_text() for t in figure.legends[0].get_texts()
    ]
    assert "zero, cut off or lost (hatched)" in caption


def test_an_untrained_study_has_no_heat_map() -> None:
    with pytest.raises(figures.CannotDraw, match="fewer than two updates"):
        figures.figure("heatmap").table(CASES["untrained"]())


def test_rates_are_bounded_by_a_dotted_line_and_a_shaded_region() -> None:
    _, figure, caption = drawn("rates", study(("tanh",), (0.5, 1.0, 2.0), (10,), 2))
    np.testing.assert_allclose(lines(figure, ":"), [[1.0, 2.0, 4.0]])
    assert "No point lies above the singular-value bound" in caption
    assert "holds where only the last step has a loss; below 1 it is sufficient" in caption


def test_the_first_sentence_says_at_which_gain_the_rate_is_one() -> None:
    _, _, caption = drawn("rates", study(("tanh", "sigmoid"), (0.5, 1.0, 2.0), (10,), 1))
    # The synthetic rates are 0.9 √g and g / 4, less 3 % for the only seed, and lines join them.
    assert caption.startswith("The gradient keeps its size at this gain: 1.3 (95 %: from ")
    assert " with tanh; at none, all are below 1 with sigmoid." in caption


@pytest.mark.parametrize(
    ("activations", "gains", "said"),
    [
        (("sigmoid",), (0.5,), r"The rate is 0.122 \(95 %: .*\) at g = 0.5: below 1\."),
        (("sigmoid", "tanh"), (8.0,), r"The rate is 2.\d* .* at g = 8 with tanh: above 1; 1.\d* "),
        (
            ("sigmoid",),
            (0.5, 2.0),
            "The gradient keeps its size at none of these gains: all rates are below 1\\.",
        ),
    ],
)
def test_where_no_gain_has_a_rate_of_1_the_first_sentence_says_so(activations, gains, said) -> None:
    _, _, caption = drawn("rates", study(activations, gains, (10,), 1))
    assert re.match(said, caption)


def test_a_gradient_that_becomes_nothing_in_training_counts_as_changed() -> None:
    tables = study(("tanh",), (0.5, 2.0), (30,), 1, (0, 10, 20))
    late = (tables.gradients["update"] > 0) & (tables.gradients["init.gain"] == 2)
    lost = late & (tables.gradients["lag"] > 0)
    gone = {"log10_total": -np.inf, "status": "zero"}
    rows = tables.gradients.assign(
        **{k: tables.gradients[k].mask(lost, v) for k, v in gone.items()}
    )

    caption = drawn("heatmap", altered(tables, rows))[2]

    assert caption.startswith("Yes: 29 steps back the gradient changes more than tenfold in ")
    assert " of 2 settings; most with tanh, g = 2, T = 30, from update 0 to 20: from " in caption
    assert " to 0 times its norm at lag 0." in caption


def test_settings_of_which_no_change_is_known_are_counted_apart() -> None:
    tables = study(("tanh",), (0.5, 1.0, 2.0), (30,), 1, (0, 10))
    late = (tables.gradients["update"] > 0) & (tables.gradients["init.gain"] == 2)
    lost = {"log10_total": np.nan, "status": "nan"}
    rows = tables.gradients.assign(
        **{k: tables.gradients[k].mask(late, v) for k, v in lost.items()}
    )

    caption = drawn("heatmap", altered(tables, rows))[2]

    assert " of 2 settings (of 1 more it is known at one update at most); most with" in caption


def test_parameter_gradients_stand_beside_the_ratio_of_state_gradients() -> None:
    tables = study(("tanh",), (0.5,), (10, 30), 1)
    table = figures.figure("parameters").table(tables).table
    medians = table.set_index(["quantity", "length"])["log10_median"]
    first = tables.gradients[(tables.gradients["update"] == 0) & (tables.gradients["time"] == 1)]
    last = tables.gradients[(tables.gradients["update"] == 0) & (tables.gradients["lag"] == 0)]
    ratio = first["log10_total"].to_numpy() - last["log10_total"].to_numpy()
    norms = tables.updates.loc[tables.updates["update"] == 0, "recurrent_grad_norm"]
    np.testing.assert_allclose(medians["ratio"], ratio)
    np.testing.assert_allclose(medians["weights"], np.log10(norms))


def test_a_diverged_loss_is_marked_where_it_happened() -> None:
    tables = diverged(study(("tanh",), (2.0,), (10,), 2), "tanh-2.0-10-0", update=20)
    assert marks(drawn("learning", tables)[1], "ceiling") == [20]


def exploded(loss: float, update: int = 20) -> Study:
    """Three settings, of which one had this loss 10 updates before it diverged."""
    tables = diverged(study(("tanh",), (0.5, 1.0, 2.0), (10,), 1), "tanh-2.0-10-0", update=update)
    rows = tables.updates
    is_there = (rows["run"] == "tanh-2.0-10-0") & (rows["update"] == update - 10)
    return dataclasses.replace(tables, updates=rows.assign(loss=rows["loss"].mask(is_there, loss)))


def test_one_loss_that_explodes_leaves_the_others_readable() -> None:
    table, figure, caption = drawn("learning", exploded(2e35))
    calm = table.loc[table["value"] < 2, "high"]

    low, high = figure.axes[0].get_ylim()

    assert calm.max() < high <= 4 * table[["needed", "chance"]].max().max()
    assert low < calm.min()
    assert marks(figure, "beyond") == [10]
    assert "beyond the axis" in [text.get_text() for text in figure.legends[0].get_texts()]
    said = "With tanh, g = 2, T = 10 the loss goes beyond the axis: to 2e35 at update 10."
    assert said in caption
    assert "Arrows: losses beyond the axis" in caption


def test_a_marker_of_a_loss_is_whole_or_not_there() -> None:
    for loss in (2e35, 5.0, 20.0):
        _, figure, _ = drawn("learning", exploded(loss))
        axes = figure.axes[0]
        figure.draw_without_rendering()
        for line in axes.lines:
            if line.get_marker() in ("None", "") or not line.get_clip_on():
                continue
            every = line.get_markevery()
            chosen = every if isinstance(every, list) else slice(*(every or (0,)), None)
            if isinstance(every, tuple):
                chosen = slice(every[0], None, every[1])
            y = np.asarray(line.get_ydata(), dtype=float)[chosen]
            room = 72 / figure.dpi * (axes.bbox.y1 - axes.transData.transform([(0, v) for v in y]))
            inside = room[:, 1][np.isfinite(y)]
            assert (inside > line.get_markersize() / 2).all()


def test_a_loss_that_is_little_above_the_others_is_on_the_axis() -> None:
    most = drawn("learning", exploded(0.5))[0][["needed", "chance"]].max().max()
    table, figure, caption = drawn("learning", exploded(3 * most))

    assert not marks(figure, "beyond")
    assert figure.axes[0].get_ylim()[1] > table["high"].replace(np.inf, np.nan).max()
    assert "beyond the axis" not in caption


def test_where_all_runs_diverge_the_axis_shows_all_their_losses() -> None:
    tables = diverged(study(("tanh",), (2.0,), (10,), 1), "tanh-2.0-10-0", update=20)
    rows = tables.updates.assign(loss=tables.updates["loss"] * 1e9)
    tables = dataclasses.replace(tables, updates=rows, runs=tables.runs.assign(chance_loss=0.2))
    table, figure, caption = drawn("learning", tables)

    assert table["needed"].isna().all()
    low, high = figure.axes[0].get_ylim()
    assert high > table["high"].replace(np.inf, np.nan).max()
    assert low < 0.2
    assert "beyond the axis" not in caption


def test_what_is_left_out_is_said() -> None:
    notes = " ".join(select_runs(CASES["many"]().runs).left_out)
    assert "T = 6 and 8" in notes
    assert "g = 0.7" in notes


def test_settings_other_than_seeds_are_never_pooled() -> None:
    both = concatenated(study(**SMALL), study(**SMALL, **{"training.optimizer": "adam"}))
    selected = select_runs(both.runs)
    assert selected.left_out == ()
    assert {name.rpartition(", ")[2] for name in selected.runs["activation"]} == {
        "adam optimizer",
        "sgd optimizer",
    }
    assert selected.runs.groupby(["activation", "length", "series"]).size().eq(3).all()


def test_a_setting_that_follows_the_length_holds_nothing_back_and_is_told() -> None:
    runs = study(**SMALL).runs
    selected = select_runs(runs.assign(**{"training.updates": 10 * runs["task.length"]}))
    [note] = selected.notes
    assert note.startswith("The runs shown differ in training.updates as well")
    assert len(selected.runs) == len(runs)


def test_palettes_grow_lighter_in_order_and_stay_visible_on_white() -> None:
    rgb = np.array([matplotlib.colors.to_rgb(colour) for colour in ordered(6)])
    grey = rgb @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(grey) > 0).all()
    assert grey.max() < 0.8
    assert len(set(categories(6))) == 6


def test_the_style_is_a_dict_that_matplotlib_accepts() -> None:
    with in_style():
        assert matplotlib.rcParams["font.size"] == style()["font.size"] == 8


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (-0.4, 0.45, ["0.5", "1", "2"]),
        (-1.0, 0.5, ["0.1", "0.2", "0.5", "1", "2"]),
        (-30, 10, ["$10^{-30}$", "$10^{-20}$", "$10^{-10}$", "$10^{0}$", "$10^{10}$"]),
        (-400.0, 0.0, ["$10^{-400}$", "$10^{-300}$", "$10^{-200}$", "$10^{-100}$", "$10^{0}$"]),
    ],
)
def test_ticks_of_an_axis_of_exponents_name_the_numbers_they_stand_for(low, high, labels):
    axes = Figure().subplots()
    axes.set_ylim(low, high)
    panels.powers(axes)
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert axes.yaxis.get_major_formatter().format_ticks(ticks) == labels


def test_a_run_without_a_rate_is_not_drawn_and_that_is_said():
    tables = study(("tanh",), (0.5, 1.0), (10,), 1)
    tables.runs.loc[0, ["decay_rate", "verdict"]] = [NAN, "undetermined"]

    plotted = figures.figure("rates").table(tables)

    assert plotted.table["unknown"].tolist() == [1, 0]
    assert "1 run with too few lags for a rate: not drawn." in whole_caption(
        figures.figure("rates"), plotted
    )


def test_a_loss_that_was_finite_once_is_said_to_be_so():
    tables = diverged(study(("tanh",), (2.0,), (10,), 1), "tanh-2.0-10-0", update=10)

    _, _, caption = drawn("learning", tables)

    assert "at update 0, the only recorded one at which it is finite." in caption


def test_a_rate_of_one_of_several_lengths_names_its_case():
    tables = study(("tanh",), (0.5,), (10, 30), 1)

    caption = drawn("decay", tables)[2]

    assert caption.startswith("At T = 30 the gradient keeps ")
    assert " of its size per step with tanh, g = 0.5 (7.4e-07 left after 29 steps). " in caption


class Objective(Study):
    """A study that notes which rows of its gradients it is asked for, and has no whole table."""

    def gradient_rows(self, columns, **which):
        noted = vars(self).setdefault("noted", [])
        noted.append({"columns": list(columns), **which, "runs": sorted(which["runs"])})
        return super().gradient_rows(columns, **which)


def asked(name: str, tables: Study) -> list[dict[str, object]]:
    study = Objective(tables.runs, tables.updates, tables.gradients, tables.broken)
    figures.figure(name).table(study)
    return vars(study).get("noted", [])


def test_figures_ask_for_no_rows_but_those_that_they_draw():
    tables = study(("tanh",), (0.5, 1.0), (10, 20), 1, tuple(range(100)))
    every = sorted(tables.runs["run"])

    columns = ["run", "update", "time", "lag", "log10_total", "status", "log10_predicted"]
    start = [{"columns": columns, "runs": every, "updates": [0], "layer": -1}]
    assert asked("decay", tables) == asked("parameters", tables) == start
    assert asked("learning", tables) == asked("rates", tables) == []
    [heatmap] = asked("heatmap", tables)
    assert heatmap["runs"] == [run for run in every if "-20-" in run]
    assert len(heatmap["updates"]) == 80
    assert {0, 99} <= set(heatmap["updates"])


def test_updates_of_runs_that_are_not_shown_leave_no_shown_one_out():
    shown = study(("tanh",), (0.5,), (20,), 1, tuple(range(50)))
    other = study(("tanh",), (0.5,), (10,), 1, tuple(range(100)))
    both = concatenated(other, shown)

    assert set(figures.figure("heatmap").table(both).table["update"]) == set(range(50))


def test_the_heat_map_says_which_updates_it_leaves_out():
    tables = study(("tanh",), (0.5,), (10,), 1, tuple(range(100)))

    table, _, caption = drawn("heatmap", tables)

    assert table["update"].nunique() == 80
    assert "Drawn are 80 of 100 recorded updates" in caption


@pytest.mark.parametrize("name", ["decay", "heatmap", "parameters"])
def test_only_the_top_layer_is_drawn(name):
    tables = study(("tanh",), (0.5, 1.0), (10, 20), 2)
    lower = tables.gradients.assign(log10_total=-7.0, status="zero")
    rows = pd.concat([lower, tables.gradients.assign(layer=1)], ignore_index=True)
    deep = Study(tables.runs, tables.updates, rows, tables.broken)

    module = figures.figure(name)
    assert_frame_equal(module.table(deep).table, module.table(tables).table)


def test_the_loss_on_test_sequences_is_drawn_where_there_are_tests() -> None:
    tables = study(("tanh",), (0.5,), (10,), 3)
    plain, figure, caption = drawn("learning", tables)
    assert "test" not in plain
    assert lines(figure, "-.") == []
    assert "test" not in caption

    tested = dataclasses.replace(tables, updates=tables.updates.copy())
    tested.updates["test_loss"] = tables.updates["loss"].where(tables.updates["update"] != 10) + 1
    table, figure, caption = drawn("learning", tested)

    [line] = lines(figure, "-.")
    expected = (plain["median"] + 1)[plain["update"] != 10]
    np.testing.assert_allclose(line, expected)
    assert "Dash-dotted with open circles: median loss on test sequences." in caption
    assert table.drop(columns="test").equals(plain)
