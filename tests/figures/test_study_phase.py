"""The map of gain and length: cells with known ratios, and seeds that solve by a rule."""

import numpy as np
import pytest

from rnn_exp import figures
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.studies import phase
from tests.tables import Study, rate, study

GAINS, LENGTHS = (0.5, 1.0, 2.0), (10, 30, 100)
ASKED = {"training.stop_when_solved": True}


def known(gains=GAINS, lengths=LENGTHS, activations=("tanh", "sigmoid")) -> Study:
    """Seeds solve where the rate is near 1; of T = 30 the first seed alone."""
    found = study(activations, gains, lengths, 3, (0,), **ASKED)
    rows = zip(*(found.runs[key] for key in ("network.activation", "init.gain")), strict=True)
    near = np.array([abs(rate(*row) - 1) < 0.15 for row in rows])
    near &= (found.runs["task.length"] != 30) | (found.runs["seed"] == 0)
    runs = found.runs.assign(status=np.where(near, "solved", "finished"))
    return Study(runs, found.updates, found.gradients, found.broken)


def test_a_cell_holds_the_median_ratio_and_the_seeds_that_solve():
    tables = known()

    table = phase.table(tables).table.set_index(["activation", "gain", "length"])

    start = tables.gradients
    first = start[start["time"] == 1].set_index("run")["log10_total"]
    last = start[start["lag"] == 0].set_index("run")["log10_total"]
    expected = (first - last)[[f"tanh-1.0-10-{seed}" for seed in range(3)]].median()
    assert table["log10_ratio"]["tanh", 1.0, 10] == expected
    assert table["solved"]["tanh", 1.0, 10] == 3
    assert table["solved"]["tanh", 1.0, 30] == 1
    assert table["solved"]["tanh", 0.5, 10] == 0
    assert (table["seeds"] == 3).all()
    assert len(table) == 18


def test_what_is_drawn_is_the_table():
    plotted = phase.table(known())
    table = plotted.table

    figure = phase.draw(plotted)

    maps = [c for axes in figure.axes for c in axes.collections if c.get_gid() in phase._SCALES]
    assert len(maps) == 4
    for mesh, (activation, name) in zip(
        maps, [(a, n) for n in phase._SCALES for a in ("tanh", "sigmoid")], strict=True
    ):
        part = table[table["activation"] == activation].sort_values(["length", "gain"])
        share = part["solved"] / part["seeds"]
        expected = part["log10_ratio"].clip(-12, 12) if name == "ratio" else share
        np.testing.assert_allclose(mesh.get_array().ravel(), expected)


def test_the_seeds_that_solve_are_written_into_their_cells():
    plotted = phase.table(known())

    figure = phase.draw(plotted)

    counts = [text.get_text() for a in figure.axes for text in a.texts if text.get_gid() == "count"]
    solved = plotted.table.query("solved > 0")["solved"]
    assert sorted(counts) == sorted(str(count) for count in solved)


def test_the_line_lies_where_the_gradient_has_changed_tenfold():
    gains, lengths = (0.25, 0.5, 1.0, 2.0, 4.0), (10, 20, 40)
    plotted = phase.table(known(gains, lengths, ("tanh",)))
    table = plotted.table
    table["log10_ratio"] = np.log2(table["gain"]) * table["length"] / 20

    [axes, *_] = phase.draw(plotted).axes

    [lines] = [c for c in axes.collections if c.get_gid() != "ratio"]
    corners = np.concatenate([path.vertices for path in lines.get_paths()])
    at_twenty = np.unique(corners[np.isclose(corners[:, 1], 20), 0].round(9))
    np.testing.assert_allclose(at_twenty, [0.5, 2.0])


def test_the_caption_counts_what_is_solved_on_either_side_and_adds_no_lengths_up():
    plotted = phase.table(known())
    table = plotted.table
    table["log10_ratio"] = np.where(table["gain"] < 1, -5.0, np.where(table["gain"] > 1, 7.0, 0.25))

    caption = whole_caption(phase, plotted)

    assert caption.startswith(
        "Yes: at T = 100, 3 of 6 runs solve the task where the gradient keeps its size within a "
        "factor of ten, and 0 of 12 elsewhere."
    )
    assert "At most 40 updates." in caption
    assert (
        "T = 10: where it is more than ten times smaller, 0 of 6 runs solve it; where it" in caption
    )
    assert (
        "T = 30: where it is more than ten times smaller, 0 of 6 runs solve it; where it" in caption
    )
    assert "keeps within a factor of ten, 1 of 6 runs solve it" in caption
    assert "where it is more than ten times larger, 0 of 6 runs solve it" in caption
    assert "of 18 runs" not in caption
    assert "The 2 cells in which every seed solves it have ratios from 1.78 (tanh, g" in caption


def test_a_gradient_of_zero_is_the_darkest_cell_and_draws_no_line_through_it():
    plotted = phase.table(known(lengths=(10, 100)))
    table = plotted.table
    table.loc[0, "log10_ratio"] = -np.inf

    figure = phase.draw(plotted)

    assert figure.axes[0].collections[0].get_array().min() == -12
    assert whole_caption(phase, plotted)


def test_nothing_solved_is_said():
    plotted = figures.Plotted(phase.table(known()).table.assign(solved=0))

    assert "Nowhere is it solved by every seed." in whole_caption(phase, plotted)
    assert phase.draw(plotted).axes


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        (lambda: study(("tanh",), GAINS, LENGTHS, 1), r"no column training\.stop_when_solved"),
        (
            lambda: study(("tanh",), GAINS, LENGTHS, 1, **{"training.stop_when_solved": False}),
            "stop_when_solved=true",
        ),
        (lambda: study(("tanh",), (1.0,), LENGTHS, 1, **ASKED), "two gains and two sequence"),
        (lambda: study(("tanh",), GAINS, (10,), 1, **ASKED), "two gains and two sequence"),
        (lambda: study(("tanh",), GAINS, LENGTHS, 1, (10,), **ASKED), "of update 0"),
    ],
    ids=["no such setting", "not asked for", "one gain", "one length", "no start"],
)
def test_what_cannot_be_drawn_is_refused_in_words(tables, why):
    with pytest.raises(figures.CannotDraw, match=why):
        phase.table(tables())
