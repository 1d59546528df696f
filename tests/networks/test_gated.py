"""The gated cells, against torch's own modules."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.cells import GRU, LSTM, LayerWeights
from tests import reference
from tests.networks.test_cells import SEEDS, close

CELLS = {"GRU": GRU(), "LSTM": LSTM()}


@pytest.mark.parametrize("name", CELLS)
@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 5), st.integers(1, 20), SEEDS)
def test_outputs_and_gradients_equal_torchs_own_module(name, T, B, width, H, seed):
    mine, theirs = both(name, T, B, width, H, seed, torch.float64)

    for key, value in theirs.items():
        close(mine[key], value)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(
    ("sizes", "tolerance"),
    [
        ((30, 8, 3, 16), 1e-6),
        ((9, 7, 1, 33), 1e-6),
        ((40, 5, 4, 2), 1e-6),
        ((100, 20, 2, 50), 4e-6),
    ],
)
def test_outputs_and_gradients_equal_torchs_own_module_in_float32(name, sizes, tolerance):
    """A part of the largest entry; at the last size torch is 2e-6 off its own float64."""
    mine, theirs = both(name, *sizes, 0, torch.float32)

    for key, value in theirs.items():
        largest = float(value.abs().max())
        assert float((mine[key] - value).abs().max()) <= tolerance * largest, key


def both(name, T, B, width, H, seed, dtype):
    """Return outputs and gradients, ours and torch's, from h_0 not 0; every output is read."""
    draw = torch.Generator().manual_seed(seed)
    module = reference.module(name, width, H, dtype=dtype)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) / math.sqrt(H))
    x = torch.randn(T, 1, B, width, generator=draw).to(dtype)
    start = torch.randn(1, B, H, generator=draw).to(dtype)
    readers = torch.randn(T, 1, B, H, generator=draw).to(dtype)
    names = [f"{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = LayerWeights(*(getattr(module, name).detach().unsqueeze(0) for name in names))

    cell = CELLS[name]
    trace = cell.forward(x, weights, start)
    found = cell.adjoint(readers, trace, x, weights, with_inputs=True)

    given_x = x[:, 0].clone().requires_grad_()
    given_start = (start, torch.zeros_like(start)) if name == "LSTM" else start
    out, _ = module(given_x, given_start)
    (out * readers[:, 0]).sum().backward()
    mine = dict(zip(names, (tensor[0] for tensor in found.weights), strict=True))
    theirs = {name: getattr(module, name).grad for name in names}
    return (
        mine | {"out": trace.states[:, 0], "x": found.inputs[:, 0]},
        theirs | {"out": out.detach(), "x": given_x.grad},
    )
