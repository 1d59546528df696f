"""The scan and its adjoint, against autograd, finite differences, torch and closed forms."""

import math
import subprocess
import sys

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.cells import LayerWeights
from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.networks.cells.elman import adjoint, forward
from tests import reference

SIZES = st.tuples(
    st.integers(1, 12), st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(1, 9)
)
NAMES = st.sampled_from(list(ACTIVATIONS))


def random_layer(sizes, seed, dtype=torch.float64, gain=1.0):
    T, R, B, width, H = sizes
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype)

    weights = LayerWeights(
        normal(R, H, width), gain * normal(R, H, H) / math.sqrt(H), normal(R, H), normal(R, H)
    )
    return normal(T, R, B, width), weights, normal(R, B, H)


def one_run(weights, run):
    V, W, b_ih, b_hh = (tensor[run] for tensor in weights)
    return [(V.clone(), W.clone(), (b_ih + b_hh).clone())]


@given(SIZES, NAMES, st.integers(0, 10**6))
def test_states_equal_the_unrolled_loop(sizes, name, seed):
    x, weights, _ = random_layer(sizes, seed)
    start = torch.zeros(sizes[1], sizes[2], sizes[4], dtype=torch.float64)

    states = forward(x, weights, start, ACTIVATIONS[name])

    for run in range(sizes[1]):
        expected = torch.stack(reference.states(one_run(weights, run), x[:, run], name)[0])
        torch.testing.assert_close(states.states[:, run], expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(states.previous_states[1:], states.states[:-1])
    assert torch.equal(states.previous_states[0], start)


@given(SIZES, NAMES, st.integers(0, 10**6), st.booleans())
def test_total_gradient_equals_autograd_through_the_unrolled_loop(sizes, name, seed, last_only):
    T, R, B, _, H = sizes
    x, weights, _ = random_layer(sizes, seed)
    start = torch.zeros(R, B, H, dtype=torch.float64)
    readers = torch.randn(
        1 if last_only else T,
        R,
        B,
        H,
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(seed),
    )

    states = forward(x, weights, start, ACTIVATIONS[name])
    found = adjoint(readers, states, x, weights, ACTIVATIONS[name])

    for run in range(R):
        own = readers[:, run]
        expected = reference.total_gradients(
            one_run(weights, run),
            x[:, run],
            name,
            lambda h, own=own: (torch.stack(h[0][T - len(own) :]) * own).sum(),
        )
        torch.testing.assert_close(found.total[:, run], expected[0], rtol=1e-12, atol=1e-12)


@given(SIZES, NAMES, st.integers(0, 10**6))
def test_parameter_and_input_gradients_equal_autograd_from_any_start(sizes, name, seed):
    x, weights, start = random_layer(sizes, seed)
    leaves = [tensor.clone().requires_grad_() for tensor in (x, *weights)]
    reader = torch.randn(
        sizes[0], *start.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )

    states = forward(x, weights, start, ACTIVATIONS[name])
    found = adjoint(reader, states, x, weights, ACTIVATIONS[name], with_inputs=True)

    h, loss = start, torch.zeros((), dtype=torch.float64)
    for t in range(sizes[0]):
        drive = leaves[0][t] @ leaves[1].transpose(1, 2) + (leaves[3] + leaves[4]).unsqueeze(1)
        h = reference.PHI[name](drive + h @ leaves[2].transpose(1, 2))
        loss = loss + (h * reader[t]).sum()
    expected = torch.autograd.grad(loss, leaves)
    for mine, theirs in zip((found.inputs, *found.weights), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "identity"])
def test_total_gradient_equals_finite_differences(name):
    x, weights, _ = random_layer((4, 1, 2, 2, 3), seed=0)
    start = torch.zeros(1, 2, 3, dtype=torch.float64)

    states = forward(x, weights, start, ACTIVATIONS[name])
    found = adjoint(2 * states.states[-1:], states, x, weights, ACTIVATIONS[name])

    expected = reference.total_gradients_by_differences(
        one_run(weights, 0), x[:, 0], name, lambda h: (h[0][-1] ** 2).sum()
    )
    torch.testing.assert_close(found.total[:, 0], expected[0], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_states_and_gradients_equal_the_fused_module(name):
    x, weights, start = random_layer((20, 1, 4, 3, 8), seed=1)
    module = reference.torch_module(3, 8, nonlinearity=name, dtype=torch.float64)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    module.load_state_dict(dict(zip(names, (tensor[0] for tensor in weights), strict=True)))

    states = forward(x, weights, start, ACTIVATIONS[name])
    found = adjoint(torch.ones_like(states.states), states, x, weights, ACTIVATIONS[name])

    out, _ = module(x[:, 0], start)
    out.sum().backward()
    torch.testing.assert_close(states.states[:, 0], out.detach(), rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(found.weights, module.parameters(), strict=True):
        torch.testing.assert_close(mine[0], theirs.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gain", [0.7, 1.0, 1.3])
def test_linear_orthogonal_network_decays_by_exactly_the_gain(gain):
    T, H = 30, 16
    draw = torch.Generator().manual_seed(0)
    q, _ = torch.linalg.qr(torch.randn(1, H, H, dtype=torch.float64, generator=draw))
    zeros = torch.zeros(1, H, dtype=torch.float64)
    weights = LayerWeights(torch.zeros(1, H, 1, dtype=torch.float64), gain * q, zeros, zeros)
    x = torch.zeros(T, 1, 2, 1, dtype=torch.float64)

    states = forward(x, weights, torch.zeros(1, 2, H, dtype=torch.float64), ACTIVATIONS["identity"])
    last = torch.randn(1, 1, 2, H, dtype=torch.float64, generator=draw)
    total = adjoint(last, states, x, weights, ACTIVATIONS["identity"]).total

    norms = torch.linalg.vector_norm(total, dim=(1, 2, 3)).log()
    torch.testing.assert_close(
        norms[:-1] - norms[1:], torch.full((T - 1,), math.log(gain)).double()
    )


def test_linear_orthogonal_network_keeps_the_norm_over_a_thousand_steps():
    T, H = 1000, 32
    draw = torch.Generator().manual_seed(0)
    q, _ = torch.linalg.qr(torch.randn(1, H, H, dtype=torch.float64, generator=draw))
    zeros = torch.zeros(1, H, dtype=torch.float64)
    weights = LayerWeights(torch.zeros(1, H, 1, dtype=torch.float64), q, zeros, zeros)
    x = torch.zeros(T, 1, 1, 1, dtype=torch.float64)

    states = forward(x, weights, torch.zeros(1, 1, H, dtype=torch.float64), ACTIVATIONS["identity"])
    total = adjoint(
        torch.ones(1, 1, 1, H).double(), states, x, weights, ACTIVATIONS["identity"]
    ).total

    assert float(total[0].norm() / total[-1].norm()) == pytest.approx(1, abs=1e-10)


@given(st.sampled_from(list(ACTIVATIONS)), st.integers(0, 10**6), st.floats(0.1, 5))
def test_no_step_back_exceeds_the_singular_value_bound(name, seed, gain):
    x, weights, start = random_layer((15, 2, 3, 2, 6), seed, gain=gain)
    states = forward(x, weights, start, ACTIVATIONS[name])
    total = adjoint(torch.ones_like(states.states[:1]), states, x, weights, ACTIVATIONS[name]).total

    norms = torch.linalg.vector_norm(total, dim=3)
    bound = ACTIVATIONS[name].largest_slope * torch.linalg.matrix_norm(weights.weight_hh, 2)
    assert (norms[:-1] <= norms[1:] * bound.unsqueeze(-1) * (1 + 1e-12)).all()


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_one_unit_gradient_is_the_chain_rule_product_of_the_course(name):
    """D_n = φ'(z_1) w · … · φ'(z_n) w is ∂h_n/∂h_0; the first of these states is its h_0."""
    x, weights, start = random_layer((10, 1, 1, 1, 1), seed=3)
    states = forward(x, weights, start, ACTIVATIONS[name])

    found = adjoint(torch.ones_like(states.states[:1]), states, x, weights, ACTIVATIONS[name])

    v, w, b_ih, b_hh = (float(weight) for weight in weights)
    z = v * x.flatten() + w * states.previous_states.flatten() + b_ih + b_hh
    z.requires_grad_()
    (slopes,) = torch.autograd.grad(reference.PHI[name](z).sum(), z)
    product = float((w * slopes[1:]).prod())
    assert float(found.total[0]) == pytest.approx(product, rel=1e-12)


@given(
    st.tuples(
        st.integers(1, 80),
        st.integers(2, 9),
        st.integers(1, 20),
        st.integers(1, 7),
        st.integers(2, 70),
    ),
    NAMES,
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 10**6),
)
def test_a_runs_bits_do_not_depend_on_the_runs_beside_it(sizes, name, dtype, seed):
    x, weights, start = random_layer(sizes, seed, dtype)
    run = seed % sizes[1]
    reader = torch.randn(1, *start.shape, generator=torch.Generator().manual_seed(seed)).to(dtype)

    def bits(which):
        own = LayerWeights(*(tensor[which].clone() for tensor in weights))
        inputs, own_start = x[:, which].clone(), start[which].clone()
        states = forward(inputs, own, own_start, ACTIVATIONS[name])
        found = adjoint(
            reader[:, which].clone(), states, inputs, own, ACTIVATIONS[name], with_inputs=True
        )
        over_time = [states.states, found.total, found.inputs]
        return [*(tensor.transpose(0, 1) for tensor in over_time), *found.weights]

    together = bits(slice(None))
    alone = bits(slice(run, run + 1))
    for many, one in zip(together, alone, strict=True):
        assert torch.equal(many[run], one[0])


def test_direct_gradient_of_fused_module_is_zero_where_the_total_is_not():
    """The trap: retain_grad on the fused module's output shows the direct part alone."""
    x, weights, start = random_layer((6, 1, 2, 3, 4), seed=5)
    module = reference.torch_module(3, 4, dtype=torch.float64)
    out, _ = module(x[:, 0])
    out.retain_grad()
    out[-1].sum().backward()
    assert (out.grad[:-1] == 0).all()

    states = forward(x, weights, start, ACTIVATIONS["tanh"])
    total = adjoint(
        torch.ones_like(states.states[:1]), states, x, weights, ACTIVATIONS["tanh"]
    ).total
    assert (torch.linalg.vector_norm(total, dim=(1, 2, 3)) > 0).all()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_grows_linearly_with_the_sequence():
    program = """
import torch
from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.networks.cells import LayerWeights
from rnn_exp.networks.cells.elman import adjoint, forward
torch.set_num_threads(1)
H, B = 64, 32
w = LayerWeights(torch.zeros(1, H, 2), torch.zeros(1, H, H), torch.zeros(1, H), torch.zeros(1, H))
peaks = []
for T in (100, 4000, 8000, 16000):
    x = torch.zeros(T, 1, B, 2)
    states = forward(x, w, torch.zeros(1, B, H), ACTIVATIONS["tanh"])
    adjoint(states.states[-1:], states, x, w, ACTIVATIONS["tanh"])
    del x, states
    lines = open("/proc/self/status").read().splitlines()
    peaks.append(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]))
print(*peaks)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    base, *peaks = map(int, done.stdout.split())
    first, second, third = (peak - base for peak in peaks)
    assert second < 2.3 * first
    assert third < 2.3 * second
    numbers_kept = third * 1024 / (16000 * 32 * 64 * 4)
    assert numbers_kept < 4, "states, total gradient, and less than as much again"
