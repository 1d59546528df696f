"""Time series out of a file: say what comes next."""

import dataclasses
import functools
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnn_exp.fields import SettingError, check, number, whole
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.files import FileTask, Source, numbers_of, sha256_field, text
from rnn_exp.tasks.task import Batch, Regression

__all__ = ["Series"]

_WHAT = "a CSV file with a line of names"


class _Standardised(NamedTuple):
    """The columns that are read, the one that is predicted last, and the rows for training."""

    columns: Float[Tensor, "time column"]
    training: int


@dataclasses.dataclass(frozen=True)
class Series(FileTask, Regression):
    """Predict a column of a CSV file from the rows before it.

    ::

        row      1    2    3    4    5    6   …      length 4, ahead 1
        input   .31  .72  .05  .64                   answer .90: row 5
        input        .72  .05  .64  .90              answer .11: row 6

    The rows are times, in order. The first ones are for training, the last ones (``test_share``)
    for tests; no window has rows of both. Training draws windows of the training part, with
    replacement; `held_out` gives each window of the test part once. Every column is standardised
    by its mean and standard deviation over the training part: nothing of the test part is known.

    The loss is the squared error of the last output, in units of the training part's variance.
    Chance is the best constant: the variance of all answers that training can draw. An answer is
    wrong when it is off by ``tolerance`` or more. Every row of a window is a cue.

    Args:
        file: path of the file, seen from the folder of the command. What counts is its content:
            in other places the same file is the same run.
        column: what is predicted, by its name (null: the only column there is).
        inputs: columns that are read, as a+b (null: the one that is predicted).
        length: rows of a window.
        ahead: how many rows after the window the answer stands.
        test_share: the share of the rows, the last ones, that are for tests.
        tolerance: the distance from which on an answer is wrong, in standard deviations.
        sha256: of the file (null: as it is). A file with another one is refused.

    Raises:
        SettingError: if the file is not there, is another one, has no such column, or a cell of it
            is no number; if a column never changes; if there are too few rows.
    """

    file: str | None = text(_WHAT, short="", decides=False)
    column: str | None = text("the name of a column", short="")
    inputs: str | None = text("names of columns, as a+b")
    length: int = whole(50, least=1)
    ahead: int = whole(1, least=1)
    test_share: float = number(0.2, above=0)
    tolerance: float = number(0.1, above=0)
    sha256: str | None = sha256_field()

    name: ClassVar[str] = "series"
    output_size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Refuse settings that cannot be, and read the file."""
        for key in ("column", "inputs"):
            value = getattr(self, key)
            if isinstance(value, int) and not isinstance(value, bool):  # 2020 names a column
                object.__setattr__(self, key, str(value))
        check(self)
        if self.test_share >= 1:
            raise SettingError("test_share", self.test_share, "a number above 0 and below 1")
        self.find_file(_WHAT)
        rows, training = len(self._data.columns), self._data.training
        most = min(training - 1, rows - training) - self.ahead
        if self.length > most:
            allowed = (
                f"a whole number of at most {most}, if any: {self.file} has {training} rows for "
                f"training and {rows - training} for tests (task.test_share={self.test_share:g})"
            )
            raise SettingError("length", self.length, allowed)

    @property
    def input_size(self) -> int:
        """One for each column that is read."""
        return 1 if self.inputs is None else self.inputs.count("+") + 1

    @property
    def _data(self) -> _Standardised:
        inputs = () if self.inputs is None else tuple(self.inputs.split("+"))
        return _read(self.source, inputs, self.column, self.test_share)

    @property
    def chance_loss(self) -> float:
        """The variance of the answers that training can draw: the loss of their mean."""
        return float(self._answers().var())

    @property
    def chance_error(self) -> float:
        """The share of these answers that are off from their mean by the tolerance or more."""
        answers = self._answers()
        return float((np.abs(answers - answers.mean()) >= self.tolerance).mean())

    def _answers(self) -> np.ndarray:
        columns, training = self._data
        answers: np.ndarray = columns[self.length + self.ahead - 1 : training, -1].double().numpy()
        return answers

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw windows of the training part, with replacement."""
        starts = self._data.training - self.length - self.ahead + 1
        return self._windows(torch.randint(0, starts, (batch_size,), generator=generator))

    def held_out(self) -> Batch:
        """Return each window of the test part once, in order."""
        last = len(self._data.columns) - self.length - self.ahead
        return self._windows(torch.arange(self._data.training, last + 1))

    def _windows(self, starts: Shaped[Tensor, " batch"]) -> Batch:
        columns, times = self._data.columns, torch.arange(self.length).unsqueeze(1) + starts
        answers = columns[starts + self.length + self.ahead - 1, -1]
        cues = torch.arange(1, self.length + 1).unsqueeze(1).expand(self.length, len(starts))
        read = slice(None) if self.inputs is None else slice(-1)
        return Batch(columns[times][..., read], answers.unsqueeze(0), cues, self.length)


@functools.lru_cache(maxsize=8)
def _read(
    source: Source, inputs: tuple[str, ...], column: str | None, test_share: float
) -> _Standardised:
    """Return the columns of a file that are read, and last the one that is predicted."""
    file, target = source.shown, [] if column is None else [column]
    wanted = {"inputs": inputs} if inputs else {}
    values = numbers_of(source.contents()[0], file, {**wanted, "column": target})
    training = len(values) - int(test_share * len(values))
    if not 1 < training < len(values):
        allowed = f"{_WHAT} and more rows; {file} has {len(values)}"
        raise SettingError("file", file, f"{allowed} (task.test_share={test_share:g})")
    part = values[:training]
    with np.errstate(all="ignore"):  # of what overflows, a line says so
        deviation = part.std(0)
        standardised = (values - part.mean(0)) / np.where(np.isfinite(deviation), deviation, np.nan)
        columns = torch.tensor(standardised, dtype=torch.float32)
    for place, name in enumerate([*inputs, column]):
        key = "inputs" if place < len(inputs) else "column"
        if part[:, place].min() == part[:, place].max():
            allowed = f"a column that changes in the {training} rows for training of {file}"
            raise SettingError(key, name, allowed)
        if not bool(columns[:, place].isfinite().all()):
            allowed = f"a column of {file} whose numbers, standardised, fit single precision"
            raise SettingError(key, name, allowed)
    return _Standardised(columns, training)
