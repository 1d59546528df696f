"""Decay rate, half-life and verdict of profiles whose answer is known."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from rnn_exp.profiles import RULE, measure, rate_over_lags, slope


def line(rate, T):
    return np.arange(T)[::-1] * math.log10(rate)


@given(st.floats(0.05, 20), st.integers(6, 300))
def test_a_straight_line_gives_its_own_rate(rate, T):
    decay = measure(line(rate, T), np.ones(T, dtype=bool))
    assert decay.rate == pytest.approx(rate, rel=1e-9)
    if abs(math.log(rate)) > 1e-6:
        assert decay.half_life == pytest.approx(math.log(2) / abs(math.log(rate)), rel=1e-6)


@pytest.mark.parametrize(
    ("rate", "T", "verdict"),
    [
        (0.5, 20, "vanishing"),
        (2.0, 20, "exploding"),
        (1.0, 20, "stable"),
        (0.99, 50, "stable"),
        (0.99, 500, "vanishing"),
        (1.01, 500, "exploding"),
    ],
)
def test_verdict_is_about_a_factor_of_ten_over_the_sequence(rate, T, verdict):
    assert measure(line(rate, T), np.ones(T, dtype=bool)).verdict == verdict


def test_unusable_norms_do_not_count():
    profile, usable = line(0.5, 40), np.ones(40, dtype=bool)
    profile[:20], usable[:20] = -np.inf, False
    assert measure(profile, usable).rate == pytest.approx(0.5)


@pytest.mark.parametrize("T", [1, 2])
def test_two_norms_make_no_line(T):
    decay = measure(line(0.5, T), np.ones(T, dtype=bool))
    assert decay.verdict == "undetermined"
    assert math.isnan(decay.rate)
    assert math.isnan(decay.half_life)


def test_the_printed_rule_names_every_verdict():
    for verdict in ("vanishing", "stable", "exploding", "diverged", "undetermined"):
        assert verdict in RULE


def test_the_first_and_the_last_tenth_of_the_usable_norms_do_not_count():
    profile = line(0.5, 40)
    profile[:4] += 3
    profile[-4:] -= 3
    assert measure(profile, np.ones(40, dtype=bool)).rate == pytest.approx(0.5)


def test_a_gradient_that_is_gone_at_once_has_vanished_though_it_has_no_rate():
    profile = np.array([-np.inf, -np.inf, -np.inf, -np.inf, 0.0])
    decay = measure(profile, np.isfinite(profile))
    assert decay.verdict == "vanishing"
    assert math.isnan(decay.rate)
    profile[0] = np.nan
    assert measure(profile, np.isfinite(profile)).verdict == "undetermined"


def test_a_long_sequence_that_underflows_early_still_has_its_rate():
    profile = line(0.25, 1000)
    usable = profile > -37
    decay = measure(np.where(usable, profile, -np.inf), usable)
    assert decay.verdict == "vanishing"
    assert decay.rate == pytest.approx(0.25)


def test_the_rate_over_some_lags_sees_no_others():
    lag = np.arange(60)
    norms = np.where((lag >= 5) & (lag <= 50), lag * math.log10(0.9), 7.0)
    assert rate_over_lags(norms, lag, 5, 50) == pytest.approx(0.9, rel=1e-12)
    backward = rate_over_lags(norms[::-1], lag[::-1], 5, 50)
    assert backward == rate_over_lags(norms, lag, 5, 50)


@pytest.mark.parametrize("lost", [-np.inf, np.inf, np.nan])
def test_a_norm_that_is_lost_leaves_no_rate_over_its_lags(lost):
    lag, norms = np.arange(20), np.zeros(20)
    norms[7] = lost
    assert math.isnan(rate_over_lags(norms, lag, 5, 15))
    assert rate_over_lags(norms, lag, 8, 15) == 1
    assert math.isnan(rate_over_lags(norms[:10], lag[:10], 8, 15))


def test_the_slope_is_that_of_least_squares():
    lag = np.array([3.0, 4.0, 8.0, 9.0])
    ln_norm = np.array([1.0, -2.0, 0.5, 3.0])
    assert slope(lag, ln_norm) == pytest.approx(np.polyfit(lag, ln_norm, 1)[0], rel=1e-12)
