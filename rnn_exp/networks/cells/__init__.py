"""Cells: how a layer's states come about, and how the gradient goes back through them.

A new cell is a module here with a `Cell` and its `CellKind`, and a word in the list below, whose
order is that in which messages name them.
"""

from rnn_exp.networks.cells.activations import ACTIVATIONS, Activation
from rnn_exp.networks.cells.base import CELLS, Adjoint, Cell, CellKind, LayerWeights, Trace
from rnn_exp.networks.cells.elman import PLAIN, Elman
from rnn_exp.networks.cells.gru import GATED_UNIT, GRU
from rnn_exp.networks.cells.lstm import LONG_SHORT, LSTM
from rnn_exp.networks.cells.normed import NORMED, Normed
from rnn_exp.networks.cells.skip import LEAKY, RESIDUAL, Skip

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "GRU",
    "LSTM",
    "Activation",
    "Adjoint",
    "Cell",
    "CellKind",
    "Elman",
    "LayerWeights",
    "Normed",
    "Skip",
    "Trace",
]

for kind in (PLAIN, LEAKY, RESIDUAL, NORMED, GATED_UNIT, LONG_SHORT):
    CELLS.register(kind)
