"""Cells: losses in parts of chance, norms relative to lag 0, weights 1 : 3 : 4, as in the table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rnn_exp import figures
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.parts.recipes import name_runs
from tests.studies import recipes, runs_of
from tests.tables import Study

FIGURE = figures.figure("cells")
RATES = {"rnn": 0.5, "gru": 0.7, "lstm": 0.6}
REACH = {"rnn": 10, "gru": 20, "lstm": 40}
LENGTHS = (10, 20, 40)
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def compared(memory: bool = True) -> Study:
    """Each cell learns up to its reach, and has a rate of its own; that of c is 0.9."""
    study = recipes(
        [{"network.cell": cell} for cell in RATES],
        lambda row, update: 0.25 if row["task.length"] > REACH[row["network.cell"]] else 0.01,
        LENGTHS,
    )
    rows = [
        {
            "run": run["run"],
            "update": 0,
            "layer": 0,
            "time": run["task.length"] - lag,
            "lag": lag,
            "status": "ok",
            "log10_total": -1.0 - run["seed"] + lag * np.log10(RATES[run["network.cell"]]),
            "log10_memory": 2.0 + lag * np.log10(0.9) if run["network.cell"] == "lstm" else np.nan,
        }
        for run in study.runs.to_dict("records")
        for lag in range(run["task.length"])
    ]
    gradients = pd.DataFrame(rows)
    weights = study.runs["network.cell"].map(GATES) * study.runs["network.hidden_size"] ** 2
    return replace(
        study,
        runs=study.runs.assign(recurrent_weights=weights),
        gradients=gradients if memory else gradients.drop(columns="log10_memory"),
    )


def part(table: pd.DataFrame, quantity: str, series: str) -> pd.DataFrame:
    return table[(table["quantity"] == quantity) & (table["series"] == series)].sort_values("x")


def test_losses_are_in_parts_of_chance():
    plotted = FIGURE.table(compared())
    table = plotted.table

    assert part(table, "loss", "RNN")["median"].tolist() == pytest.approx([0.04, 1, 1])
    assert part(table, "loss", "GRU")["median"].tolist() == pytest.approx([0.04, 0.04, 1])
    assert part(table, "loss", "LSTM")["median"].tolist() == pytest.approx([0.04, 0.04, 0.04])


def test_norms_are_those_of_the_longest_sequences_relative_to_lag_0_of_the_same_run():
    plotted = FIGURE.table(compared())
    table = plotted.table

    for cell, rate in (("RNN", 0.5), ("GRU", 0.7), ("LSTM", 0.6)):
        rows = part(table, "state", cell)
        np.testing.assert_allclose(rows["log10_median"], np.arange(40) * np.log10(rate), atol=1e-12)
        np.testing.assert_allclose(rows["log10_low"], rows["log10_high"], atol=1e-12)
    memory = table[table["quantity"] == "memory"]
    assert set(memory["series"]) == {"LSTM"}
    np.testing.assert_allclose(memory["log10_median"], np.arange(40) * np.log10(0.9), atol=1e-12)


def test_weights_are_one_to_three_to_four():
    plotted = FIGURE.table(compared())
    table = plotted.table

    weights = table.groupby("series", observed=True)["weights"].unique()
    assert [list(some) for some in weights] == [[64**2], [3 * 64**2], [4 * 64**2]]


def test_of_results_that_do_not_say_how_many_weights_there_are_none_are_told():
    study = compared()

    plotted = FIGURE.table(replace(study, runs=study.runs.drop(columns="recurrent_weights")))

    assert plotted.table["weights"].isna().all()
    labels = [text.get_text() for text in FIGURE.draw(plotted).legends[0].get_texts()]
    assert labels[:3] == ["RNN", "GRU", "LSTM"]
    caption = whole_caption(FIGURE, plotted)
    assert "RNN learns T = 10; at T = 40 its loss is 100 % of that of chance." in caption
    assert "weights" not in caption


def test_what_is_drawn_is_the_table():
    plotted = FIGURE.table(compared())
    table = plotted.table

    left, right = FIGURE.draw(plotted).axes

    for line, cell in zip(left.lines, ("RNN", "GRU", "LSTM"), strict=False):
        np.testing.assert_array_equal(line.get_ydata(), part(table, "loss", cell)["median"])
    states = [line for line in right.lines if line.get_gid() == "state"]
    for line, cell in zip(states, ("RNN", "GRU", "LSTM"), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), part(table, "state", cell)["log10_median"])
    assert len([line for line in right.lines if line.get_gid() == "memory"]) == 1


def test_a_length_beyond_one_that_is_not_learned_does_not_count():
    plotted = FIGURE.table(compared())
    rows = plotted.table
    fails = (rows["quantity"] == "loss") & (rows["x"] == 10)
    middle = rows["median"].mask(fails & (rows["series"] == "LSTM"), 1.0)

    caption = FIGURE.caption(figures.Plotted(rows.assign(median=middle)))

    assert "LSTM learns no length (the shortest is T = 10). " in caption


def test_the_caption_says_who_learns_up_to_which_length():
    caption = whole_caption(FIGURE, FIGURE.table(compared()))

    assert caption.startswith(
        "RNN learns up to T = 10; GRU learns up to T = 20; LSTM learns up to T = 40. Learned "
        "means: the median loss of 3 seeds ends below half of that of chance."
    )
    assert (
        "RNN (4,096 weights) learns T = 10; at T = 40 its loss is 100 % of that of chance."
        in caption
    )
    assert (
        "GRU (12,288 weights) learns T = 10 and 20; at T = 40 its loss is 100 % of that of chance."
        in caption
    )
    assert (
        "LSTM (16,384 weights) learns T = 10, 20 and 40; at T = 40 its loss is 4 % of that of "
        "chance." in caption
    )
    assert "1.8e-12 at lag 39 with RNN" in caption
    assert "0.0164 at lag 39 with LSTM in its memory c" in caption


def test_tables_without_a_memory_are_drawn_without_one():
    plotted = FIGURE.table(compared(memory=False))
    table = plotted.table

    assert set(table["quantity"]) == {"loss", "state"}
    FIGURE.draw(plotted)


def test_a_run_that_has_not_ended_is_left_out_and_told():
    study = compared()
    first = study.runs["run"].iloc[0]
    running = study.runs.assign(
        status=study.runs["status"].mask(study.runs["run"] == first, "running")
    )
    updates = study.updates[study.updates["run"] != first]

    plotted = FIGURE.table(replace(study, runs=running, updates=updates))
    table = plotted.table

    assert part(table, "loss", "RNN")["seeds"].tolist() == [2, 3, 3]
    assert "1 run had not ended: not shown." in whole_caption(FIGURE, plotted)


def test_a_setting_that_follows_the_length_parts_no_recipe():
    several = [{"network.cell": "lstm", "init": "chrono", "init.longest": 10}]
    runs = recipes(several, lambda row, update: 1.0, (10, 20)).runs
    runs["init.longest"] = runs["task.length"]

    assert set(name_runs(runs, FIGURE.RECIPES)) == {"LSTM, chrono init"}


def test_runs_that_do_not_know_what_guessing_scores_are_refused():
    study = compared()

    with pytest.raises(figures.CannotDraw, match="chance_loss"):
        FIGURE.table(replace(study, runs=study.runs.drop(columns="chance_loss")))


def test_every_run_of_the_study_is_possible_and_has_a_name_of_a_recipe():
    runs = runs_of("cells")

    assert len({run.digest for run in runs}) == len(runs)
    names = name_runs(pd.DataFrame([run.settings() for run in runs]), FIGURE.RECIPES)
    assert set(names) == {"RNN", "GRU", "LSTM", "LSTM, chrono init"}
    assert len(set(names.value_counts())) == 1
