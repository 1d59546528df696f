"""Networks: cells with exact adjoints, initial weights, and from a loss to all gradients.

Importing any of it imports all of it, so that the registries of activations, cells, engines and
inits are always full.
"""

from rnn_exp.networks.cells import ACTIVATIONS, CELLS, Activation, Cell, CellKind, step_cell
from rnn_exp.networks.gradients import Gradients
from rnn_exp.networks.inits import INITS, Init
from rnn_exp.networks.network import ENGINES, Engine, Network
from rnn_exp.networks.parameters import Parameters
from rnn_exp.networks.parametrizations import PARAMETRIZATIONS
from rnn_exp.networks.readout import Objective

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "ENGINES",
    "INITS",
    "PARAMETRIZATIONS",
    "Activation",
    "Cell",
    "CellKind",
    "Engine",
    "Gradients",
    "Init",
    "Network",
    "Objective",
    "Parameters",
    "step_cell",
]
