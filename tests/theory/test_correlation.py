"""The correlation map against closed forms, slow Monte Carlo and wide random networks."""

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import torch

from rnn_exp.theory import correlation
from rnn_exp.theory.correlation import correlation_map, correlation_slope, fixed_correlation
from rnn_exp.theory.stationary import mean_field
from tests.reference import PHI

SETTINGS = [
    ("tanh", 0.9, 0.25),
    ("tanh", 2.0, 0.0),
    ("tanh", 2.0, 0.25),
    ("sigmoid", 4.0, 0.0),
    ("sigmoid", 12.0, 1.0),
    ("relu", 1.0, 0.25),
    ("identity", 0.5, 1.0),
]


@pytest.mark.parametrize("setting", SETTINGS)
def test_under_one_input_two_equal_states_stay_equal(setting):
    assert correlation_map(*setting, 1.0) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_slope_at_one_is_chi(setting):
    assert correlation_slope(*setting, 1.0) == pytest.approx(mean_field(*setting).chi, abs=1e-12)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_slope_is_the_derivative_of_the_map(setting):
    eps = 1e-5
    for c in (-0.5, 0.0, 0.6, 0.9):
        ahead, behind = correlation_map(*setting, c + eps), correlation_map(*setting, c - eps)
        found = (ahead - behind) / (2 * eps)
        assert correlation_slope(*setting, c) == pytest.approx(found, abs=1e-8)


@pytest.mark.parametrize("setting", [("tanh", 2.0, 0.25), ("sigmoid", 4.0, 0.0)])
def test_the_one_sided_difference_at_one_tends_to_chi(setting):
    eps = 1e-6
    found = (1 - correlation_map(*setting, 1 - eps)) / eps
    assert found == pytest.approx(mean_field(*setting).chi, rel=1e-5)


@hypothesis.given(st.floats(-1, 1), st.floats(0, 0.99), st.floats(0.01, 9), st.floats(-1, 1))
def test_a_linear_network_mixes_the_old_correlation_with_that_of_its_inputs(c, gain, drive, c_in):
    expected = gain**2 * c + (1 - gain**2) * c_in
    assert correlation_map("identity", gain, drive, c, c_in) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("c", [-0.7, 0.0, 0.4, 0.95])
def test_the_map_equals_monte_carlo(setting, c):
    activation, gain, drive = setting
    q = mean_field(*setting).q
    z = torch.randn(2, 400_000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    first, second = z[0], c * z[0] + math.sqrt(1 - c * c) * z[1]
    products = PHI[activation](math.sqrt(q) * first) * PHI[activation](math.sqrt(q) * second)
    expected = (gain**2 * products + drive * 0.3) / q
    error = float(expected.std()) / math.sqrt(len(products))
    found = correlation_map(*setting, c, 0.3)
    assert found == pytest.approx(float(expected.mean()), abs=4.5 * error + 1e-12)


HALVES = [(0.0, 1.0), (1.0, 1.0), (0.1, 1.0), (-1.0, 1.0), (2.0, 0.25), (-0.5, -3.0)]


def on_the_circle(halves, c, points=100_000):
    """E[φ(z₁) φ(z₂)] and E[φ'(z₁) φ'(z₂)] of a φ with these slopes left and right of 0, slowly.

    z₁ = r cos θ and z₂ = r cos(θ − arccos c), with θ uniform and E[r²] = 2: one sum over θ.
    """
    left, right = halves
    angle = 2 * math.pi * (torch.arange(points, dtype=torch.float64) + 0.5) / points
    pair = [torch.cos(angle), torch.cos(angle - math.acos(c))]
    first, second = (torch.where(z > 0, right, left).double() for z in pair)
    return float((2 * first * pair[0] * second * pair[1]).mean()), float((first * second).mean())


@pytest.mark.parametrize("halves", HALVES)
@pytest.mark.parametrize("c", [-1.0, -0.9, -0.3, 0.0, 0.5, 0.99, 1.0])
def test_piecewise_linear_activations_have_a_closed_form(halves, c):
    product, slopes = on_the_circle(halves, c)
    scale = max(map(abs, halves)) ** 2
    found = correlation._piecewise_linear_product(halves, c)
    assert found == pytest.approx(product, abs=1e-8 * scale)
    found = correlation._piecewise_linear_slopes(halves, c)
    assert found == pytest.approx(slopes, abs=1e-4 * scale)  # which jump: half a point each


@pytest.mark.parametrize("halves", HALVES)
def test_the_closed_form_is_that_of_two_arc_cosine_kernels(halves):
    """E[φφ] = (a² + b²) K(c) − 2ab K(−c), E[φ'φ'] = (a² + b²) P + 2ab (½ − P)."""

    def kernel(c):
        return (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / (2 * math.pi)

    a, b = halves
    for c in torch.linspace(-1, 1, 21, dtype=torch.float64).tolist():
        expected = (a * a + b * b) * kernel(c) - 2 * a * b * kernel(-c)
        found = correlation._piecewise_linear_product(halves, c)
        assert found == pytest.approx(expected, abs=1e-14)
        both = 0.5 - math.acos(c) / (2 * math.pi)
        expected = (a * a + b * b) * both + 2 * a * b * (0.5 - both)
        found = correlation._piecewise_linear_slopes(halves, c)
        assert found == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("halves", HALVES)
def test_equal_and_opposite_pairs_have_the_moments_of_one_number(halves):
    a, b = halves
    limits = [correlation._piecewise_linear_product(halves, c) for c in (1.0, 0.0, -1.0)]
    of_one = [(a * a + b * b) / 2, (b - a) ** 2 / (2 * math.pi), a * b * -1]
    assert limits == pytest.approx(of_one, abs=1e-15)


@pytest.mark.parametrize("c", [-1.0, -0.3, 0.0, 0.7, 1.0])
def test_identity_keeps_the_correlation_exactly(c):
    assert correlation._piecewise_linear_product((1.0, 1.0), c) == c
    assert correlation._piecewise_linear_slopes((1.0, 1.0), c) == 1


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("c_in", [0.0, 0.5, 1.0])
def test_the_fixed_point_is_one_that_iterates_reach_and_that_attracts(setting, c_in):
    c, found = 0.37, fixed_correlation(*setting, c_in)
    assert correlation_map(*setting, found, c_in) == pytest.approx(found, abs=1e-11)
    assert correlation_slope(*setting, found) <= 1
    for _ in range(60):
        c = correlation_map(*setting, c, c_in)
    assert c == pytest.approx(found, abs=1e-3)


def test_states_come_together_below_the_critical_gain_and_part_above_it():
    assert fixed_correlation("tanh", 1.5, 0.25) == 1
    assert fixed_correlation("tanh", 1.6, 0.25) < 0.95
    assert fixed_correlation("tanh", 2.0, 0.0) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("activation", "gain", "drive"), [("tanh", 2.0, 0.25), ("tanh", 1.0, 0.5), ("relu", 1.0, 0.25)]
)
def test_wide_random_networks_end_at_the_fixed_correlation(activation, gain, drive):
    """Two states under one input, from independent starts; n = 600, time mean of 100 steps."""
    rng, n, found = np.random.default_rng(5), 600, []
    for _ in range(2):
        W = rng.normal(0, gain / math.sqrt(n), (n, n))
        a, b = rng.normal(size=(2, n))
        for step in range(160):
            drives = rng.normal(0, math.sqrt(drive), n)
            u, v = W @ a + drives, W @ b + drives
            a, b = (PHI[activation](torch.from_numpy(pre)).numpy() for pre in (u, v))
            if step >= 60:
                found.append(u @ v / math.sqrt((u @ u) * (v @ v)))
    assert np.mean(found) == pytest.approx(fixed_correlation(activation, gain, drive), abs=0.03)


@pytest.mark.parametrize("c", [-1.1, 1.1, math.nan])
def test_a_correlation_that_cannot_be_is_refused(c):
    with pytest.raises(ValueError, match=r"c=.* is not in \[-1, 1\]"):
        correlation_map("tanh", 1.0, 0.25, c)
    with pytest.raises(ValueError, match="input_correlation"):
        fixed_correlation("tanh", 1.0, 0.25, -0.5 if c < 0 else c)


@pytest.mark.parametrize(
    ("activation", "gain", "drive"), [("tanh", 0.9, 0.0), ("relu", 2.0, 0.25), ("tanh", 40.0, 0.0)]
)
def test_states_without_a_stationary_length_have_no_correlation(activation, gain, drive):
    with pytest.raises(ValueError, match="no correlation is defined"):
        correlation_map(activation, gain, drive, 0.5)
