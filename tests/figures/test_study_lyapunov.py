"""The figure of Lyapunov exponents: known spectra, their medians, and what it refuses."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from rnn_exp import figures
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.studies import lyapunov
from tests.tables import Study, study

GAINS, UNITS = (0.5, 1.0, 2.0, 4.0), 64


@dataclasses.dataclass(frozen=True)
class Measured(Study):
    """A study with a table of exponents."""

    exponents: pd.DataFrame


def known(updates: tuple[int, ...] = (0, 40), seeds: int = 3, **settings: object) -> Measured:
    """Exponent i is ln g − i at update 0 and half of that at later ones; a seed adds 0.1."""
    tables = study(("tanh",), GAINS, (10,), seeds, (0,), **settings)
    index = np.arange(1, UNITS + 1)
    rows = [
        pd.DataFrame(
            {
                "run": run.run,
                "update": update,
                "index": index,
                "exponent": (np.log(gain) - index) * (0.5 if update else 1) + 0.1 * run.seed,
            }
        )
        for run, gain in zip(tables.runs.itertuples(), tables.runs["init.gain"], strict=True)
        for update in updates
    ]
    runs = tables.runs.assign(predicted_rate=tables.runs["init.gain"] / np.e)
    return Measured(runs, tables.updates, tables.gradients, tables.broken, pd.concat(rows))


def test_the_table_has_the_median_and_range_of_every_exponent():
    table = lyapunov.table(known()).table.set_index(["gain", "when", "index"])

    row = table.loc[(2.0, "before", 3)]
    np.testing.assert_allclose(
        row[["low", "median", "high"]].astype(float), np.log(2) - 3 + np.array([0, 0.1, 0.2])
    )
    assert table.loc[(2.0, "after", 3), "median"] == pytest.approx((np.log(2) - 3) / 2 + 0.1)
    assert row["share"] == 3 / UNITS
    assert len(table) == len(GAINS) * 2 * UNITS


def test_theory_is_the_logarithm_of_the_predicted_rate_and_for_the_first_alone():
    plotted = lyapunov.table(known())
    table = plotted.table
    first = table[table["index"] == 1]

    np.testing.assert_allclose(first["predicted"], np.log(first["gain"]) - 1)
    assert table.loc[table["index"] > 1, "predicted"].isna().all()


def test_what_is_drawn_is_the_table():
    plotted = lyapunov.table(known())
    table = plotted.table

    first, *others = lyapunov.draw(plotted).axes

    [dashed] = [line for line in first.lines if line.get_gid() == "predicted"]
    assert dashed.get_linestyle() == "--"
    np.testing.assert_allclose(dashed.get_ydata(), np.log(GAINS) - 1)
    for container, when in zip(first.containers, ("before", "after"), strict=True):
        rows = table[(table["index"] == 1) & (table["when"] == when)]
        np.testing.assert_array_equal(container.lines[0].get_ydata(), rows["median"])
    titles = [f"all exponents, g = {gain}" for gain in ("0.5", "2", "4")]
    assert [axes.get_title(loc="left") for axes in others] == titles
    for axes, gain in zip(others, (0.5, 2.0, 4.0), strict=True):
        lines = {str(line.get_gid()): line.get_ydata() for line in axes.lines}
        for when in ("before", "after"):
            rows = table[(table["gain"] == gain) & (table["when"] == when)]
            np.testing.assert_array_equal(lines[when], rows["median"])


def test_bars_of_before_and_after_stand_beside_one_another():
    first = lyapunov.draw(lyapunov.table(known())).axes[0]

    before, after = (container.lines[0].get_xdata() for container in first.containers)

    assert (before < GAINS).all()
    assert (after > GAINS).all()
    markers = {container.lines[0].get_marker() for container in first.containers}
    assert markers == {"o", "s"}


def test_of_two_gains_a_panel_is_not_shown():
    tables = known()
    two = tables.runs[tables.runs["init.gain"] < 2]

    axes = lyapunov.draw(lyapunov.table(dataclasses.replace(tables, runs=two))).axes

    assert [one.get_visible() for one in axes] == [True, True, True, False]


def test_an_exponent_of_minus_infinity_leaves_a_gap():
    tables = known()
    lost = tables.exponents["index"] == UNITS
    exponents = tables.exponents.assign(exponent=tables.exponents["exponent"].mask(lost, -np.inf))

    plotted = lyapunov.table(dataclasses.replace(tables, exponents=exponents))

    [line] = [line for line in lyapunov.draw(plotted).axes[1].lines if line.get_gid() == "before"]
    assert np.isnan(np.asarray(line.get_ydata())).tolist() == [False] * (UNITS - 1) + [True]
    assert whole_caption(lyapunov, plotted).endswith(".")


def test_the_caption_says_how_far_theory_is_off_and_what_training_moves():
    caption = whole_caption(lyapunov, lyapunov.table(known()))

    # At g = 4 the first exponent is ln 4 - 1 + 0.1 before; after, the first is half of it + 0.1.
    assert caption.startswith(
        "At g = 4, 1 of 64 directions grow before training (largest exponent 0.486, 0.386 to 0.586 "
        "over 3 seeds) and 1 after it (largest exponent 0.293, 0.193 to 0.393 over 3 seeds)."
    )
    # The median seed is 0.1 above; λ₁ = ln g − 0.9 before and (ln g − 1) / 2 + 0.1 after.
    assert "Before training ½ ln χ is off the largest exponent by 0.1 to 0.1" in caption
    assert "positive at 1 of 4 gains before training and at 1 after it, nearer to 0 at 4" in caption
    assert "the largest move is at g = 0.5, from -1.59 to -0.747" in caption
    assert "lowest to highest seed. 3 seeds." in caption


def test_without_theory_it_is_drawn_and_said():
    tables = known()
    runs = tables.runs.assign(predicted_rate=np.nan)

    caption = whole_caption(lyapunov, lyapunov.table(dataclasses.replace(tables, runs=runs)))

    assert "No mean field holds" in caption


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        (study(("tanh",), GAINS, (10,), 1), r"recording\.exponents"),
        (dataclasses.replace(known(), exponents=known().exponents[:0]), r"recording\.exponents"),
        (known((0,)), "both at update 0 and at a later one"),
        (known((10, 20)), "both at update 0 and at a later one"),
    ],
    ids=["no table", "empty", "never after", "never before"],
)
def test_it_refuses_what_it_cannot_draw(tables, why):
    with pytest.raises(figures.CannotDraw, match=why):
        lyapunov.table(tables)
