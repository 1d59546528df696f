"""The figure of a loss at every step: profiles with known ratios, and what it refuses."""

import numpy as np
import pandas as pd
import pytest

from rnn_exp import figures
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.studies import masking
from tests.tables import Study, study

LENGTHS = (10, 20)


def both() -> Study:
    """Runs with a loss at every step (flat, late falls to a half a lag), and at the last only."""
    one = study(("tanh",), (1.0,), LENGTHS, 3, (0,), **{"training.loss_at": "task"})
    two = study(("tanh",), (1.0,), LENGTHS, 3, (0,), **{"training.loss_at": "every"})
    falling = np.log10(0.5) * one.gradients["lag"] + 0.01 * one.gradients["seed"]
    last = one.gradients.assign(log10_total=falling, log10_late=np.nan)
    rows = two.gradients.assign(
        run="every-" + two.gradients["run"],
        log10_late=falling,
        status_late="ok",
        log10_total=np.where(two.gradients["time"] == 1, np.log10(1.5), 0.0),
    )
    runs = pd.concat([one.runs, two.runs.assign(run="every-" + two.runs["run"])])
    rows = pd.concat([last, rows], ignore_index=True)
    return Study(runs.reset_index(drop=True), one.updates, rows, one.broken)


def only(tables: Study, loss_at: str) -> Study:
    runs = tables.runs[tables.runs["training.loss_at"] == loss_at]
    return Study(runs, tables.updates, tables.gradients, tables.broken)


def test_the_three_losses_have_the_norms_of_their_rows():
    table = (
        masking.table(both())
        .table.set_index(["loss", "length", "lag"])["log10_median"]
        .sort_index()
    )

    for length in LENGTHS:
        lag = np.arange(length)
        np.testing.assert_allclose(table["late", length], 0.01 + lag * np.log10(0.5))
        np.testing.assert_allclose(table["last", length], 0.01 + lag * np.log10(0.5))
        np.testing.assert_allclose(table["every", length], np.log10(1.5) * (lag == length - 1))


def test_what_is_drawn_is_the_table():
    plotted = masking.table(both())
    table = plotted.table

    figure = masking.draw(plotted)

    assert [axes.get_title(loc="left") for axes in figure.axes] == ["T = 10", "T = 20"]
    for axes, length in zip(figure.axes, LENGTHS, strict=True):
        for loss in ("every", "late"):
            [line] = [line for line in axes.lines if line.get_gid() == loss]
            rows = table[(table["loss"] == loss) & (table["length"] == length)]
            np.testing.assert_array_equal(line.get_ydata(), rows["log10_median"])


def test_the_caption_gives_the_ratio_of_first_to_last_of_both_losses():
    caption = whole_caption(masking, masking.table(both()))

    assert caption.startswith(
        "Yes: at the first of 20 steps the norm is 1.5 (1.5 to 1.5 over 3 seeds) with a loss at "
        "every step, and 2e-06 (1.9e-06 to 2e-06 over 3 seeds) for the last of these losses alone."
    )
    assert "with a loss at every step 1.5 and 1.5 (T = 10, T = 20)" in caption
    assert "for the last answer of the very same networks 0.00195 and 1.9e-06" in caption
    assert "have the same norms as that last answer at every lag." in caption
    assert caption.endswith(" 3 seeds.")


def test_without_runs_of_a_last_loss_the_others_are_drawn():
    plotted = masking.table(only(both(), "every"))
    table = plotted.table

    assert set(table["loss"]) == {"every", "late"}
    assert "last step only" not in whole_caption(masking, plotted)
    assert masking.draw(plotted).axes


def test_a_zero_of_the_late_gradient_is_marked():
    tables = both()
    lost = (tables.gradients["lag"] == 19) & tables.gradients["log10_late"].notna()
    late = tables.gradients["log10_late"]
    status = tables.gradients["status_late"].mask(lost, "zero")
    rows = tables.gradients.assign(log10_late=late.mask(lost, -np.inf), status_late=status)

    plotted = masking.table(Study(tables.runs, tables.updates, rows, tables.broken))
    table = plotted.table

    marked = table[table["floor"] > 0]
    assert marked[["loss", "lag", "floor"]].to_numpy().tolist() == [["late", 19, 3]]
    figure = masking.draw(plotted)
    assert "no number: zero, cut off or lost" in [
        text.get_text() for text in figure.legends[0].get_texts()
    ]


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        (lambda: only(both(), "task"), "No run has training.loss_at=every"),
        (lambda: study(("tanh",), (1.0,), (10,), 1), r"no column training\.loss_at"),
        (lambda: study(("tanh",), (1.0,), (10,), 1, **{"training.loss_at": "every"}), "recorded"),
    ],
    ids=["no loss at every step", "no such setting", "no late gradient"],
)
def test_what_cannot_be_drawn_is_refused_in_words(tables, why):
    with pytest.raises(figures.CannotDraw, match=why):
        masking.table(tables())


@pytest.mark.parametrize(
    ("shift", "said"),
    [
        (0.3, "those of that last answer differ by a factor of 2 at most, at any lag."),
        (-np.inf, "at every other lag; at 9 lags only one of both is a number above 0."),
    ],
)
def test_norms_that_differ_from_those_of_the_last_answer_are_not_called_the_same(shift, said):
    plotted = masking.table(both())
    is_far = (plotted.table["loss"] == masking.LAST) & (plotted.table["lag"] > 10)
    norms = plotted.table["log10_median"] + np.where(is_far, shift, 0.0)

    caption = masking.caption(figures.Plotted(plotted.table.assign(log10_median=norms)))

    assert said in caption
