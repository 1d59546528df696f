"""Measured slopes and critical gains of wide networks against the mean field and a slow program."""

import math
import statistics

import hypothesis
import hypothesis.strategies as st
import pytest
import torch

from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.reproduction.random_networks import (
    CriticalGain,
    GradientSlope,
    WideNetworks,
    _slope_against_lag,
)
from rnn_exp.theory.stationary import critical_gain, mean_field
from tests.reference import PHI


@pytest.mark.parametrize(
    ("activation", "gain", "drive", "reference"),
    [
        ("tanh", 0.9, 0.0, -0.1064),
        ("tanh", 1.0, 0.25, -0.2734),
        ("tanh", 2.0, 0.0, 0.1523),
        ("sigmoid", 1.0, 0.0, -1.4414),
        ("relu", 1.0, 0.25, -0.351),
    ],
)
def test_measured_slopes_equal_the_reference_and_half_ln_chi(activation, gain, drive, reference):
    """n = 512, lags 5–50, 4 seeds; the reference has its own 4 seeds."""
    slopes = GradientSlope(activation, gain, drive)()
    mean, error = statistics.fmean(slopes), statistics.stdev(slopes) / math.sqrt(len(slopes))
    assert error < 0.008
    assert mean == pytest.approx(mean_field(activation, gain, drive).exponent, abs=0.015)
    assert mean == pytest.approx(reference, abs=0.015)


@pytest.mark.parametrize(
    ("activation", "gain", "drive"),
    [("sigmoid", 4.0, 0.0), ("sigmoid", 10.0, 0.0), ("relu", math.sqrt(2), 0.0)],
)
def test_measured_slopes_near_the_critical_gain_scatter_more(activation, gain, drive):
    found = statistics.fmean(GradientSlope(activation, gain, drive)())
    assert found == pytest.approx(mean_field(activation, gain, drive).exponent, abs=0.06)


@pytest.mark.parametrize(
    ("activation", "drive", "tolerance"),
    [
        ("tanh", 0.25, 0.03),
        ("relu", 0.25, 0.05),
        pytest.param("sigmoid", 0.0, 1.0, marks=pytest.mark.slow),
        pytest.param("relu", 0.0, 0.05, marks=pytest.mark.slow),
    ],
)
def test_the_measured_gain_is_the_critical_gain(activation, drive, tolerance):
    found = statistics.fmean(CriticalGain(activation, drive)())
    assert found == pytest.approx(critical_gain(activation, drive), abs=tolerance)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_gradient_norms_are_those_of_the_unrolled_program(activation):
    networks = WideNetworks.draw(activation, 1.2, 0.3, n=7, seeds=2, batch=3, T=9, burn_in=4)
    found = networks.log_gradient_norms()
    for run in range(2):
        nudges = torch.zeros(9, 3, 7, dtype=torch.float64, requires_grad=True)
        h, W = (
            networks.trace.previous_states[0, run].clone(),
            networks.weights.weight_hh[run].clone(),
        )
        for x, nudge in zip(networks.x[:, run].clone(), nudges, strict=True):
            h = PHI[activation](h @ W.T + x) + nudge
        assert torch.allclose(h, networks.trace.states[-1, run], atol=1e-12)
        last = networks.last_gradients()[0, run]
        (total,) = torch.autograd.grad((h * last).sum(), nudges)
        expected = total.flatten(1).norm(dim=1).log()
        torch.testing.assert_close(found[:, run], expected, rtol=0, atol=1e-10)


def test_the_networks_are_what_they_are_called():
    networks = WideNetworks.draw("tanh", 1.5, 0.25, n=200, seeds=3, batch=4, T=50, burn_in=100)
    assert networks.weights.weight_hh.var().item() == pytest.approx(1.5**2 / 200, rel=0.02)
    assert networks.x.square().mean().item() == pytest.approx(0.25, rel=0.02)
    pre_activations = torch.atanh(networks.trace.states)
    q = mean_field("tanh", 1.5, 0.25).q
    assert pre_activations.square().mean().item() == pytest.approx(q, rel=0.05)


def test_a_seed_draws_the_same_network_whatever_runs_beside_it_and_whatever_the_gain():
    few = WideNetworks.draw("tanh", 1.0, 0.25, n=9, seeds=1, T=5)
    many = WideNetworks.draw("tanh", 2.0, 0.25, n=9, seeds=3, T=5)
    assert torch.equal(2 * few.weights.weight_hh[0], many.weights.weight_hh[0])
    assert torch.equal(few.x[:, 0], many.x[:, 0])


def test_driven_networks_do_not_know_when_they_started():
    """What is measured behind the burn-in is measured on the last T steps of one long trace."""
    long = WideNetworks.draw("tanh", 1.0, 0.25, n=9, T=25, burn_in=0)
    late = WideNetworks.draw("tanh", 1.0, 0.25, n=9, T=5, burn_in=20)
    assert torch.equal(long.trace.states[20:], late.trace.states)
    assert torch.equal(long.trace.previous_states[20:], late.trace.previous_states)
    assert torch.equal(long.x[20:], late.x)


@hypothesis.given(
    st.floats(-3, 3), st.floats(-9, 9), st.integers(1, 3), st.integers(0, 5), st.integers(1, 20)
)
def test_the_slope_of_a_straight_line_is_its_slope(slope, offset, runs, first, length):
    lag = torch.arange(40.0).flip(0).double().unsqueeze(-1).expand(40, runs)
    found = _slope_against_lag(slope * lag + offset, (first, first + length))
    assert found.tolist() == pytest.approx([slope] * runs, abs=1e-12)


def test_lags_outside_the_fit_do_not_count():
    y = -0.5 * torch.arange(60.0).flip(0).double().unsqueeze(-1)
    y[-5:], y[:9] = 100, -100  # lags 0–4 and 51–59
    assert _slope_against_lag(y).item() == pytest.approx(-0.5)


@pytest.mark.parametrize(("gain", "drive"), [(-1, 0), (1, -1), (math.inf, 0), (1, math.nan)])
def test_gains_and_drives_that_cannot_be_are_refused(gain, drive):
    with pytest.raises(ValueError, match="finite and at least 0"):
        GradientSlope("tanh", gain, drive, n=4)()


def test_a_gradient_that_is_zero_or_states_that_overflow_have_no_slope():
    assert any(map(math.isnan, GradientSlope("tanh", 0.0, 0.25, n=4)()))
    assert any(map(math.isnan, GradientSlope("relu", 60.0, 0.25, n=16)()))


def test_the_critical_gain_of_a_linear_network_is_one_over_its_growth_at_gain_one():
    """Slope(g) = slope(1) + ln g for every seed: only the interpolation is approximate."""
    growth = map(math.exp, GradientSlope("identity", 1.0, 0.0, n=128)())
    found = CriticalGain("identity", 0.0, n=128)()
    assert found == pytest.approx([1 / factor for factor in growth], rel=0.004)


def test_what_explodes_at_no_gain_is_refused_by_name():
    with pytest.raises(ValueError, match="tanh at drive 1e\\+12 explodes at no gain up to 1024"):
        CriticalGain("tanh", 1e12, n=4, burn_in=5)()


def test_orthogonal_weights_carry_the_gradient_of_a_linear_network_a_thousand_steps_unchanged():
    networks = WideNetworks.draw("identity", 1.0, 0.25, n=32, seeds=2, T=1000, burn_in=0)
    Q = torch.linalg.qr(networks.weights.weight_hh).Q
    orthogonal = networks._replace(weights=networks.weights._replace(weight_hh=Q))
    log_norms = orthogonal.log_gradient_norms()
    assert (log_norms - log_norms[-1]).abs().max() < 1e-10
