"""Goals: what meets them, what does not, and that there is always something that does not."""

import math

import pytest
from scipy.stats import fisher_exact

from rnn_exp.reproduction import CLAIMS
from rnn_exp.reproduction.goals import Above, AtLeast, AtMost, Below, Near, SolvedMore, fisher

NEVER = math.inf


@pytest.mark.parametrize(
    ("goal", "values", "met"),
    [
        (Near(1.0, 0.5), [0.5, 1.5], True),
        (Near(1.0, 0.5), [1.5], True),
        (Near(1.0, 0.5), [1.51], False),
        (Near(1.0, 0.5), [math.nan, 1.0], False),
        (Below(2.0), [1.0, 1.9], True),
        (Below(2.0), [1.0, 2.0], False),
        (Below(2.0), [0.0, math.nan], False),
        (Above(2.0), [2.1, 9.0], True),
        (Above(2.0), [9.0, 2.0], False),
        (Above(2.0), [9.0, math.nan], False),
        (AtLeast(2, 3), [100.0, NEVER, 5.0], True),
        (AtLeast(2, 3), [100.0, 5.0, 7.0], True),
        (AtLeast(2, 3), [100.0, NEVER, NEVER], False),
        (AtLeast(2, 3), [100.0, 5.0], False),
        (AtLeast(1, 1), [math.nan], False),
        (AtMost(1, 3), [100.0, NEVER, NEVER], True),
        (AtMost(1, 3), [100.0, 5.0, NEVER], False),
        (AtMost(1, 3), [NEVER, NEVER], False),
        (SolvedMore(7, 8), [1.0] * 8 + [1.0] * 4 + [NEVER] * 4, True),
        (SolvedMore(7, 8), [1.0] * 8 + [1.0] * 5 + [NEVER] * 3, False),
        (SolvedMore(7, 8), [1.0] * 6 + [NEVER] * 10, False),
        (SolvedMore(7, 8), [1.0] * 7 + [NEVER] * 7, False),
    ],
)
def test_met_is_decided_by_the_goal(goal, values, met):
    assert goal.met(values) is met


def test_ours_shows_the_standard_error_and_the_range_or_every_seed():
    assert Near(1, 1).describe([0.5, 1.0, 1.5]) == "1 ± 0.29 (0.5 … 1.5; 3 seeds)"
    assert Near(1, 1).describe([2.0]) == "2 (nothing is random)"
    assert Below(1).describe([math.nan, 0.5]).startswith("nan ± nan")
    assert Below(1).describe([math.inf, 0.5]) == "inf ± nan (0.5 … inf; 2 seeds)"
    assert AtLeast(1, 3).describe([NEVER, 400.0, NEVER]) == "1 of 3 (update never, 400, never)"
    assert SolvedMore(1, 1).reference == "at least 1 of 1, without it fewer (Fisher, p < 0.05)"


@pytest.mark.parametrize("seeds", [1, 3, 8])
def test_the_probability_is_that_of_fishers_exact_test(seeds):
    for more in range(seeds + 1):
        for fewer in range(seeds + 1):
            table = [[more, seeds - more], [fewer, seeds - fewer]]
            expected = fisher_exact(table, alternative="greater").pvalue
            assert fisher(more, fewer, seeds) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("real", [real for real in CLAIMS if real.goal], ids=lambda real: real.says)
def test_no_goal_is_met_by_everything_that_its_seeds_can_yield(real):
    """Of what is counted: all solved or none. Of what is measured: 0, far below and far above."""
    seeds = real.full.settings.get("seed", real.full.settings.get("seeds", 1))
    count = seeds if isinstance(seeds, int) else len(seeds.split(","))
    if isinstance(real.goal, SolvedMore):
        tables = [[1.0] * (2 * count), [NEVER] * (2 * count), [1.0] * count + [NEVER] * count]
    elif isinstance(real.goal, AtLeast):
        tables = [[1.0] * count, [NEVER] * count]
    else:
        tables = [
            [value] * count
            for value in (-1e30, real.goal.value if isinstance(real.goal, Near) else 0.0, 1e30)
        ]
    met = [real.goal.met(table) for table in tables]
    assert any(met), "it can be met"
    assert not all(met), "it can fail"
