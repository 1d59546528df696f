"""The LSTM, against torch's own and closed forms; what its table says of the memory."""

import math

import numpy as np
import pytest
import torch

from rnn_exp.networks.cells import CELLS, LSTM, LayerWeights
from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.inits import ForgetBias, Gaussian, TorchDefault
from rnn_exp.networks.network import Network, shapes
from rnn_exp.networks.parameters import Parameters
from rnn_exp.networks.readout import Objective
from rnn_exp.tasks import Adding
from rnn_exp.training.columns import profile
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from tests import reference
from tests.networks.test_cells import close, problem


def forgetting(forget_bias, H=5, T=12, B=3):
    """Return an LSTM's run whose gates hear nothing of h, and ∂L/∂c_t of a loss at the end."""
    own = problem(LSTM(), (T, 1, B, 2, H), seed=0)
    V, W, b, d = own.weights
    V[:, H : 2 * H], W[:], b[:, H : 2 * H], d[:, H : 2 * H] = 0, 0, forget_bias, 0
    trace = LSTM().forward(own.x, own.weights, own.start)
    found = LSTM().adjoint(own.readers[-1:], trace, own.x, own.weights)
    x, weights = own.x[:, 0], [tensor[0] for tensor in own.weights]
    u_o = x[-1] @ weights[0][3 * H :].T + (weights[2] + weights[3])[3 * H :]
    c = reference.lstm(x, own.start[0], *weights).c[-1]
    last = own.readers[-1, 0] * torch.sigmoid(u_o) * (1 - torch.tanh(c) ** 2)
    return found, last


def test_a_forget_gate_that_is_open_keeps_the_gradient_of_the_memory():
    found, last = forgetting(forget_bias=60)  # f = 1 to the last bit

    for of_c in found.memory[:, 0]:
        close(of_c, last)
    assert (found.total[:-1] == 0).all()


def test_a_constant_forget_gate_makes_the_memory_decay_by_exactly_itself():
    found, last = forgetting(forget_bias=math.log(0.8 / 0.2))

    for lag, of_c in enumerate(reversed(found.memory[:, 0])):
        close(of_c / 0.8**lag, last)


def test_a_forget_gate_that_is_shut_lets_nothing_through():
    found, _ = forgetting(forget_bias=-800)

    assert (found.memory[:-1] == 0).all()
    assert (found.memory[-1] != 0).any()


def test_memory_is_recorded_as_the_rms_over_the_batch_of_each_sequences_own_gradient():
    """log10_memory is of ∂L_b/∂c_{t,b}, L_b the loss of sequence b."""
    network, task, B, T = Network(cell="lstm", hidden_size=5, dtype="float64"), Adding(9), 4, 9
    parameters = Parameters.stack([Gaussian().draw(shapes(network, 2, 1), 0)], torch.float64)
    batch = task.draw(B, torch.Generator().manual_seed(0))
    x, y = batch.inputs.double(), batch.targets.double()
    asked = Objective(lambda outputs: task.loss(outputs, y.unsqueeze(0)))

    gradients = scan_engine(parameters.views(), x.unsqueeze(1), asked, network)
    recorded = profile(gradients, network.make_cell())["log10_memory"][0, :, 0]

    p = parameters.of_run(0)
    weights = [
        p[f"{name}_l0"].requires_grad_()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    squares = torch.zeros(T, dtype=torch.float64)
    for b in range(B):
        one = reference.lstm(x[:, b : b + 1], torch.zeros(1, 5, dtype=torch.float64), *weights)
        answer = one.h[-1] @ p["readout.weight"].T + p["readout.bias"]
        of_c = torch.autograd.grad((answer[0, 0] - y[0, b]) ** 2, one.c)
        squares += torch.stack(of_c).square().sum((1, 2))
    close(recorded, 0.5 * torch.log10(squares / B))


def test_the_table_of_an_lstm_alone_has_the_column_of_the_memory():
    training = Training(updates=2, batch_size=3)
    tables = {
        cell: train_runs(
            [Run(Adding(5), Network(cell=cell, hidden_size=4), TorchDefault(), training)]
        )[0].gradients
        for cell in ("lstm", "gru")
    }
    assert np.isfinite(tables["lstm"]["log10_memory"]).all()
    assert "log10_memory" not in tables["gru"]


def test_a_forget_bias_lets_the_gradient_of_the_memory_live_longer():
    """Decay per time step of ‖∂L/∂c_t‖ at the init: .640 (torch's), .864 (bias 1), .975 (2)."""
    sizes = shapes(Network(cell="lstm", hidden_size=128), 4, 1)
    rates = []
    for init in (TorchDefault(), ForgetBias(1.0), ForgetBias(2.0)):
        p = init.draw(sizes, 0, CELLS["lstm"])
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = LayerWeights(*(p[f"{name}_l0"].unsqueeze(0) for name in names))
        draw = torch.Generator().manual_seed(0)
        x = torch.randn(60, 1, 16, 4, generator=draw)
        last = torch.randn(1, 1, 16, 128, generator=draw)
        trace = LSTM().forward(x, weights, torch.zeros(1, 16, 128))
        memory = LSTM().adjoint(last, trace, x, weights).memory
        norms = torch.linalg.vector_norm(memory.double(), dim=(1, 2, 3)).log()
        rates.append(math.exp(float(norms[20] - norms[50]) / 30))
    assert rates == pytest.approx([0.640, 0.864, 0.975], abs=0.03)
