"""The GRU, against torch's own and closed forms."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.cells import GRU, LayerWeights
from tests import reference
from tests.test_cells import SEEDS, close, problem


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 5), st.integers(1, 20), SEEDS)
def test_outputs_and_gradients_equal_torchs_own_module(T, B, width, H, seed):
    mine, theirs = both(T, B, width, H, seed, torch.float64)

    for name, value in theirs.items():
        close(mine[name], value)


@pytest.mark.parametrize(
    ("sizes", "tolerance"),
    [
        ((30, 8, 3, 16), 1e-6),
        ((9, 7, 1, 33), 1e-6),
        ((40, 5, 4, 2), 1e-6),
        ((100, 20, 2, 50), 4e-6),
    ],
)
def test_outputs_and_gradients_equal_torchs_own_module_in_float32(sizes, tolerance):
    """A part of the largest entry; at the last size torch is 2e-6 off its own float64."""
    mine, theirs = both(*sizes, 0, torch.float32)

    for name, value in theirs.items():
        largest = float(value.abs().max())
        assert float((mine[name] - value).abs().max()) <= tolerance * largest, name


def both(T, B, width, H, seed, dtype):
    """Return outputs and gradients, ours and torch's, from h_0 not 0; every output is read."""
    draw = torch.Generator().manual_seed(seed)
    module = reference.module("GRU", width, H, dtype=dtype)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) / math.sqrt(H))
    x = torch.randn(T, 1, B, width, generator=draw).to(dtype)
    start = torch.randn(1, B, H, generator=draw).to(dtype)
    readers = torch.randn(T, 1, B, H, generator=draw).to(dtype)
    names = [f"{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = LayerWeights(*(getattr(module, name).detach().unsqueeze(0) for name in names))

    trace = GRU().forward(x, weights, start)
    found = GRU().adjoint(readers, trace, x, weights, inputs_wanted=True)

    given_x = x[:, 0].clone().requires_grad_()
    out, _ = module(given_x, start)
    (out * readers[:, 0]).sum().backward()
    mine = dict(zip(names, (tensor[0] for tensor in found.weights), strict=True))
    theirs = {name: getattr(module, name).grad for name in names}
    return (mine | {"out": trace.now[:, 0], "x": found.inputs[:, 0]},
            theirs | {"out": out.detach(), "x": given_x.grad})  # fmt: skip


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
        close(trace.now[-1], own.start)


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
