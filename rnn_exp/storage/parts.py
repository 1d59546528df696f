"""Parts: the rows of a run that trains, on disk as they come, and put together at its end.

A run hands over what it has recorded at every checkpoint, or sooner if it is much; what it holds in
memory stays small, and no checkpoint writes again what one before has written. A part grows until
it has so many rows, and then a new one begins. The tables at the end are cut in row groups of one
size, so their bytes do not tell where the parts ended.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rnn_exp.storage.files import replace_file
from rnn_exp.storage.hashes import Entry, damage, entry_of
from rnn_exp.words import from_here

if TYPE_CHECKING:  # loading, which reads parts, needs no torch
    from rnn_exp.training.outcome import Tables

__all__ = ["ROWS_OF_A_GROUP", "ROWS_OF_A_PART", "Part", "Parts", "arrow_table", "write_table"]

ROWS_OF_A_PART: Final = 1 << 15
"""Rows of the table of gradients from which on a part grows no further."""
ROWS_OF_A_GROUP: Final = 1 << 17
"""Rows of a row group of a table at the end."""

_GRADIENTS: Final = "gradients"


class Part(NamedTuple):
    """A part on disk: its number, its rows of gradients, and the entry of each table's file."""

    number: int
    rows: int
    entries: dict[str, Entry]

    def path(self, folder: Path, table: str) -> Path:
        """Return the path of the file of a table."""
        return folder / f"{self.number:05d}.{table}.parquet"


class Parts:
    """The parts of one run.

    Args:
        folder: where they are.
        names: of the run's tables.
        parts: those that are there, in order.
    """

    def __init__(self, folder: Path, names: Sequence[str], parts: Sequence[Part] = ()) -> None:
        self.folder, self.names = folder, names
        self.parts, self._used = list(parts), max((part.number for part in parts), default=0)
        self._waiting: list[Tables] = []  # what a full disk did not take

    @property
    def text(self) -> str:
        """The list of the parts as text, for `from_text`."""
        return json.dumps([[part.number, part.rows, part.entries] for part in self.parts])

    @staticmethod
    def from_text(text: str) -> list[Part]:
        """Return the parts of a list as text.

        Raises:
            ValueError: if it is no such list.
        """
        try:
            return [
                Part(int(number), int(rows), {str(name): dict(of) for name, of in entries.items()})
                for number, rows, entries in json.loads(text)
            ]
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not a list of parts: {error}") from None

    def files(self) -> Iterator[tuple[str, Path, object]]:
        """Yield each file of the parts: its table, its path, and what was written down of it."""
        for part in self.parts:
            for name in self.names:
                yield name, part.path(self.folder, name), part.entries.get(name)

    def add(self, tables: "Tables | None") -> None:
        """Write more rows; those that cannot be written are kept in memory until the next call.

        Args:
            tables: the rows after all others, by table; None: there are no more.

        Raises:
            OSError: if they cannot be written.
        """
        self._waiting += [tables] if tables is not None else []
        if not self._waiting:
            return
        grows = bool(self.parts) and self.parts[-1].rows < ROWS_OF_A_PART
        before, kept = (self.parts[-1:], self.parts[:-1]) if grows else ([], self.parts)
        self._used += 1
        part = Part(self._used, 0, {})
        self.folder.mkdir(exist_ok=True)
        try:
            self.parts = [*kept, self._written(part, before)]
        except OSError:
            for name in self.names:  # a full disk needs the room of what could be written
                part.path(self.folder, name).unlink(missing_ok=True)
            raise
        self._waiting = []

    def _written(self, part: Part, before: Sequence[Part]) -> Part:
        """Write the files of a part: the rows of the one before, if it grows, and what waits."""
        for name in self.names:
            pieces = [
                _read(part.path(self.folder, name), part.entries.get(name)) for part in before
            ]
            table = pa.concat_tables(
                [*pieces, *(arrow_table(each[name]) for each in self._waiting)]
            )
            path = part.path(self.folder, name)
            _write(path, [table])
            part.entries[name] = entry_of(path)
            if name == _GRADIENTS:
                part = part._replace(rows=table.num_rows)
        return part

    def pieces(self, name: str) -> Iterator[pa.Table]:
        """Yield the rows of a table, part after part.

        Raises:
            OSError: if a part was changed or removed since it was written.
        """
        for table, path, entry in self.files():
            if table == name:
                yield _read(path, entry)
        for tables in self._waiting:
            yield arrow_table(tables[name])

    def damage(self) -> str | None:
        """Say which part is not as it was written; None: all are."""
        for _, path, entry in self.files():
            if wrong := damage(path, entry):
                return f"{path.name}: {wrong}"
        return None

    def remove_unlisted(self) -> None:
        """Remove the files of parts that have grown into others, or that no checkpoint knows."""
        known = {path for _, path, _ in self.files()}
        for path in self.folder.glob("*.parquet"):
            if path not in known:
                path.unlink(missing_ok=True)


def _read(path: Path, entry: object) -> pa.Table:
    """Return a table of a part.

    Raises:
        OSError: if it was changed or removed since it was written.
    """
    if wrong := damage(path, entry):
        raise OSError(f"{from_here(path)}: {wrong}")
    return pq.read_table(path, use_threads=False, page_checksum_verification=True)


def arrow_table(columns: Mapping[str, np.ndarray]) -> pa.Table:
    """Return a table as arrow has it.

    `pyarrow.table` would import pandas, which takes longer than a small run does.

    Args:
        columns: numbers, truths or words by name.
    """
    return pa.table({name: _arrow(np.ascontiguousarray(own)) for name, own in columns.items()})


def _arrow(values: np.ndarray) -> pa.Array:
    kind, count = values.dtype.kind, len(values)
    if kind == "U":
        ends = np.concatenate([[0], np.cumsum(np.char.str_len(values), dtype=np.int64)])
        offsets, text = ends.astype(np.int32), "".join(values.tolist())
        if not text.isascii():
            raise ValueError("words of a table are ASCII: a letter is a byte")
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text.encode())]
        return pa.Array.from_buffers(pa.string(), count, buffers)
    bits = np.packbits(values, bitorder="little") if kind == "b" else values
    stored = pa.bool_() if kind == "b" else pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(stored, count, [None, pa.py_buffer(bits)])


def write_table(path: Path, pieces: Iterable[pa.Table]) -> None:
    """Write a table piece by piece; its bytes do not depend on how it comes in pieces.

    Args:
        path: of the file.
        pieces: consecutive rows, at least one piece.

    Raises:
        OSError: if it cannot be written.
    """
    _write(path, _groups(pieces))


def _write(path: Path, groups: Iterable[pa.Table]) -> None:
    """Write row groups as a file: whole or not at all."""

    def fill(temporary: Path) -> None:
        rest = iter(groups)
        first = next(rest)
        look: Mapping[str, Any] = {"write_page_checksum": True}
        with pq.ParquetWriter(temporary, first.schema, **look) as writer:
            writer.write_table(first, row_group_size=max(1, first.num_rows))
            for group in rest:
                writer.write_table(group, row_group_size=group.num_rows)

    replace_file(path, fill)


def _groups(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables of `ROWS_OF_A_GROUP` rows, the last with what is left; at least one."""
    held: list[pa.Table] = []
    rows, yielded = 0, False
    for piece in pieces:
        held.append(piece)
        rows += piece.num_rows
        while rows >= ROWS_OF_A_GROUP:
            whole = pa.concat_tables(held)
            yield whole.slice(0, ROWS_OF_A_GROUP).combine_chunks()
            held, yielded = [whole.slice(ROWS_OF_A_GROUP)], True
            rows -= ROWS_OF_A_GROUP
    if rows or not yielded:
        yield pa.concat_tables(held).combine_chunks()
