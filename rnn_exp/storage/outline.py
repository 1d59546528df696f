"""Results in a few lines: how many runs, which settings vary, how the runs ended; and a choice.

All of it is read off the table of runs. What comes from a folder is shown without what would move a
terminal, and with everything escaped in a notebook.
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from rnn_exp.fields import SettingError, as_typed, suggestion
from rnn_exp.program import one_line, printable
from rnn_exp.schema import ENGINE, RUN_STATUSES, engines_are_decided
from rnn_exp.storage.run_json import RESULTS
from rnn_exp.words import plural

__all__ = ["as_html", "as_text", "rows_where", "varying"]

_MOST_VALUES: Final = 8
_MOST_FAILURES: Final = 5
_STYLE: Final = "text-align:left;vertical-align:top"

Broken = Sequence[Mapping[str, str]]


def as_text(runs: pd.DataFrame, broken: Broken) -> str:
    """Return the outline of results as lines of text.

    Args:
        runs: the table of runs.
        broken: the folders that could not be read.
    """
    lines = [f"Results of {plural(len(runs), 'run')}"]
    return "\n".join([*lines, *(f"  {name}: {said}" for name, said in _outline(runs, broken))])


def as_html(runs: pd.DataFrame, broken: Broken) -> str:
    """Return the outline of results as a table of HTML, with everything escaped.

    Args:
        runs: the table of runs.
        broken: the folders that could not be read.
    """
    rows = "".join(
        f'<tr><th style="{_STYLE}">{html.escape(name)}</th>'
        f'<td style="{_STYLE}">{html.escape(said)}</td></tr>'
        for name, said in _outline(runs, broken)
    )
    return f"<table><caption>Results of {plural(len(runs), 'run')}</caption>{rows}</table>"


def varying(runs: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the settings that are not the same in all runs, and their values.

    Args:
        runs: the table of runs.

    Returns:
        By configuration key: numbers sorted, words in the order of the runs; None last, where a run
        has no such setting.
    """
    besides = {*RESULTS, ENGINE} if engines_are_decided(runs) else RESULTS
    found = {str(name): _values(runs[name]) for name in runs if name not in besides}
    return {name: values for name, values in found.items() if len(values) > 1}


def rows_where(runs: pd.DataFrame, wanted: Mapping[str, Any]) -> list[int]:
    """Return the places of the rows that have these values.

    Args:
        runs: the table of runs.
        wanted: a value by column, or a list of values of which a row has one. A setting may go by
            its last name (``length``), where no other has it.

    Raises:
        SettingError: in one line, for a column that there is not, for a value that no row has, or
            where no row is left.
    """
    kept = list(range(len(runs)))
    for name, value in wanted.items():
        column = runs[_column(runs, name, value)]
        values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else [*value]
        there = [column.iloc[place] for place in kept]
        left = _shown(_values(pd.Series(there, dtype=object)))
        every = {_plain(has) for has in column}
        # A value that is in no row is a slip, however many other values have rows.
        unknown = [each for each in values if not any(_is_same(has, each) for has in every)]
        if unknown:
            raise SettingError(str(column.name), _shown(unknown), f"one of {left}")
        places = [
            place
            for place, has in zip(kept, there, strict=True)
            if any(_is_same(has, each) for each in values)
        ]
        if not places:
            raise SettingError(str(column.name), _typed(value), f"one of {left}")
        kept = places
    return kept


def _column(runs: pd.DataFrame, name: str, value: object) -> str:
    """Return the column that a name means."""
    names = [str(column) for column in runs]
    meant = [each for each in names if each.rpartition(".")[2] == name]
    # As where runs are described: the settings of evaluation are asked for in full.
    meant = [each for each in meant if not each.startswith("evaluation.")] or meant
    if name in names or len(meant) == 1:
        return name if name in names else meant[0]
    settings = [each for each in names if each not in RESULTS]
    if meant:
        allowed = f"{' or '.join(meant)} in its place"
    else:
        last = {each.rpartition(".")[2]: each for each in settings}
        hint = suggestion(name, names) or suggestion(name.rpartition(".")[2], last)
        allowed = "a column of the table of runs"
        allowed += hint or f", such as {', '.join(settings)}"
    raise SettingError(name, _typed(value), allowed)


def _outline(runs: pd.DataFrame, broken: Broken) -> Iterator[tuple[str, str]]:
    """Yield what varies and how the runs ended: a name, and what is said of it."""
    for name, values in varying(runs).items():
        yield printable(name), _shown(values)
    statuses = [str(status) for status in runs["status"]]
    known = [word for word in RUN_STATUSES if word in statuses]
    if known:
        yield "ended", ", ".join(f"{statuses.count(word)} {word}" for word in known)
    failed = runs[runs["status"] == "failed"]
    for _, run in failed.head(_MOST_FAILURES).iterrows():
        yield "failed", one_line(f"{run['run']}: {run['failure']}")
    if len(failed) > _MOST_FAILURES:
        yield "failed", f"and {len(failed) - _MOST_FAILURES} more (column failure of .runs)"
    if broken:
        yield "left out", f"{plural(len(broken), 'folder')} (.broken says why)"


def _values(column: pd.Series) -> list[Any]:
    """Return the values of a column, each once: numbers sorted, None last."""
    found: list[Any] = list(dict.fromkeys(_plain(value) for value in column))
    values = [value for value in found if value is not None]
    if all(isinstance(value, (int, float)) for value in values):
        values.sort()
    return values + [None] * (None in found)


def _plain(value: Any) -> Any:  # noqa: ANN401 - a cell of a table
    """Return a cell as Python's own value; None where there is none."""
    if isinstance(value, (list, dict)):
        return str(value)
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _is_same(has: object, wanted: object) -> bool:
    return bool(_plain(has) == _plain(wanted))


def _shown(values: Sequence[Any]) -> str:
    """Return some values as they are typed; of many the first ones, the last, and how many."""
    texts = [printable(_typed(value)) for value in values]
    if len(texts) <= _MOST_VALUES:
        return ", ".join(texts)
    return f"{', '.join(texts[: _MOST_VALUES - 2])}, …, {texts[-1]} ({len(texts)} values)"


def _typed(value: object) -> str:
    """Return a value as it is typed, a number without a long row of digits."""
    if isinstance(value, float):
        return f"{value:g}"
    return as_typed(value)
