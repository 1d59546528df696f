"""The figure of the course notes: the product and the measurement, of units with known answers."""

import numpy as np
import pandas as pd
import pytest

from rnn_exp import figures
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.studies import course
from tests.tables import Study


def unit(name, activation, weight, bias, slope, off=1.0, **settings):
    """A unit of constant φ'(z) = slope, whose measured gradient is `off` times the product."""
    run = {
        "run": name,
        "network.activation": activation,
        "network.hidden_size": 1,
        "training.batch_size": 1,
        "init.weight": weight,
        "init.bias": bias,
        "largest_slope": {"sigmoid": 0.25, "tanh": 1.0}[activation],
        **settings,
    }
    lag = np.arange(20)[::-1]
    size = np.log10(0.3) + lag * np.log10(slope * abs(weight)) + np.log10(off) * (lag > 0)
    rows = pd.DataFrame({"lag": lag, "log10_total": size, "saturation": slope})
    return run, rows.assign(run=name, update=0, layer=0, time=20 - lag, status="ok")


def study(*units):
    runs, rows = zip(*units, strict=True)
    return Study(pd.DataFrame(runs), pd.DataFrame(), pd.concat(rows), pd.DataFrame())


SIX = (
    unit("a", "sigmoid", 2.0, -1.0, 0.25),
    unit("b", "sigmoid", 5.0, -2.5, 0.25, off=1 + 1e-6),
    unit("c", "sigmoid", 4.0, -2.0, 0.25),
    unit("d", "sigmoid", 5.0, 0.0, 0.01),
    unit("e", "tanh", 2.0, 0.0, 1.0),
    unit("f", "tanh", -0.5, 0.0, 1.0),
)


def test_formula_and_measurement_are_those_of_the_units():
    plotted = course.table(study(*SIX))
    table = plotted.table

    last = table[table["lag"] == 19].set_index(["panel", "weight"])
    expected = {
        ("sigmoid, b = 0", 5.0): 0.05,
        ("sigmoid, b = −w/2", 2.0): 0.5,
        ("sigmoid, b = −w/2", 4.0): 1.0,
        ("sigmoid, b = −w/2", 5.0): 1.25,
        ("tanh, b = 0", -0.5): 0.5,
        ("tanh, b = 0", 2.0): 2.0,
    }
    assert list(last.index) == list(expected)
    np.testing.assert_allclose(
        last["log10_formula"], 19 * np.log10(list(expected.values())), atol=1e-12
    )
    np.testing.assert_allclose(last["log10_measured"], last["log10_formula"], atol=1e-6)
    assert table.loc[table["lag"] == 0, ["log10_measured", "log10_formula"]].eq(0).all(axis=None)


def test_what_is_drawn_is_the_table():
    plotted = course.table(study(*SIX))
    table = plotted.table

    figure = course.draw(plotted)

    solid, dashed = (
        [
            line.get_ydata()
            for axes in figure.axes
            for line in axes.lines
            if line.get_linestyle() == style and len(line.get_ydata()) == 20
        ]
        for style in ("-", "--")
    )
    by_unit = [rows for _, rows in table.groupby(["panel", "weight"], sort=False)]
    for drawn, column in ((solid, "log10_measured"), (dashed, "log10_formula")):
        np.testing.assert_array_equal(drawn, [rows[column] for rows in by_unit])


def test_the_caption_says_how_exact_the_product_is_and_who_explodes():
    caption = whole_caption(course, course.table(study(*SIX)))

    assert caption.startswith(
        "Yes, in 6 networks of one unit the gradient is the product to a relative error of 10⁻⁶ at "
        "most; w > 1 alone does not make it explode: it explodes in 2 of 5 units."
    )
    assert (
        "With sigmoid, at b = 0 it vanishes for w = 5; at b = −w/2 it vanishes for w = 2, "
        "explodes for w = 5, does neither for w = 4."
    ) in caption
    assert "So with sigmoid w > 4 is only necessary for exploding" in caption
    assert "with tanh w > 1 is sufficient here" in caption


def test_a_gradient_that_is_no_product_is_said_first():
    caption = whole_caption(course, course.table(study(unit("a", "tanh", 0.5, 0.0, 1.0, off=1.5))))

    assert caption.startswith(
        "No, the gradient is the product only to a relative error of 0.5 at most; no w is above 1."
    )


def test_lines_are_named_at_their_ends():
    axes = course.draw(course.table(study(*SIX))).axes[1]

    assert [text.get_text() for text in axes.texts if text.get_gid() == "end"] == ["2", "4", "5"]


def test_of_results_that_do_not_say_how_steep_the_activation_is_no_bound_is_told():
    tables = study(*SIX)
    old = Study(tables.runs.drop(columns="largest_slope"), *[tables.gradients] * 3)

    plotted = course.table(old)

    assert plotted.table["largest_slope"].isna().all()
    assert "for exploding" not in whole_caption(course, plotted)
    assert course.draw(plotted).axes


def test_networks_of_more_units_are_no_product_of_numbers():
    wide = unit("a", "tanh", 2.0, 0.0, 1.0, **{"network.hidden_size": 2})

    with pytest.raises(figures.CannotDraw, match="one unit and one sequence"):
        course.table(study(wide))
    assert len(course.table(study(wide, SIX[1])).table["weight"].unique()) == 1


def test_a_study_without_units_is_refused_with_what_is_missing():
    run, rows = SIX[0]
    run = {key: value for key, value in run.items() if key != "init.weight"}

    with pytest.raises(figures.CannotDraw, match=r"no column init\.weight"):
        course.table(study((run, rows)))


def test_lost_gradients_are_refused():
    run, rows = SIX[0]

    with pytest.raises(figures.CannotDraw, match="finite and above zero"):
        course.table(study((run, rows.assign(status="nan", log10_total=np.nan))))
