"""Seeds to an interval: median, lowest and highest, for logarithms that may be infinite."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

_FLOOR = ("zero", "underflow")
_CEILING = ("inf", "nan")


def interval(frame: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Median, low and high of `column` in each group, in order of appearance; NaN counts as none.

    An infinite value keeps its rank: three seeds of which two have a zero gradient (log10 of
    minus infinity) have a median of minus infinity, not the value of the third.
    """
    grouped = frame.groupby(list(by), sort=False, dropna=False, observed=True)[column]
    lower = grouped.quantile(0.5, interpolation="lower")
    upper = grouped.quantile(0.5, interpolation="higher")
    both = np.isfinite(lower) & np.isfinite(upper)
    # Half the sum only where both are finite: inf - inf is not a middle.
    middle = lower.where(~both, (lower.where(both, 0.0) + upper.where(both, 0.0)) / 2)
    return pd.DataFrame(
        {"median": middle, "low": grouped.min(), "high": grouped.max(), "seeds": grouped.size()}
    ).reset_index()


def gradient_interval(frame: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """`interval`, with the number of seeds at the floor and at the ceiling of each group."""
    ranked = frame.assign(
        _floor=frame["status"].isin(_FLOOR).astype(int),
        _ceiling=frame["status"].isin(_CEILING).astype(int),
    )
    counts = ranked.groupby(list(by), sort=False, dropna=False, observed=True)
    summary = interval(ranked, by, column)
    return summary.assign(
        floor=counts["_floor"].sum().to_numpy(), ceiling=counts["_ceiling"].sum().to_numpy()
    )
