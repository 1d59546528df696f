"""Truncated backpropagation: windows against autograd that is cut off by hand."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.cells import CELLS
from rnn_exp.networks.forward import Grid, grid_of
from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.network import Network
from rnn_exp.networks.truncation import Truncation
from tests import reference
from tests.allocations import held
from tests.builders import asked_for, normal, random_network


def case(sizes, num_layers, seed, activation="tanh", answers=None):
    """A network, sequences of many runs, and what is wanted at every (or the last) time step."""
    T, R, B, H = sizes
    network = Network(activation, H, num_layers, dtype="float64")
    parameters = random_network(network, seed, R)
    wanted = normal(seed + 1, R, T if answers is None else answers, B, 3)
    return network, parameters, normal(seed, T, R, B, 2), wanted


SIZES = st.tuples(st.integers(1, 12), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5))


@given(
    SIZES,
    st.integers(1, 2),
    st.integers(1, 5),
    st.integers(0, 9),
    st.integers(0, 10**6),
    st.booleans(),
    st.sampled_from([None, Grid(1), Grid(2)]),
)
def test_windows_equal_autograd_that_is_cut_off(sizes, num_layers, every, more, seed, last, grid):
    network, parameters, x, wanted = case(sizes, num_layers, seed, answers=1 if last else None)
    T, R, _, _ = sizes
    cut = Truncation(every, every + more)

    found = scan_engine(parameters.views(), x, asked_for(wanted), network, cut, grid)

    for run in range(R):

        def loss_at(t, y, run=run):
            answer = t - 1 - (T - wanted.shape[1])
            if answer < 0:
                return 0 * y.sum()
            return ((y - wanted[run, answer]) ** 2).sum() / wanted[run].numel()

        expected = reference.truncated_gradients(
            parameters.of_run(run), x[:, run], num_layers, "tanh", loss_at, cut.every, cut.back
        )
        for name, value in expected.items():
            mine = found.parameters[name][run]
            torch.testing.assert_close(mine, value, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("more", [0, 1, 50])
@pytest.mark.parametrize("answers", [1, None])
def test_a_window_of_the_whole_sequence_is_the_full_gradient_to_the_bit(num_layers, more, answers):
    network, parameters, x, wanted = case((20, 2, 3, 6), num_layers, 0, answers=answers)

    full = scan_engine(parameters.views(), x, asked_for(wanted), network)
    cut = scan_engine(parameters.views(), x, asked_for(wanted), network, Truncation(20, 20 + more))

    for name, value in full.parameters.items():
        assert torch.equal(cut.parameters[name], value), name
    for mine, theirs in zip(cut.total, full.total, strict=True):
        assert torch.equal(mine, theirs)
    for mine, theirs in zip(cut.direct, full.direct, strict=True):
        assert torch.equal(mine[20 - len(theirs) :], theirs)
        assert not mine[: 20 - len(theirs)].any()


@pytest.mark.parametrize(("every", "back"), [(1, 1), (4, 4), (5, 7), (3, 12)])
def test_the_loss_of_the_last_step_reaches_back_exactly_so_many_steps(every, back):
    network, parameters, x, wanted = case((20, 2, 3, 6), 2, 0, answers=1)

    full = scan_engine(parameters.views(), x, asked_for(wanted), network)
    cut = scan_engine(parameters.views(), x, asked_for(wanted), network, Truncation(every, back))

    for mine, theirs in zip(cut.total, full.total, strict=True):
        assert not mine[: 20 - back].any()
        assert mine[20 - back :].abs().flatten(1).amax(1).gt(0).all()
        torch.testing.assert_close(mine[20 - back :], theirs[20 - back :], rtol=1e-13, atol=0)


def test_recorded_totals_are_the_sums_of_the_windows():
    """With k1 = 1 every loss goes back k2 − 1 steps, and no further."""
    T, back = 9, 3
    network, parameters, x, wanted = case((T, 1, 2, 4), 1, 3)

    found = scan_engine(
        parameters.views(), x, asked_for(wanted), network, Truncation(every=1, back=back)
    )

    expected = torch.zeros(T, 2, 4, dtype=torch.float64)
    for t in range(1, T + 1):
        own = wanted[0, t - 1]
        _, _, total = reference.gradients(
            parameters.of_run(0),
            x[:, 0],
            1,
            "tanh",
            lambda y, own=own: ((y[0] - own) ** 2).sum() / wanted[0].numel(),
            [t],
        )
        expected[max(0, t - back) : t] += total[0, max(0, t - back) : t]
    torch.testing.assert_close(found.total[0][:, 0], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("every", "back"), [(1, 1), (4, 4), (5, 7), (3, 12), (20, 20)])
def test_the_last_window_of_a_sequence_ends_where_the_sequence_does(every, back):
    network, parameters, x, wanted = case((15, 4, 3, 5), 2, seed=0, answers=1)
    ends = [15, 12, 13, 12]

    found = scan_engine(
        parameters.views(), x, asked_for(wanted, ends, 12), network, Truncation(every, back)
    )

    for run, end in enumerate(ends):
        one = slice(run, run + 1)
        own = {name: view[one] for name, view in parameters.views().items()}
        cut = scan_engine(
            own, x[:end, one], asked_for(wanted[one]), network, Truncation(every, back)
        )
        for mine, theirs in zip(found.total, cut.total, strict=True):
            assert torch.equal(mine[:end, one], theirs)
            assert not mine[end:, one].any()
        for name, theirs in cut.parameters.items():
            torch.testing.assert_close(found.parameters[name][one], theirs, rtol=1e-13, atol=1e-14)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 45), st.integers(0, 20))
def test_every_loss_is_in_one_window_and_no_window_is_longer_than_allowed(T, last, every, more):
    last = min(last, T)
    windows = list(Truncation(every, every + more).windows(T, last))

    losses = [t for window in windows for t in range(window.first, window.end)]
    assert losses == list(range(T - last, T))
    for window in windows:
        assert 0 <= window.start <= window.first < window.end <= T
        assert window.end - window.start == min(window.end, every + more)


@given(st.integers(1, 6), st.integers(0, 5), st.integers(0, 10**6), st.booleans())
def test_a_runs_bits_do_not_depend_on_the_runs_beside_it(every, more, seed, by_ends):
    network, parameters, x, wanted = case((15, 4, 3, 5), 2, seed, answers=1 if by_ends else None)
    ends = [15, 12, 13, 14] if by_ends else None
    views = parameters.views()

    def bits(which):
        own = {name: view[which].clone() for name, view in views.items()}
        asked = asked_for(wanted[which].clone(), ends and ends[which], 12)
        found = scan_engine(
            own, x[:, which].clone(), asked, network, Truncation(every, every + more)
        )
        return [*found.parameters.values(), *(total.transpose(0, 1) for total in found.total)]

    together = bits(slice(None))
    for run in range(4):
        for many, one in zip(together, bits(slice(run, run + 1)), strict=True):
            assert torch.equal(many[run], one[0])


def joined(pieces):
    """All that belongs to time steps, by name; a layer each."""
    ordered = list(pieces)
    assert [piece.start for piece in ordered] == [0] + [
        sum(len(piece.totals[0].total) for piece in ordered[:count])
        for count in range(1, len(ordered))
    ]
    layers = range(len(ordered[0].traces))
    found = {
        "states": [[piece.traces[n].states for piece in ordered] for n in layers],
        "direct": [[piece.direct[n] for piece in ordered] for n in layers],
        "total": [[piece.totals[n].total for piece in ordered] for n in layers],
    }
    if ordered[0].totals[0].memory is not None:
        found["memory"] = [[piece.totals[n].memory for piece in ordered] for n in layers]
    return {name: [torch.cat(own) for own in parts] for name, parts in found.items()}


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize(("every", "back"), [(5, 12), (13, 13), (9, 20)])
@pytest.mark.parametrize("asked", ["last", "every", "ends"])
def test_stretches_of_time_give_what_the_whole_sequence_gives(cell, every, back, asked):
    T, R, B, H = 90, 3, 2, 5
    network = Network(
        "tanh", H, 2, cell, leak=0.3 if CELLS[cell].has_leak else None, dtype="float64"
    )
    parameters, x = random_network(network, 0, R).views(), normal(1, T, R, B, 2)
    ends = [90, 61, 75] if asked == "ends" else None
    wanted = normal(2, R, T if asked == "every" else 1, B, 3)
    objective, cut = asked_for(wanted, ends, 60), Truncation(every, back)

    whole = scan_engine(parameters, x, objective, network, cut)
    found = scan_engine(parameters, x, objective, network, cut, Grid(5))

    assert not found.forward.is_whole
    assert torch.equal(found.loss, whole.loss)
    for name, value in whole.parameters.items():
        torch.testing.assert_close(found.parameters[name], value, rtol=1e-12, atol=1e-14)
    for _ in range(2):  # as often as one likes
        mine, theirs = joined(found.pieces), joined(whole.pieces)
        assert mine.keys() == theirs.keys()
        for name, layers in theirs.items():
            for own, other in zip(mine[name], layers, strict=True):
                if name == "direct":
                    other = torch.nn.functional.pad(other, (0,) * 6 + (T - len(other), 0))
                torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("cell", "answers"), [("rnn", 1), ("lstm", None)])
def test_memory_is_that_of_the_window_not_of_the_sequence(monkeypatch, cell, answers):
    """Twice the sequence holds less than half of its additional states, all layers' passes in."""
    monkeypatch.setattr("rnn_exp.networks.reading._ROWS", 40)
    B, H, network, grid = 2, 32, Network(hidden_size=32, cell=cell), Grid(10)
    parameters = random_network(network, 0, 1).views()

    def go(T):
        x, wanted = torch.zeros(T, 1, B, 2), torch.zeros(1, answers or T, B, 3)
        cut = Truncation(every=20, back=30)
        found = scan_engine(parameters, x, asked_for(wanted), network, cut, grid)
        for piece in found.pieces:
            assert len(piece.totals[0].total) <= 2 * grid.stretch

    short, long = held(lambda: go(300)), held(lambda: go(600))

    kept = 7 if cell == "lstm" else 1  # numbers of a unit that a forward pass leaves, a step
    assert 0 < long - short < 300 * 4 * B * H * kept / 2


def test_only_sequences_longer_than_a_stretch_and_a_half_are_cut():
    network = Network(hidden_size=64, cell="lstm")
    grid = grid_of(network, B=16, T=10**6, window=1000)
    assert grid is not None
    assert grid.stretch >= 1000
    assert grid.border % (32768 // (16 * 4 * 64)) == 0  # where the cell cuts the time
    assert grid_of(network, B=16, T=grid.stretch, window=1000) is None
    assert grid_of(network, B=16, T=2000, window=2000) is None
