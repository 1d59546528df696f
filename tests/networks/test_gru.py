"""The GRU, against torch's own and closed forms."""

import math

import pytest

from rnn_exp.networks.cells import GRU
from tests.networks.test_cells import close, problem


@pytest.mark.parametrize("kept", [1.0, 0.8])
def test_a_constant_update_gate_makes_the_gradient_decay_by_exactly_itself(kept):
    """∂h_t/∂h_{t-1} = z where the candidate hears nothing of h; z = 1 keeps all of it."""
    H = 5
    own = problem(GRU(), (12, 1, 3, 2, H), seed=0)
    V, W, b, d = own.weights
    V[:, H : 2 * H], W[:], d[:, H : 2 * H] = 0, 0, 0
    b[:, H : 2 * H] = 60 if kept == 1 else math.log(kept / (1 - kept))
    trace = GRU().forward(own.x, own.weights, own.start)

    found = GRU().adjoint(own.readers[-1:], trace, own.x, own.weights)

    for lag, of_h in enumerate(reversed(found.total)):
        close(of_h / kept**lag, own.readers[-1])
    if kept == 1:
        close(trace.states[-1], own.start)


def test_a_reset_gate_that_is_shut_hides_the_state_from_the_candidate():
    """With r = 0, W_n is not heard, and b'_n neither: only z lets the past through."""
    H = 4
    own = problem(GRU(), (8, 1, 2, 2, H), seed=1)
    own.weights.bias_ih[:, :H] = -800
    trace = GRU().forward(own.x, own.weights, own.start)

    found = GRU().adjoint(own.readers, trace, own.x, own.weights)

    assert (found.weights.weight_hh[:, 2 * H :] == 0).all()
    assert (found.weights.bias_hh[:, 2 * H :] == 0).all()
    assert (found.weights.bias_ih[:, 2 * H :] != 0).any()
