"""Networks whose gradients are measured, to hold theory against."""

import math

import torch

from rnn_exp.networks.cells import LayerWeights
from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.parameters import layer_weights
from rnn_exp.theory.drive import inputs_of_layer


def measured(cell, trace, x, weights, seed=0):
    """Return ln(‖g_{T-k}‖ / ‖g_T‖) for k = 0…T−1, of c where there is one; a random read-out."""
    draw = torch.Generator().manual_seed(seed + 1000)  # W is of the seed itself
    last = torch.randn(1, *trace.states.shape[1:], generator=draw, dtype=trace.states.dtype)
    found = cell.adjoint(last, trace, x, weights)
    total = found.total if found.memory is None else found.memory
    sizes = torch.linalg.vector_norm(total.double().flatten(1), dim=1).log().flip(0)
    return (sizes - sizes[0]).numpy()


def measured_on_task(network, task, weights, seed=0):
    """Return what `measured` does of a network of one layer on 32 of the run's own sequences."""
    own = {name: value.double().unsqueeze(0) for name, value in weights.items()}
    x = inputs_of_layer(network, task, seed, weights, 0)[:, :, :32].double()
    cell, layer = network.make_cell(), layer_weights(own, 0)
    start = x.new_full((1, x.shape[2], network.hidden_size), network.initial_state)
    return measured(cell, cell.forward(x, layer, start), x, layer, seed)


def driven_trace(cell, n, gain, drive, burn_in, T, seed, batch=2):
    """Return trace, inputs and weights of T steps behind a burn-in; N(0, s²) at unit and step."""
    draw = torch.Generator().manual_seed(seed)
    W = Gaussian(gain).recurrent(n, draw).unsqueeze(0)
    V = torch.eye(n, dtype=torch.float64).unsqueeze(0) * math.sqrt(drive)
    zeros = torch.zeros(1, n, dtype=torch.float64)
    weights = LayerWeights(V, W, zeros, zeros)
    x = torch.randn(burn_in + T, 1, batch, n, dtype=torch.float64, generator=draw)
    trace = cell.forward(x, weights, torch.zeros(1, batch, n, dtype=torch.float64))
    return trace.between(burn_in, burn_in + T), x[burn_in:], weights
