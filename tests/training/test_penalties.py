"""Penalties: Ω and orthogonality, their values and their gradients, against autograd."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.matrices import matrices_of
from rnn_exp.networks.network import Network
from rnn_exp.training.penalties import omega, orthogonality
from rnn_exp.training.settings import OMEGA_FORMS
from tests import reference
from tests.builders import asked_for, normal, random_network

FORMS = st.sampled_from(OMEGA_FORMS)
TORCH = matrices_of("scan")
MATRICES = st.sampled_from([TORCH, matrices_of("kernel")])


def rotation(n, seed):
    """An orthogonal matrix."""
    return torch.linalg.qr(normal(seed, n, n))[0]


@given(
    st.tuples(st.integers(1, 8), st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)),
    FORMS,
    MATRICES,
    st.integers(0, 10**6),
)
def test_omega_and_its_immediate_gradient_equal_autograd_with_all_else_held(
    sizes, form, matrices, seed
):
    T, R, B, H = sizes
    total, slopes = normal(seed, T, R, B, H), normal(seed + 1, T, R, B, H).sigmoid()
    total[seed % T, :, 0] = 0  # a sequence that counts for nothing at one time step
    W = normal(seed + 2, R, H, H)

    found = omega(total, slopes * total, W, form, matrices)

    for run in range(R):
        own = W[run].clone().requires_grad_()
        value = reference.omega(total[:, run], (slopes * total)[:, run], own, form)
        (slope,) = torch.autograd.grad(value, own)
        torch.testing.assert_close(found.value[run], value.detach(), rtol=1e-11, atol=1e-14)
        torch.testing.assert_close(found.weight_hh[run], slope, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_omega_says_by_how_much_the_total_gradient_changes_its_norm_at_a_step_back(activation):
    """With a loss at the last step alone, δ_t J_t is δ_{t-1}."""
    network = Network(activation, 6, dtype="float64")
    parameters = random_network(network, 0)
    x, wanted = normal(1, 9, 2, 4, 2), normal(2, 2, 1, 4, 3)
    found = scan_engine(parameters.views(), x, asked_for(wanted), network)
    deltas = network.make_cell().deltas(found.traces[0], found.whole.totals[0])
    W = parameters.views()["weight_hh_l0"]

    norms = torch.linalg.vector_norm(found.total[0], dim=-1)
    ratio = norms[:-1] / norms[1:]

    for form, power in (("ratio", 1), ("squared", 2)):
        expected = (ratio**power - 1).square().mean((0, 2))
        torch.testing.assert_close(omega(found.total[0], deltas, W, form, TORCH).value, expected)


@pytest.mark.parametrize("c", [0.25, 1.0, 1.75])
@given(st.integers(0, 10**6))
def test_a_linear_network_with_scaled_orthogonal_weights_is_penalised_for_the_scale(c, seed):
    total = normal(seed, 5, 1, 3, 4)
    W = c * rotation(4, seed + 1).unsqueeze(0)

    assert float(omega(total, total, W, "ratio", TORCH).value) == pytest.approx(
        (c - 1) ** 2, abs=1e-12
    )
    assert float(omega(total, total, W, "squared", TORCH).value) == pytest.approx(
        (c * c - 1) ** 2, abs=1e-12
    )


@pytest.mark.parametrize("form", OMEGA_FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-12, 1e-40])
def test_where_no_gradient_is_large_enough_to_count_omega_is_zero(form, dtype, size):
    total = size * normal(0, 4, 2, 3, 5, dtype=dtype)
    found = omega(total, total, normal(1, 2, 5, 5, dtype=dtype), form, TORCH)
    assert not found.value.any()
    assert not found.weight_hh.any()


@pytest.mark.parametrize("form", OMEGA_FORMS)
@pytest.mark.parametrize("size", [1e-9, 1e15, 1e25])
def test_omega_does_not_depend_on_the_size_of_the_gradient_even_where_its_square_overflows(
    form, size
):
    total, W = normal(0, 6, 2, 3, 5, dtype=torch.float32), normal(1, 2, 5, 5, dtype=torch.float32)
    usual = omega(total, total, W, form, TORCH)
    scaled = omega(size * total, size * total, W, form, TORCH)
    for mine, theirs in zip(scaled, usual, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", OMEGA_FORMS)
def test_one_time_step_has_no_step_back(form):
    total = normal(0, 1, 2, 3, 5)
    found = omega(total, total, normal(1, 2, 5, 5), form, TORCH)
    assert not found.value.any()
    assert not found.weight_hh.any()


@pytest.mark.parametrize("form", OMEGA_FORMS)
def test_what_is_lost_altogether_is_penalised_in_full_and_its_slope_is_finite(form):
    total = normal(0, 4, 1, 3, 5)
    found = omega(total, torch.zeros_like(total), normal(1, 1, 5, 5), form, TORCH)
    assert float(found.value) == pytest.approx(1)
    assert not found.weight_hh.any()


@pytest.mark.parametrize("form", OMEGA_FORMS)
def test_sequences_below_the_threshold_do_not_count(form):
    total, W = normal(0, 4, 1, 3, 5), normal(1, 1, 5, 5)
    with_dust = torch.cat([total, 1e-11 * normal(2, 4, 1, 2, 5) / 5], dim=2)
    alone, dusty = (omega(one, one, W, form, TORCH) for one in (total, with_dust))
    torch.testing.assert_close(dusty.value, alone.value, rtol=1e-13, atol=0)
    torch.testing.assert_close(dusty.weight_hh, alone.weight_hh, rtol=1e-12, atol=0)


@pytest.mark.parametrize("form", OMEGA_FORMS)
@pytest.mark.parametrize("start", [0.5, 1.6])
def test_descent_on_omega_alone_makes_a_linear_network_keep_norms(form, start):
    W = start * rotation(4, 3).unsqueeze(0)
    total = normal(1, 20, 1, 30, 4)
    for _ in range(1000):
        W = W - 0.2 * omega(total, total, W, form, TORCH).weight_hh
    torch.testing.assert_close(
        torch.linalg.svdvals(W)[0], torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-6
    )


@given(st.integers(1, 7), st.integers(1, 4), MATRICES, st.integers(0, 10**6))
def test_orthogonality_and_its_gradient_equal_autograd(H, R, matrices, seed):
    W = normal(seed, R, H, H)
    found = orthogonality(W, matrices)
    for run in range(R):
        own = W[run].clone().requires_grad_()
        value = ((own.T @ own - torch.eye(H, dtype=torch.float64)) ** 2).sum()
        (slope,) = torch.autograd.grad(value, own)
        torch.testing.assert_close(found.value[run], value.detach(), rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(found.weight_hh[run], slope, rtol=1e-11, atol=1e-12)


def test_orthogonal_matrices_have_no_penalty():
    found = orthogonality(rotation(9, 0).unsqueeze(0), TORCH)
    assert float(found.value) < 1e-25
    assert float(found.weight_hh.abs().max()) < 1e-13


@given(
    st.tuples(st.integers(1, 70), st.integers(2, 6), st.integers(1, 20), st.integers(2, 40)),
    FORMS,
    st.sampled_from([torch.float32, torch.float64]),
    MATRICES,
    st.integers(0, 10**6),
)
def test_a_runs_bits_do_not_depend_on_the_runs_beside_it(sizes, form, dtype, matrices, seed):
    T, R, B, H = sizes
    total, W = normal(seed, T, R, B, H, dtype=dtype), normal(seed + 2, R, H, H, dtype=dtype)
    deltas = total * normal(seed + 1, T, R, B, H, dtype=dtype).sigmoid()

    def bits(which):
        own = W[which].clone()
        found = omega(total[:, which].clone(), deltas[:, which].clone(), own, form, matrices)
        return *found, *orthogonality(own, matrices)

    together = bits(slice(None))
    for run in range(R):
        for many, one in zip(together, bits(slice(run, run + 1)), strict=True):
            assert torch.equal(many[run], one[0])
