"""Remedies: the dots are the table, sorted by what is learned, and every run of it is possible."""

import math

import numpy as np
import pandas as pd
import pytest

from rnn_exp import figures
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.parts.recipes import name_runs
from tests.studies import recipes, runs_of
from tests.tables import Study

FIGURE = figures.figure("remedies")
PLAIN = {"decay_rate": 0.6, "final_decay_rate": 0.61, "network.leak": np.nan}
CLIPPED = {**PLAIN, "training.clip_value": 0.1}
KEPT = {
    "init": "orthogonal",
    "network.parametrization": "orthogonal",
    "decay_rate": 0.95,
    "final_decay_rate": 0.97,
}
LSTM = {"network.cell": "lstm", "decay_rate": 0.64, "final_decay_rate": 0.98}
BASE = {"training.clip_norm": np.nan, "training.clip_value": np.nan}


def loss(row: dict, update: int) -> float:
    """The plain network stays at chance, 0.25; an LSTM gets to a fifth of it, give or take."""
    part = {"rnn": 1.0, "lstm": 0.2}[row["network.cell"]]
    part = 0.04 if row["network.parametrization"] == "orthogonal" else part
    return 0.25 * (part * (1 + 0.1 * (row["seed"] - 1)) if update > 40 else 1)


def mended(*several: dict, **more) -> Study:
    return recipes([{**BASE, **settings} for settings in several], loss, **more)


ALL = (LSTM, KEPT, PLAIN, CLIPPED)


def test_the_plain_network_comes_first_and_the_others_by_what_they_learned():
    plotted = FIGURE.table(mended(*ALL))
    table = plotted.table

    names = ["plain tanh network", "W kept orthogonal", "LSTM", "clipping by value"]
    assert [str(name) for name in table["series"]] == names
    np.testing.assert_allclose(table["loss"], [1, 0.04, 0.2, 1])
    np.testing.assert_allclose(table["loss_low"], [0.9, 0.036, 0.18, 0.9])
    np.testing.assert_allclose(table["start"], [0.6, 0.95, 0.64, 0.6])
    np.testing.assert_allclose(table["end"], [0.61, 0.97, 0.98, 0.61])
    assert table["seeds"].tolist() == [3, 3, 3, 3]


def test_the_dots_are_the_table():
    plotted = FIGURE.table(mended(*ALL))
    table = plotted.table

    left, right = FIGURE.draw(plotted).axes

    dots = {line.get_gid(): line for axes in (left, right) for line in axes.lines if line.get_gid()}
    for name in ("start", "end", "loss"):
        np.testing.assert_array_equal(dots[name].get_xdata(), table[name])
    before, after = (dots[name].get_ydata() for name in ("start", "end"))
    np.testing.assert_array_equal(dots["loss"].get_ydata(), range(4))
    # Both of a row beside each other, so that no bar covers the other.
    np.testing.assert_allclose(before + after, 2 * np.arange(4))
    assert (before < after).all()
    assert [label.get_text() for label in left.get_yticklabels()] == list(table["series"])
    assert dots["plain"].get_xdata()[0] == 1


def test_the_caption_counts_who_learned():
    caption = whole_caption(FIGURE, FIGURE.table(mended(*ALL)))

    assert caption.startswith(
        "Of the 3 remedies none keeps the gradient from vanishing before training; 2 let the "
        "network learn (W kept orthogonal and LSTM)."
    )
    assert (
        "the loss ends below half of that of chance with W kept orthogonal (0.04) and LSTM (0.2)."
        in caption
    )
    assert "It does not with plain tanh network and clipping by value." in caption
    said = (
        "With the plain tanh network it keeps 60 % of its size per step before training, after "
        "training it keeps 61 % of its size per step."
    )
    assert said in caption
    assert "nearest" not in caption


def test_the_rate_of_the_plain_network_has_its_interval_over_seeds():
    study = mended(*ALL)
    plain = study.runs["decay_rate"] == PLAIN["decay_rate"]
    study.runs.loc[plain, "decay_rate"] += 0.01 * study.runs.loc[plain, "seed"]

    said = "it keeps 61 % of its size per step (rate 0.61, 95 % over seeds 0.586 to 0.635) before "
    assert said in whole_caption(FIGURE, FIGURE.table(study))


def test_where_nobody_learned_the_caption_says_so():
    assert "no network ends below half of the loss of chance" in whole_caption(
        FIGURE, FIGURE.table(mended(PLAIN))
    )


def test_a_diverged_recipe_has_a_row_that_says_so():
    study = mended(PLAIN, LSTM)
    gone = study.runs["network.cell"] == "lstm"
    study.runs.loc[gone, "status"] = "diverged"

    plotted = FIGURE.table(study)
    table = plotted.table

    assert table["loss"].tolist() == [1, math.inf]
    right = FIGURE.draw(plotted).axes[1]
    assert "diverged" in [text.get_text() for text in right.texts]
    assert "3 runs diverged" in whole_caption(FIGURE, plotted)


def test_only_the_longest_sequences_are_shown_and_that_is_said():
    plotted = FIGURE.table(mended(PLAIN, LSTM, lengths=(20, 40)))
    table = plotted.table

    assert set(table["length"]) == {40}
    assert "Only T = 40 is shown (not 20)." in whole_caption(FIGURE, plotted)


def test_runs_that_do_not_know_what_guessing_scores_are_refused():
    study = mended(PLAIN)
    study.runs["chance_loss"] = np.nan

    with pytest.raises(figures.CannotDraw, match="guessing"):
        FIGURE.table(study)


def test_every_run_of_the_study_is_possible_and_has_a_name_of_a_recipe():
    runs = runs_of("remedies")

    assert len({run.digest for run in runs}) == len(runs)
    names = name_runs(pd.DataFrame([run.settings() for run in runs]), FIGURE.RECIPES)
    assert set(names) == {FIGURE.RECIPES.plain_name, *FIGURE.RECIPES.known}
    assert len(set(names.value_counts())) == 1


def test_what_all_runs_have_is_no_part_of_a_name_and_is_said_once():
    plain, clipped = FIGURE.table(mended(*ALL[:3])), {"training.clip_norm": 1.0}
    all_clipped = FIGURE.table(mended(*({**settings, **clipped} for settings in ALL[:3])))

    assert list(all_clipped.table["series"]) == list(plain.table["series"])
    assert whole_caption(FIGURE, all_clipped).count("All runs have clip norm 1.") == 1
    assert "All runs" not in whole_caption(FIGURE, plain)


def test_a_recipe_that_all_runs_follow_keeps_its_name():
    one = FIGURE.table(mended({**PLAIN, "training.clip_norm": 1.0}))
    assert list(one.table["series"]) == ["clipping by norm"]


def test_a_plain_network_is_called_by_its_own_activation():
    relu = {**PLAIN, "network.activation": "relu", "init": "identity"}
    sigmoid = {**PLAIN, "network.activation": "sigmoid"}
    table = FIGURE.table(mended(PLAIN, relu, sigmoid)).table

    assert set(map(str, table["series"])) == {
        "plain tanh network",
        "plain relu network, identity init",
        "plain sigmoid network",
    }
    assert str(table["series"].iloc[0]) == "plain tanh network"


def test_a_study_of_another_activation_has_its_own_plain_network():
    relu = {"network.activation": "relu"}
    plotted = FIGURE.table(mended({**LSTM, **relu}, {**PLAIN, **relu}))

    assert list(map(str, plotted.table["series"])) == ["plain relu network", "LSTM"]
    assert "With the plain relu network it keeps 60 %" in whole_caption(FIGURE, plotted)
