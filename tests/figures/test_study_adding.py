"""The study of adding: its runs are possible, each with a name; its figure is that of curves."""

import pandas as pd

from rnn_exp import figures
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.parts.recipes import name_runs
from tests.studies import recipes, runs_of

FIGURE = figures.figure("adding")


def test_every_run_of_the_study_is_possible_and_has_a_name_of_a_recipe():
    runs = runs_of("adding")

    assert len({run.digest for run in runs}) == len(runs)
    names = name_runs(pd.DataFrame([run.settings() for run in runs]), FIGURE.RECIPES)
    assert set(names) == {"tanh", "relu, identity (IRNN)", "GRU", "LSTM, chrono init"}
    assert len(set(names.value_counts())) == 1


def test_the_networks_are_drawn_in_the_order_of_the_recipes_with_chance():
    irnn = {"network.activation": "relu", "init": "identity", "init.gain": 1.0}
    several = [{"network.cell": "lstm"}, irnn, {}]
    study = recipes(several, lambda row, update: 0.2 if row["init"] == "torch" else 0.01)

    plotted = FIGURE.table(study)

    figure = FIGURE.draw(plotted)
    labels = [label for _, label in figure._entries]
    assert labels == ["tanh", "relu, identity (IRNN)", "LSTM", "chance: no memory"]
    caption = whole_caption(FIGURE, plotted)
    assert "T = 20: the loss ends at relu, identity (IRNN) 0.01; tanh 0.2; LSTM 0.2" in caption
    assert "(chance 0.25)" in caption
