"""The map of the edge: rates known in closed form, crossings by hand, and what it refuses."""

import numpy as np
import pandas as pd
import pytest

from rnn_exp import figures
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.studies import edge_of_chaos
from tests.tables import SETTINGS, Study

DRIVES, GAINS, SEEDS = (0.01, 0.1, 1.0), (0.5, 1.0, 2.0, 4.0), 2


def driven(theory: bool = True, length: int = 60, drives: tuple[float, ...] = DRIVES) -> Study:
    """Measured rate g / (1 + s^2), predicted g / (1 + s^2 / 2): they cross 1 at these gains."""
    runs, rows = [], []
    for drive in drives:
        for gain in GAINS:
            for seed in range(SEEDS):
                name = f"{drive} {gain} {seed}"
                values = dict.fromkeys(SETTINGS, 1)
                predicted = gain / (1 + drive / 2) if theory else np.nan
                own = {
                    "run": name,
                    "init.input_scale": drive,
                    "init.gain": gain,
                    "seed": seed,
                    "drive": drive,
                    "predicted_rate": predicted,
                }
                runs.append(values | own)
                lag = np.arange(length)
                slope = np.log10(gain / (1 + drive))
                rows.append(
                    pd.DataFrame(
                        {
                            "run": name,
                            "update": 0,
                            "layer": 0,
                            "time": length - lag,
                            "lag": lag,
                            "log10_total": slope * lag - seed,
                            "log10_predicted": np.log10(predicted) * lag - seed,
                            "status": "ok",
                        }
                    )
                )
    frame = pd.DataFrame(runs)
    return Study(frame, frame[["run"]].assign(update=0), pd.concat(rows), frame)


def test_the_table_has_the_rates_of_each_drive_and_gain():
    plotted = edge_of_chaos.table(driven())
    table = plotted.table

    assert len(table) == len(DRIVES) * len(GAINS)
    assert (table["seeds"] == SEEDS).all()
    np.testing.assert_allclose(table["measured"], table["gain"] / (1 + table["drive"]))
    np.testing.assert_allclose(table["predicted"], table["gain"] / (1 + table["drive"] / 2))


def test_the_edges_are_where_the_rates_cross_1():
    edges = edge_of_chaos.critical_gains(edge_of_chaos.table(driven()).table)

    np.testing.assert_allclose(edges["drive"], DRIVES)
    np.testing.assert_allclose(edges["measured"], 1 + edges["drive"])
    np.testing.assert_allclose(edges["predicted"], 1 + edges["drive"] / 2)


def test_what_is_drawn_is_the_table():
    plotted = edge_of_chaos.table(driven())
    table = plotted.table

    axes = edge_of_chaos.draw(plotted).axes[0]

    lines = {str(line.get_gid()): line for line in axes.lines}
    assert (lines["measured"].get_linestyle(), lines["predicted"].get_linestyle()) == ("-", "--")
    np.testing.assert_allclose(lines["measured"].get_xdata(), np.log10(DRIVES))
    np.testing.assert_allclose(lines["measured"].get_ydata(), [1.01, 1.1, 2])
    np.testing.assert_allclose(lines["predicted"].get_ydata(), [1.005, 1.05, 1.5])
    values = np.reshape(axes.collections[0].get_array(), (len(GAINS), len(DRIVES)))
    expected = table.pivot_table(index="gain", columns="drive", values="measured")
    np.testing.assert_allclose(10.0**values, expected)


def test_a_rate_of_1_has_the_middle_colour():
    mesh = edge_of_chaos.draw(edge_of_chaos.table(driven())).axes[0].collections[0]

    assert mesh.norm(0.0) == 0.5


def test_the_scale_of_colours_goes_as_far_below_1_as_above():
    bar = edge_of_chaos.draw(edge_of_chaos.table(driven())).axes[1]

    low, high = bar.get_ylim()
    ticks = bar.get_yticks()
    assert low == -high
    np.testing.assert_allclose(ticks, -ticks[::-1], atol=1e-12)
    assert len(ticks) == 7


def test_the_caption_gives_the_edge_and_the_largest_gap():
    caption = whole_caption(edge_of_chaos, edge_of_chaos.table(driven()))

    assert caption.startswith("The input moves the edge by a factor of 1.98, from g = 1.01 (95 %")
    assert "from g = 1.01 (95 % over seeds: 1.01 to 1.01) at a drive of 0.01 to g = 2 " in caption
    assert "off by at most 0.5 in g: measured g = 2 (95 % over seeds: 2 to 2) at a drive" in caption
    assert "of 1, predicted g = 1.5." in caption
    # (ln (1 + 1) - ln (1 + 1/2)) · 45 lags / ln 10
    assert "from lag 5 to lag 50 differ by at most 5.62 decades (drive 1, g = " in caption
    assert "12 points of up to 2 seeds each." in caption


def test_the_edge_is_told_where_theory_has_none_and_where_no_rate_crosses_1_it_is_said():
    plotted = edge_of_chaos.table(driven())
    table = plotted.table
    quiet, loud = table["drive"] < 0.05, table["drive"] > 0.5
    edges = table[list(edge_of_chaos._EDGE)].mask(loud)
    table = table.assign(predicted=table["predicted"].mask(quiet), **edges)

    caption = edge_of_chaos.caption(figures.Plotted(table))

    assert "from g = 1.01 (95 % over seeds: 1.01 to 1.01) at a drive of 0.01 to g = 1.1" in caption
    assert "Within these gains no rate crosses 1 at a drive of 1." in caption
    assert "Theory is off by 0.05 in g" in caption


def test_a_bar_that_leaves_the_map_is_told():
    plotted = edge_of_chaos.table(driven())
    far = plotted.table["edge_high"].mask(plotted.table["drive"] > 0.5, 9.0)

    said = edge_of_chaos.reading(figures.Plotted(plotted.table.assign(edge_high=far)))

    assert "1 bar goes beyond the map." in said


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        (driven(theory=False), "No theory holds"),
        (driven(length=20), "lag from 5 to 50"),
        (driven(drives=(0.1,)), "two drives and two gains"),
        (driven(drives=(0.0, 0.1)), "no drive"),
    ],
    ids=["no theory", "too short", "one drive", "no drive"],
)
def test_it_refuses_what_it_cannot_draw(tables, why):
    with pytest.raises(figures.CannotDraw, match=why):
        edge_of_chaos.table(tables)


def test_runs_that_differ_in_something_else_are_refused_by_its_name():
    tables = driven()
    runs = tables.runs.assign(**{"task.length": range(len(tables.runs))})

    with pytest.raises(figures.CannotDraw, match=r"differ in task\.length"):
        edge_of_chaos.table(Study(runs, tables.updates, tables.gradients, runs))


def test_a_run_that_has_not_finished_is_left_out():
    tables = driven()
    lost = tables.runs["drive"].where(tables.runs.index > 0)

    plotted = edge_of_chaos.table(
        Study(tables.runs.assign(drive=lost), tables.updates, tables.gradients, tables.broken)
    )
    table = plotted.table

    assert table["seeds"].tolist() == [1] + [2] * (len(DRIVES) * len(GAINS) - 1)
