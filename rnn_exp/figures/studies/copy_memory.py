"""Copy memory: which networks carry symbols over a delay, and which stay on the baseline?"""

from typing import Final

from matplotlib.figure import Figure

from rnn_exp.figures.parts import curves
from rnn_exp.figures.parts.recipes import Recipes
from rnn_exp.figures.parts.selection import Plotted, Tables

QUESTION: Final = "Which networks carry a few symbols over a delay?"

RECIPES: Final = Recipes(
    plain={
        "network.cell": "rnn",
        "network.activation": "tanh",
        "init": "torch",
        "network.parametrization": "free",
    },
    plain_name="tanh, default init",
    known={
        "tanh, orthogonal init": {"init": "orthogonal"},
        "tanh, W kept orthogonal": {"init": "orthogonal", "network.parametrization": "orthogonal"},
        "GRU": {"network.cell": "gru"},
        "LSTM": {"network.cell": "lstm"},
        "GRU, chrono init": {"network.cell": "gru", "init": "chrono"},
        "LSTM, chrono init": {"network.cell": "lstm", "init": "chrono"},
    },
)


def table(tables: Tables) -> Plotted:
    """Return the loss of every recipe at each recorded update, and the memoryless baseline."""
    return curves.curve_table(tables, RECIPES)


def draw(plotted: Plotted) -> Figure:
    """Draw a panel a delay, a line a recipe, the memoryless baseline dashed."""
    return curves.draw_curves(plotted, "cross-entropy a step")


def caption(plotted: Plotted) -> str:
    """Say what is seen: who leaves the baseline."""
    return curves.curve_caption(plotted, "Carrying symbols over the delay")


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    return curves.curve_reading(plotted)
