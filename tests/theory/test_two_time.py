"""The recursion at two times against slow programs, a binomial sum, and measured networks."""

import math

import numpy as np
import pytest
import torch

from rnn_exp.networks.cells import CELLS, GRU, LSTM, Elman, Jacobian, Skip
from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.networks.inits import ForgetBias, TorchDefault
from rnn_exp.networks.network import Network, shapes
from rnn_exp.networks.parameters import layer_weights
from rnn_exp.theory.two_time import (
    coupling,
    growth,
    kept,
    log_sizes,
    rate_of,
    size_of,
    spread,
    variation,
)
from tests import reference
from tests.theory.networks import driven_trace, measured


def frozen(keep, through, lags):
    """Return ln of the sizes for an a and a g² B that do not change."""
    return log_sizes(np.full(lags, keep), np.full((lags, lags), through))


def slope(sizes, first, last):
    return np.polyfit(np.arange(first, last + 1), sizes[first : last + 1], 1)[0]


@pytest.mark.parametrize("lags", [0, 1, 2, 3, 8, 25])
def test_the_recursion_is_that_of_the_slow_program(lags):
    draw = np.random.default_rng(lags)
    keep, b = draw.random(lags), draw.normal(size=(lags, 40))
    pairs = b @ b.T / 40
    found = log_sizes(keep, pairs)
    assert found == pytest.approx(reference.two_time(keep, pairs), abs=1e-12)


def test_the_sizes_are_those_of_random_networks_whatever_their_factors():
    draw = torch.Generator().manual_seed(3)
    keep = torch.linspace(0.5, 0.9, 7).tolist()
    b = 0.4 + 0.4 * torch.randn(7, 250, dtype=torch.float64, generator=draw)
    pairs = 1.2**2 * (b @ b.T / 250).numpy()
    found = log_sizes(np.array(keep), pairs)
    expected = reference.sizes_by_draws(keep, b, gain=1.2, draws=40)
    assert found == pytest.approx(expected.tolist(), abs=0.03)
    one_step = 0.5 * np.log(np.square(keep) + np.diagonal(pairs)).sum()
    assert abs(one_step - float(expected[-1])) > 0.5


@pytest.mark.parametrize("lag", [1, 2, 5, 30])
def test_a_linear_leaky_network_is_a_binomial_sum(lag):
    """J = 1 − α + α W, so that E‖J^k δ‖² = Σ_j binom(k, j)² (1 − α)^{2(k−j)} (α g)^{2j}."""
    leak, gain = 0.3, 1.1
    terms = [
        math.comb(lag, j) ** 2 * (1 - leak) ** (2 * (lag - j)) * (leak * gain) ** (2 * j)
        for j in range(lag + 1)
    ]
    found = frozen(1 - leak, (leak * gain) ** 2, lag)[-1]
    assert found == pytest.approx(0.5 * math.log(sum(terms)), abs=1e-12)


@pytest.mark.parametrize(("leak", "gain"), [(0.1, 0.9), (0.5, 1.0), (0.2, 1.5)])
def test_a_linear_leaky_network_grows_by_one_less_the_leak_and_the_leak_times_the_gain(leak, gain):
    through = (leak * gain) ** 2
    rate = 1 - leak + leak * gain
    assert growth(1 - leak, [through] * 20) == pytest.approx(rate, abs=1e-12)
    sizes = frozen(1 - leak, through, 600)
    at_600 = sizes[600] - sizes[599]
    assert at_600 == pytest.approx(math.log(rate) - 1 / (4 * 600), abs=2e-5), "and k^(−1/4)"


def test_without_a_part_that_is_kept_it_is_the_product_of_chi():
    chi = np.array([0.5, 2.0, 0.1, 3.0])
    pairs = np.diag(chi) + 0.01
    assert log_sizes(np.zeros(4), pairs) == pytest.approx(
        np.concatenate([[0], np.cumsum(0.5 * np.log(chi + 0.01))])
    )


@pytest.mark.parametrize(("keep", "through"), [(1.0, 1e8), (0.1, 1e-8), (1.0, 1e-30)])
def test_no_size_is_too_large_or_too_small(keep, through):
    sizes = frozen(keep, through, 999)
    rate = math.log(keep + math.sqrt(through))
    assert np.isfinite(sizes).all()
    assert sizes[-1] - sizes[-2] == pytest.approx(rate, abs=5e-4)
    assert sizes[-1] == pytest.approx(999 * rate, abs=3)


def test_the_asymptotic_rate_is_that_of_the_recursion_where_slopes_change_as_well():
    for of_lag in (0.01 * 0.9 ** np.arange(200), 0.008 + 0.002 * 0.8 ** np.arange(60)):
        lags = 1200
        values = np.concatenate([of_lag, np.full(lags, of_lag[-1])])
        pairs = values[np.abs(np.subtract.outer(np.arange(lags), np.arange(lags)))]
        sizes = log_sizes(np.full(lags, 0.9), pairs)
        found = math.log(growth(0.9, of_lag.tolist()))
        assert found == pytest.approx(sizes[-1] - sizes[-2], abs=1e-4)
        assert rate_of(np.full(lags, 0.9), pairs) == pytest.approx(math.exp(found), abs=1e-5)


def test_the_rate_without_a_kept_part_is_the_root_of_chi():
    assert growth(0.0, [4.0, 1.0]) == 2.0


def test_what_varies_is_told_from_what_does_not():
    draw, still = torch.Generator().manual_seed(0), torch.ones(40, 1, 2, 500)
    signs = torch.randn(still.shape, generator=draw).sign()

    def of(b, outer=None):
        return variation(Jacobian(b, (b, None), outer), [2.0, 1.0])

    assert of(still) == of(still[:1]) == of(still[:2]) == of(0 * still) == 0
    assert of(signs) == pytest.approx(1, abs=0.02)
    assert of(still + signs) == pytest.approx(0.5, abs=0.02)
    assert of(still, still + signs) == pytest.approx(0.5, abs=0.02)
    late = torch.cat([still[:9], -still[:1]])
    assert of(late) == 1 - 2 * -1 / 2, "of few steps the first and the last"
    jacobian = Jacobian(still, (2 * still, None), 3 * still)
    assert size_of(jacobian, [2.0, 1.0]) == 4 * 4 * 9
    assert size_of(jacobian.last(1), [2.0, 1.0]) == 0
    assert [len(part) for part in (jacobian.last(7).keep, jacobian.last(7).outer)] == [7, 7]


def test_the_coupling_is_the_mean_product_of_the_factors_block_by_block():
    draw = torch.Generator().manual_seed(0)
    one, other, outer = (torch.rand(4, 1, 2, 3, generator=draw) for _ in range(3))
    jacobian = Jacobian(torch.full((4, 1, 2, 3), 0.5), (one, None, other), outer)
    found = coupling(jacobian, [1.0, 5.0, 2.0])
    for k in range(3):
        for lag in range(3):
            pair = 4 - 1 - k, 4 - 1 - lag  # the steps back begin at the last
            through = sum(
                gain**2 * (b[pair[0]] * b[pair[1]]).mean() for gain, b in ((1, one), (2, other))
            )
            onto = (outer[pair[0] - 1] * outer[pair[1] - 1]).mean()
            assert found[k, lag] == pytest.approx(float(through * onto), abs=1e-6)
    assert kept(jacobian).tolist() == [0.5] * 3
    assert spread(jacobian) == 0


@pytest.mark.parametrize(
    ("keep", "through", "rate", "asymptote"),
    [
        # A GRU and an LSTM (forget bias 1) with torch's default and no input: z = i = o = 1/2.
        (0.5, 0.25**2 / 3, 0.6382, 0.6443),
        (1 / (1 + math.exp(-1)), 0.25**2 / 3, 0.8669, 0.8754),
    ],
)
def test_gated_cells_without_input_have_the_reference_rates(keep, through, rate, asymptote):
    assert math.exp(slope(frozen(keep, through, 60), 5, 60)) == pytest.approx(rate, abs=1e-3)
    assert growth(keep, [through] * 9) == pytest.approx(asymptote, abs=1e-4)


def test_a_leaky_network_without_input_has_the_reference_slope():
    assert slope(frozen(0.9, 0.01 * 0.81, 100), 20, 100) == pytest.approx(-0.0148, abs=1e-4)


DRIVEN = [
    (Skip(ACTIVATIONS["tanh"], 0.9, 0.1), 0.9, 0.0, 500, -0.0144, -0.0148),
    (Skip(ACTIVATIONS["tanh"], 0.9, 0.1), 1.0, 0.25, 500, -0.0223, -0.0231),
    (Skip(ACTIVATIONS["tanh"], 1.0, 0.1), 1.0, 0.25, 60, 0.0164, 0.0163),
]


@pytest.mark.parametrize(("cell", "gain", "drive", "burn_in", "slow", "two_time"), DRIVEN)
def test_driven_networks_have_the_reference_slopes(cell, gain, drive, burn_in, slow, two_time):
    """n = 400, 3 seeds, N(0, s²) at every unit and step, lags 20–100 of T = 120.

    Seeds scatter by .0019 (residual .0010); over 12 of them the mean is .0006 ± .0006 off.
    """
    found, expected = [], []
    for seed in range(3):
        trace, x, weights = driven_trace(cell, 400, gain, drive, burn_in, 120, seed)
        jacobian = cell.jacobian(trace)
        found.append(slope(measured(cell, trace, x, weights, seed), 20, 100))
        expected.append(slope(log_sizes(kept(jacobian), coupling(jacobian, [gain])), 20, 100))
    assert np.mean(expected) == pytest.approx(two_time, abs=1.2e-3)
    assert np.mean(found) == pytest.approx(slow, abs=3e-3)
    assert np.mean(found) == pytest.approx(np.mean(expected), abs=2.5e-3)


@pytest.mark.parametrize(
    ("cell", "init", "rate"), [("gru", TorchDefault(), 0.6383), ("lstm", ForgetBias(1.0), 0.8683)]
)
def test_gated_networks_without_input_decay_as_the_recursion_says(cell, init, rate):
    """n = 512, 4 seeds, lags 5–60; the biases are torch's."""
    found, expected = [], []
    for seed in range(4):
        p = init.draw(shapes(Network(cell=cell, hidden_size=512), 1, 1), seed, CELLS[cell])
        weights = layer_weights({name: v.double().unsqueeze(0) for name, v in p.items()}, 0)
        made, x = {"gru": GRU(), "lstm": LSTM()}[cell], torch.zeros(61, 1, 8, 1).double()
        trace = made.forward(x, weights, torch.zeros(1, 8, 512).double())
        jacobian, gains = made.jacobian(trace), [1 / math.sqrt(3)] * CELLS[cell].gates
        found.append(slope(measured(made, trace, x, weights, seed), 5, 60))
        expected.append(slope(log_sizes(kept(jacobian), coupling(jacobian, gains)), 5, 60))
    assert math.exp(np.mean(found)) == pytest.approx(rate, abs=0.01)
    assert math.exp(np.mean(found)) == pytest.approx(math.exp(np.mean(expected)), abs=0.01)


def test_of_a_plain_cell_it_is_the_mean_square_slope_of_each_step():
    cell, found, expected = Elman(ACTIVATIONS["tanh"]), [], []
    for seed in range(4):
        trace, x, weights = driven_trace(cell, 200, 1.2, 0.1, 20, 12, seed, batch=4)
        jacobian = cell.jacobian(trace)
        found.append(measured(cell, trace, x, weights, seed))
        expected.append(log_sizes(kept(jacobian), coupling(jacobian, [1.2])))
    assert np.mean(found, axis=0) == pytest.approx(np.mean(expected, axis=0), abs=0.1)
