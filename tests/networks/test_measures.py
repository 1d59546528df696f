"""What kernels measure of passes is what torch measures of them, whatever its size."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.cells import ACTIVATIONS, GRU, LSTM, Elman, Skip
from rnn_exp.networks.kernel.cells import kernel_cell
from rnn_exp.networks.kernel.recording import log10_norms
from rnn_exp.networks.norms import log10_norm, log10_norm_of_product, norm
from rnn_exp.networks.truncation import SummedTotals
from rnn_exp.schema import ACTIVATION_CODES
from tests.networks.test_kernel import PRECISIONS, drawn

CELLS = {
    **{phi: Elman(ACTIVATIONS[phi]) for phi in ACTIVATION_CODES},
    "leaky": Skip(ACTIVATIONS["tanh"], 0.7, 0.3),
    "residual": Skip(ACTIVATIONS["elu"], 1.0, 0.1),
    "gru": GRU(),
    "lstm": LSTM(),
}
GATES = {"gru": 3, "lstm": 4}
SIZES = st.tuples(*(st.integers(1, most) for most in (12, 3, 6, 70)))
SEEDS = st.integers(0, 10**6)


def passes(name, sizes, seed, dtype, scale=1.0):
    """Both passes of a cell by kernels."""
    T, R, B, H = sizes
    x, weights, start, direct = drawn(seed, T, R, B, 2, H, dtype, GATES.get(name, 1))
    cell = kernel_cell(CELLS[name])
    trace = cell.forward(x, weights, start)
    return cell, trace, cell.adjoint(direct * scale, trace, x, weights)


def by_torch(cell, trace, totals):
    """The same by operations of torch."""
    return (
        log10_norm(totals.total),
        log10_norm_of_product(cell.deltas(trace, totals), trace.previous_states),
        cell.saturation(trace).double(),
        norm(trace.states),
        None if totals.memory is None else log10_norm(totals.memory),
    )


def off(mine, theirs):
    """How far numbers are apart at most; those that are no numbers must be the same."""
    assert mine.shape == theirs.shape
    assert mine.dtype == torch.float64
    finite = theirs.isfinite()
    torch.testing.assert_close(mine[~finite], theirs[~finite], equal_nan=True)
    return float((mine - theirs)[finite].abs().max()) if bool(finite.any()) else 0.0


def assert_same(cell, trace, totals, dtype):
    exact, rounded = 1e-12, 1e-9 if dtype == torch.float64 else 2e-5
    limits = exact, rounded, 10 * PRECISIONS[dtype], 1e-12 * trace.states.numel(), exact
    pairs = zip(cell.measured(trace, totals), by_torch(cell, trace, totals), limits, strict=True)
    for mine, theirs, limit in pairs:
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert off(mine, theirs) <= limit


@given(st.sampled_from(list(CELLS)), SIZES, SEEDS, st.sampled_from(list(PRECISIONS)))
def test_kernels_measure_what_torch_does(name, sizes, seed, dtype):
    assert_same(*passes(name, sizes, seed, dtype), dtype)


@pytest.mark.parametrize("name", ["tanh", "leaky", "gru", "lstm"])
@pytest.mark.parametrize("dtype", list(PRECISIONS))
def test_where_the_gram_form_is_quicker_it_is_taken(name, dtype):
    assert_same(*passes(name, (3, 2, 1, 90), 3, dtype), dtype)


@pytest.mark.parametrize("scale", [0.0, 1e-200, 1e-160, 1e180])
@pytest.mark.parametrize("name", ["tanh", "lstm"])
def test_gradients_of_float64_are_measured_whatever_their_size(name, scale):
    cell, trace, totals = passes(name, (6, 2, 3, 9), 1, torch.float64, scale)
    assert off(cell.measured(trace, totals).total, log10_norm(totals.total)) <= 1e-12
    assert off(log10_norms(totals.total), log10_norm(totals.total)) <= 1e-12


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 3e38])
@pytest.mark.parametrize("name", ["relu", "gru"])
def test_what_is_not_finite_is_measured_so_and_stays_with_its_run(name, bad):
    x, weights, start, direct = drawn(2, 7, 3, 4, 2, 9, torch.float32, GATES.get(name, 1))
    direct[3, 1, 2, 0] = bad
    cell = kernel_cell(CELLS[name])
    trace = cell.forward(x, weights, start)
    totals = cell.adjoint(direct, trace, x, weights)
    mine, theirs = cell.measured(trace, totals), by_torch(cell, trace, totals)
    assert off(mine.total, theirs[0]) <= 1e-12
    assert torch.equal(mine.contribution.isnan(), theirs[1].isnan())
    assert bool(mine.total[:, [0, 2]].isfinite().all())


@given(st.sampled_from(list(CELLS)), SIZES, SEEDS, st.sampled_from(list(PRECISIONS)))
def test_what_is_measured_of_a_run_has_the_same_bits_alone_and_in_company(name, sizes, seed, dtype):
    cell, trace, totals = passes(name, sizes, seed, dtype)
    together = cell.measured(trace, totals)
    for run in range(sizes[1]):
        own = slice(run, run + 1)
        alone = trace.each(lambda part, own=own: part[:, own].clone())
        memory = None if totals.memory is None else totals.memory[:, own].clone()
        found = cell.measured(alone, SummedTotals(totals.total[:, own].clone(), memory))
        for mine, theirs in zip(found, together, strict=True):
            assert (mine is None) == (theirs is None)
            if mine is not None:
                assert torch.equal(mine, theirs[:, own])
