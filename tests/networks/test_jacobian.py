"""What a cell says of its steps back is what its adjoint does."""

import dataclasses

import pytest
import torch

from rnn_exp.networks.cells import ACTIVATIONS, CELLS, Cell, LayerWeights, Trace

WITH_THEORY = [name for name, kind in CELLS.items() if kind.name != "normed"]


def a_layer(kind, seed=0, n=7, T=6, B=3):
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=draw)

    rows = kind.gates * n
    weights = LayerWeights(normal(1, rows, 2), normal(1, rows, n), normal(1, rows), normal(1, rows))
    return weights, normal(T, 1, B, 2), normal(1, B, n), normal(1, 1, B, n)


def stepped_back(jacobian, W, delta):
    """Return δ_t from the last to the first step, as the Jacobian's docstring has it."""
    found = [delta]
    blocks = W.chunk(len(jacobian.factors))
    for t in range(len(jacobian.keep) - 1, 0, -1):
        through = sum(
            (factor[t, 0] * delta) @ block
            for factor, block in zip(jacobian.factors, blocks, strict=True)
            if factor is not None
        )
        outer = 1 if jacobian.outer is None else jacobian.outer[t - 1, 0]
        delta = jacobian.keep[t, 0] * delta + outer * through
        found.append(delta)
    return torch.stack(found[::-1])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("name", WITH_THEORY)
def test_the_steps_back_of_a_cell_are_those_of_its_adjoint(name, activation):
    kind = CELLS[name]
    cell = kind.build(ACTIVATIONS[activation], 0.3 if kind.has_leak else None)
    weights, x, start, last = a_layer(kind)
    if kind.has_memory:  # what the output gate hands on is left out: here nothing
        weights = weights._replace(weight_hh=weights.weight_hh.clone())
        weights.weight_hh[:, 3 * 7 :] = 0
    trace = cell.forward(x, weights, start)
    jacobian = cell.jacobian(trace)
    found = cell.adjoint(last, trace, x, weights)
    total = (found.total if found.memory is None else found.memory)[:, 0]
    expected = stepped_back(jacobian, weights.weight_hh[0], total[-1])
    torch.testing.assert_close(total, expected, rtol=1e-12, atol=1e-12)


def test_layer_norm_has_no_theory():
    cell = CELLS["normed"].build(ACTIVATIONS["tanh"], None)
    weights, x, start, _ = a_layer(CELLS["normed"])
    assert cell.jacobian(cell.forward(x, weights, start)) is None


def test_a_cell_of_others_has_no_theory_unless_it_says_so():
    @dataclasses.dataclass(frozen=True)
    class Theirs(Cell):
        def forward(self, x, weights, initial): ...
        def adjoint(self, direct, trace, x, weights, *, with_inputs=False): ...
        def deltas(self, trace, adjoint): ...
        def saturation(self, trace): ...
        def step_bound(self, largest_singular_value): ...

    assert isinstance(Theirs(), Cell)
    assert Theirs().jacobian(Trace(*torch.zeros(2, 1, 1, 1, 1))) is None
