"""What is said of profiles whose answer is known, and how often its intervals hold the truth."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from rnn_exp.profiles import (
    CONFIDENCE,
    RULE,
    drift,
    mean_interval,
    rate_over_lags,
    slope,
    summarize,
)
from rnn_exp.schema import GRADIENT_STATUSES, VERDICTS


def line(rate, T):
    return np.arange(T)[::-1] * math.log10(rate)


def said(by_lag, statuses=None):
    """The summary of norms (log10) by lag; statuses: those of the last ones, the others are ok."""
    by_lag = np.asarray(by_lag, dtype=float)
    words = ["ok"] * len(by_lag)
    if statuses:
        words[len(words) - len(statuses) :] = statuses
    return summarize(by_lag[::-1], words[::-1])


def walk(seed, lags, mean=0.1, rho=0.0, sigma=1.0):
    """ln of norms by lag: a walk with drift whose increments are an AR(1) process."""
    draw = np.random.default_rng(seed)
    noise, apart = sigma * draw.normal(size=lags + 100), np.zeros(lags + 100)
    for step in range(1, len(apart)):
        apart[step] = rho * apart[step - 1] + noise[step]
    return np.concatenate([[0.0], np.cumsum(mean + apart[-(lags - 1) :])])


@given(st.floats(0.05, 20), st.integers(6, 300))
def test_a_straight_line_gives_its_own_rate(rate, T):
    found = summarize(line(rate, T), ["ok"] * T)
    assert found.rate == pytest.approx(rate, rel=1e-9)
    assert found.log10_change == pytest.approx((T - 1) * math.log10(rate), abs=1e-9)
    assert not found.is_bent
    if abs(math.log(rate)) > 1e-5:
        assert found.half_life == pytest.approx(math.log(2) / abs(math.log(rate)), rel=1e-6)
        assert found.r_squared == pytest.approx(1, abs=1e-6)


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
def test_the_verdict_is_about_a_factor_of_ten_over_the_sequence(rate, T, verdict):
    assert summarize(line(rate, T), ["ok"] * T).verdict == verdict


# What a simulation of 400 walks may show of a probability of .95: its own error is .011.
@pytest.mark.parametrize("lags", [24, 80])
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_the_interval_of_the_rate_holds_the_drift_as_often_as_it_says(lags, rho):
    hits = 0
    for seed in range(400):
        found = said(walk(seed, lags, rho=rho) / math.log(10))
        hits += found.low <= 0.1 <= found.high
    assert 0.90 <= hits / 400 <= 0.98
    assert CONFIDENCE == 0.95


def test_an_interval_from_the_residuals_of_a_line_would_hold_it_far_less_often():
    """Why increments are asked and not residuals."""
    hits = 0
    for seed in range(400):
        y = walk(seed, 80)
        lag = np.arange(80) - 39.5
        fitted = float(lag @ y / (lag @ lag))
        left = y - y.mean() - fitted * lag
        error = math.sqrt(float(left @ left) / 78 / float(lag @ lag))
        hits += abs(fitted - 0.1) <= 1.99 * error
    assert hits / 400 < 0.5


@pytest.mark.parametrize("lags", [24, 80])
def test_few_straight_walks_are_called_bent(lags):
    bent = [said(walk(seed, lags) / math.log(10)).is_bent for seed in range(300)]
    assert np.mean(bent) < 0.12


def test_too_few_increments_are_given_the_error_of_an_autocorrelation_of_one_half():
    increments = np.array([0.1, 0.3, 0.2, 0.2])
    found = drift(increments)
    assert found.error == pytest.approx(math.sqrt(3) * increments.std(ddof=1) / 2, rel=1e-6)
    assert found.high - found.mean == pytest.approx(3.182446 * found.error, rel=1e-6)
    assert math.isnan(drift(np.array([0.1])).mean)


class TestSentencesOfShortAndBrokenProfiles:
    """T = 1…5, all lost, one usable norm, cut off, not finite, constant, V-shaped."""

    def test_one_time_step_has_no_lag(self):
        found = said([0.0])
        assert (found.verdict, found.reason) == ("undetermined", "one time step has no lag")
        assert math.isnan(found.log10_change)
        assert math.isnan(found.rate)

    @pytest.mark.parametrize("T", [2, 3, 4])
    @pytest.mark.parametrize(("change", "verdict"), [(-2, "vanishing"), (2, "exploding")])
    def test_a_few_steps_have_a_change_and_no_rate(self, T, change, verdict):
        found = said(np.linspace(0, change, T))
        assert found.verdict == verdict
        assert found.reason.startswith("from the change alone")
        assert math.isnan(found.rate)
        assert math.isnan(found.half_life)

    def test_five_steps_have_a_rate(self):
        found = said(np.linspace(0, -2, 5))
        assert found.rate == pytest.approx(10**-0.5)
        assert found.verdict == "vanishing"

    def test_nothing_at_all(self):
        found = said([-np.inf] * 4, ["zero"] * 4)
        assert (found.verdict, found.reason) == ("undetermined", "exactly zero at every lag")

    def test_one_usable_norm_and_then_exactly_zero(self):
        found = said([0.0, -np.inf, -np.inf], ["zero"] * 2)
        assert (found.verdict, found.reason) == ("vanishing", "exactly zero from lag 1 on")
        assert found.log10_change == -np.inf
        assert found.horizon == 1
        assert found.lost_at == 1

    def test_what_is_cut_off_has_no_verdict_and_no_half_life(self):
        by_lag = np.concatenate([np.linspace(0, -1, 20), np.full(180, -np.inf)])
        found = said(by_lag, ["cut_off"] * 180)
        assert found.verdict == "undetermined"
        assert found.reason == "cut off at lag 20 by truncated backpropagation"
        assert math.isnan(found.half_life)
        assert math.isnan(found.log10_change)
        assert found.rate == pytest.approx(10 ** (-1 / 19))

    @pytest.mark.parametrize(("status", "value"), [("nan", np.nan), ("inf", np.inf)])
    def test_what_is_not_finite_is_said_with_its_lag(self, status, value):
        found = said([0.0, 1.0, value, np.nan], [status, "nan"])
        assert found.verdict == "undetermined"
        assert "lag 2" in found.reason
        assert math.isnan(found.horizon)

    def test_a_constant_profile_is_stable_with_an_infinite_half_life(self):
        found = said(np.full(40, -3.0) + 1e-16 * np.arange(40))
        assert found.verdict == "stable"
        assert found.half_life == math.inf
        assert found.half_life_interval[1] == math.inf
        assert found.rate == pytest.approx(1, abs=1e-12)
        assert math.isinf(found.horizon)
        assert not found.is_bent

    def test_a_v_has_no_rate_that_describes_it(self):
        wave = 0.01 * np.sin(np.arange(50))
        found = said(-0.7 + np.abs(np.linspace(-0.7, 0.7, 50)) * 2 + wave)
        assert found.verdict == "undetermined"
        assert found.is_bent
        assert found.reason.startswith("bent")

    def test_a_change_that_the_rate_does_not_bear_out_is_undetermined(self):
        jumpy = np.concatenate([np.zeros(25), np.full(25, -1.2)])
        found = said(jumpy + 0.3 * np.cos(np.arange(50)))
        assert found.verdict == "undetermined"
        assert "holds 1" in found.reason


def test_norms_that_training_lost_count_where_their_true_value_is_known():
    by_lag = np.arange(100) * math.log10(0.1)
    found = said(by_lag, ["underflow"] * 60)
    assert found.rate == pytest.approx(0.1)
    assert found.log10_change == pytest.approx(-99)


def test_the_horizon_is_one_percent_of_the_largest_norm_before():
    rising_then_falling = np.array([0.0, 1.0, 2.0, 1.0, 0.5, 0.0, -1.0, -2.0])
    assert said(rising_then_falling).horizon == 5
    assert said(np.zeros(9)).horizon == math.inf


def test_half_life_and_its_interval_are_of_the_same_slope():
    found = said(walk(3, 80, mean=-0.3, sigma=0.05) / math.log(10))
    shortest, longest = found.half_life_interval
    assert shortest < found.half_life < longest
    assert longest == pytest.approx(math.log(2) / -found.high)


@given(
    st.lists(
        st.one_of(
            st.floats(-400, 400),
            st.sampled_from([-math.inf, math.inf, math.nan]),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_every_profile_has_a_verdict_and_a_reason(norms):
    by_lag = np.array(norms)
    words = {-math.inf: "zero", math.inf: "inf"}
    statuses = ["nan" if n != n else words.get(n, "ok") for n in norms]
    found = summarize(by_lag[::-1], statuses[::-1])
    assert found.verdict in VERDICTS
    assert found.reason
    assert found.lags == len(norms) - 1
    if not math.isnan(found.slope):
        assert found.low <= found.slope <= found.high
    if found.verdict == "stable":
        assert abs(found.log10_change) <= 1
    if found.verdict == "exploding":
        assert found.log10_change > 1
    if np.isfinite(by_lag).all() and len(norms) > 1:
        assert found.log10_change == by_lag[-1] - by_lag[0]
        assert found.lost_at is None


def test_a_step_off_the_ends_moves_the_change_and_not_the_rate():
    by_lag = np.arange(40) * math.log10(0.5)
    by_lag[:4] += 3
    by_lag[-4:] -= 3
    found = said(by_lag)
    assert found.rate == pytest.approx(0.5)
    assert found.log10_change == pytest.approx(39 * math.log10(0.5) - 6)


def test_the_printed_rule_names_every_verdict():
    for verdict in VERDICTS:
        assert verdict in RULE.lower()
    assert "cut_off" in GRADIENT_STATUSES


def test_the_interval_over_seeds_is_students():
    found = mean_interval([1.0, 2.0, 3.0, math.nan, math.inf])
    assert (found.mean, found.seeds) == (2.0, 3)
    assert found.high - 2.0 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert math.isnan(mean_interval([1.0]).low)
    assert math.isnan(mean_interval([]).mean)


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


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (["underflow"] * 9, "underflow from lag 11 on"),
        (["inf"] * 9, "infinite in training from lag 11 on"),
        (
            ["ok", *["underflow"] * 8],
            "underflow at lag 11, and not at every lag after it",
        ),
    ],
)
def test_a_norm_that_training_lost_is_told_with_its_lag_where_its_true_value_is_known(
    status, words
):
    found = summarize(line(0.5, 20), [*status, *["ok"] * 11])

    assert (found.verdict, found.lost) == ("vanishing", words)
    assert found.rate == pytest.approx(0.5)
    assert summarize(line(0.5, 20), ["ok"] * 20).lost == ""


def test_of_what_is_lost_twice_both_lags_are_told():
    norms = np.append(np.full(5, -math.inf), line(0.5, 20)[5:])

    found = summarize(norms, [*["zero"] * 5, *["underflow"] * 4, *["ok"] * 11])

    assert found.lost == "underflow from lag 11 on, exactly zero from lag 15 on"
