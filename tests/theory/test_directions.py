"""Singular values of Jacobians over many steps, against autograd and closed forms."""

import math

import pytest
import torch
from torch.autograd.functional import jacobian

from rnn_exp.theory.directions import RESOLUTION, log10_singular_values

DRAWS = torch.Generator().manual_seed(0)


def normal(*shape):
    return torch.randn(*shape, generator=DRAWS, dtype=torch.float64)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "identity"])
@pytest.mark.parametrize("n", [1, 4])
def test_singular_values_are_those_of_autograds_jacobian(activation, n):
    W, x = 1.3 * normal(n, n) / math.sqrt(n), normal(8, n)
    phi = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "identity": lambda u: u}[activation]

    def last(h, steps):
        """h_T from the state so many steps before."""
        for x_t in x[len(x) - steps :]:
            h = phi(W @ h + x_t)
        return h

    states, h = [], torch.zeros(n, dtype=torch.float64)
    for x_t in x:
        h = phi(W @ h + x_t)
        states.append(h)
    found = log10_singular_values(W, torch.stack(states), activation, [1, 2, 5, 7])

    for lag, row in zip([1, 2, 5, 7], found, strict=True):
        J = jacobian(lambda h, lag=lag: last(h, lag), states[len(x) - lag - 1])
        expected = torch.linalg.svdvals(J)
        known = expected >= 10 * RESOLUTION * expected[0]
        torch.testing.assert_close(10 ** row[known], expected[known], rtol=1e-5, atol=0)
        assert float(10 ** row[0]) == pytest.approx(float(expected[0]), rel=1e-12)


@pytest.mark.parametrize("gain", [0.1, 10.0])
def test_scaled_rotations_keep_every_direction_beyond_what_a_float_can_hold(gain):
    Q = torch.linalg.qr(normal(6, 6)).Q
    found = log10_singular_values(gain * Q, torch.zeros(500, 6), "identity", [1, 64, 500])

    expected = math.log10(gain) * torch.tensor([[1.0], [64.0], [500.0]]).double().expand(3, 6)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_what_is_lost_beside_the_largest_is_not_known_and_said_so():
    W = torch.diag(torch.tensor([1, 0.1, 1e-3], dtype=torch.float64))

    found = log10_singular_values(W, torch.zeros(20, 3), "identity", [2, 4, 16])

    expected = torch.tensor([[0.0, -2, -6], [0, -4, math.nan], [0, math.nan, math.nan]]).double()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9, equal_nan=True)


def test_units_that_are_off_take_their_directions_with_them():
    W, states = torch.eye(4, dtype=torch.float64), torch.ones(5, 4)
    states[3, :2] = 0  # a relu that is off one step before the last
    states[1] = 0

    found = log10_singular_values(W, states, "relu", [1, 2, 4])

    off = -math.inf
    expected = torch.tensor([[0.0, 0, 0, 0], [0, 0, off, off], [off, off, off, off]]).double()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("lags", [[0], [6], [2, 1], [1, 1]])
def test_lags_that_are_not_there_are_refused(lags):
    with pytest.raises(ValueError, match="of 5 time steps"):
        log10_singular_values(torch.eye(2), torch.zeros(5, 2), "tanh", lags)
