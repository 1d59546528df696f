"""How figures look: shared axes, letters, names beside lines, colours that can be told apart."""

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from rnn_exp import figures
from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.drawing import in_width
from rnn_exp.figures.parts.style import CATEGORIES, ordered
from tests.tables import Study, study


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
    sized = [line for line in measured if line.get_marker() in "os"]
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
