"""How figures look: shared axes, letters, names beside lines, colours that can be told apart."""

import dataclasses
import io
import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from rnn_exp import figures
from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.drawing import in_width
from rnn_exp.figures.parts.lag_cells import diverging_scale
from rnn_exp.figures.parts.style import CATEGORIES, in_style, ordered
from tests.tables import Study, concatenated, study


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2."""
    part = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("colour", [*CATEGORIES, *ordered(1), *ordered(6), *ordered(12)])
def test_every_colour_of_a_line_has_a_contrast_of_three_to_one_on_white(colour):
    assert 1.05 / (luminance(colour) + 0.05) >= 3


# Machado, Oliveira and Fernandes (2009), table 1, severity 1: linear RGB as people without red or
# without green cones see it.
PROTAN = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.0039, -0.0481, 1.052],
]
DEUTAN = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.0118, 0.0429, 0.9689],
]
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def seen(colour: str, cones: list[list[float]]) -> np.ndarray:
    """A colour in CIELAB, as it is seen with these cones."""
    part = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    xyz = np.array(TO_XYZ) @ np.clip(np.array(cones) @ linear, 0, 1) / [0.9505, 1, 1.089]
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize("cones", [np.eye(3).tolist(), PROTAN, DEUTAN])
def test_no_two_colours_of_unordered_settings_look_alike_to_people_with_fewer_cones(cones):
    every = [seen(colour, cones) for colour in CATEGORIES]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(every, 2)) > 14


def places(figure: Figure, gid: str) -> list[float]:
    found = [line for axes in figure.axes for line in axes.lines if line.get_gid() == gid]
    return sorted(float(x) for line in found for x in line.get_xdata())


def drawn(name: str, tables: Study) -> Figure:
    module = figures.figure(name)
    return module.draw(module.table(tables))


@pytest.fixture(scope="module")
def lengths() -> Study:
    return study(("tanh", "sigmoid"), (0.5, 1.0), (10, 20), 2, (0, 10))


def test_the_lines_of_all_lengths_are_in_one_panel_with_the_same_axes_for_all(lengths):
    figure = drawn("decay", lengths)

    assert len(figure.axes) == 2
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert places(figure, "end of length") == 4 * [9] + 4 * [19]


def test_a_line_is_where_the_norm_is_1_and_where_the_precision_of_training_ends():
    tables = study(("sigmoid",), (0.5,), (60,), 1, (0,), **{"network.dtype": "float32"})
    unknown = study(("sigmoid",), (0.5,), (60,), 1, (0,))
    near = study(("sigmoid",), (0.5,), (10,), 1, (0,), **{"network.dtype": "float32"})

    def levels(study: Study, gid: str) -> list[float]:
        lines = drawn("decay", study).axes[0].lines
        return [float(line.get_ydata()[0]) for line in lines if line.get_gid() == gid]

    assert levels(tables, "one") == [0]
    assert levels(tables, "precision") == [pytest.approx(np.log10(2.0**-126))]
    assert levels(unknown, "precision") == levels(near, "precision") == []


def test_panels_have_letters_where_there_is_more_than_one(lengths):
    def letters(figure: Figure) -> list[str]:
        return [t.get_text() for axes in figure.axes for t in axes.texts if t.get_gid() == "letter"]

    assert letters(drawn("decay", lengths)) == ["a", "b"]
    assert letters(drawn("decay", study(("tanh",), (0.5,), (10,), 1, (0,)))) == []


def test_lines_are_named_at_their_ends_where_the_names_do_not_lie_on_one_another():
    def named(levels: list[float]) -> list[str]:
        axes = Figure().subplots()
        axes.set_ylim(0, 10)
        ends = [marks.End(1, level, f"g = {level:g}", "C0") for level in levels]
        told = marks.end_labels(axes, ends, 1)
        texts = [text.get_text() for text in axes.texts]
        assert told == (len(texts) == len(ends))
        return texts

    assert named([5, 2, 9]) == ["g = 2", "g = 5", "g = 9"]
    assert named([5, 5.2]) == ["g = 5", "g = 5.2"]
    assert named([5, 5.1, 5.2, 5.3, 5.4]) == []
    assert named([5]) == []


def test_names_that_are_moved_apart_keep_their_order_and_a_gap():
    moved = marks._moved_apart(np.array([0.0, 1.0, 50.0]))

    np.testing.assert_allclose(moved, [-3.25, 4.25, 50.0])


def test_a_legend_is_read_row_by_row():
    figure, _ = panels.grid(1, 1, height=2)
    figure.set_legend([marks.line_entry(f"entry number {place}", "-") for place in range(5)])

    [legend] = figure.legends
    texts = [text.get_text()[-1] for text in legend.get_texts()]
    assert legend._ncols == 2
    # Matplotlib fills columns: the first has 0, 2, 4, so that rows read 0 1, 2 3, 4.
    assert texts == ["0", "2", "4", "1", "3"]


def test_panels_of_a_narrow_sheet_stand_below_one_another_and_come_back():
    figure, grid = panels.grid(1, 2, height=2)
    panels.name_axes(figure, grid, "x", "y")
    figure.set_legend([])

    def look() -> list[object]:
        rows = {axes.get_subplotspec().rowspan.start for axes in grid.flat}
        return [len(rows), figure.get_figheight(), [axes.get_ylabel() for axes in grid.flat]]

    before = look()
    assert before == [1, 2.5, ["y", ""]]
    in_width(figure, 3.0)
    assert look() == [2, 4.5, ["y", "y"]]
    in_width(figure, 7.0)
    assert look() == before


def test_a_panel_that_was_taken_away_does_not_come_back_in_another_width():
    figure, grid = panels.grid(2, 3, height=2)
    grid[1, 2].remove()

    figure.set_width(2)
    assert len(figure.axes) == 5
    assert {axes.get_subplotspec().colspan.start for axes in figure.axes} == {0}


def test_triangles_of_several_series_lie_in_one_row_and_on_no_other():
    axes = Figure().subplots()
    for _ in range(3):
        marks.mark_lost(axes, [3, 4], marks.FLOOR, "C0")

    heights = {float(y) for line in axes.lines for y in line.get_ydata()}
    pixels = [line.get_transform().transform((3.0, 0.0))[0] for line in axes.lines]
    assert len(heights) == 1
    assert np.diff(pixels) == pytest.approx(3.6 / 72 * axes.figure.dpi)


def test_rates_are_at_their_gain_and_markers_of_one_place_differ_in_size():
    figure = drawn("rates", study(("tanh",), (0.5, 1.0, 2.0), (10, 20), 2, (0,)))

    measured = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    sized = [line for line in measured if line.get_marker() in "Do"]
    assert [line.get_xdata().tolist() for line in sized] == 2 * [[0.5, 1.0, 2.0]]
    assert sized[0].get_markersize() > sized[1].get_markersize()


def test_written_ticks_of_a_narrow_sheet_do_not_lie_on_one_another():
    figure, grid = panels.grid(1, 1, height=2)
    grid[0, 0].set_xlim(0, 10)
    grid[0, 0].set_xticks([1, 1.2, 9], ["1.000", "1.200", "9.000"])

    def written() -> list[str]:
        return [tick.get_text() for tick in grid[0, 0].get_xticklabels()]

    figure.set_width(2)
    assert written() == ["1.000", "", "9.000"]
    figure.set_width(50)
    assert written() == ["1.000", "1.200", "9.000"]


def texts(figure: Figure, gid: str) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts if text.get_gid() == gid]


def levels(figure: Figure, style: str) -> list[float]:
    """The heights of horizontal lines of a style, panel by panel."""
    found = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == style]
    return [float(y[0]) for line in found if len(set(y := list(line.get_ydata()))) == 1]


@pytest.fixture(scope="module")
def trained() -> Study:
    """Two gains whose losses fall from 0.17, with chance at 0.2; a seed of the larger diverges."""
    tables = study(("tanh",), (0.5, 1.0), (10,), 2)
    runs = tables.runs.assign(chance_loss=0.2, chance_error=0.75)
    bad = runs["run"] == "tanh-1.0-10-0"
    runs = runs.assign(
        status=runs["status"].mask(bad, "diverged"),
        diverged_update=runs["diverged_update"].mask(bad, 20),
    )
    kept = [
        frame[~((frame["run"] == "tanh-1.0-10-0") & (frame["update"] > 20))]
        for frame in (tables.updates, tables.gradients)
    ]
    return Study(runs, *kept, tables.broken)


def test_learning_shows_loss_and_error_beside_chance(trained):
    figure = drawn("learning", trained)

    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "error"]
    assert levels(figure, "--") == [0.2, 0.75]
    table = figures.figure("learning").table(trained).table
    np.testing.assert_array_equal(table["error"], 0.5)


def test_learning_marks_a_run_that_diverged_with_a_finite_loss(trained):
    figure = drawn("learning", trained)

    assert places(figure, "ceiling") == [20]
    assert "diverged" in [label for _, label in figure._entries]


def test_learning_says_first_how_many_cases_learn_and_how_well(trained):
    plotted = figures.figure("learning").table(trained)
    first = figures.figure("learning").caption(plotted).split(". With")[0]

    assert first.startswith(
        "Yes: in all 2 settings the loss ends below half of chance; it ends lowest with tanh"
    )
    assert first.endswith("chance 0.2); 1 of 4 runs diverged")


def test_a_panel_in_which_nothing_is_learned_says_so(trained):
    low = trained.runs.assign(chance_loss=0.01)

    assert texts(drawn("learning", trained), "stuck") == []
    stuck = Study(low, trained.updates, trained.gradients, trained.broken)
    assert texts(drawn("learning", stuck), "stuck") == ["all end above\n90 % of chance"]


def test_a_panel_whose_runs_all_diverged_says_so():
    tables = study(("tanh",), (2.0,), (10,), 1)
    runs = tables.runs.assign(chance_loss=0.01, status="diverged", diverged_update=20.0)

    lost = Study(runs, tables.updates, tables.gradients, tables.broken)
    assert texts(drawn("learning", lost), "stuck") == ["every run\ndiverged"]


def test_theory_is_in_the_legend_of_decay_only_where_it_is_drawn(lengths):
    short = lengths.gradients["lag"].groupby(lengths.gradients["run"]).transform("max") < 19
    rows = lengths.gradients.assign(
        log10_predicted=lengths.gradients["log10_predicted"].where(short)
    )
    without = Study(lengths.runs, lengths.updates, rows, lengths.broken)

    def labels(tables: Study) -> list[str]:
        return [label for _, label in drawn("decay", tables)._entries]

    assert "theory" in labels(lengths)
    assert "theory" not in labels(without)


def test_the_heat_map_is_white_at_1_and_tells_a_decade_from_a_hundred(trained):
    figure = drawn("heatmap", trained)

    [mesh, *_] = figure.axes[0].collections
    assert mesh.norm.vmin == -mesh.norm.vmax
    assert min(mesh.cmap(mesh.norm(0.0))) > 0.95
    scale = diverging_scale(pd.Series([-90.0, 2.0])).norm
    near, far, end = (float(scale(value)) for value in (-1.0, -10.0, -90.0))
    assert 0.5 - near > 0.1
    assert near - far > 0.1
    assert far - end > 0.1


def test_the_heat_map_has_the_length_and_what_diverged_in_the_picture(trained):
    figure = drawn("heatmap", trained)

    assert "T = 10" in figure.get_supxlabel()
    assert texts(figure, "diverged") == ["1 of 2 runs\ndiverged at\nupdate 20"]
    caption = figures.figure("heatmap").caption(figures.figure("heatmap").table(trained))
    assert "With tanh, g = 1, T = 10: 1 of 2 runs diverged at update 20." in caption


def test_parameters_have_an_axis_for_each_quantity_and_a_headline_in_each_panel():
    figure = drawn("parameters", study(("sigmoid",), (0.5,), (10, 30), 1, (0,)))

    left, right = figure.axes
    assert "W_{hh}" in left.get_ylabel()
    assert "h_1" in right.get_ylabel()
    assert left.get_ylim() == right.get_ylim()
    assert all(axes.yaxis.get_tick_params()["labelleft"] for axes in figure.axes)
    # The synthetic gradient of W_hh is 0.05 √T.
    weights, states = texts(figure, "headline")
    assert weights == "g = 0.5:\n0.158\n$\\rightarrow$ 0.274"
    assert states.startswith("g = 0.5:\n")


def test_parameters_say_no_where_the_weights_do_not_show_what_vanishes():
    def first(gain: float) -> str:
        module = figures.figure("parameters")
        return module.caption(module.table(study(("tanh",), (gain,), (10, 30), 1, (0,))))

    assert first(0.5).startswith("No: with tanh, g = 0.5, from T = 10 to T = 30, what reaches ")
    assert first(1.2346).startswith("There was nothing to show: with tanh, g = 1.23")


@pytest.mark.parametrize("name", figures.names())
def test_the_first_sentence_is_short_enough_for_an_alternative_text(name, trained):
    lengths = study(("tanh", "sigmoid"), (0.5, 1.0, 2.0), (10, 30), 2, (0, 10))
    module = figures.figure(name)

    first = module.caption(module.table(lengths)).split(". ")[0]
    assert any(letter.isdigit() for letter in first)
    assert len(first) <= 240


@pytest.mark.parametrize("name", figures.names())
def test_the_same_table_is_the_same_picture_in_every_width(name, lengths):
    module = figures.figure(name)
    plotted = module.table(lengths)

    def picture(width: float) -> bytes:
        buffer = io.BytesIO()
        with in_style():
            in_width(module.draw(plotted), width).savefig(
                buffer, format="svg", metadata={"Date": None}
            )
        return buffer.getvalue()

    assert picture(3.4) == picture(3.4)


def test_the_headline_is_of_places_where_both_gradients_are_known() -> None:
    tables = study(("tanh",), (0.5, 1.0, 2.0), (10,), 1, (0,))
    none = tables.updates["run"].astype(str).str.contains("0.5")
    assert none.any()
    zero = tables.updates.assign(
        recurrent_grad_norm=tables.updates["recurrent_grad_norm"].mask(none, 0.0)
    )
    figure = figures.figure("parameters")
    caption = figure.caption(figure.table(dataclasses.replace(tables, updates=zero)))
    assert "from g = 1 to g = 2" in caption
    assert "g = 0.5" not in caption


def test_a_title_is_broken_between_its_parts_where_its_panel_is_narrow():
    figure, grid = panels.grid(1, 2, height=2)
    with in_style():
        for axes in grid.flat:
            panels.title(axes, "tanh, hidden layers 3", "clip norm none", 100)
    figure.set_legend([])

    def titles() -> set[str]:
        return {axes.get_title("left") for axes in grid.flat}

    assert titles() == {"tanh, hidden layers 3, clip norm none, T = 100"}
    figure.set_width(3.4)
    assert titles() == {"tanh,\nhidden layers 3,\nclip norm none,\nT = 100"}
    figure.set_width(7.0)
    assert titles() == {"tanh, hidden layers 3, clip norm none, T = 100"}


def test_a_narrow_sheet_is_not_higher_than_a_page_where_panels_have_room_side_by_side():
    figure, grid = panels.grid(2, 3, height=1.9, sharex=False, sharey="row")
    panels.name_axes(figure, grid, "x", "y")
    figure.set_legend([])
    figure.set_width(3.4)

    places = [axes.get_subplotspec() for axes in grid.flat]
    assert [(p.rowspan.start, p.colspan.start) for p in places] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
    ]
    assert figure.get_figheight() == pytest.approx(3 * 1.9 + 0.5)
    # Beside one another are panels of two scales: each has its numbers.
    assert all(axes.yaxis.get_tick_params()["labelleft"] for axes in grid.flat)


def test_the_lowest_panel_that_is_shown_has_the_numbers_of_its_column():
    figure, grid = panels.grid(2, 2, height=2)
    grid[1, 1].set_visible(False)
    figure.set_legend([])
    figure.set_width(3.4)

    written = [axes.xaxis.get_tick_params()["labelbottom"] for axes in grid.flat]
    assert written == [False, True, True, True]


def test_runs_recorded_at_two_updates_have_bars_that_lie_beside_one_another_and_no_band():
    tables = study(("tanh",), (0.5, 1.0, 2.0), (10,), 3, (0, 10))
    figure = drawn("learning", tables)

    bars = [each for each in figure.axes[0].collections if isinstance(each, LineCollection)]
    places = [{float(part[0][0]) for part in bar.get_segments()} for bar in bars]
    assert [len(part) for part in places] == 3 * [2]
    assert len(set.union(*places)) == 6
    module = figures.figure("learning")
    assert "bars: lowest to highest" in module.reading(module.table(tables))
    more = drawn("learning", study(("tanh",), (0.5, 1.0, 2.0), (10,), 3))
    assert not any(isinstance(each, LineCollection) for each in more.axes[0].collections)


def test_no_band_of_losses_is_cut_off():
    tables = study(("tanh",), (0.5, 1.0), (10,), 3)
    last = tables.updates["update"] == 40
    losses = tables.updates["loss"].mask(last, 1e-3)
    smallest = last & tables.updates["run"].str.endswith("-0")
    rows = tables.updates.assign(loss=losses.mask(smallest, 1e-6))
    figure = drawn("learning", dataclasses.replace(tables, updates=rows))

    assert figure.axes[0].get_ylim()[0] < 1e-6


def test_an_asymptote_is_drawn_where_it_can_be_told_from_theory_and_only_there():
    tables = study(("tanh",), (0.5, 1.0, 2.0), (10,), 2, (0,))
    apart = tables.runs.assign(predicted_rate=tables.runs["theory_rate"] * 1.3)

    def styles(runs: pd.DataFrame) -> tuple[set[str], list[str]]:
        figure = drawn("rates", dataclasses.replace(tables, runs=runs))
        lines = {line.get_gid() for line in figure.axes[0].lines if line.get_gid()}
        return lines, [label for _, label in figure._entries]

    lines, labels = styles(tables.runs)
    assert lines == {"predicted_rate", "bound"}
    assert "theory's asymptote" not in labels
    lines, labels = styles(apart)
    assert lines == {"predicted_rate", "asymptotic_rate", "bound"}
    assert "theory's asymptote" in labels


def test_colours_go_with_the_numbers_of_the_series_whichever_panel_has_them_first():
    table = pd.DataFrame({"series": ["g = 2", "g = 16", "g = 0.5"], "value": [2.0, 16.0, 0.5]})

    assert marks.colours(table) == dict(
        zip(["g = 0.5", "g = 2", "g = 16"], ordered(3), strict=True)
    )


def test_panels_of_a_heat_map_are_of_their_own_gains_where_the_gains_differ():
    tables = concatenated(
        study(("tanh",), (0.5, 1.0), (10,), 1, (0, 10)),
        study(("sigmoid",), (4.0,), (10,), 1, (0, 10)),
    )
    shown = [axes for axes in drawn("heatmap", tables).axes if axes.get_title("left")]

    assert [axes.get_title("left") for axes in shown] == [
        "tanh, g = 0.5",
        "tanh, g = 1",
        "sigmoid, g = 4",
    ]
    assert [axes.get_visible() for axes in shown] == [True, True, True]
