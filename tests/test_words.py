"""Numbers in words say what they are there to say."""

import itertools
import math

import pytest

from rnn_exp.words import kept_with_interval, rate_with_interval, rates

MIDDLES = (0.0312, 0.5, 0.97, 0.9991, 0.99996, 1.0, 1.00004, 1.0034, 1.07, 2.43, 180.0)
WIDTHS = (3e-5, 4e-4, 0.0053, 0.02, 0.2)
CASES = [
    (middle, middle * (1 - width), middle * (1 + width))
    for middle, width in itertools.product(MIDDLES, WIDTHS)
]


@pytest.mark.parametrize("case", CASES)
def test_a_rate_lies_within_its_interval_as_written_and_the_ends_differ(
    case: tuple[float, float, float],
) -> None:
    middle, low, high = map(float, rates(*case))
    assert low < middle < high


@pytest.mark.parametrize("case", CASES)
def test_an_interval_as_written_is_on_the_side_of_one_on_which_it_is(
    case: tuple[float, float, float],
) -> None:
    for written, end in zip(map(float, rates(*case)), case, strict=True):
        assert (written > 1) == (end > 1)
        assert (written < 1) == (end < 1)
        assert written == pytest.approx(end, rel=0.01)


def test_a_rate_near_one_is_told_from_it_in_words_too() -> None:
    near = (1.0034, 1.0008, 1.0061)
    assert rate_with_interval(*near).endswith("(rate 1.003, 95 % 1.0008 to 1.006)")
    assert kept_with_interval(*near) == "grows by 0.34 % (95 %: 0.08 to 0.61 %) per step"
    assert kept_with_interval(0.9993, 0.9991, 0.9999) == (
        "keeps 99.93 % (95 %: 99.91 to 99.99 %) of its size per step"
    )
    assert rate_with_interval(1e8, 9e7, 1.1e8) == (
        "grows 1e8-fold per step (rate 1e8, 95 % 9e7 to 1.1e8)"
    )
    assert kept_with_interval(1.0, 0.995, 1.005) == "keeps its size (95 %: 99.5 to 100.5 %)"


def test_what_differs_by_rounding_alone_has_no_interval() -> None:
    for rate in (0.5, 1.0, 2.0):
        ends = rate * (1 - 1e-9), rate * (1 + 1e-9)
        assert rate_with_interval(rate, *ends) == rate_with_interval(rate, math.nan, math.nan)
        assert kept_with_interval(rate, *ends) == kept_with_interval(rate, math.nan, math.nan)


def test_ordinary_rates_keep_three_digits() -> None:
    assert rates(0.777, 0.6283, 0.9618) == ["0.777", "0.628", "0.962"]
    assert rates(2.47, 2.358, 2.591) == ["2.47", "2.36", "2.59"]
    assert rates(2.5e7, 1e7, math.inf) == ["2.5e7", "1e7", "infinite"]
