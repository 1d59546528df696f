"""The gradient without a floor: equal to the ordinary one, and right where that is lost."""

import functools
import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.backward import adjoints_of_last
from rnn_exp.networks.cells import CELLS
from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.network import Network
from rnn_exp.networks.readout import Objective
from rnn_exp.networks.rescaled import rescaled
from rnn_exp.networks.scaled import LOG10_OF_2, Scaled
from rnn_exp.networks.truncation import Truncation
from rnn_exp.training.columns import profile, rescaled_late, rescaled_profile
from tests import reference
from tests.builders import asked_for, normal, random_network, squares


def rescaled_totals(pieces, until):
    """log10 of the norms of the total gradients alone."""
    return rescaled_late(pieces, until)["log10_late"]


NORMS = ("log10_total", "log10_direct", "log10_contribution", "log10_memory")


@st.composite
def networks(draw):
    """Any network of the package, small."""
    cell = draw(st.sampled_from(list(CELLS)))
    words = ["tanh", "sigmoid", "relu", "identity"]
    only = CELLS[cell].only_activation
    # Through layer norm gradients cancel: of few units, float32 keeps too few digits to compare.
    dtypes = ["float64"] if cell == "normed" else ["float32", "float64"]
    return Network(
        only or draw(st.sampled_from(words)),
        draw(st.integers(2, 6)),
        draw(st.integers(1, 3)),
        cell,
        leak=0.3 if CELLS[cell].has_leak else None,
        initial_state=draw(st.sampled_from([0.0, 0.4])),
        dtype=draw(st.sampled_from(dtypes)),
    )


def close_where_kept(mine, theirs, dtype):
    """Equal to rounding; a norm that is a sum which cancels has fewer digits."""
    close = 1e-9 if dtype == torch.float64 else 2e-2
    assert torch.equal(mine == -math.inf, theirs == -math.inf)
    there = theirs.isfinite() & (theirs > (-30 if dtype == torch.float32 else -290))
    assert (mine[there] - theirs[there]).abs().max().item() < close if there.any() else True


@given(networks(), st.integers(1, 12), st.integers(0, 10**6), st.data())
def test_where_nothing_is_lost_it_agrees_with_the_ordinary_pass(network, T, seed, data):
    R, B = 3, data.draw(st.integers(1, 4))
    dtype, parameters = network.torch_dtype, random_network(network, seed, R)
    x = normal(seed, T, R, B, 2, dtype=dtype)
    ends = data.draw(st.sampled_from([None, [T, max(1, T - 1), max(1, T - 2)]]))
    answers = 1 if ends else data.draw(st.integers(1, T))
    wanted = normal(seed + 1, R, answers, B, 3, dtype=dtype)
    objective = asked_for(wanted, ends, max(1, T - 2))
    truncation = data.draw(st.sampled_from([None, None, Truncation(2, 3), Truncation(1, 1)]))
    runs = data.draw(st.sampled_from([[0, 1, 2], [2], [0, 2]]))
    found = scan_engine(parameters.views(), x, objective, network, truncation)

    pieces = rescaled(found.forward, objective, runs, truncation)

    ordinary = profile(found, network.make_cell())
    mine = rescaled_profile(pieces, T, network.make_cell(), network.kind.recurrent)
    assert set(mine) == {name for name in NORMS if name in ordinary}
    for name, values in mine.items():
        close_where_kept(values, ordinary[name][..., runs], dtype)


@given(networks(), st.integers(2, 9), st.integers(0, 10**6))
def test_the_last_answers_loss_alone_agrees_too(network, T, seed):
    dtype, parameters = network.torch_dtype, random_network(network, seed, 2).views()
    x = normal(seed, T, 2, 3, 2, dtype=dtype)
    wanted = normal(seed + 1, 2, T, 3, 3, dtype=dtype)
    found = scan_engine(parameters, x, asked_for(wanted), network)
    last = squares(wanted[:, -1:])

    late = adjoints_of_last(found.forward, last)
    pieces = rescaled(found.forward, Objective(last), [0, 1])

    expected, mine = profile(found, network.make_cell(), late), rescaled_late(pieces, T)
    assert ("log10_late_memory" in mine) == network.kind.has_memory
    for name, values in mine.items():
        close_where_kept(values, expected[name], dtype)


PROGRAMS = {
    "rnn": (0.02, {}, lambda: functools.partial(reference.skip, phi="sigmoid", keep=0, add=1)),
    "leaky": (
        0.02,
        {"leak": 0.999},
        lambda: functools.partial(reference.skip, phi="sigmoid", keep=1 - 0.999, add=0.999),
    ),
    "gru": (1e-3, {}, lambda: reference.gru),
    "lstm": (1e-3, {}, lambda: reference.lstm),
}


@pytest.mark.parametrize("cell", list(PROGRAMS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norms_far_below_the_floor_equal_a_slow_program(cell, dtype):
    gain, more, program = PROGRAMS[cell]
    activation = CELLS[cell].only_activation or "sigmoid"
    T, R, B = 160, 2, 3
    network = Network(activation, 5, cell=cell, dtype=dtype, **more)
    parameters = random_network(network, 1, R, gain=gain)
    if cell in ("gru", "lstm"):  # gates nearly shut: a step back is a factor of a few thousandths
        gate = slice(5, 10)
        parameters.views()["bias_hh_l0"][:, gate] -= 6.0
    x, wanted = normal(2, T, R, B, 2), normal(3, R, 1, B, 3)
    x, wanted = x.to(network.torch_dtype), wanted.to(network.torch_dtype)
    objective = asked_for(wanted)
    found = scan_engine(parameters.views(), x, objective, network)

    pieces = rescaled(found.forward, objective, [0, 1])
    mine = rescaled_profile(pieces, T, network.make_cell(), network.kind.recurrent)

    close = 1e-9 if dtype == "float64" else 2e-3
    names = [name for name in NORMS if name in mine and name != "log10_direct"]
    for run in range(R):
        own = {name: value.double() for name, value in parameters.of_run(run).items()}
        weights = [own[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        start = torch.zeros(B, 5, dtype=torch.float64)
        last = found.direct[0][-1, run].double()
        slow = reference.without_floor(
            program(), x[:, run].double(), start, weights, last, "log10_memory" in mine
        )
        assert slow[0][0] < -330, "below what float64 holds"
        for name, expected in zip(names, slow, strict=False):
            values = mine[name][0, :, run].tolist()
            assert values == pytest.approx(expected, abs=close), name


@pytest.mark.parametrize("gain", [1e-3, 0.1, 1e2, 1e4])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_scaled_rotation_gives_exact_powers_at_any_size(gain, layers):
    T, H = 201, 4
    network = Network("identity", H, layers, dtype="float64")
    parameters = random_network(network, 0, 1).views()
    rotation = torch.linalg.qr(normal(1, H, H))[0]
    for name, values in parameters.items():
        if "bias" in name:
            values.zero_()
        if "weight" in name and "readout" not in name:
            values[:] = gain * rotation if values.shape[-1] == H else values
    parameters[f"weight_ih_l{layers - 1}"].zero_()  # the layers below have no gradient
    x, objective = torch.zeros(T, 1, 2, 2, dtype=torch.float64), asked_for(normal(2, 1, 1, 2, 3))
    found = scan_engine(parameters, x, objective, network)

    top = rescaled_totals(rescaled(found.forward, objective, [0]), T)[-1, :, 0]

    lags = torch.arange(T - 1, -1, -1, dtype=torch.float64)
    expected = top[-1] + lags * math.log10(gain)
    torch.testing.assert_close(top, expected, rtol=1e-13, atol=1e-10)
    assert abs(top[0]) > 190


def test_a_lower_layer_has_the_sum_over_paths_at_any_size():
    """Two layers, W = a and b times one: what lies k steps back is a sum of powers, in closed form.

    ∂L/∂h⁰_{T-k} = v Σ_{i=0}^{k} a^{k-i} b^i, with V = v of the upper layer.
    """
    T, a, b, v = 200, 1e-4, 1e3, 0.5
    network = Network("identity", 2, 2, dtype="float64")
    parameters = random_network(network, 0, 1).views()
    one = torch.eye(2, dtype=torch.float64)
    for name, values in parameters.items():
        if "bias" in name:
            values.zero_()
    parameters["weight_hh_l0"][:], parameters["weight_hh_l1"][:] = a * one, b * one
    parameters["weight_ih_l1"][:] = v * one
    x, objective = torch.zeros(T, 1, 2, 2, dtype=torch.float64), asked_for(normal(2, 1, 1, 2, 3))
    found = scan_engine(parameters, x, objective, network)

    lower, upper = rescaled_totals(rescaled(found.forward, objective, [0]), T).squeeze(-1)

    for k in (0, 1, 5, 150, 199):
        # The largest term is b^k; the others are a geometric series beside it.
        beside = sum((a / b) ** i for i in range(min(k, 5) + 1))
        expected = float(upper[-1]) + math.log10(v * beside) + k * math.log10(b)
        assert float(lower[T - 1 - k]) == pytest.approx(expected, abs=1e-10)
    assert float(lower[0]) > 590


def test_what_passes_a_state_that_is_not_finite_is_nan():
    network = Network("identity", 3)
    parameters = random_network(network, 0, 2).views()
    x, objective = normal(1, 9, 2, 2, 2).float(), asked_for(normal(2, 2, 1, 2, 3).float())
    found = scan_engine(parameters, x, objective, network)
    with torch.inference_mode():
        found.states[0][4, 1, 0, 0] = math.inf

    total = rescaled_totals(rescaled(found.forward, objective, [0, 1]), 9)[0]

    assert total[:5, 1].isnan().all()
    assert not total[5:, 1].isnan().any()
    assert not total[:, 0].isnan().any()


@given(st.floats(-1e300, 1e300), st.integers(-5000, 5000), st.integers(-5000, 5000))
def test_scaled_numbers_add_as_numbers_do(value, first, second):
    exponents = torch.tensor([[first], [second]])
    one, other = (
        Scaled(torch.full((1, 2), value, dtype=torch.float64), e).settled() for e in exponents
    )
    total = one.plus(other).settled()

    values, shared = total.aligned()
    if value == 0:
        assert total.nothing.all()
        return
    mine = math.log10(abs(float(values[0, 0]))) + float(shared) * LOG10_OF_2
    most, apart = max(first, second), abs(first - second)
    ratio = 1 + 2.0 ** -min(apart, 1000)
    expected = math.log10(abs(value)) + most * LOG10_OF_2 + math.log10(ratio)
    assert mine == pytest.approx(expected, rel=1e-13, abs=1e-11)


@pytest.mark.parametrize("size", [1e-320, 5e-324, 1.7e308, 1.0])
def test_numbers_at_the_ends_of_float64_settle_without_a_change(size):
    values = torch.full((1, 3), size, dtype=torch.float64)
    found = Scaled.of(values)
    for _ in range(2):
        assert torch.equal(
            torch.ldexp(found.values, torch.tensor(0.0))
            * 2.0 ** float(found.exponents[0] // 2)
            * 2.0 ** float(found.exponents[0] - found.exponents[0] // 2),
            values,
        )
        found = found.settled()
    assert 0.5 <= float(found.values.abs().max()) < 1
