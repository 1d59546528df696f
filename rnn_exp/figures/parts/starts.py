"""Update 0: settings that act in training only make no difference there."""

from collections.abc import Iterable
from typing import Final

import pandas as pd

from rnn_exp.figures.parts.axes import setting_name, settings_of
from rnn_exp.words import listing

__all__ = ["NUMBERS", "distinct_at_start", "same_at_start"]

NUMBERS: Final = ("decay_rate", "log10_change")
"""What the table of runs says of the gradient at update 0."""
_OF_TRAINING: Final = ("training.", "evaluation.", "recording.")
_SAME: Final = 1e-6
"""Numbers of update 0 that differ by no more of their size are the same in single precision."""


def distinct_at_start(
    runs: pd.DataFrame, numbers: Iterable[str] = NUMBERS
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return one run of all that are the same at update 0, where a setting acts in training only.

    Such a setting (a learning rate) is one of training that changes none of the numbers between
    runs which differ in it alone. The runs that are returned do not have it any more.

    Args:
        runs: the table of runs.
        numbers: the columns with what a figure says of update 0.

    Returns:
        The runs, and the settings that are gone, in the words of figures.
    """
    settings = settings_of(runs).assign(seed=runs.get("seed", pd.Series(0, index=runs.index)))
    settings = settings.loc[:, [len(settings[name].unique()) > 1 for name in settings]]
    known = runs.reindex(columns=list(numbers)).astype(float)
    gone = list[str]()
    for key in [str(name) for name in settings if str(name).startswith(_OF_TRAINING)]:
        others = [name for name in settings if name != key]
        alike = [settings[name] for name in others] or [pd.Series(0, index=settings.index)]
        least, most = (known.groupby(alike).transform(end) for end in ("min", "max"))
        missing = known.isna().groupby(alike).transform("nunique") > 1
        is_same = (most - least).abs() <= _SAME * (most.abs() + least.abs())
        is_same = (is_same | known.isna()) & ~missing
        there = settings[key].groupby(alike).transform("nunique") > 1
        if there.any() and bool(is_same.to_numpy().all()):
            settings = settings.drop(columns=key)
            settings = settings.loc[~settings.duplicated()] if others else settings.iloc[:1]
            known, gone = known.loc[settings.index], [*gone, key]
    return runs.loc[settings.index].drop(columns=gone), tuple(map(setting_name, gone))


def same_at_start(gone: Iterable[str]) -> tuple[str, ...]:
    """Say that some settings make no difference at update 0, if there are any.

    Args:
        gone: the settings, as `distinct_at_start` returns them.
    """
    names = listing(gone)
    said = f"What is drawn, of update 0, does not depend on {names}: one run stands for all values."
    return (said,) if names else ()
