"""Contributions: what every time step adds to the gradient of W_hh."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from rnn_exp.networks import norms as module
from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.network import Network
from rnn_exp.networks.norms import log10_norm_of_product
from rnn_exp.training.measured import log10_contributions
from tests import reference
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
        each = delta.mT @ found.traces[number].previous_states
        expected = found.parameters[f"weight_hh_l{number}"]
        scale = float(each.abs().sum(0).max())
        torch.testing.assert_close(each.sum(0), expected, rtol=1e-12, atol=1e-12 * scale)


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


def sides(seed, B, G, H, dtype, size=1.0, rest=None):
    """δ and h of one step; a rest: the last product takes the others away but for so much."""
    left, right = normal(seed, B, G), normal(seed + 1, B, H)
    if rest is not None:
        left[-1], right[-1] = -left[0] * (1 + rest), right[0]
        left[1:-1] *= rest
    return (size * left).to(dtype), right.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rest", [None, 1e-1, 1e-2, 1e-4, 1e-8, 0.0])
@pytest.mark.parametrize(("size", "seed"), [(1e-30, 0), (1.0, 1), (1e30, 2)])
def test_their_norms_are_exact_to_the_stated_bound_however_much_cancels(dtype, rest, size, seed):
    """Against exact rational arithmetic: n κ² 2^-53 up to κ = 100, as if multiplied out beyond."""
    left, right = sides(seed, 2 + seed, 16 + seed, 17, dtype, size, rest)
    expected, kappa = reference.of_product(left, right)

    found = float(log10_norm_of_product(left.unsqueeze(0), right.unsqueeze(0)))

    if expected == -math.inf:
        nothing = reference.log10_norm(left) + reference.log10_norm(right) - 14
        assert found < (nothing if dtype == torch.float64 else -1e300)
        return
    bound = 20 * min(kappa, 101) ** 2 * 2**-53
    if kappa > 99:
        bound += torch.finfo(dtype).eps + 20 * kappa * 2**-53
    assert abs(found - expected) * math.log(10) <= bound + 1e-15 * abs(expected)


@pytest.mark.parametrize(
    ("dtype", "of_left", "of_right"),
    [
        (torch.float32, 1e-45, 1e-45),
        (torch.float32, 3e38, 1e-38),
        (torch.float64, 1e-300, 1e-300),
        (torch.float64, 5e-324, 1.0),
        (torch.float64, 1e300, 1e-300),
        (torch.float64, 1e150, 1e-200),
    ],
)
def test_their_norms_are_right_where_squares_would_not_be(dtype, of_left, of_right):
    left, right = (torch.full((1, 2, 16), one, dtype=dtype) for one in (of_left, of_right))
    expected = math.log10(2 * 16) + sum(math.log10(float(side[0, 0, 0])) for side in (left, right))
    assert float(log10_norm_of_product(left, right)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("T", "B", "H", "inputs"), [(40, 6, 20, 20), (3, 5, 64, 64), (1, 20, 64, 1), (38, 1, 100, 400)]
)
def test_a_run_has_the_same_bits_alone_wherever_its_numbers_lie(T, B, H, inputs, dtype):
    """Runs lie behind one another in filled-up rows, as kernels leave them."""
    left, right = (
        normal(seed, 5, T, B, row).to(dtype)[..., :size].transpose(0, 1)
        for seed, row, size in ((1, H + 12, H), (2, inputs + 12, inputs))
    )
    together = log10_norm_of_product(left, right)
    for run in range(5):
        alone = left[:, run : run + 1], right[:, run : run + 1]
        for own in (alone, [part.contiguous() for part in alone]):
            assert torch.equal(log10_norm_of_product(*own), together[:, run : run + 1])


def test_of_products_of_very_different_sizes_none_is_left_out():
    """Squares of the first row of δ are beyond float64's range, and so is what h makes up for."""
    left = torch.zeros(1, 2, 16, dtype=torch.float64)
    right = torch.zeros(1, 2, 16, dtype=torch.float64)
    left[0, 0, 0], right[0, 0, 0] = 1e-170, 1e170
    left[0, 1, 1], right[0, 1, 1] = 1.0, 1e-3
    assert float(log10_norm_of_product(left, right)) == pytest.approx(0.5 * math.log10(1 + 1e-6))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1e20, 1e20, math.inf),
        (math.inf, 1.0, math.inf),
        (math.nan, 1.0, math.nan),
        (0.0, 1.0, -math.inf),
    ],
)
def test_what_overflows_in_training_is_infinite_and_what_is_nothing_is_nothing(
    left, right, expected
):
    """In float32; the step beside it is as it would be alone."""
    first, second = torch.ones(2, 2, 16), torch.ones(2, 2, 16)
    first[0], second[0] = left, right

    found = log10_norm_of_product(first, second)

    np.testing.assert_equal(float(found[0]), expected)
    assert torch.equal(found[1:], log10_norm_of_product(first[1:], second[1:]))


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
