"""Truncated backpropagation: windows against autograd that is cut off by hand."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.network import Network
from rnn_exp.networks.truncation import Truncation
from tests import reference
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
)
def test_windows_equal_autograd_that_is_cut_off(sizes, num_layers, every, more, seed, last):
    network, parameters, x, wanted = case(sizes, num_layers, seed, answers=1 if last else None)
    T, R, _, _ = sizes
    cut = Truncation(every, every + more)

    found = scan_engine(parameters.views(), x, asked_for(wanted), network, cut)

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
