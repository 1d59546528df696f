"""What a table of a user's file is asked for: columns of numbers, and columns of labels."""

import abc
import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

__all__ = ["DataError", "Label", "Table", "check_different", "number_in", "shown_cell"]

Label = int | str
"""A label of a row: a whole number, or a word."""
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WHOLE: Final = re.compile(r"[+-]?\d{1,300}(\.0*)?", re.ASCII)
_PLAIN: Final = re.compile(r"-?(0|[1-9]\d*)(\.0*)?", re.ASCII)  # as programs write whole numbers
_MISSING: Final = ("", "nan")
_LONGEST_CELL: Final = 40


class DataError(ValueError):
    """A file, or a column of it, that cannot be used.

    Args:
        allowed: what is allowed, and what there is instead, in words.
        column: the name of the column that is to blame; None: the file is.
    """

    def __init__(self, allowed: str, column: str | None = None) -> None:
        super().__init__(allowed)
        self.allowed, self.column = allowed, column


class Table(abc.ABC):
    """Columns of equal length under names, each read when it is asked for.

    Args:
        shown: the path of the file as it was typed, for messages.
        names: of the columns that can be asked for, in the order of the file.
        rows: how many there are.
    """

    def __init__(self, shown: str, names: Sequence[str], rows: int) -> None:
        self.shown, self.names, self.rows = shown, list(names), rows

    @abc.abstractmethod
    def place(self, row: int) -> str:
        """Return where a row stands in the file, in words.

        Args:
            row: its number, counted from 0.
        """

    @abc.abstractmethod
    def numbers(self, name: str) -> np.ndarray:
        """Return a column as finite numbers in float64.

        Args:
            name: of the column, one of ``names``.

        Raises:
            DataError: if a cell of it is no finite number.
        """

    @abc.abstractmethod
    def texts(self, name: str) -> Iterator[str]:
        """Yield the cells of a column as text, empty where nothing stands.

        Args:
            name: of the column, one of ``names``.

        Raises:
            DataError: if what stands in it is neither text nor numbers.
        """

    def labels(self, name: str) -> list[Label]:
        """Return a column as labels: whole numbers if all are written as these, else words.

        A zero in front or a plus sign makes codes: each of them, and all others beside them, is the
        word that it is written as.

        Args:
            name: of the column, one of ``names``.

        Raises:
            DataError: if a cell is empty, or is a number with a fraction; if a label is written in
                two ways.
        """
        written = list(self.texts(name))
        cells = [cell.strip() for cell in written]
        for cell in dict.fromkeys(cells):  # each once: a label stands in many rows
            is_fraction = number_in(cell) is not None and _WHOLE.fullmatch(cell) is None
            if cell.lower() in _MISSING or is_fraction:
                place = self.place(cells.index(cell))
                allowed = "a column with a label, a whole number or a word, in every row"
                raise DataError(f"{allowed}; {place} has {shown_cell(cell)}", name)
        label_of: dict[str, Label] = {cell: cell for cell in cells}
        if all(_WHOLE.fullmatch(cell) and _PLAIN.fullmatch(cell) for cell in label_of):
            label_of = {cell: int(cell.partition(".")[0]) for cell in label_of}
        labels = [label_of[cell] for cell in cells]
        self._check_one_spelling(name, written, labels)
        return labels

    def _check_one_spelling(
        self, name: str, written: Sequence[str], labels: Sequence[Label]
    ) -> None:
        """Refuse a label that is written in two ways: they may be meant as two, or as one."""
        first: dict[Label, str] = {}
        for row, (label, cell) in enumerate(zip(labels, written, strict=True)):
            if first.setdefault(label, cell) != cell:
                before, here = self.place(written.index(first[label])), self.place(row)
                raise DataError(
                    f"a column that writes each label in one way; {before} has "
                    f"{shown_cell(first[label])} and {here} {shown_cell(cell)}: write them alike "
                    "if they are one class, or differ in more than spaces or .0",
                    name,
                )


def check_different(names: Sequence[str], what: str) -> None:
    """Refuse two columns of one name.

    Args:
        names: of the columns.
        what: the file is to be, in words.

    Raises:
        DataError: naming one that is there twice.
    """
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{what}; two columns are called {twice}")


def number_in(cell: str) -> float | None:
    """Return the number that a cell holds, in decimal digits; None: it holds none.

    Python's own ``float`` takes more for a number: underscores, digits of other scripts, nan, inf.

    Args:
        cell: as it stands in the file.

    Example:
        >>> [number_in(cell) for cell in (" -1.5e3", ".5", "1_5", "nan", "1,5")]
        [-1500.0, 0.5, None, None, None]
    """
    text = cell.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def shown_cell(cell: str) -> str:
    """Return a cell in quotes, a long one by its beginning."""
    short = cell if len(cell) <= _LONGEST_CELL else f"{cell[:_LONGEST_CELL]}…"
    return repr(short)
