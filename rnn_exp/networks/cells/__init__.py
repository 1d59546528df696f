"""Cells: how a layer's states come about, and how the gradient goes back through them.

A new cell is a module here with a `Cell` and its `CellKind`, and a word in the list below, whose
order is that in which messages name them; a new activation is one more in `known_activations`.
"""

from rnn_exp.networks.cells.activations import ACTIVATIONS, Activation
from rnn_exp.networks.cells.base import (
    CELLS,
    TORCHS,
    Adjoint,
    Cell,
    CellKind,
    Jacobian,
    LayerWeights,
    StepBack,
    Totals,
    Trace,
)
from rnn_exp.networks.cells.elman import PLAIN_KIND, Elman
from rnn_exp.networks.cells.gru import GRU, GRU_KIND
from rnn_exp.networks.cells.known_activations import KNOWN
from rnn_exp.networks.cells.lstm import LSTM, LSTM_KIND
from rnn_exp.networks.cells.normed import NORMED_KIND, Normed
from rnn_exp.networks.cells.own import step_cell
from rnn_exp.networks.cells.recorded import Measured, Measures, OwnContributions
from rnn_exp.networks.cells.skip import LEAKY_KIND, RESIDUAL_KIND, Skip

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "GRU",
    "LSTM",
    "TORCHS",
    "Activation",
    "Adjoint",
    "Cell",
    "CellKind",
    "Elman",
    "Jacobian",
    "LayerWeights",
    "Measured",
    "Measures",
    "Normed",
    "OwnContributions",
    "Skip",
    "StepBack",
    "Totals",
    "Trace",
    "step_cell",
]

for activation in KNOWN:
    ACTIVATIONS.register(activation)
for kind in (PLAIN_KIND, LEAKY_KIND, RESIDUAL_KIND, NORMED_KIND, GRU_KIND, LSTM_KIND):
    CELLS.register(kind)
