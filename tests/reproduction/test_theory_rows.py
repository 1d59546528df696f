"""Measures of the theory rows against closed forms and plain programs, on tiny sizes."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from rnn_exp.networks.inits import Gaussian, Orthogonal
from rnn_exp.networks.network import Network
from rnn_exp.reproduction import theory_of_cells, theory_of_sequences
from rnn_exp.reproduction.measuring import measure
from rnn_exp.reproduction.theory_of_cells import GatedRate, SkipSlope
from rnn_exp.reproduction.theory_of_sequences import (
    BelowTheFloor,
    Change,
    MiddleRate,
    log10_norms,
)
from rnn_exp.tasks import Adding, TemporalOrder
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training

ONCE = Training(updates=1, batch_size=3)
MEASURED, THEORY, OFF = "measured", "theory − measured", "distance from the stationary rate"
ONE_STEP = "measured − one-step formula"


def run_of(task, activation="tanh", init=None, **network):
    return Run(task, Network(activation, **network), init or Gaussian(), ONCE)


def test_without_weights_a_leaky_cell_keeps_its_share():
    slopes = SkipSlope("leaky", 0.0, 0.25, n=6, seeds=2, burn_in=3)(T=12, lags=(1, 10))
    assert slopes == pytest.approx([math.log(0.9)] * 2, abs=1e-12)
    for of in (THEORY, ONE_STEP):
        apart = SkipSlope("leaky", 0.0, 0.25, of, n=6, seeds=2, burn_in=3)(T=12, lags=(1, 10))
        assert apart == pytest.approx([0.0, 0.0], abs=1e-12)
    residual = SkipSlope("residual", 0.0, 0.25, n=6, seeds=1, burn_in=3)(T=12, lags=(1, 10))
    assert residual == pytest.approx([0.0], abs=1e-12)


@pytest.mark.parametrize("cell", ["leaky", "residual"])
def test_a_measured_slope_is_that_of_the_unrolled_program(cell):
    """The networks are drawn with the measure's own words, and all that follows is autograd's."""
    n, T, leak, gain = 5, 8, 0.3, 1.3
    [found] = SkipSlope(cell, gain, 0.25, leak=leak, n=n, seeds=1, burn_in=2)(T=T, lags=(0, 7))
    draw = theory_of_cells.normals
    W = draw(1, "wide weights", n, n, scale=gain / math.sqrt(n))[0]
    x = draw(1, "wide inputs", 2 + T, 2, n, scale=0.5)[0]
    last = draw(1, "wide losses", 2, n)[0]
    h, states = torch.zeros(2, n, dtype=torch.float64), []
    for x_t in x:
        h = (h * (1 if cell == "residual" else 1 - leak)) + leak * torch.tanh(h @ W.T + x_t)
        states.append(h.requires_grad_())
    gradients = torch.autograd.grad((h * last).sum(), states[2:])
    ln_norms = np.array([math.log(float(g.norm())) for g in reversed(gradients)])
    assert found == pytest.approx(np.polyfit(np.arange(T), ln_norms, 1)[0], abs=1e-10)


def test_a_network_of_gates_without_input_has_the_rate_of_its_recursion():
    """Gates of ½ and g = 1/√3 at every step: C_kk by the recursion, written down once more."""
    measured = GatedRate("gru", n=64, seeds=3)((2, 12))
    apart = GatedRate("gru", of=THEORY, n=64, seeds=3)((2, 12))
    a, square = 0.5, (0.25 / math.sqrt(3)) ** 2
    C = np.zeros((14, 14))
    C[0] = C[:, 0] = a ** np.arange(14.0)
    for k in range(1, 14):
        for m in range(1, 14):
            C[k, m] = a * (C[k - 1, m] + C[k, m - 1]) + (square - a * a) * C[k - 1, m - 1]
    lags = np.arange(2, 13)
    rate = math.exp(np.polyfit(lags, 0.5 * np.log(np.diagonal(C)[lags]), 1)[0])
    assert np.array(measured) + np.array(apart) == pytest.approx(rate, abs=1e-9)
    one_step = GatedRate("gru", of=ONE_STEP, n=64, seeds=3)((2, 12))
    expected = math.sqrt(a * a + square)
    assert np.array(measured) - np.array(one_step) == pytest.approx(expected, abs=1e-9)


def test_an_lstm_is_looked_at_by_its_memory():
    """With a forget gate that is open (bias 40) and tiny weights ∂L/∂c stays; ∂L/∂h does not."""
    [kept] = GatedRate("lstm", 40.0, n=16, seeds=1)((2, 8))
    assert kept == pytest.approx(1.0, abs=0.2)
    [half] = GatedRate("lstm", 0.0, n=64, seeds=1)((2, 12))
    assert half == pytest.approx(0.5 + 0.25 / math.sqrt(3), abs=0.05)


def test_the_change_and_the_rate_of_a_linear_orthogonal_network_are_known():
    run = run_of(TemporalOrder(30), "identity", Orthogonal(0.5), hidden_size=8)
    assert Change(run, 2)() == pytest.approx([29 * math.log(0.5)] * 2, abs=1e-4)
    assert MiddleRate(run, 2)() == pytest.approx([math.log(0.5)] * 2, abs=1e-5)
    assert all(map(math.isnan, Change(run, 2, THEORY)())), "W is not random: no theory"
    assert all(map(math.isnan, Change(run, 2, OFF)()))
    assert all(map(math.isnan, MiddleRate(run, 2, OFF)()))


def test_a_change_is_compared_with_theory_and_with_the_stationary_rate():
    """A linear network: χ = g² at every step, so that both say 10 ln g more than nothing."""
    run = run_of(TemporalOrder(11), "identity", Gaussian(0.8), hidden_size=64)
    [measured] = Change(run, 1)()
    expected = 10 * math.log(0.8)
    assert Change(run, 1, THEORY)() == pytest.approx([expected - measured], abs=1e-5)
    assert Change(run, 1, OFF)() == pytest.approx([abs(expected - measured)], abs=1e-5)
    assert Change(run, 1, OFF).settings["of"] == OFF


def test_theory_that_does_not_reach_the_first_step_is_compared_with_nothing():
    run = run_of(TemporalOrder(30), "identity", Gaussian(0.8), hidden_size=16)
    assert all(map(math.isnan, Change(run, 1, THEORY)())), "theory ends at lag n/4 = 4"


def test_the_plain_program_has_the_norms_that_float64_records():
    run = run_of(Adding(12), "sigmoid", Gaussian(3.0), hidden_size=9, dtype="float64")
    [outcome] = train_runs([run])
    recorded = outcome.gradients["log10_total"][::-1]
    # the weights are those of single precision, and so are the recorded numbers of the inputs
    assert recorded - recorded[0] == pytest.approx(log10_norms(run), abs=1e-6)


def test_below_the_floor_is_nan_where_nothing_was_lost():
    assert all(map(math.isnan, BelowTheFloor(run_of(Adding(12), "sigmoid"), 2)()))
    lost = run_of(Adding(120), "sigmoid", Gaussian(0.3), hidden_size=9)
    assert all(value < 1e-5 for value in BelowTheFloor(lost, 2)())


@pytest.mark.parametrize("rows", [theory_of_cells.CLAIMS, theory_of_sequences.CLAIMS])
def test_a_formula_that_is_right_at_every_step_meets_no_claim_that_it_is_wrong(rows):
    """What says that a formula is off is not met where it is not."""
    wrong = [real for real in rows if "too low" in real.says or "off" in real.says]
    assert wrong
    for real in wrong:
        assert not real.goal.met([0.0] * 8)


def test_a_claim_fails_where_the_network_is_another():
    """The goal for a leaky cell is not met by one that keeps less."""
    [real] = [
        real
        for real in theory_of_cells.CLAIMS
        if real.says.startswith("leaky α=0.1, g=0.9") and "as another" in real.says
    ]
    other = dataclasses.replace(real.full, leak=0.3, n=64, seeds=3, burn_in=20)
    assert measure(dataclasses.replace(real, full=other), quick=False).verdict == "not met"
