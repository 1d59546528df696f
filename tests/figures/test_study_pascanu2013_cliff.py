"""The cliff's figure: a map with a known wall, the lines of theory, and what it refuses."""

import numpy as np
import pandas as pd
import pytest

from rnn_exp import figures
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.studies import pascanu2013_cliff
from rnn_exp.theory import one_unit
from tests.tables import Study

WEIGHTS, BIASES = (4.5, 5.0, 5.5), (-2.75, -2.5, -2.25, -2.0)


def unit(activation: str = "sigmoid", **more: object) -> Study:
    """One run a grid point; the gradient is 1e5 on b = -w/2 and 1e-2 elsewhere."""
    places = [(w, b) for w in WEIGHTS for b in BIASES]
    settings = {"network.activation": activation, "network.initial_state": 0.5, "seed": 0, **more}
    rows = [{"run": f"{w} {b}", "init.weight": w, "init.bias": b} for w, b in places]
    runs = pd.DataFrame(rows).assign(**settings)
    wall = [w + 2 * b == 0 for w, b in places]
    updates = pd.DataFrame(
        {
            "run": runs["run"],
            "update": 0,
            "loss": [w / 100 - b for w, b in places],
            "recurrent_grad_norm": np.where(wall, 1e5, 1e-2),
        }
    )
    later = updates.assign(update=1, loss=np.nan)
    none = pd.DataFrame({"run": []})
    return Study(runs, pd.concat([updates, later]), none, none)


def test_the_maps_hold_the_rows_of_update_0():
    plotted = pascanu2013_cliff.table(unit())
    table = plotted.table

    assert len(table) == len(WEIGHTS) * len(BIASES)
    np.testing.assert_allclose(table["loss"], table["weight"] / 100 - table["bias"])
    wall = table["weight"] == -2 * table["bias"]
    np.testing.assert_allclose(table["log10_gradient"], np.where(wall, 5, -2))


def test_what_is_drawn_is_the_table():
    plotted = pascanu2013_cliff.table(unit())
    table = plotted.table

    figure = pascanu2013_cliff.draw(plotted)

    for axes, column in zip(figure.axes, ("loss", "log10_gradient"), strict=False):
        [mesh] = [mesh for mesh in axes.collections if mesh.get_gid() == column]
        cells = table.pivot_table(index="bias", columns="weight", values=column)
        np.testing.assert_array_equal(np.reshape(mesh.get_array(), cells.shape), cells)


def test_the_lines_are_those_of_the_one_unit_theory():
    axes = pascanu2013_cliff.draw(pascanu2013_cliff.table(unit())).axes[0]

    *nodes, start = axes.lines

    for w, b in zip(
        nodes[0].get_xdata(), np.transpose([n.get_ydata() for n in nodes]), strict=True
    ):
        np.testing.assert_allclose(b, one_unit.saddle_nodes(float(w)), rtol=1e-10)
    np.testing.assert_allclose(start.get_ydata(), -np.asarray(start.get_xdata()) / 2)
    assert {line.get_linestyle() for line in axes.lines} == {"--"}


def test_no_line_lies_on_the_ridge_and_triangles_point_at_its_ends():
    axes = pascanu2013_cliff.draw(pascanu2013_cliff.table(unit())).axes[1]

    marks = [line for line in axes.lines if line.get_gid() == pascanu2013_cliff._START]

    assert [line.get_linestyle() for line in marks] == ["None", "None"]
    ends = np.array([[line.get_xdata()[0], line.get_ydata()[0]] for line in marks])
    # b = -w / 2 enters the map of cells on the left and leaves it on the right.
    np.testing.assert_allclose(ends, [[4.25, -2.125], [5.75, -2.875]])
    assert len([line for line in axes.lines if line.get_linestyle() == "--"]) == 2


def test_the_caption_gives_the_largest_gradient_its_median_and_where_the_wall_stands():
    caption = whole_caption(pascanu2013_cliff, pascanu2013_cliff.table(unit()))

    assert caption.startswith(
        "The wall stands where the start is the unstable fixed point: the gradient reaches 1e5 "
        "there (median of the map: 0.01); behind it is the other stable state."
    )
    assert "at most 1e5, at w = 4.5, b = -2.25." in caption
    assert "At the 3 weights" in caption
    assert "largest on that line" in caption


def test_a_wall_beside_the_line_is_told():
    tables = unit()
    aside = tables.runs.assign(**{"init.bias": tables.runs["init.bias"] + 0.125})

    caption = whole_caption(
        pascanu2013_cliff,
        pascanu2013_cliff.table(Study(aside, tables.updates, tables.gradients, tables.broken)),
    )

    assert "largest within 0.125 (in b) of that line" in caption


def test_a_gradient_of_zero_leaves_its_cell_white():
    tables = unit()
    none = tables.updates.assign(recurrent_grad_norm=0.0)
    some = tables.updates["recurrent_grad_norm"] > 1
    tables = Study(tables.runs, tables.updates.where(some, none), tables.gradients, tables.broken)

    figure = pascanu2013_cliff.draw(pascanu2013_cliff.table(tables))

    [mesh] = [m for m in figure.axes[1].collections if m.get_gid() == "log10_gradient"]
    assert np.ma.count(mesh.get_array()) == len(WEIGHTS)


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        (unit("tanh"), "sigmoid unit"),
        (unit(**{"task.length": [20, 50] * 6}), r"differ in task\.length"),
        (Study(unit().runs.drop(columns="init.bias"), *[unit().updates] * 3), r"init\.bias"),
        (Study(unit().runs, *[unit().updates.query("update == 1")] * 3), "update 0"),
    ],
    ids=["another unit", "two lengths", "no bias", "no start"],
)
def test_it_refuses_what_it_cannot_draw(tables, why):
    with pytest.raises(figures.CannotDraw, match=why):
        pascanu2013_cliff.table(tables)


def test_a_line_of_grid_points_is_no_map():
    one = unit()
    runs = one.runs[one.runs["init.weight"] == 5]

    with pytest.raises(figures.CannotDraw, match="two weights and two biases"):
        pascanu2013_cliff.table(Study(runs, one.updates, one.gradients, one.broken))
