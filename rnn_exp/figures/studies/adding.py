"""The adding problem: which networks learn it, and which stay at chance?"""

from typing import Final

from matplotlib.figure import Figure

from rnn_exp.figures.parts import curves
from rnn_exp.figures.parts.recipes import Recipes
from rnn_exp.figures.parts.selection import Plotted, Tables

QUESTION: Final = "Which networks learn the adding problem?"
GENERAL_FIGURES: Final = ("decay",)

RECIPES: Final = Recipes(
    plain={"network.cell": "rnn", "network.activation": "tanh", "init": "torch"},
    plain_name="tanh",
    known={
        "relu, identity (IRNN)": {"network.activation": "relu", "init": "identity"},
        "GRU": {"network.cell": "gru"},
        "LSTM": {"network.cell": "lstm"},
        "LSTM, forget bias": {"network.cell": "lstm", "init": "forget_bias"},
        "LSTM, chrono init": {"network.cell": "lstm", "init": "chrono"},
    },
)


def table(tables: Tables) -> Plotted:
    """Return the loss of every network at each recorded update, and that of the best constant."""
    return curves.curve_table(tables, RECIPES)


def draw(plotted: Plotted) -> Figure:
    """Draw a panel a length, a line a network, the loss of the best constant dashed."""
    return curves.draw_curves(plotted, "mean squared error")


def caption(plotted: Plotted) -> str:
    """Say what is seen: who leaves the best constant behind."""
    return curves.curve_caption(plotted, "The adding problem")


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    return curves.curve_reading(plotted)
