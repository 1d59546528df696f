"""Lyapunov exponents against closed forms, explicit Jacobians and the mean field."""

import math
import statistics

import hypothesis
import hypothesis.strategies as st
import pytest
import torch

from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.reproduction.random_networks import GradientSlope, WideNetworks
from rnn_exp.theory.lyapunov import (
    largest_exponent,
    local_exponents,
    spectrum,
    sum_rule,
)
from rnn_exp.theory.stationary import mean_field
from tests.reference import PHI


def normals(seed, *shape, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=draw).to(dtype)


def close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected.expand_as(found), rtol=0, atol=tolerance)


def jacobians(W, states, activation):
    """∂h_t/∂h_{t-1} of one run and sequence, by autograd: h_{t-1} such that u_t = φ⁻¹(h_t)."""
    inverse = {"tanh": torch.atanh, "sigmoid": torch.logit, "identity": lambda h: h}[activation]
    found = []
    for h in states:
        start = torch.zeros_like(h)
        bias = inverse(h)
        step = lambda g, b=bias: PHI[activation](W @ g + b)  # noqa: E731
        found.append(torch.autograd.functional.jacobian(step, start))
    return found


@pytest.mark.parametrize("scale", [1.0, 0.5, 3.0])
def test_a_linear_network_with_orthogonal_weights_stretches_every_direction_alike(scale):
    Q = torch.linalg.qr(normals(0, 2, 20, 20)).Q
    found = spectrum(scale * Q, normals(1, 100, 2, 20), "identity")
    close(found, torch.tensor(math.log(scale), dtype=torch.float64), 1e-13)


def test_diagonal_weights_have_their_logarithms_as_exponents():
    entries = torch.tensor([0.3, -4.0, 1.0, -0.7], dtype=torch.float64)
    found = spectrum(torch.diag(entries).unsqueeze(0), torch.zeros(400, 1, 4), "tanh", burn_in=300)
    close(found[0], entries.abs().log().sort(descending=True).values)


def test_a_thin_start_finds_the_largest_entry_of_diagonal_weights_wherever_it_is():
    for place in range(4):
        entries = torch.full((4,), 0.5, dtype=torch.float64)
        entries[place] = 2.0
        W = torch.diag(entries).unsqueeze(0)
        found = largest_exponent(W, torch.zeros(100, 1, 4), "tanh", burn_in=60)
        close(found, torch.tensor(math.log(2), dtype=torch.float64))


def test_a_triangular_matrix_has_the_exponents_of_its_diagonal_not_its_singular_values():
    shear = torch.tensor([[[0.5, 10.0], [0.0, 0.25]]], dtype=torch.float64)
    found = spectrum(shear, torch.zeros(200, 1, 2), "identity", burn_in=100)
    close(found, torch.tensor([0.5, 0.25], dtype=torch.float64).log())


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_exponent_of_one_unit_is_the_mean_of_ln_slope_times_weight(activation):
    h, w = torch.rand(30, 3, 1, generator=torch.Generator().manual_seed(2)).double(), 1.7
    expected = (ACTIVATIONS[activation].slope(h) * w).log().mean(dim=0)
    close(spectrum(-w * torch.ones(3, 1, 1).double(), h, activation), expected)


@hypothesis.given(
    st.sampled_from(["tanh", "sigmoid", "identity"]),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 8),
    st.integers(0, 2),
    st.integers(0, 9),
)
def test_the_spectrum_is_that_of_the_explicit_product_of_jacobians(
    activation, n, runs, T, batch, seed
):
    """Volumes: the first k exponents sum to ln of how much k-volumes grow."""
    W = normals(seed, runs, n, n)
    states = 0.1 + 0.8 * torch.sigmoid(normals(seed + 1, T, runs, *[batch][:batch], n))
    local = local_exponents(W, states, activation)
    assert local.shape == (*states.shape[:-1], n)
    start = _start(n)
    for run in range(runs):
        for b in range(max(1, batch)):
            h = states[:, run] if not batch else states[:, run, b]
            product = start
            for J in jacobians(W[run], h, activation):
                product = J @ product
            volumes = [torch.linalg.svdvals(product[:, : k + 1]).log().sum() for k in range(n)]
            found = local[:, run] if not batch else local[:, run, b]
            rounding = 1e-9 + 1e-14 * torch.linalg.cond(product).item()  # of the slow program
            close(found.sum(0).cumsum(0), torch.stack(volumes), rounding)


def _start(n):
    """The tangent vectors' start, read from the module: it is arbitrary but fixed."""
    from rnn_exp.theory.lyapunov import _first_tangents

    return _first_tangents(n, n)


@hypothesis.given(
    st.sampled_from(["tanh", "sigmoid", "identity"]),
    st.integers(1, 8),
    st.integers(1, 3),
    st.integers(2, 10),
    st.integers(0, 9),
)
def test_all_exponents_together_obey_the_sum_rule(activation, n, runs, T, seed):
    W, states = normals(seed, runs, n, n), torch.sigmoid(normals(seed + 1, T, runs, 2, n))
    found = spectrum(W, states, activation, burn_in=T // 2)
    assert (found.diff(dim=-1) <= 0).all()
    close(found.sum(-1), sum_rule(W, states, activation, burn_in=T // 2), 1e-8)


def test_the_sum_rule_is_the_mean_of_ln_det_of_the_jacobians():
    W, states = normals(3, 1, 5, 5), 0.9 * torch.tanh(normals(4, 7, 1, 5))
    expected = torch.stack(
        [torch.linalg.slogdet(J).logabsdet for J in jacobians(W[0], states[:, 0], "tanh")]
    ).mean()
    close(sum_rule(W, states, "tanh"), expected)


def test_fewer_exponents_are_the_largest_of_all():
    networks = WideNetworks.draw("tanh", 2.0, 0.1, n=24, seeds=2, batch=1, T=900)
    W, states = networks.weights.weight_hh, networks.trace.states[:, :, 0]
    every = spectrum(W, states, "tanh", burn_in=100)
    few = spectrum(W, states, "tanh", k=3, burn_in=100)
    close(few, every[:, :3], 0.01)  # the starts differ, and the mean is over 800 time steps
    close(largest_exponent(W, states, "tanh", burn_in=100), few[:, 0], 0.01)


def test_runs_and_sequences_do_not_know_of_each_other():
    W, states = normals(5, 3, 6, 6), torch.tanh(normals(6, 20, 3, 2, 6))
    found = spectrum(W, states, "tanh")
    for run in range(3):
        alone = spectrum(W[run : run + 1], states[:, run : run + 1, 1], "tanh")
        close(found[run : run + 1, 1], alone, 1e-12)


def test_a_relu_that_is_off_costs_an_exponent():
    W, states = normals(7, 1, 6, 6), torch.ones(50, 1, 6)
    states[10, 0, :2] = 0
    found = spectrum(W, states, "relu")[0]
    assert found[:4].isfinite().all()
    assert (found[4:] == -torch.inf).all()
    assert sum_rule(W, states, "relu").item() == -torch.inf
    assert largest_exponent(W, torch.zeros(5, 1, 6), "relu").item() == -torch.inf


def test_a_relu_that_is_on_is_linear():
    W = normals(8, 1, 5, 5)
    close(spectrum(W, torch.ones(9, 1, 5), "relu"), spectrum(W, torch.ones(9, 1, 5), "identity"))


def test_states_that_are_nan_have_exponents_that_are_nan():
    states = torch.full((4, 1, 3), math.nan)
    assert spectrum(normals(9, 1, 3, 3), states, "tanh", k=2).isnan().all()


@pytest.mark.parametrize(("gain", "drive"), [(1.0, 0.25), (2.0, 0.25), (3.0, 0.0)])
def test_the_largest_exponent_is_half_ln_chi_and_the_slope_of_the_gradient_norm(gain, drive):
    networks = WideNetworks.draw("tanh", gain, drive, n=256, seeds=4, batch=1, T=250)
    W, states = networks.weights.weight_hh, networks.trace.states
    found = largest_exponent(W, states, "tanh", burn_in=50).mean().item()
    assert found == pytest.approx(mean_field("tanh", gain, drive).exponent, abs=0.02)
    slopes = GradientSlope("tanh", gain, drive, n=256, seeds=8)()
    assert found == pytest.approx(statistics.fmean(slopes), abs=0.03)


def test_where_states_die_the_exponent_is_the_logarithm_of_the_spectral_radius():
    """In the long run W^t alone counts; of n = 100 its radius is not g but scatters about it."""
    W = 0.9 * normals(12, 2, 100, 100) / 10
    radius = torch.linalg.eigvals(W).abs().amax(dim=-1)
    found = largest_exponent(W, torch.zeros(2500, 2, 100), "tanh", burn_in=500)
    close(found, radius.log(), 0.002)


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "exponent", "tolerance"), [(1.5, 0.065, 0.006), (3, 0.31, 0.01)])
def test_the_largest_exponent_of_1024_units_equals_the_published_value(gain, exponent, tolerance):
    networks = WideNetworks.draw("tanh", gain, 0.0, n=1024, seeds=1, batch=1, T=850)
    found = largest_exponent(networks.weights.weight_hh, networks.trace.states, "tanh", burn_in=50)
    assert found.item() == pytest.approx(exponent, abs=tolerance)


@pytest.mark.slow
def test_the_sum_rule_holds_for_300_chaotic_units():
    networks = WideNetworks.draw("tanh", 3.0, 0.0, n=300, seeds=1, batch=1, T=300)
    W, states = networks.weights.weight_hh, networks.trace.states
    close(spectrum(W, states, "tanh").sum(-1), sum_rule(W, states, "tanh"), 1e-8)


@pytest.mark.parametrize("k", [0, -1, 4])
def test_more_exponents_than_units_or_none_are_refused(k):
    with pytest.raises(ValueError, match="exponents of 3 units"):
        spectrum(normals(0, 1, 3, 3), torch.zeros(4, 1, 3), "tanh", k=k)


@pytest.mark.parametrize("burn_in", [-1, 4, 9])
def test_a_burn_in_that_leaves_nothing_is_refused(burn_in):
    with pytest.raises(ValueError, match="leaves nothing of 4 time steps"):
        largest_exponent(normals(0, 1, 3, 3), torch.zeros(4, 1, 3), "tanh", burn_in=burn_in)
