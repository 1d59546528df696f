"""Tables of many runs, out of parquet files: only the wanted columns and rows, each copied once.

A file is trusted for nothing. Its footer must promise the columns of its table, and its pages must
hold what the footer promised; columns that are not of the table are not read.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rnn_exp.data.parquet_table import opened, reason
from rnn_exp.schema import FORMAT, FORMER_NAMES, GRADIENT_STATUSES, TABLES
from rnn_exp.storage.hashes import damage, damage_of

__all__ = [
    "Source",
    "Wanted",
    "column_of",
    "gather",
    "promised",
]


# Whole numbers here are steps and layers: half the memory of 64 bits, and cast without wrapping.
class _Kind(NamedTuple):
    """How a type of column is stored: in words, in a file, in memory, and where a run has none."""

    words: str
    fits: Callable[[Any], bool]
    stored: Any
    held: type
    missing: Any = np.nan


_KINDS: Final[Mapping[str, _Kind]] = {
    "whole": _Kind("whole numbers", pa.types.is_integer, pa.int32(), np.int32),
    "real": _Kind("numbers", pa.types.is_floating, pa.float64(), np.float64),
    "truth": _Kind("true or false", pa.types.is_boolean, pa.bool_(), np.bool_),
    "status": _Kind(
        "text",
        lambda found: found in (pa.string(), pa.large_string()),
        pa.int8(),
        np.int8,
        missing=np.int8(-1),  # no category, for pandas
    ),
}


class Source(NamedTuple):
    """A parquet file, what its footer promised, and what its columns are called in it.

    Args:
        path: of the file.
        rows: how many there are.
        names: what the file calls each column of the table that it has: a folder of an earlier
            format has other names for some.
        derived: the statuses that a folder of an earlier format does not have, and the column that
            each is read off.
        entry: what was written down of the file (`hashes.entry_of`); None: nothing, as it is of an
            earlier format.
        content: of the file, if it was read already; None: it is read when it is wanted.
    """

    path: Path
    rows: int
    names: Mapping[str, str]
    derived: Mapping[str, str] = MappingProxyType({})
    entry: object = None
    content: bytes | None = None

    @property
    def columns(self) -> set[str]:
        """The names of all columns that there are, or that can be derived."""
        return {*self.names, *self.derived}

    def in_memory(self) -> "Source":
        """Return the same with the content of its file, which may be removed then.

        Raises:
            OSError: if it cannot be read, or is not as it was written.
        """
        content = self.path.read_bytes()
        if self.entry is not None and (wrong := damage_of(content, self.entry)):
            raise OSError(f"{self.path.name}: {wrong}")
        return self._replace(content=content)


class Wanted(NamedTuple):
    """Which columns of a table, and of which updates and layer (None: all; -1: the top one)."""

    columns: Sequence[str]
    updates: Collection[int] | None = None
    layer: int | None = None


class Gathered(NamedTuple):
    """The columns, how many rows of each source they hold, and what was wrong with the others."""

    columns: dict[str, np.ndarray]
    counts: np.ndarray
    failures: dict[int, str]


def promised(
    path: Path,
    table: str,
    version: int = FORMAT,
    entry: object = None,
    content: bytes | None = None,
) -> Source:
    """Return what a file's footer promises, having checked that it has the columns of its table.

    Args:
        path: of the file.
        table: the name of its table.
        version: the format of its folder.
        entry: what was written down of the file, which is looked at when it is read.
        content: of the file, if it was read already.

    Raises:
        OSError, ValueError or pyarrow.ArrowException: if it has not, or is no parquet file.
    """
    with opened(path if content is None else content) as file:
        found, rows = file.schema_arrow, file.metadata.num_rows
    names: dict[str, str] = {}
    for column in TABLES[table].columns:
        name = _name_in(found.names, column.name)
        if name is None:
            if column.when or version < column.since:
                continue
            raise ValueError(f"{path.name} has no column {column.name}")
        if found.names.count(name) > 1:
            raise ValueError(f"{path.name}: {name} is there {found.names.count(name)} times")
        kind = _KINDS[column.type]
        if not kind.fits(found.field(name).type):
            raise ValueError(
                f"{path.name}: {name} holds {found.field(name).type}, not {kind.words}"
            )
        names[column.name] = name
    derived = {
        column.name: column.of
        for column in TABLES[table].columns
        if version < column.since and column.name not in names and column.of in names
    }
    return Source(path, rows, names, derived, entry, content)


def _name_in(names: Collection[str], column: str) -> str | None:
    """Return what a file calls a column; None: it has none."""
    known = (column, FORMER_NAMES.get(column))
    return next((name for name in known if name in names), None)


def gather(table: str, sources: Sequence[Source], wanted: Wanted) -> Gathered:
    """Read the wanted part of every source; one that is damaged counts no rows and is listed.

    Args:
        table: the name of the table.
        sources: its files.
        wanted: the columns and rows to read.
    """
    room = sum(source.rows for source in sources)
    kinds = {column.name: _KINDS[column.type] for column in TABLES[table].columns}
    # Memory that is never written is never taken: room for all rows costs what is kept.
    columns: dict[str, np.ndarray] = {
        name: np.empty(room, dtype=kinds[name].held) for name in wanted.columns
    }
    counts, end = np.zeros(len(sources), dtype=np.int64), 0
    failures: dict[int, str] = {}
    for place, source in enumerate(sources):
        try:
            part, count = _part(source, kinds, wanted)
        except (OSError, ValueError, pa.ArrowException) as error:
            failures[place] = f"{source.path.name}: {reason(error)}"
            continue
        for name, values in part.items():
            columns[name][end : end + count] = values
        counts[place] = count
        end += count
    return Gathered({name: values[:end] for name, values in columns.items()}, counts, failures)


def column_of(table: str, name: str, values: np.ndarray) -> Any:  # noqa: ANN401 - array or pandas'
    """Return a gathered column as what a frame shall hold: statuses by name."""
    if TABLES[table].column(name).type != "status":
        return values
    statuses = pd.CategoricalDtype(list(GRADIENT_STATUSES))
    return pd.Categorical.from_codes(values, dtype=statuses)


def _part(
    source: Source, kinds: Mapping[str, _Kind], wanted: Wanted
) -> tuple[dict[str, np.ndarray], int]:
    """Return the wanted columns and rows of one file, and how many rows these are."""
    conditions = {"update": wanted.updates, "layer": wanted.layer}
    needed = {*wanted.columns, *(name for name, only in conditions.items() if only is not None)}
    derived = {name: source.derived[name] for name in needed if name in source.derived}
    there = [name for name in sorted(needed | {*derived.values()}) if name in source.names]
    if source.entry is not None and source.content is None:
        wrong = damage(source.path, source.entry)
        if wrong is not None:
            raise ValueError(wrong)
    with opened(source.path if source.content is None else source.content) as file:
        table = file.read(columns=[source.names[name] for name in there], use_threads=False)
    if len(table.column_names) != len(there):
        raise ValueError("its columns are not those that its footer promised")
    if len(table) != source.rows:
        raise ValueError(f"{len(table)} rows where there were {source.rows}")
    values = {name: _values(table[source.names[name]], kinds[name]) for name in there}
    values |= {name: _statuses(values[of]) for name, of in derived.items()}
    values |= {name: np.full(len(table), kinds[name].missing) for name in needed - set(values)}
    keep = np.ones(len(table), dtype=bool)
    if wanted.updates is not None:
        keep &= np.isin(values["update"], list(wanted.updates))
    if wanted.layer is not None and len(table):
        layer = wanted.layer if wanted.layer >= 0 else values["layer"].max() + 1 + wanted.layer
        keep &= values["layer"] == layer
    count = int(keep.sum())
    part = {name: values[name] for name in wanted.columns}
    if count == len(keep):
        return part, count
    return {name: column[keep] for name, column in part.items()}, count


def _statuses(log10: np.ndarray) -> np.ndarray:
    """Return what can be said of norms of which nothing but the log10 was kept."""
    kinds = [np.isnan(log10), np.isposinf(log10), np.isneginf(log10)]
    places = [GRADIENT_STATUSES.index(word) for word in ("nan", "inf", "zero")]
    return np.select(kinds, places, GRADIENT_STATUSES.index("ok")).astype(np.int8)


def _values(column: Any, kind: _Kind) -> np.ndarray:  # noqa: ANN401 - pyarrow has no types
    """Return a column of a file as numbers; statuses as their place in `GRADIENT_STATUSES`."""
    if kind is _KINDS["status"]:
        known = pa.array(GRADIENT_STATUSES)
        column = pc.index_in(column.cast(pa.string()), value_set=known)
    if kind is not _KINDS["real"] and column.null_count:
        raise ValueError("a value is missing, or is no status that this version knows")
    values: np.ndarray = column.cast(kind.stored).to_numpy()
    return values
