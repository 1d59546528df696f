"""Gauss means of every activation: closed forms, the rate at which the rule converges, draws."""

import math

import pytest
import torch

from rnn_exp.networks.cells.activations import ACTIVATIONS, Activation
from rnn_exp.reproduction.random_networks import GradientSlope
from rnn_exp.theory.correlation import correlation_map, correlation_slope
from rnn_exp.theory.quadrature import (
    gaussian_mean,
    mean_square,
    mean_square_slope,
    mean_squares,
    nodes,
    pieces,
)
from rnn_exp.theory.stationary import critical_gain, mean_field
from rnn_exp.theory.transient import edge_gain, log_steps, transient
from tests.reference import PHI, slope

EVERY = pytest.mark.parametrize("name", list(ACTIVATIONS))
STEEP = (1e-3, 0.03, 0.3, 1.0, 3.0, 19.0, 250.0, 990.0)


def density(b):
    return math.exp(-0.5 * b * b) / math.sqrt(2 * math.pi)


def below(b):
    """P(z < b)."""
    return 0.5 * math.erfc(-b / math.sqrt(2))


def hard_tanh(s):
    """E[φ(s z)²] and E[φ'(s z)²] of hard tanh: s² E[z²; |z| < 1/s] + P(|z| > 1/s)."""
    b = 1 / s
    inside = math.erf(b / math.sqrt(2))
    return s * s * (inside - 2 * b * density(b)) + math.erfc(b / math.sqrt(2)), inside


def elu(s):
    """The same of ELU, with E[e^{a s z}; z < 0] = e^{a²s²/2} P(z < −a s)."""

    def part(a):
        exponent = 0.5 * (a * s) ** 2
        if exponent < 300:
            return math.exp(exponent) * below(-a * s)
        x = a * s  # Mills' ratio
        return density(0) / x * (1 - 1 / x**2 + 3 / x**4 - 15 / x**6 + 105 / x**8)

    return 0.5 * s * s + part(2) - 2 * part(1) + 0.5, 0.5 + part(2)


@pytest.mark.parametrize("s", STEEP)
@pytest.mark.parametrize(("name", "exact"), [("hard_tanh", hard_tanh), ("elu", elu)])
def test_means_over_corners_equal_their_closed_form(name, exact, s):
    square, of_slope = exact(s)
    phi = ACTIVATIONS[name]
    # The closed form of a small mean is a difference of numbers of about 1.
    assert mean_square(phi, s) == pytest.approx(square, rel=1e-12, abs=1e-15)
    assert mean_square_slope(phi, s) == pytest.approx(of_slope, rel=1e-12)
    assert mean_squares(phi, s) == pytest.approx([square, of_slope], rel=1e-12, abs=1e-15)


def test_a_midpoint_rule_is_off_by_a_share_of_its_spacing_where_the_cut_rule_is_exact():
    phi, (_, exact) = ACTIVATIONS["hard_tanh"], hard_tanh(0.7)
    errors = []
    for count in (1, 2, 4, 8, 16, 32, 64):
        z = nodes(5.0 * count)
        errors.append(abs(gaussian_mean(phi.derivative(0.7 * z).square()) - exact))
    assert max(errors[:3]) > 1e-3
    assert all(error < 0.05 / count for error, count in zip(errors, (1, 2, 4, 8, 16), strict=False))
    assert errors[-1] > 1e-6
    assert abs(mean_square_slope(phi, 0.7) - exact) < 1e-14


@pytest.mark.parametrize("cuts", [[], [0.3], [-2.0, 0.0, 1e-9], [1e9, -1e9]])
def test_pieces_have_the_moments_of_a_normal_number(cuts):
    z, weights = pieces(3.0, torch.tensor(cuts, dtype=torch.float64))
    for power, moment in ((0, 1), (1, 0), (2, 1), (4, 3), (6, 15)):
        assert float(weights @ z**power) == pytest.approx(moment, abs=1e-12)


@pytest.mark.parametrize("name", ["softsign", "hard_tanh", "elu", "gelu"])
def test_a_phi_alone_has_the_same_means(name):
    known, alone = ACTIVATIONS[name], Activation("alone", ACTIVATIONS[name].phi)
    for s in (0.03, 1.0, 30.0):
        assert mean_squares(alone, s) == pytest.approx(mean_squares(known, s), rel=1e-9)


@EVERY
@pytest.mark.parametrize("s", [0.2, 2.0, 40.0])
def test_means_are_those_of_two_million_draws(name, s):
    z = torch.randn(2_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = PHI[name](s * z).square(), slope(name, s * z).square()
    for found, drawn in zip(mean_squares(ACTIVATIONS[name], s), values, strict=True):
        error = float(drawn.std()) / math.sqrt(len(drawn))
        assert abs(found - float(drawn.mean())) <= 4 * error + 1e-12


@EVERY
@pytest.mark.parametrize("drive", [0.25, 4.0])
def test_chi_is_one_at_the_critical_gain(name, drive):
    gain = critical_gain(name, drive)
    assert mean_field(name, gain, drive).chi == pytest.approx(1, abs=1e-9)
    assert mean_field(name, 0.99 * gain, drive).chi < 1


@pytest.mark.parametrize(
    ("name", "gain"),
    [
        ("tanh", 1.0),
        ("softsign", 1.0),
        ("hard_tanh", 1.0),
        ("elu", 1.0),
        ("identity", 1.0),
        ("relu", math.sqrt(2)),
        ("leaky_relu", math.sqrt(2 / (1 + 0.01**2))),
    ],
)
def test_without_drive_the_critical_gain_is_a_closed_form(name, gain):
    assert critical_gain(name, 0.0) == pytest.approx(gain, rel=1e-11)


def test_short_states_of_gelu_stay_short_up_to_a_gain_of_two_and_then_grow_without_end():
    assert mean_field("gelu", 1.999, 0.0)[:2] == pytest.approx((0, 1.999**2 / 4), abs=1e-12)
    assert math.isnan(mean_field("gelu", 2.001, 0.0).chi)
    with pytest.raises(ValueError, match="no critical gain of gelu at drive 0: its gradient"):
        critical_gain("gelu", 0.0)


@pytest.mark.parametrize(("drive", "until"), [(1e-4, 1.973), (0.01, 1.759), (0.1, 1.46)])
def test_gelu_has_no_critical_gain_at_weak_drives_because_its_states_grow_first(drive, until):
    """By plain iteration from h_0 = 0: χ is still below 1 where lengths begin to grow."""
    with pytest.raises(ValueError, match="no critical gain of gelu"):
        critical_gain("gelu", drive)
    phi, found = ACTIVATIONS["gelu"], []
    for gain in (0.99 * until, 1.01 * until):
        q = drive
        for _ in range(400):
            q = min(gain**2 * mean_square(phi, math.sqrt(q)) + drive, 1e4)
        found.append((q, gain**2 * mean_square_slope(phi, math.sqrt(q))))
    (short, chi), (long, beyond) = found
    assert short < 3
    assert chi < 1
    assert long == 1e4
    assert beyond > 1


def test_the_smallest_length_is_found_where_there_are_several():
    """Above it lies one from which states grow without end."""
    q = mean_field("gelu", 1.5, 0.05).q
    phi = ACTIVATIONS["gelu"]
    lengths = [0.05 + 0.05 * k for k in range(200)]
    above = [1.5**2 * mean_square(phi, math.sqrt(one)) + 0.05 > one for one in lengths]
    first = above.index(False)
    assert lengths[first - 1] <= q <= lengths[first]
    assert above.index(True, first) > first, "there is another crossing"


@pytest.mark.parametrize("name", ["softsign", "hard_tanh", "elu", "gelu", "leaky_relu"])
@pytest.mark.parametrize("length", [1e-6, 0.01, 0.1, 2.0, 19.9])
def test_each_time_step_is_the_integral(name, length):
    found = transient(name, 1.0, [length * length, 0.0])
    square, of_slope = mean_squares(ACTIVATIONS[name], length)
    assert found.q[1] == pytest.approx(square, abs=1e-6, rel=1e-8)
    assert found.chi[0] == pytest.approx(of_slope, abs=1e-6)


@pytest.mark.parametrize("name", ["softsign", "hard_tanh", "elu", "gelu", "leaky_relu"])
def test_at_the_edge_the_first_gradient_is_as_large_as_the_last(name):
    drives = [2.0] * 3 + [0.05] * 27
    gain = edge_gain(name, drives)
    assert log_steps(transient(name, gain, drives).chi).sum() == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "gain", "drive"),
    [
        ("softsign", 2.0, 0.25),
        ("hard_tanh", 1.2, 0.25),
        ("elu", 1.2, 0.25),
        ("gelu", 1.2, 0.5),
        ("leaky_relu", 1.0, 0.25),
    ],
)
def test_measured_slopes_of_wide_networks_are_half_ln_chi(name, gain, drive):
    """n = 512, lags 5–50 behind a burn-in of 200 steps, 2 seeds."""
    found = GradientSlope(name, gain, drive, seeds=2)()
    assert sum(found) / 2 == pytest.approx(mean_field(name, gain, drive).exponent, abs=0.02)


@pytest.mark.parametrize("name", ["softsign", "hard_tanh", "elu", "gelu", "leaky_relu"])
@pytest.mark.parametrize("c", [-0.6, 0.0, 0.999, 1.0])
def test_the_correlation_map_is_that_of_draws_and_ends_at_chi(name, c):
    gain, drive = 1.2, 0.5
    still, draw = mean_field(name, gain, drive), torch.Generator().manual_seed(1)
    z, other = torch.randn(2, 1_000_000, dtype=torch.float64, generator=draw)
    first, second = (math.sqrt(still.q) * one for one in (z, c * z + math.sqrt(1 - c * c) * other))
    product = gain**2 * PHI[name](first) * PHI[name](second)
    expected = (float(product.mean()) + drive) / still.q
    error = float(product.std()) / 1000 / still.q
    assert abs(correlation_map(name, gain, drive, c) - expected) < 4 * error
    slopes = gain**2 * slope(name, first) * slope(name, second)
    error = float(slopes.std()) / 1000
    found = correlation_slope(name, gain, drive, c)
    assert abs(found - float(slopes.mean())) < 4 * error
    if c == 1:
        assert correlation_map(name, gain, drive, 1.0) == pytest.approx(1, abs=1e-9)
        assert found == pytest.approx(still.chi, rel=1e-9)


@pytest.mark.parametrize("c", [0.2, 0.9, 0.999999])
def test_the_correlation_slope_of_hard_tanh_is_the_derivative_of_its_map(c):
    step = 1e-3 * (1 - c)
    up, down = (correlation_map("hard_tanh", 1.2, 0.5, c + sign * step) for sign in (1, -1))
    found = correlation_slope("hard_tanh", 1.2, 0.5, c)
    assert (up - down) / (2 * step) == pytest.approx(found, rel=1e-5)
