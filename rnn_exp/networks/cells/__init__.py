"""Cells: how a layer's states come about, and how the gradient goes back through them."""

from rnn_exp.networks.cells.base import Adjoint, Cell, LayerWeights, Trace
from rnn_exp.networks.cells.elman import Elman
from rnn_exp.networks.cells.gru import GRU
from rnn_exp.networks.cells.lstm import LSTM
from rnn_exp.networks.cells.normed import Normed
from rnn_exp.networks.cells.skip import Skip

__all__ = ["GRU", "LSTM", "Adjoint", "Cell", "Elman", "LayerWeights", "Normed", "Skip", "Trace"]
