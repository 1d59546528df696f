"""Tables in CSV files: a line of names, then a line for each row."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from rnn_exp.data.table import DataError, Table, check_different, number_in, shown_cell

__all__ = ["CsvTable"]

_WHAT: Final = "a CSV file in UTF-8 with a line of names"
_DELIMITERS: Final = ",;\t"
_OTHERS: Final = {
    b"\x1f\x8b": "this is compressed: unpack it",
    b"PK": "this is a workbook or a zip file: save the table as CSV",
    b"\xff\xfe": "this is in UTF-16: save it as UTF-8",
    b"\xfe\xff": "this is in UTF-16: save it as UTF-8",
}
"""What other files begin with that are given by mistake, and what to do with them."""


class _Line(NamedTuple):
    """A line that is not empty: its number in the file, counted from 1, and its cells."""

    number: int
    cells: list[str]


class CsvTable(Table):
    """A CSV file in UTF-8, with cells parted by commas, semicolons or tabs.

    Empty lines are passed over. A column without a name, such as the row numbers that pandas
    writes, cannot be asked for. Numbers have a decimal point.

    Args:
        content: of the file.
        shown: its path as it was typed, for messages.

    Raises:
        DataError: if it is no such file.
    """

    def __init__(self, content: bytes, shown: str) -> None:
        lines = _lines(_text(content))
        header = [name.strip() for name in lines[0].cells] if lines else []
        names = [name for name in header if name]
        _check_names(names)
        for number, cells in lines[1:]:
            if len(cells) != len(header):
                counts = f"line {number} has {len(cells)} cells, the first line {len(header)}"
                hint = "; are there decimal commas? Numbers need a point"
                raise DataError(f"{_WHAT}; {counts}{hint if len(cells) > len(header) else ''}")
        super().__init__(shown, names, len(lines) - 1)
        self._lines = lines[1:]
        self._places = {name: header.index(name) for name in names}

    def place(self, row: int) -> str:
        """Return the line in which a row stands."""
        return f"line {self._lines[row].number} of {self.shown}"

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as finite numbers in float64."""
        result = np.empty(self.rows)
        for row, cell in enumerate(self.texts(name)):
            value = number_in(cell)
            if value is None:
                has = f"{self.place(row)} has {shown_cell(cell)}{_hint(cell)}"
                raise DataError(f"a column of numbers alone; {has}", name)
            result[row] = value
        if not np.isfinite(result).all():  # 1e999
            row = int(np.isfinite(result).argmin())
            has = f"{self.place(row)} has {shown_cell([*self.texts(name)][row])}"
            raise DataError(f"a column of numbers that fit double precision; {has}", name)
        return result

    def texts(self, name: str) -> Iterator[str]:
        """Yield the cells of a column."""
        place = self._places[name]
        return (line.cells[place] for line in self._lines)


def _text(content: bytes) -> str:
    """Return the text of a file."""
    for begin, why in _OTHERS.items():
        if content.startswith(begin):
            raise DataError(f"{_WHAT}; {why}")
    if not content.strip():
        raise DataError(f"{_WHAT}; this is empty")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"line {line} has the byte {content[error.start]:#04x}, which is not UTF-8"
        raise DataError(f"{_WHAT}; {byte}: save it as UTF-8") from None


def _lines(text: str) -> list[_Line]:
    """Return the lines that are not empty."""
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [_Line(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise DataError(f"{_WHAT}; line {reader.line_num}: {error}") from None


def _check_names(names: Sequence[str]) -> None:
    """Refuse a first line that does not name columns."""
    if not names or not all(name.isprintable() for name in names):
        raise DataError(f"{_WHAT}; its first line names no columns")
    check_different(names, _WHAT)
    are_numbers = all(number_in(name) is not None for name in names)
    if are_numbers and not all(name.isdecimal() for name in names):  # 2020 may name a column
        raise DataError(f"{_WHAT}; its first line has numbers: write names above them")


def _hint(cell: str) -> str:
    """Say what may be meant by a cell that holds no number."""
    if "," in cell and number_in(cell.replace(",", ".", 1)) is not None:
        return ": numbers need a decimal point"
    parts = cell.split()
    if len(parts) > 1 and all(number_in(part) is not None for part in parts):
        return ": commas, semicolons or tabs stand between cells"
    return ""
