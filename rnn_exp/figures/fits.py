"""The rate of the gradient over the lags where theory speaks of it, and where a rate crosses 1."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rnn_exp.figures.source import CannotDraw, Tables, at_start, top_layer

LAGS: Final = (5, 50)
"""Behind the loss, ahead of lags as long as the network is wide; both ends included."""


def settled_rates(tables: Tables, runs: Iterable[str]) -> pd.DataFrame:
    """`run`, `measured`: e to the slope of ln norm against lag at update 0, over `LAGS`.

    NaN where a norm of these lags is missing or not finite.

    Raises:
        CannotDraw: if no run has them all.
    """
    runs, (first, last) = list(runs), LAGS
    rows = at_start(top_layer(tables, runs, [0]), "gradients")
    rows = rows[rows["lag"].between(first, last)]
    lags = np.arange(first, last + 1)
    norms = rows.pivot_table(index="run", columns="lag", values="log10_total", dropna=False)
    y = norms.reindex(index=runs, columns=lags).to_numpy(dtype=float)
    x = lags - lags.mean()
    known = np.isfinite(y).all(axis=1)
    if not known.any():
        raise CannotDraw(f"No run has finite gradients at every lag from {first} to {last}.")
    slopes = np.where(known[:, None], y, np.nan) @ x / (x @ x)
    return pd.DataFrame({"run": runs, "measured": 10.0**slopes})


def crossing(gains: ArrayLike, rates: ArrayLike) -> float:
    """The gain at which rates first rise above 1, on straight lines through their logarithms.

    NaN where none does; values that are not positive are left out.
    """
    x, y = np.asarray(gains, dtype=float), np.asarray(rates, dtype=float)
    known = np.isfinite(y) & (y > 0) & (x > 0)
    order = np.argsort(x[known], kind="stable")
    x, y = np.log(x[known][order]), np.log(y[known][order])
    rising = np.flatnonzero((y[:-1] < 0) & (y[1:] >= 0))
    if rising.size == 0:
        return float("nan")
    at = rising[0]
    return float(np.exp(x[at] - y[at] * (x[at + 1] - x[at]) / (y[at + 1] - y[at])))
