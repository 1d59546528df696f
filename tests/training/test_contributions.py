"""Contributions: what every time step adds to the gradient of W_hh."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.network import Network
from rnn_exp.training import columns as module
from rnn_exp.training.columns import contributions, log10_contributions
from tests.builders import asked_for, normal, random_network


def found_of(sizes, num_layers, seed, activation="tanh", answers=1, dtype="float64"):
    """One backward pass, and δ of every layer."""
    T, R, B, H = sizes
    network = Network(activation, H, num_layers, initial_state=0.3, dtype=dtype)
    parameters = random_network(network, seed, R)
    x, wanted = normal(seed, T, R, B, 2), normal(seed + 1, R, min(answers, T), B, 3)
    x, wanted = x.to(network.torch_dtype), wanted.to(network.torch_dtype)
    found = scan_engine(parameters.views(), x, asked_for(wanted), network)
    deltas = [
        network.make_cell().deltas(trace, one)
        for trace, one in zip(found.traces, found.whole.totals, strict=True)
    ]
    return found, deltas


SIZES = st.tuples(st.integers(1, 30), st.integers(1, 4), st.integers(1, 5), st.integers(1, 8))


@given(
    SIZES,
    st.integers(1, 3),
    st.integers(1, 9),
    st.sampled_from(["tanh", "sigmoid", "relu", "identity"]),
    st.integers(0, 10**6),
)
def test_their_sum_over_time_is_the_gradient_of_the_recurrent_weights(
    sizes, num_layers, answers, activation, seed
):
    found, deltas = found_of(sizes, num_layers, seed, activation, answers)
    for number, delta in enumerate(deltas):
        summed = contributions(found.traces[number], delta).sum(0)
        expected = found.parameters[f"weight_hh_l{number}"]
        scale = float(contributions(found.traces[number], delta).abs().sum(0).max())
        torch.testing.assert_close(summed, expected, rtol=1e-12, atol=1e-12 * scale)


@given(SIZES, st.integers(1, 2), st.sampled_from([1, 7, 1 << 20]), st.integers(0, 10**6))
def test_their_norms_equal_a_loop_however_many_are_held_at_a_time(sizes, num_layers, room, seed):
    found, deltas = found_of(sizes, num_layers, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_NUMBERS", room)
        norms = [
            log10_contributions(trace, delta)
            for trace, delta in zip(found.traces, deltas, strict=True)
        ]
    for number, (trace, delta) in enumerate(zip(found.traces, deltas, strict=True)):
        for t in range(sizes[0]):
            for run in range(sizes[1]):
                C = sum(
                    torch.outer(delta[t, run, b], trace.previous_states[t, run, b])
                    for b in range(sizes[2])
                )
                mine, expected = float(norms[number][t, run]), float(C.norm())
                if expected == 0:
                    assert mine == -math.inf
                else:
                    assert mine == pytest.approx(math.log10(expected), abs=1e-11)


@given(
    st.tuples(st.integers(1, 60), st.integers(2, 6), st.integers(1, 20), st.integers(2, 40)),
    st.sampled_from(["float32", "float64"]),
    st.integers(0, 10**6),
)
def test_a_runs_bits_do_not_depend_on_the_runs_beside_it(sizes, dtype, seed):
    found, deltas = found_of(sizes, 1, seed, dtype=dtype)
    trace = found.traces[0]
    together = log10_contributions(trace, deltas[0])
    for run in range(sizes[1]):
        own = trace._replace(
            states=trace.states[:, run : run + 1],
            previous_states=trace.previous_states[:, run : run + 1],
        )
        alone = log10_contributions(own, deltas[0][:, run : run + 1])
        assert torch.equal(together[:, run], alone[:, 0])
