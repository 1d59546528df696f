"""What every command does first, done once: a fork server that imports this has it done for all.

Hydra looks for plugins, the parsers of its two grammars learn what comes after what, and numba
reads its own tables before it runs the first kernel: together two thirds of a small command.
"""

import gc
import sys
from pathlib import Path

import torch

import rnn_exp
from rnn_exp.networks import Network
from rnn_exp.networks.cells import LayerWeights
from tests import read_once
from tests.studies import composed

read_once.start()
sys.path.append(str(Path(rnn_exp.__file__).parent / "_hydra"))
composed("task=adding", "init.gain=0.5")
# A step there and back. No run is trained: MKL reads what is asked of it when it first multiplies.
network, one = Network(engine="kernel"), torch.ones(1, 1, 1, 1)
cell = network.make_cell()
weights = LayerWeights(*(one.new_ones(1, *size) for size in network.kind.shapes(1, 1).values()))
cell.adjoint(one, cell.forward(one, weights, one[0]), one, weights)
# What is there stays: a search for cycles in a forked process would copy all pages of it.
gc.freeze()
