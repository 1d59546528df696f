"""Layer norm in the cell: what it does not hear."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnn_exp.networks.cells import Normed
from rnn_exp.networks.cells.activations import ACTIVATIONS
from tests.networks.test_cells import SEEDS, close, problem

CELL = Normed(ACTIVATIONS["tanh"])


@given(SEEDS, st.floats(0.5, 100))
def test_the_scale_of_the_weights_does_not_matter(seed, scale):
    """But for the epsilon under the root: 1e-5 against a variance of about 1."""
    own = problem(CELL, (12, 2, 3, 2, 8), seed)
    trace = CELL.forward(own.x, own.weights, own.start)
    grown = own.weights._replace(
        weight_ih=scale * own.weights.weight_ih, weight_hh=scale * own.weights.weight_hh
    )

    scaled = CELL.forward(own.x, grown, own.start)

    torch.testing.assert_close(scaled.states, trace.states, rtol=0, atol=0.02)
    found = CELL.adjoint(own.readers[-1:], trace, own.x, own.weights)
    other = CELL.adjoint(own.readers[-1:], scaled, own.x, grown)
    torch.testing.assert_close(other.total, found.total, rtol=0.05, atol=0.05)


def test_what_comes_out_of_the_norm_has_mean_zero_and_variance_one():
    own = problem(CELL, (9, 2, 3, 2, 16), seed=0)

    normed = CELL.forward(own.x, own.weights, own.start).kept[0]

    close(normed.mean(-1), torch.zeros_like(normed[..., 0]))
    torch.testing.assert_close(
        normed.square().mean(-1), torch.ones_like(normed[..., 0]), rtol=0, atol=1e-3
    )


def test_adding_the_same_to_all_units_changes_nothing():
    own = problem(CELL, (9, 1, 3, 2, 6), seed=0)
    moved = own.weights._replace(weight_ih=own.weights.weight_ih + 3.0)

    now = CELL.forward(own.x, moved, own.start).states

    close(now, CELL.forward(own.x, own.weights, own.start).states, tolerance=1e-10)


@pytest.mark.parametrize("gain", [10, 100])
def test_the_gradient_does_not_grow_with_the_recurrent_weights(gain):
    """Of a plain recurrence it would, by the gain at every step; here by none of it."""
    own = problem(Normed(ACTIVATIONS["identity"]), (20, 1, 4, 2, 32), seed=0)
    own.weights.weight_ih.zero_()
    cell = Normed(ACTIVATIONS["identity"])

    def log_growth(weights):
        trace = cell.forward(own.x, weights, own.start)
        total = cell.adjoint(own.readers[-1:], trace, own.x, weights).total
        return torch.linalg.vector_norm(total[0]).log() - torch.linalg.vector_norm(total[-1]).log()

    grown = own.weights._replace(weight_hh=gain * own.weights.weight_hh)
    assert log_growth(grown) == pytest.approx(float(log_growth(own.weights)), abs=0.01)
