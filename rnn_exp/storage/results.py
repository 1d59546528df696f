"""Results: the tables of runs, settings joined from each run.json, read when they are asked for."""

import functools
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from rnn_exp.fields import SettingError
from rnn_exp.schema import TABLES
from rnn_exp.storage import outline
from rnn_exp.storage.parquet import Wanted, column_of, gather
from rnn_exp.storage.run_json import NUMBERS, RESULTS, TEXTS, TRUTHS, RunFolder
from rnn_exp.storage.trust import without_place

__all__ = ["DamagedWarning", "Results"]

# What pandas makes of text: `object` before its version 3, `str` since.
_TEXT: Final = pd.Series([""]).dtype


class DamagedWarning(UserWarning):
    """A table whose footer was whole could not be read; the rows of its run are left out."""


class Results:
    """The tables of a results folder; the large ones are read when they are first asked for.

    ``runs``: a row a run. ``updates``: a row a recorded update. ``gradients``: a row a (recorded
    update, layer, time). ``exponents``: a row a (recorded update, index), of runs that recorded
    them. ``jacobians``: a row a (recorded update, lag, index), likewise. ``broken``: a row a folder
    that could not be read, and why. All but ``broken`` carry every setting as a column under its
    configuration key, such as ``init.gain``. ``rules``: the rules by which the runs' verdicts were
    given, each once.

    A setting that is the same in all runs takes no memory in the large tables, and its column there
    is read-only: change it in a ``.copy()``.

    A run whose table turns out to be damaged only when it is read is left out of that table with a
    `DamagedWarning`, and listed in ``broken`` from then on.
    """

    def __init__(self, found: Sequence[RunFolder], broken: Sequence[dict[str, str]]) -> None:
        self._found = list(found)
        self._runs = _runs_frame([run.row for run in found])
        # Whoever sorts or extends the table of runs changes no other table.
        self.runs = self._runs.copy()
        self.rules = sorted({run.rule for run in found if run.rule is not None})
        made_with = (run.versions for run in found if run.versions is not None)
        self.versions = tuple(dict.fromkeys(made_with))
        self._tables = [run.tables for run in found]
        self._broken = list(broken)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return iter((self.runs, self.updates, self.gradients, self.broken))

    def __len__(self) -> int:
        return len(self._found)

    def __bool__(self) -> bool:
        return bool(self._found or self._broken)

    def __repr__(self) -> str:
        return outline.as_text(self._runs, self._broken)

    def _repr_html_(self) -> str:
        return outline.as_html(self._runs, self._broken)

    @property
    def varying(self) -> dict[str, list[Any]]:
        """The settings that are not the same in all runs, and their values, sorted."""
        return outline.varying(self._runs)

    def where(self, settings: Mapping[str, Any] | None = None, /, **named: Any) -> "Results":  # noqa: ANN401
        """Return the results of the runs that have these settings, or other columns of ``runs``.

        Args:
            settings: a value by column (``{"task.length": 30}``), or a list of values, of which a
                run has one; None is where a run has no such setting.
            **named: the same with ``__`` for the dot (``task__length=30``).

        Raises:
            SettingError: in one line, for a column that there is not, for a value that no run has,
                for a column that is named twice, or if no run is left.

        Example:
            >>> results = load("outputs/decay")  # doctest: +SKIP
            >>> results.where({"task.length": [10, 30]}, init__gain=1.0)  # doctest: +SKIP
        """
        wanted = dict(settings or {})
        for name, value in named.items():
            key = name.replace("__", ".")
            if key in wanted:
                raise SettingError(key, value, f"one value or list: {wanted[key]} is given as well")
            wanted[key] = value
        kept = outline.rows_where(self._runs, wanted)
        return Results([self._found[place] for place in kept], self._broken)

    @property
    def broken(self) -> pd.DataFrame:
        """A row a folder that could not be read: ``run``, ``why``."""
        return pd.DataFrame(self._broken, columns=["run", "why"])

    @functools.cached_property
    def updates(self) -> pd.DataFrame:
        """A row a run and recorded update."""
        return self._frame("updates", Wanted(self._columns("updates")))

    @functools.cached_property
    def gradients(self) -> pd.DataFrame:
        """A row a run, recorded update, layer and time step."""
        return self._frame("gradients", Wanted(self._columns("gradients")))

    @functools.cached_property
    def exponents(self) -> pd.DataFrame:
        """A row a run, recorded update and index (1: the largest); none where none is recorded."""
        return self._frame("exponents", Wanted(self._columns("exponents")))

    @functools.cached_property
    def jacobians(self) -> pd.DataFrame:
        """A row a run, recorded update, lag and index (1: the largest singular value)."""
        return self._frame("jacobians", Wanted(self._columns("jacobians")))

    @property
    def gradient_columns(self) -> list[str]:
        """The names of the columns of ``gradients``."""
        return self._columns("gradients")

    def gradient_rows(
        self,
        columns: Sequence[str],
        *,
        runs: Iterable[str] | None = None,
        updates: Collection[int] | None = None,
        layer: int | None = None,
    ) -> pd.DataFrame:
        """Read some columns and rows of ``gradients``, and nothing else.

        Args:
            columns: of ``gradients``, in this order.
            runs: by name; None for all, as in the next two.
            updates: the recorded updates.
            layer: its number; -1 is the top layer of each run.
        """
        known = self._columns("gradients")
        unknown = [name for name in columns if name not in known]
        if unknown:
            raise KeyError(f"the table of gradients has no column {', '.join(unknown)}")
        return self._frame("gradients", Wanted(columns, updates, layer), runs)

    def _columns(self, table: str) -> list[str]:
        settings = (str(name) for name in self._runs if name not in RESULTS)
        sources = [source for tables in self._tables for source in tables.get(table, ())]
        there = {name for source in sources for name in source.columns}
        own = [name for name in TABLES[table].names if name in {*TABLES[table].always, *there}]
        return [*own, "run", *settings]

    def _frame(self, table: str, wanted: Wanted, runs: Iterable[str] | None = None) -> pd.DataFrame:
        """Return the wanted rows, each with the wanted settings of its run."""
        chosen = None if runs is None else set(runs)
        found = [
            (place, source)
            for place, run in enumerate(self._runs["run"])
            if chosen is None or run in chosen
            for source in self._tables[place].get(table, ())
        ]
        places, sources = [place for place, _ in found], [source for _, source in found]
        own = [name for name in wanted.columns if name in TABLES[table].names]
        gathered = gather(table, sources, wanted._replace(columns=own))
        for place, why in gathered.failures.items():
            source = sources[place]
            self._tell(
                str(self._runs["run"].iloc[places[place]]), without_place(source.path.parent, why)
            )
        rows = {
            name: column_of(table, name, gathered.columns[name])
            if name in TABLES[table].names
            else _repeated(self._runs[name], places, gathered.counts)
            for name in wanted.columns
        }
        # Not copied: a frame that owned one block for each type would need the memory twice.
        return pd.DataFrame(rows, index=pd.RangeIndex(gathered.counts.sum()), copy=False)

    def _tell(self, run: str, why: str) -> None:
        row = {"run": run, "why": why}
        if row not in self._broken:
            self._broken.append(row)
            warnings.warn(f"{row['run']} is left out: {why}", DamagedWarning, stacklevel=4)


def _runs_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(RESULTS))
    # What is null in every run is a number that nobody gave, as it is where some gave it.
    empty = [name for name in frame if name not in RESULTS and frame[name].isna().all()]
    types = dict.fromkeys(TEXTS, _TEXT) | dict.fromkeys([*NUMBERS, *empty], np.dtype(float))
    types |= dict.fromkeys(TRUTHS, pd.BooleanDtype())
    frame = frame.astype(cast(Any, types))
    return frame.assign(run=pd.Categorical(frame["run"]))


def _repeated(values: pd.Series, places: list[int], counts: np.ndarray) -> Any:  # noqa: ANN401
    """Return a value a run as a column of its rows: names by number, whole numbers in 32 bits."""
    if pd.api.types.infer_dtype(values, skipna=True) in ("string", "categorical"):
        names = pd.Categorical(values)
        return pd.Categorical.from_codes(np.repeat(names.codes[places], counts), dtype=names.dtype)
    numbers = values.to_numpy()
    if numbers.dtype == np.int64 and (numbers == numbers.astype(np.int32)).all():
        numbers = numbers.astype(np.int32)
    chosen = numbers[places]
    if chosen.dtype.kind in "bif" and pd.unique(chosen).size == 1:
        # Most settings are the same in all runs: one number, seen at every row, takes no memory.
        return np.broadcast_to(chosen[0], counts.sum())
    return np.repeat(chosen, counts)
