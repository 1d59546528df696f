"""Two or more studies side by side: what differs in their settings, and in what came out."""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from rnn_exp.figures.parts.axes import axes_of, settings_of
from rnn_exp.figures.parts.carrier import cases, verdict_words
from rnn_exp.report.content import spread_of
from rnn_exp.report.tables import RunTable
from rnn_exp.words import listing

__all__ = ["Comparison", "compare"]

_STUDY: Final = "study"
_MOST_VALUES: Final = 6
_ABSENT: Final = "-"


@dataclass(frozen=True)
class Comparison:
    """What differs between studies.

    Attributes:
        said: in which settings they differ.
        came_out: whether what came out differs.
        settings: a row a setting that differs, a column a study.
        outcomes: a row a setting that all have, with what the gradient does in each.
    """

    said: str
    came_out: str
    settings: RunTable
    outcomes: RunTable


def compare(runs: pd.DataFrame) -> Comparison | None:
    """Compare studies whose runs are in one table; None: there is one study.

    Args:
        runs: the table of runs, with the column ``study``.
    """
    names = list(map(str, runs[_STUDY].unique())) if _STUDY in runs else []
    if len(names) < 2:
        return None
    text = settings_of(runs).drop(columns=_STUDY)
    values = {
        key: [sorted(text.loc[runs[_STUDY] == name, key].unique()) for name in names]
        for key in map(str, text)
    }
    apart = [key for key, each in values.items() if any(one != each[0] for one in each)]
    settings = [[key, *map(_shown, values[key])] for key in apart]
    # What differs as a whole between the studies is what is compared; the rest is matched.
    whole = [key for key in apart if max(map(len, values[key])) == 1]
    matched = [key for key in values if key not in whole and len(text[key].unique()) > 1]
    outcomes, differ = _outcomes(runs, text[matched], names)
    said = f"{listing(names)} differ in {listing(apart)}." if apart else "No setting differs."
    came_out = "No setting is in all of them: no outcome is compared."
    if outcomes:
        of = f"the {len(outcomes)} settings" if len(outcomes) > 1 else "the one setting"
        came_out = f"Of {of} that all of them have, the gradient's verdict differs in {differ}."
    headings = [f"{what}: {name}" for what in ("gradient", "rate") for name in names]
    return Comparison(
        said,
        came_out,
        RunTable(["setting", *names], settings, []),
        RunTable([*matched, *headings], outcomes, []),
    )


def _outcomes(
    runs: pd.DataFrame, matched: pd.DataFrame, names: list[str]
) -> tuple[list[list[str]], int]:
    """A row a setting that all studies have, those first whose verdicts differ; how many do."""
    by, axes = list(map(str, matched)), axes_of(runs, settings_of(runs))[["length"]]
    frame = runs.drop(columns=[*by, "length"], errors="ignore").join(axes).join(matched)
    found: dict[tuple[str, ...], dict[str, pd.Series]] = {}
    for _, case in cases(frame.assign(only=""), [_STUDY, *(by or ["only"])]).iterrows():
        place = tuple(str(case[key]) for key in by)
        found.setdefault(place, {})[str(case[_STUDY])] = case
    same: list[list[str]] = []
    other: list[list[str]] = []
    for place, each in found.items():
        if len(each) == len(names):
            verdicts = [verdict_words(each[name]) for name in names]
            rates = [spread_of(each[name]) for name in names]
            (same if len(set(verdicts)) == 1 else other).append([*place, *verdicts, *rates])
    return [*other, *same], len(other)


def _shown(values: list[str]) -> str:
    """The values of a setting in one study."""
    if len(values) > _MOST_VALUES:
        return f"{len(values)} values"
    return listing(values) if values else _ABSENT
