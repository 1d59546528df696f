"""Leaky and residual recurrences: closed forms, and the plain recurrence as their limit."""

import pytest
import torch
from hypothesis import given

from rnn_exp.networks.cells import Elman, Skip
from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.networks.network import Network
from tests.networks.test_cells import SEEDS, SIZES, close, problem

EVERY = pytest.mark.parametrize("name", list(ACTIVATIONS))


@EVERY
@given(sizes=SIZES, seed=SEEDS)
def test_with_nothing_kept_it_is_the_plain_recurrence(name, sizes, seed):
    phi = ACTIVATIONS[name]
    skip, plain = Skip(phi, keep=0.0, add=1.0), Elman(phi)
    own = problem(skip, sizes, seed)

    traces = [cell.forward(own.x, own.weights, own.start) for cell in (skip, plain)]
    mine, theirs = (
        cell.adjoint(own.readers, trace, own.x, own.weights, with_inputs=True)
        for cell, trace in zip((skip, plain), traces, strict=True)
    )

    close(traces[0].states, traces[1].states)
    close(mine.total, theirs.total)
    close(mine.inputs, theirs.inputs)
    close(skip.deltas(traces[0], mine), plain.deltas(traces[1], theirs))
    close(skip.saturation(traces[0]), plain.saturation(traces[1]))
    for one, other in zip(mine.weights, theirs.weights, strict=True):
        close(one, other)


@pytest.mark.parametrize("keep", [1.0, 0.9])
def test_without_recurrent_weights_the_gradient_decays_by_what_is_kept(keep):
    cell = Skip(ACTIVATIONS["tanh"], keep=keep, add=0.1)
    own = problem(cell, (20, 2, 3, 2, 5), seed=0)
    own.weights.weight_hh.zero_()
    trace = cell.forward(own.x, own.weights, own.start)

    total = cell.adjoint(own.readers[-1:], trace, own.x, own.weights).total

    for lag, of_h in enumerate(reversed(total)):
        close(of_h / keep**lag, own.readers[-1])


def test_a_linear_leaky_unit_is_an_exponential_average():
    """h_t = (1 − α) h_{t-1} + α x_t: x_s counts α (1 − α)^(T−s)."""
    cell = Skip(ACTIVATIONS["identity"], keep=0.75, add=0.25)
    own = problem(cell, (10, 1, 2, 1, 1), seed=0)
    for tensor in own.weights:
        tensor.zero_()
    own.weights.weight_ih.fill_(1)
    own.start.zero_()

    h = cell.forward(own.x, own.weights, own.start).states[-1]

    share = 0.25 * 0.75 ** torch.arange(9, -1, -1, dtype=torch.float64)
    close(h[0, :, 0], (share.unsqueeze(1) * own.x[:, 0, :, 0]).sum(0))


def test_leaky_and_residual_are_what_the_settings_say():
    leaky = Network(cell="leaky", leak=0.25).make_cell()
    residual = Network(cell="residual", leak=0.25).make_cell()
    assert isinstance(leaky, Skip)
    assert isinstance(residual, Skip)
    assert (leaky.keep, leaky.add) == (0.75, 0.25)
    assert (residual.keep, residual.add) == (1.0, 0.25)
