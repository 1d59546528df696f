"""What kernels measure of passes is what torch measures of them, whatever its size."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.cells import ACTIVATIONS, GRU, LSTM, Elman, Skip
from rnn_exp.networks.kernel import recording
from rnn_exp.networks.kernel.cells import kernel_cell
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
    assert off(cell.log10_norms(totals.total), log10_norm(totals.total)) <= 1e-12


def test_norms_of_a_long_sequence_are_those_of_its_stretches(monkeypatch):
    cell, _, totals = passes("tanh", (50, 3, 4, 9), 1, torch.float32)
    whole = cell.log10_norms(totals.total)
    monkeypatch.setattr(recording, "_COPIED", 7 * 3 * 4 * 9)
    assert torch.equal(cell.log10_norms(totals.total), whole)
    assert torch.equal(cell.log10_norms(totals.total.contiguous()), whole)


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


@pytest.mark.parametrize("name", ["tanh", "gru", "lstm"])
@pytest.mark.parametrize("beside", [1e-120, 1e120, torch.nan])
def test_a_run_whose_squares_do_not_fit_changes_no_bit_of_what_is_measured_of_another(name, beside):
    x, weights, start, direct = drawn(4, 7, 2, 4, 2, 9, torch.float64, GATES.get(name, 1))
    direct[:, 1] *= beside
    cell = kernel_cell(CELLS[name])

    def measured(runs):
        own = weights.each(lambda one: one[runs].clone())
        trace = cell.forward(x[:, runs].clone(), own, start[runs].clone())
        totals = cell.adjoint(direct[:, runs].clone(), trace, x[:, runs].clone(), own)
        return cell.measured(trace, totals)

    for mine, theirs in zip(measured([0]), measured([0, 1]), strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert torch.equal(mine, theirs[:, :1])


def contribution(trace, totals, cell):
    """The same in float64, from the passes as they are."""
    deltas = cell.deltas(trace.double(), SummedTotals(*map(doubled, (totals.total, totals.memory))))
    h, (T, R, B, H) = trace.previous_states.double(), trace.states.shape
    each = deltas.view(T, R, B, -1, H).movedim(3, 0)
    return sum((d.mT @ h).square().sum((-2, -1)) for d in each).sqrt().log10()


def doubled(values):
    return None if values is None else values.double()


@pytest.mark.parametrize("sizes", [(9, 2, 20, 32), (9, 2, 20, 96), (9, 2, 7, 50), (9, 2, 33, 47)])
@pytest.mark.parametrize("name", ["tanh", "leaky", "gru", "lstm"])
@pytest.mark.parametrize("dtype", list(PRECISIONS))
def test_contributions_are_those_of_float64_to_the_precision_of_what_they_are_made_of(
    name, sizes, dtype
):
    cell, trace, totals = passes(name, sizes, 5, dtype)
    found = cell.measured(trace, totals).contribution
    assert off(found, contribution(trace, totals, cell)) <= PRECISIONS[dtype] / 2


@pytest.mark.parametrize("units", [8, 90])
def test_outer_products_that_cancel_keep_their_digits(units):
    """Two sequences of nearly the same states have opposite gradients: κ is 1e6."""
    cell, trace, totals = passes("identity", (5, 2, 4, units), 4, torch.float64)
    like, near = torch.ones_like(totals.total[:, :, :2]), 1 + 1e-6 * totals.total[:, :, :2]
    before = trace.previous_states[:, :, :2] + 1
    previous, G = torch.cat([before, before * near], 2), torch.cat([like, -like], 2)
    trace, totals = trace._replace(previous_states=previous), SummedTotals(G, None)
    found = cell.measured(trace, totals).contribution
    assert off(found, contribution(trace, totals, cell)) <= 1e-9


@pytest.mark.parametrize("units", [8, 90])
def test_a_contribution_beyond_float32_is_infinite_and_one_below_it_is_not_zero(units):
    cell, trace, totals = passes("identity", (5, 2, 4, units), 4, torch.float32)
    large = trace._replace(previous_states=trace.previous_states * 1e25)
    found = cell.measured(large, SummedTotals(totals.total * 1e25, None)).contribution
    assert bool((found == torch.inf).all())
    small = trace._replace(previous_states=trace.previous_states * 1e-18)
    found = cell.measured(small, SummedTotals(totals.total * 1e-18, None)).contribution
    wanted = cell.measured(trace, totals).contribution - 36
    assert off(found, wanted) <= 1e-2


def test_where_no_sequence_adds_anything_squares_are_not_held_for_lost(monkeypatch):
    """Of two sequences one has no state before, and the other one no gradient."""
    monkeypatch.setattr(
        recording, "_of_any_size", lambda *_: pytest.fail("as if squares were lost")
    )
    cell, trace, totals = passes("relu", (4, 2, 2, 1), 3, torch.float64)
    one, other = torch.tensor([[[0.0], [1.0]], [[1.0], [0.0]]], dtype=torch.float64)
    trace = trace._replace(previous_states=trace.previous_states.abs() * one + one)
    found = cell.measured(trace, SummedTotals(totals.total * other + other, None))
    assert bool((found.contribution == -torch.inf).all())


@pytest.mark.parametrize("units", [3, 90])
@pytest.mark.parametrize("bad", [torch.inf, torch.nan])
def test_no_gradient_times_a_state_that_is_not_finite_is_no_number(units, bad):
    cell, trace, totals = passes("relu", (4, 2, 2, units), 3, torch.float32)
    infinite = trace._replace(previous_states=torch.full_like(trace.previous_states, bad))
    nothing = SummedTotals(torch.zeros_like(totals.total), None)
    assert bool(cell.measured(infinite, nothing).contribution.isnan().all())
    stateless = trace._replace(previous_states=torch.zeros_like(trace.previous_states))
    endless = SummedTotals(torch.full_like(totals.total, bad), None)
    assert bool(cell.measured(stateless, endless).contribution.isnan().any())
    assert bool((cell.measured(trace, nothing).contribution == -torch.inf).all())
