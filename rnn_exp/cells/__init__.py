"""Cells: how a layer's states come about, and how the gradient goes back through them."""

from rnn_exp.cells.base import Adjoint, Cell, LayerWeights, Trace
from rnn_exp.cells.elman import Elman

__all__ = ["Adjoint", "Cell", "Elman", "LayerWeights", "Trace"]
