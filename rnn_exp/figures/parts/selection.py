"""What a figure is given and gives back, and which runs of a study it shows.

A figure has three axes: panels, lengths and series (`axes`). Only seeds are pooled. A further
setting that varies becomes panels while there is room, and is held at its most common value beyond:
the sentences of what is left out say so.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import pandas as pd

from rnn_exp.figures.parts.axes import (
    AXES,
    axes_of,
    by_size,
    in_order,
    in_panels,
    is_determined_by,
    order_activations,
    series_key,
    settings_of,
)
from rnn_exp.words import listing, plural

__all__ = [
    "CannotDraw",
    "Plotted",
    "Selection",
    "Tables",
    "at_start",
    "required",
    "select_runs",
]

_DEVICE: Final = "device"
_SHOWN: Final = ("network.activation", "task.length", "init", "init.gain")


class CannotDraw(ValueError):  # noqa: N818 - it reads as a sentence where it is raised
    """The study cannot answer this figure's question; the message says why."""


@dataclass(frozen=True)
class Plotted:
    """What a figure shows: exactly the numbers that are plotted, and what has to be said of them.

    Args:
        table: a row a point or cell; it is the figure's CSV.
        notes: sentences for the caption, of the runs that are shown.
        left_out: sentences about the runs that are not shown; the page has them above the picture.
    """

    table: pd.DataFrame
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@runtime_checkable
class Tables(Protocol):
    """What a study leaves behind: tidy tables, settings joined as dotted columns.

    The table of gradients may be too large to hold: a figure asks for the rows that it draws.
    """

    @property
    def runs(self) -> pd.DataFrame:
        """One row a run."""

    @property
    def updates(self) -> pd.DataFrame:
        """One row a run and recorded update."""

    @property
    def broken(self) -> pd.DataFrame:
        """One row a folder that could not be read: `run`, `why`."""

    @property
    def rules(self) -> list[str]:
        """The rules by which verdicts were given, each once."""

    @property
    def gradient_columns(self) -> list[str]:
        """The names of the columns that `gradient_rows` can return."""

    def gradient_rows(
        self,
        columns: Sequence[str],
        *,
        runs: Iterable[str] | None = None,
        updates: Collection[int] | None = None,
        layer: int | None = None,
    ) -> pd.DataFrame:
        """One row a run, recorded update, layer and time step: only those named, -1 the top."""


def required(frame: pd.DataFrame, columns: Sequence[str], what: str) -> pd.DataFrame:
    """Return a copy of these columns.

    Args:
        frame: one of a study's tables.
        columns: the names of those that a figure cannot do without.
        what: what the table is called where it is refused, such as 'updates'.

    Raises:
        CannotDraw: naming the columns that are missing, or if there is no row.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise CannotDraw(f"The table of {what} has no column {', '.join(missing)}.")
    if frame.empty:
        raise CannotDraw(f"The study recorded no {what}.")
    return frame.loc[:, list(columns)].copy()


def at_start(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """Return the rows of update 0, where weights are as initialised, without that column.

    Raises:
        CannotDraw: if there is none, saying ``what`` is not there.
    """
    rows = frame[frame["update"] == 0]
    if rows.empty:
        raise CannotDraw(f"No {what} of update 0 (the network as initialised) were recorded.")
    return rows.drop(columns="update")


@dataclass(frozen=True)
class Selection:
    """The runs that a figure shows, and what has to be said of them and of the others.

    Args:
        runs: a row a run, with the columns `run` and `KEYS`, in the order of panels and series.
        notes: sentences about the runs that are shown.
        left_out: a sentence for each thing left out.
    """

    runs: pd.DataFrame
    notes: tuple[str, ...]
    left_out: tuple[str, ...]


def select_runs(
    runs: pd.DataFrame, *, lengths: int = 3, series: int = 6, panels: int = 4
) -> Selection:
    """Select as many runs as a reader can tell apart.

    Args:
        runs: the table of runs.
        lengths: at most so many sequence lengths; where there are more, evenly spread.
        series: at most so many series in a panel.
        panels: at most so many panels: activations, and further settings beside them.

    Raises:
        CannotDraw: if no run is left.
    """
    required(runs, ["run"], "runs")
    settings = settings_of(runs)
    frame = pd.concat([runs[["run"]].astype(str), axes_of(runs, settings)], axis=1)
    frame, in_view, left_out = _hold_other_settings(frame, settings, panels)
    frame, few = _keep_few(frame, {"activation": panels, "series": series, "length": lengths})
    left_out += few
    notes = _besides(settings.loc[frame.index], {series_key(settings), *in_view})
    said = (*notes, *_unfinished(runs, frame))
    return Selection(frame.reset_index(drop=True), said, tuple(left_out))


def _besides(settings: pd.DataFrame, in_view: Collection[str | None]) -> list[str]:
    """Say which settings differ between the runs that are shown but are on no axis of a figure."""
    named = (*_SHOWN, *in_view, _DEVICE)
    free = [
        column
        for column in sorted(map(str, settings))
        if column not in named
        and not column.startswith("init.")
        and len(settings[column].unique()) > 1
    ]
    rest = [plural(len(free) - 4, "further setting")] if len(free) > 4 else []
    names = listing([*free[:4], *rest])
    return [f"The runs shown differ in {names} as well: compare them with care."] if free else []


def _hold_other_settings(
    frame: pd.DataFrame, settings: pd.DataFrame, most: int
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Give panels to each further setting while there are at most so many; hold the others.

    Returns:
        The runs that are left; the settings that have panels; a sentence for each that is held.
    """
    in_view, left_out = list[str](), list[str]()
    for column in (c for c in settings.columns if c not in _SHOWN):
        values = settings.loc[frame.index, column]
        if is_determined_by(frame.assign(held=values), "held", AXES):
            continue
        panels = in_panels(frame["activation"], column, values)
        if len(panels.unique()) <= most and column != _DEVICE:
            frame, in_view = frame.assign(activation=panels), [*in_view, column]
            continue
        kept = values.value_counts(sort=False).idxmax()
        others = listing(sorted(set(values) - {str(kept)}, key=by_size))
        left_out.append(f"Only runs with {column} = {kept} are shown (not {others}).")
        frame = frame[values == kept]
    return frame, in_view, left_out


def _keep_few(frame: pd.DataFrame, most: Mapping[str, int]) -> tuple[pd.DataFrame, list[str]]:
    """Keep so many panels and lengths, and so many series in each panel; in their order."""
    said = []
    for column, count in most.items():
        # A panel's own gains are spread: those of the others may lie far from all that it shows.
        by_panel = (
            frame["activation"] if column == "series" else frame["activation"].map(lambda _: "")
        )
        frame, dropped = _keep_of_each(frame, column, by_panel, count)
        said += _dropped_words(column, dropped)
    for column in ("series", "length", "activation"):
        rank = {value: place for place, value in enumerate(_in_order(frame, column))}
        frame = frame.sort_values(column, kind="stable", key=lambda values: values.map(rank))
    note = [f"Left out to keep the figure readable: {'; '.join(said)}."] if said else []
    return frame, note


def _keep_of_each(
    frame: pd.DataFrame, column: str, by: pd.Series, most: int
) -> tuple[pd.DataFrame, dict[str, list[object]]]:
    """Keep so many values of a column in each group, and say which each group loses."""
    parts, dropped = [], dict[str, list[object]]()
    for name, part in frame.groupby(by, sort=False):
        values = _in_order(part, column)
        kept = values if len(values) <= most else _spread(values, most)
        parts.append(part[part[column].isin(kept)])
        dropped[str(name)] = [value for value in values if value not in kept]
    return pd.concat(parts), dropped


def _dropped_words(column: str, dropped: Mapping[str, list[object]]) -> list[str]:
    """Say which values are left out: once where all groups lose the same, else by group."""
    before = "T = " if column == "length" else ""
    lists = {name: f"{before}{listing(map(str, values))}" for name, values in dropped.items()}
    if len(set(lists.values())) == 1:
        return [words for words in list(lists.values())[:1] if words != before]
    names = order_activations(name for name in lists if lists[name])
    return [f"with {name} {lists[name]}" for name in names]


def _spread(values: list[object], most: int) -> list[object]:
    """So many, evenly spread; the ends stay (or the last alone, where one is wanted)."""
    if most == 1:
        return values[-1:]
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def _in_order(frame: pd.DataFrame, column: str) -> list[object]:
    """The values of a column: panels as in textbooks, numbers by size, names by the alphabet."""
    if column == "activation":
        return list(order_activations(frame[column].unique()))
    if column == "length":
        return sorted(frame[column].unique())
    return list(in_order(frame))


def _unfinished(runs: pd.DataFrame, chosen: pd.DataFrame) -> list[str]:
    if chosen.empty:
        raise CannotDraw("No run is left to show.")
    if "status" not in runs:
        return []
    status = runs.loc[runs["run"].astype(str).isin(chosen["run"]), "status"].value_counts()
    words = {"diverged": "diverged", "failed": "failed", "running": "had not finished"}
    said = [f"{status[key]} {verb}" for key, verb in words.items() if key in status]
    runs_shown = plural(len(chosen), "run")
    return [f"Of {runs_shown} shown, {listing(said)}; what was recorded is drawn."] if said else []
