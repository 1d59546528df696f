"""The mean field against reference values, closed forms and measured networks."""

import math

import numpy as np
import pytest
import torch

from rnn_exp.networks.cells import LayerWeights
from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.networks.cells.elman import adjoint, forward
from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.norms import log10_norm
from rnn_exp.profiles import summarize
from rnn_exp.theory.quadrature import gaussian_mean, nodes
from rnn_exp.theory.stationary import mean_field, norm_bound


@pytest.mark.parametrize(
    ("activation", "gain", "q", "chi", "rate"),
    [
        # Computed for this project by adaptive quadrature; no bias, no input.
        ("tanh", 0.9, 0, 0.81, 0.9),
        ("tanh", 1.1, 0.112750, 1.010189, 1.005082),
        ("tanh", 1.5, 0.793354, 1.139323, 1.067391),
        ("tanh", 2, 2.121474, 1.362673, 1.167336),
        ("tanh", 3, 6.305391, 1.859855, 1.363765),
        ("sigmoid", 1, 0.264687, 0.055721, 0.236052),
        ("sigmoid", 4, 5.855404, 0.398879, 0.631569),
        ("sigmoid", 10, 44.207442, 0.985806, 0.992878),
    ],
)
def test_fixed_points_equal_the_reference(activation, gain, q, chi, rate):
    found = mean_field(activation, gain, 0.0)
    assert found == pytest.approx((q, chi, rate), abs=1e-4)
    assert found.exponent == pytest.approx(math.log(rate), abs=1e-4)


@pytest.mark.parametrize(
    ("drive", "gain"), [(0.01, 1.19340), (0.05, 1.32701), (0.25, 1.54967), (1, 1.85559)]
)
def test_driven_tanh_is_critical_at_the_reference_gain(drive, gain):
    assert mean_field("tanh", gain, drive).chi == pytest.approx(1, abs=1e-4)


def test_sigmoid_is_critical_near_ten():
    assert mean_field("sigmoid", 10.149, 0.0).chi == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("drive", [0.0, 0.25])
@pytest.mark.parametrize("gain", [0.5, 1.0, 1.3])
def test_relu_chi_is_half_the_squared_gain_whatever_the_drive(gain, drive):
    found = mean_field("relu", gain, drive)
    assert found.chi == pytest.approx(gain**2 / 2, abs=1e-12)
    assert found.q == pytest.approx(drive / (1 - gain**2 / 2), abs=1e-9)


@pytest.mark.parametrize(
    ("activation", "gain", "rate"),
    [
        ("tanh", 16, 2.9549),
        ("tanh", 25, 3.68),
        ("tanh", 40, 4.64),
        ("tanh", 100, 7.31),
        ("sigmoid", 100, 3.08),
        ("sigmoid", 200, 4.34),
    ],
)
def test_steep_networks_equal_two_million_nodes(activation, gain, rate):
    assert mean_field(activation, gain, 0.0).rate == pytest.approx(rate, abs=0.006)


def test_what_is_too_steep_to_integrate_has_no_prediction():
    assert math.isnan(mean_field("tanh", 2000.0, 0.0).rate)
    assert mean_field("relu", 2000.0, 0.0).rate == pytest.approx(2000 / math.sqrt(2))


def test_relu_fixed_point_holds_for_any_drive():
    assert mean_field("relu", 1.0, 1e20).q == pytest.approx(2e20, rel=1e-12)


def test_beyond_criticality_relu_has_no_finite_fixed_point_but_a_chi():
    found = mean_field("relu", 2.0, 0.25)
    assert found.q == math.inf
    assert found.chi == pytest.approx(2)


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_identity_rate_is_the_gain(gain):
    assert mean_field("identity", gain, 0.1).rate == pytest.approx(gain, abs=1e-12)


def test_gaussian_means_of_powers_are_the_moments():
    z = nodes()
    for power, moment in ((0, 1), (1, 0), (2, 1), (4, 3), (6, 15)):
        assert gaussian_mean(z**power) == pytest.approx(moment, abs=1e-12)


@pytest.mark.parametrize(("gain", "drive"), [(-1.0, 0.0), (1.0, -0.1), (math.nan, 0.0)])
def test_negative_gain_or_drive_is_refused(gain, drive):
    with pytest.raises(ValueError, match="at least 0"):
        mean_field("tanh", gain, drive)


def test_bound_is_the_largest_singular_value_not_the_largest_eigenvalue():
    shear = torch.tensor([[[0.5, 10.0], [0.0, 0.5]]], dtype=torch.float64)
    assert float(norm_bound(shear, "tanh")) > 10
    assert float(norm_bound(shear, "sigmoid")) == pytest.approx(
        float(norm_bound(shear, "tanh")) / 4
    )


@pytest.mark.parametrize(
    ("activation", "gain", "drive", "tolerance"),
    [
        ("tanh", 0.9, 0.0, 0.015),
        ("tanh", 1.0, 0.25, 0.015),
        ("tanh", 2.0, 0.0, 0.015),
        ("sigmoid", 1.0, 0.0, 0.015),
        ("relu", 1.0, 0.25, 0.015),
    ],
)
def test_measured_slope_is_half_log_chi(activation, gain, drive, tolerance):
    """n = 512, lags 5–50 behind a burn-in of 200 steps, 4 seeds, float64."""
    n, T = 512, 260
    slopes = []
    for seed in range(4):
        draw = torch.Generator().manual_seed(seed)
        W = Gaussian(gain).recurrent(n, draw).unsqueeze(0)
        V = torch.eye(n, dtype=torch.float64).unsqueeze(0) * math.sqrt(drive)
        zeros = torch.zeros(1, n, dtype=torch.float64)
        weights = LayerWeights(V, W, zeros, zeros)
        x = torch.randn(T, 1, 2, n, dtype=torch.float64, generator=draw)
        start = torch.randn(1, 2, n, dtype=torch.float64, generator=draw)
        states = forward(x, weights, start, ACTIVATIONS[activation])
        late = states.between(T - 60, T)
        last = torch.randn(1, 1, 2, n, dtype=torch.float64, generator=draw)
        total = adjoint(last, late, x[-60:], weights, ACTIVATIONS[activation]).total
        norms = log10_norm(total)[:, 0].numpy()[-51:-5]
        slopes.append(summarize(norms, ["ok"] * 46).slope)
    expected = mean_field(activation, gain, drive).exponent
    assert np.mean(slopes) == pytest.approx(expected, abs=tolerance)
