"""Figures as functions of results: of some runs, in a width, shown once in a notebook."""

import io

import matplotlib.pyplot
import pytest
from matplotlib.figure import Figure

import rnn_exp
from rnn_exp import figures
from rnn_exp.fields import SettingError
from rnn_exp.figures.parts.sheet import Sheet


@pytest.fixture(scope="module")
def results():
    grid = rnn_exp.grid(
        length=[6, 9], gain=[0.5, 1], activation=["tanh", "sigmoid"], updates=2, hidden_size=8
    )
    return rnn_exp.train(grid)


def test_every_figure_is_a_function_of_this_name():
    assert len(figures.names()) == 5
    for name in [*figures.names(), *figures.study_names()]:
        drawing = getattr(figures, name)
        assert name in dir(figures)
        assert drawing.question == figures.figure(name).QUESTION
        assert repr(drawing) == f"<figure {name}: {drawing.question}>"
        assert "width: in inches" in drawing.__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = figures.nothing


@pytest.mark.parametrize("name", ["decay", "heatmap", "learning", "parameters", "rates"])
def test_a_figure_of_results_is_one_of_matplotlib_that_pyplot_does_not_know(results, name):
    figure = getattr(figures, name)(results, width=5)

    assert isinstance(figure, Figure)
    assert figure.get_figwidth() == 5
    assert matplotlib.pyplot.get_fignums() == []
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_where_is_the_figure_of_these_runs_alone(results):
    some, chosen = {"task.length": 9}, results.where(length=9)

    assert set(figures.decay.table(results, where=some)["length"]) == {9}
    assert figures.decay.caption(results, where=some) == figures.decay.caption(chosen)
    drawn = figures.decay(results, where=some), figures.decay(chosen)
    assert len({figure._repr_png_() for figure in drawn}) == 1
    ends = [
        {
            int(x)
            for axes in figure.axes
            for line in axes.lines
            if line.get_gid() == "end of length"
            for x in line.get_xdata()
        }
        for figure in (drawn[0], figures.decay(results))
    ]
    assert ends == [set(), {5, 8}]


def test_a_legend_fits_the_width_that_was_asked_for(results):
    columns = []
    for width in (2.5, 3.4, 7):
        figure = figures.decay(results, width=width)
        figure.savefig(io.BytesIO(), format="png")
        [legend] = figure.legends
        columns.append(legend._ncols)
        assert len(legend.get_texts()) == len(figures.decay(results).legends[0].get_texts())
    assert columns == sorted(columns)
    assert columns[0] < columns[-1]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"where": {"lenght": 9}}, r"lenght=9 .*did you mean length\?"),
        ({"where": {"task.length": 7}}, "task.length=7 .* one of 6, 9"),
        ({"width": 0}, "width=0 is not possible: allowed is inches from 2.5 to 50"),
        ({"width": float("nan")}, "width=nan"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(results, asked, said):
    with pytest.raises(SettingError, match=said):
        figures.decay(results, **asked)


def test_two_studies_are_not_pooled(tmp_path):
    settings = {"length": 6, "updates": 2, "hidden_size": 8, "seed": range(2)}
    for name in ("first", "again"):
        rnn_exp.train(rnn_exp.grid(settings), folder=tmp_path / name)
    both = rnn_exp.load(f"{tmp_path}/*")

    assert set(figures.decay.table(both)["series"]) == {"study again", "study first"}


def test_a_sheet_without_a_legend_has_a_width_as_well():
    sheet = Sheet(3, 2)
    sheet.set_width(5)
    assert (sheet.get_figwidth(), sheet.get_figheight(), sheet.legends) == (5, 2, [])


def test_labels_fit_the_narrowest_width(results):
    for name in ("decay", "rates", "learning", "heatmap"):
        figure = getattr(figures, name)(results, width=2.5)
        figure.draw_without_rendering()
        labels = [axes.xaxis.label for axes in figure.axes] + [figure._supxlabel]
        shown = [label for label in labels if label is not None and label.get_text()]
        for label in shown:
            box = label.get_window_extent()
            assert -1 <= box.x0 < box.x1 <= figure.bbox.width + 1, label.get_text()
    wide = figures.rates(results, width=7)
    assert not any("\n" in axes.get_xlabel() for axes in wide.axes)
