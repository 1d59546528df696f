"""Rows of many runs' parquet files: only the columns and rows that are wanted, each copied once.

A file is trusted for nothing. Its footer must promise the columns of its table, and its pages must
hold what the footer promised; columns that are not of the table are not read.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rnn_exp.schema import GRADIENT_STATUSES

__all__ = [
    "OPTIONAL",
    "TABLES",
    "Source",
    "Wanted",
    "column_of",
    "gather",
    "promised",
    "reason",
]

# Whole numbers here are steps and layers: half the memory of 64 bits, and cast without wrapping.
_WHOLE, _REAL, _TRUTH, _STATUS = pa.int32(), pa.float64(), pa.bool_(), pa.string()
_KINDS: Final[Mapping[Any, tuple[str, Callable[[Any], bool], type]]] = {
    _WHOLE: ("whole numbers", pa.types.is_integer, np.int32),
    _REAL: ("numbers", pa.types.is_floating, np.float64),
    _TRUTH: ("true or false", pa.types.is_boolean, np.bool_),
    _STATUS: ("text", lambda found: found in (pa.string(), pa.large_string()), np.int8),
}
TABLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "updates": {
        "update": _WHOLE,
        "length": _WHOLE,
        "loss": _REAL,
        "error": _REAL,
        "grad_norm": _REAL,
        "clipped": _TRUTH,
        "recurrent_grad_norm": _REAL,
        "spectral_radius": _REAL,
        "largest_singular_value": _REAL,
        "omega": _REAL,
        "moved": _REAL,
    },
    "gradients": {
        "update": _WHOLE,
        "layer": _WHOLE,
        "time": _WHOLE,
        "lag": _WHOLE,
        "log10_total": _REAL,
        "log10_direct": _REAL,
        "log10_contribution": _REAL,
        "saturation": _REAL,
        "state_rms": _REAL,
        "log10_memory": _REAL,
        "log10_late": _REAL,
        "status": _STATUS,
    },
    "exponents": {"update": _WHOLE, "index": _WHOLE, "exponent": _REAL},
}
"""The columns of each table and what they hold."""
OPTIONAL: Final = frozenset({"log10_memory", "log10_late"})
"""Columns that a file has only where there is something to say."""


class Source(NamedTuple):
    """A parquet file, the number of rows that its footer promised, and its optional columns."""

    path: Path
    rows: int
    optional: frozenset[str] = frozenset()


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


def promised(path: Path) -> Source:
    """Return what a file's footer promises, having checked that it has the columns of its table.

    Raises:
        OSError, ValueError or pyarrow.ArrowException: if it has not, or is no parquet file.
    """
    with pq.ParquetFile(path) as file:
        found, rows = file.schema_arrow, file.metadata.num_rows
    for name, kind in TABLES[path.stem].items():
        if name not in found.names:
            if name in OPTIONAL:
                continue
            raise ValueError(f"{path.name} has no column {name}")
        if found.names.count(name) > 1:
            raise ValueError(f"{path.name}: {name} is there {found.names.count(name)} times")
        words, fits, _ = _KINDS[kind]
        if not fits(found.field(name).type):
            raise ValueError(f"{path.name}: {name} holds {found.field(name).type}, not {words}")
    return Source(path, rows, OPTIONAL & set(found.names))


def gather(table: str, sources: Sequence[Source], wanted: Wanted) -> Gathered:
    """Read the wanted part of every source; one that is damaged counts no rows and is told."""
    room = sum(source.rows for source in sources)
    kinds = TABLES[table]
    # Memory that is never written is never taken: room for all rows costs what is kept.
    columns: dict[str, np.ndarray] = {
        name: np.empty(room, dtype=_KINDS[kinds[name]][2]) for name in wanted.columns
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
    if TABLES[table][name] != _STATUS:
        return values
    return pd.Categorical.from_codes(values, dtype=pd.CategoricalDtype(list(GRADIENT_STATUSES)))


def reason(error: Exception) -> str:
    """Return an error as one line: those of parquet have many."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _part(
    source: Source, kinds: Mapping[str, Any], wanted: Wanted
) -> tuple[dict[str, np.ndarray], int]:
    """Return the wanted columns and rows of one file, and how many rows these are."""
    conditions = {"update": wanted.updates, "layer": wanted.layer}
    needed = {*wanted.columns, *(name for name, only in conditions.items() if only is not None)}
    with pq.ParquetFile(source.path) as file:
        there = [name for name in sorted(needed) if name not in OPTIONAL - source.optional]
        table = file.read(columns=there, use_threads=False)
    if len(table) != source.rows:
        raise ValueError(f"{len(table)} rows where there were {source.rows}")
    values = {name: _values(table[name], kinds[name]) for name in there}
    values |= {name: np.full(len(table), np.nan) for name in needed - set(there)}
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


def _values(column: Any, kind: Any) -> np.ndarray:  # noqa: ANN401 - pyarrow has no types
    """Return a column of a file as numbers; statuses as their place in `GRADIENT_STATUSES`."""
    if kind == _STATUS:
        column = pc.index_in(column.cast(_STATUS), value_set=pa.array(GRADIENT_STATUSES))
    if kind != _REAL and column.null_count:
        raise ValueError("a value is missing, or is no status that this version knows")
    values: np.ndarray = column.cast(pa.int8() if kind == _STATUS else kind).to_numpy()
    return values
