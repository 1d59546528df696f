"""Tables in parquet files: what opens one, and one that a user wrote, trusted for nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rnn_exp.data.table import DataError, Table, check_different

__all__ = ["ParquetTable", "opened", "reason"]

_WHAT: Final = "a whole parquet file"
_MOST: Final = 1 << 28  # values of a column: 2 GiB in float64


def opened(file: Path | bytes) -> pq.ParquetFile:
    """Open a parquet file, with its page checksums compared where it has them.

    Args:
        file: its path, or its content, if it was read already.

    Raises:
        OSError or pyarrow.ArrowException: if it is no parquet file.
    """
    where = pa.BufferReader(file) if isinstance(file, bytes) else file
    return pq.ParquetFile(where, page_checksum_verification=True)


def reason(error: Exception) -> str:
    """Return an error as one line: those of parquet have many."""
    return " ".join(f"{type(error).__name__}: {error}".split())


class ParquetTable(Table):
    """A parquet file, of which the columns of numbers and text can be asked for.

    Args:
        content: of the file.
        shown: its path as it was typed, for messages.

    Raises:
        DataError: if it is no such file.
    """

    def __init__(self, content: bytes, shown: str) -> None:
        try:
            with opened(content) as file:
                schema, rows = file.schema_arrow, file.metadata.num_rows
            names = [name for name in schema.names if name.strip() and name.isprintable()]
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DataError(f"{_WHAT}; {_short(error)}") from None
        check_different(names, _WHAT)
        if not names or not 0 <= rows <= _MOST:
            raise DataError(f"{_WHAT} with columns of at most {_MOST} rows; it has {rows}")
        super().__init__(shown, names, rows)
        self._content, self._schema = content, schema

    def place(self, row: int) -> str:
        """Return the number of a row, counted from 1."""
        return f"row {row + 1} of {self.shown}"

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as finite numbers in float64."""
        kind = self._schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or _is_decimal(kind)):
            raise DataError(f"a column of numbers alone; in {self.shown} it holds {kind}", name)
        column = self._column(name)
        missing = column.is_null().to_numpy()
        if missing.any():
            place = self.place(int(missing.argmax()))
            raise DataError(f"a column of numbers alone; {place} has nothing", name)
        try:
            values: np.ndarray = np.asarray(column.to_numpy(), dtype=np.float64)
        except (ValueError, ArithmeticError, pa.ArrowException) as error:
            raise DataError(f"a column of numbers alone; {_short(error)}", name) from None
        if not np.isfinite(values).all():
            row = int(np.isfinite(values).argmin())
            has = f"{self.place(row)} has {values[row]}"
            raise DataError(f"a column of numbers alone; {has}", name)
        return values

    def texts(self, name: str) -> Iterator[str]:
        """Yield the cells of a column as text; true and false as these words."""
        kind = self._schema.field(name).type
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        able = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, _is_text)
        if not any(test(inner) for test in able):
            raise DataError(f"a column of words or whole numbers; it holds {kind}", name)
        try:
            values = self._column(name).to_pylist()
        except UnicodeDecodeError as error:
            raise DataError(f"a column of words in UTF-8; {_short(error)}", name) from None
        for value in values:
            text = "" if value is None else str(value)
            yield text.lower() if isinstance(value, bool) else text

    def _column(self, name: str) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Read a column."""
        try:
            with opened(self._content) as file:
                table = file.read(columns=[name], use_threads=False)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DataError(f"{_WHAT}; {_short(error)}") from None
        if table.column_names != [name] or len(table) != self.rows:
            raise DataError(f"{_WHAT}; its columns are not those that its footer promised")
        return table[name]


def _short(error: Exception) -> str:
    return reason(error)[:200]


def _is_decimal(kind: Any) -> bool:  # noqa: ANN401
    found: bool = pa.types.is_decimal(kind)
    return found


def _is_text(kind: Any) -> bool:  # noqa: ANN401
    found: bool = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return found
