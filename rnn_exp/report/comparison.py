"""Two or more studies side by side: what differs in their settings, and in what came out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from rnn_exp.figures.parts.axes import axes_of, settings_of, size_of
from rnn_exp.figures.parts.carrier import cases, verdict_words
from rnn_exp.report.content import RATE, spread, spread_of
from rnn_exp.report.paragraphs import statuses_of
from rnn_exp.report.tables import RunTable
from rnn_exp.schema import RUN_STATUSES, VERDICTS
from rnn_exp.words import counted, counts, listing, number, plural, rates, sentences

__all__ = ["Comparison", "compare"]

_STUDY: Final = "study"
_MOST_VALUES: Final = 6
_ABSENT: Final = "-"
_ERRORS: Final = {"final_test_error": "test error", "final_error": "final error"}
"""What is shown of errors: the first that any run has."""


@dataclass(frozen=True)
class Comparison:
    """What differs between studies.

    Attributes:
        said: in which settings they differ.
        came_out: whether what came out differs.
        settings: a row a setting that differs, a column a study.
        outcomes: a row a setting that all have, with what came out in each.
    """

    said: str
    came_out: str
    settings: RunTable
    outcomes: RunTable


class _Seen(NamedTuple):
    """One result of a setting in a study: its cell, and what decides whether two are different."""

    text: str
    words: Counter[str] | None = None
    ends: tuple[float, float] | None = None


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
        key: [
            sorted(text.loc[runs[_STUDY] == name, key].unique(), key=lambda v: (*size_of(v), v))
            for name in names
        ]
        for key in map(str, text)
    }
    apart = [key for key, each in values.items() if any(one != each[0] for one in each)]
    settings = [[key, *map(_shown, values[key])] for key in apart]
    # What differs as a whole between the studies is what is compared; the rest is matched.
    whole = [key for key in apart if max(map(len, values[key])) == 1]
    matched = [key for key in values if key not in whole and len(text[key].unique()) > 1]
    found = _found(runs, text[matched])
    shared = {place: each for place, each in found.items() if len(each) == len(names)}
    said = f"{listing(names)} differ in {listing(apart)}." if apart else "No setting differs."
    return Comparison(
        sentences(said, _seeds(runs, names), _alone(len(found) - len(shared), len(names))),
        _came_out(shared, names),
        RunTable(["setting", *names], settings, []),
        _outcomes(shared, matched, names),
    )


_Found = dict[tuple[str, ...], dict[str, dict[str, _Seen]]]
"""By the values of the settings, by the study, by the name of the result."""


def _found(runs: pd.DataFrame, matched: pd.DataFrame) -> _Found:
    by, axes = list(map(str, matched)), axes_of(runs, settings_of(runs))[["length"]]
    frame = runs.drop(columns=[*by, "length"], errors="ignore").join(axes).join(matched)
    error = next((key for key in _ERRORS if frame.reindex(columns=[key])[key].notna().any()), "")
    groups = [_STUDY, *by]
    parts = frame.groupby(groups, sort=False, dropna=False, observed=True)
    found: _Found = {}
    for (_, case), (_, part) in zip(cases(frame, groups).iterrows(), parts, strict=True):
        place = tuple(str(case[key]) for key in by)
        found.setdefault(place, {})[str(case[_STUDY])] = _results(case, part, error)
    order = sorted(found, key=lambda place: [(*size_of(value), value) for value in place])
    return {place: found[place] for place in order}


def _results(case: pd.Series, part: pd.DataFrame, error: str) -> dict[str, _Seen]:
    """What came out of one setting in one study."""
    start = part.reindex(columns=["verdict"])["verdict"]
    end = part.reindex(columns=["final_verdict"])["final_verdict"]
    status = statuses_of(part)
    low, high = (float(case[key]) for key in RATE[1:])
    said = {
        "gradient at update 0": _Seen(verdict_words(case), Counter(map(str, start))),
        "rate (95 %)": _Seen(spread_of(case), ends=(low, high)),
        "gradient at the end": _Seen(_verdicts(end), Counter(map(str, end))),
        "final loss": _mean(part, "final_loss"),
    }
    if error:
        said[_ERRORS[error]] = _mean(part, error)
    return {**said, "status": _Seen(counts(status, RUN_STATUSES), Counter(status))}


def _verdicts(words: pd.Series) -> str:
    known = [str(word) for word in words.dropna()]
    return counted(known, VERDICTS) if known else _ABSENT


def _mean(part: pd.DataFrame, column: str) -> _Seen:
    """The mean, lowest and highest of a result over the seeds that have it."""
    numbers = part.reindex(columns=[column])[column].to_numpy(dtype=float)
    known = numbers[np.isfinite(numbers)]
    if not known.size:
        return _Seen(_ABSENT)
    mean, low, high = float(known.mean()), float(known.min()), float(known.max())
    if known.size == 1:
        return _Seen(number(mean))
    return _Seen(spread(*rates(mean, low, high, near=np.nan)), ends=(low, high))


def _differ(seen: list[_Seen]) -> bool:
    """Whether a result is another one: other words, or ranges of numbers that do not meet."""
    if all(each.words is not None for each in seen):
        words = [each.words or Counter() for each in seen]
        if len({each.total() for each in words}) > 1:
            # Of three seeds and of five: how many have a word cannot be the same.
            return any(set(each) != set(words[0]) for each in words)
        return any(each != words[0] for each in words)
    ends = [each.ends for each in seen if each.ends is not None and np.isfinite(each.ends).all()]
    if len(ends) < len(seen):
        return False
    return max(low for low, _ in ends) > min(high for _, high in ends)


def _differences(results: Mapping[str, Mapping[str, _Seen]], names: list[str]) -> set[str]:
    """The names of the results of a setting that differ."""
    return {what for what in results[names[0]] if _differ([results[name][what] for name in names])}


def _came_out(shared: _Found, names: list[str]) -> str:
    """Say in how many settings each result differs."""
    if not shared:
        return "No setting is in all of them: no outcome is compared."
    differences = [_differences(each, names) for each in shared.values()]
    all_of = "both" if len(names) == 2 else "all of them"
    of = f"the {len(shared)} settings" if len(shared) > 1 else "the one setting"
    told = []
    for what in next(iter(shared.values()))[names[0]]:
        count = sum(what in each for each in differences)
        if count:
            told.append(f"{what.removesuffix(' (95 %)')} in {count}")
    if not told:
        return f"Of {of} that {all_of} have, none gives another result."
    return f"Of {of} that {all_of} have, some give another result: {listing(told)}."


def _seeds(runs: pd.DataFrame, names: list[str]) -> str:
    """Say how many seeds each study has, where that is not the same."""
    if "seed" not in runs:
        return ""
    seeds = {name: runs.loc[runs[_STUDY] == name, "seed"].nunique() for name in names}
    if len({*seeds.values()}) == 1:
        return ""
    told = (f"{name} has {plural(count, 'seed')}" for name, count in seeds.items())
    return f"{listing(told)}."


def _alone(count: int, studies: int) -> str:
    if not count:
        return ""
    some = "one of them alone" if studies == 2 else "some of them alone"
    verb = "is" if count == 1 else "are"
    return f"{plural(count, 'setting')} {verb} in {some} and {verb} not compared."


def _outcomes(shared: _Found, matched: list[str], names: list[str]) -> RunTable:
    """A row a setting that all studies have, those first in which something differs."""
    if not shared:
        return RunTable([], [], [])
    results = list(shared.values())
    kept = [
        what
        for what in results[0][names[0]]
        if any(each[name][what].text != _ABSENT for each in results for name in names)
    ]
    rows = [
        [*place, *(shared[place][name][what].text for what in kept for name in names)]
        for place in sorted(shared, key=lambda place: not _differences(shared[place], names))
    ]
    headings = [f"{what}: {name}" for what in kept for name in names]
    return RunTable([*matched, *headings], rows, [])


def _shown(values: list[str]) -> str:
    """The values of a setting in one study."""
    if len(values) > _MOST_VALUES:
        return f"{len(values)} values"
    return listing(values) if values else _ABSENT
