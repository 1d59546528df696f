"""Time series out of a file: say what comes next, or which label a window has."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnn_exp.data import Label, Table
from rnn_exp.fields import SettingError, check, number, whole
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.files import (
    FileTask,
    TaskFiles,
    labels_of,
    numbers_of,
    only_column,
    sha256_field,
    table_of,
    text,
)
from rnn_exp.tasks.task import Batch, Classification, Regression, with_slope_of

__all__ = ["Series"]

_WHAT = "a CSV file with a line of names, or a parquet file"
_OF_NUMBERS = ("ahead", "tolerance")  # settings that say nothing where the answer is a label


class _Rows(NamedTuple):
    """What a file says at every row, and how many rows, the first ones, are for training.

    ``answers`` are standardised numbers, or the places of labels in ``classes``.
    """

    inputs: Float[Tensor, "time column"]
    answers: Shaped[Tensor, " time"]
    classes: Sequence[Label]
    training: int


@dataclasses.dataclass(frozen=True)
class Series(FileTask, Regression):
    """Say what comes after a window of rows of a file, or which label the window has.

    ::

        row      1    2    3    4    5    6   …      length 4, ahead 1
        input   .31  .72  .05  .64                   answer .90: row 5
        input        .72  .05  .64  .90              answer .11: row 6
        label    a    a    b    b    a    c          with label: b, of row 4; a, of row 5

    The rows are times, in order. The first ones are for training, the last ones (``test_share``)
    for tests; no window has rows of both. Training draws windows of the training part, with
    replacement; `held_out` gives each window of the test part once. Every column of numbers is
    standardised by its mean and standard deviation over the training part: nothing of the test part
    is known. Every row of a window is a cue.

    With ``column`` the answer is a number that comes later. The loss is the squared error of the
    last output, in units of the training part's variance. Chance is the best constant: the
    variance of all answers that training can draw. An answer is wrong when it is off by
    ``tolerance`` or more.

    With ``label`` the answer is the label of the window's last row, one of those that stand in the
    training part. The loss is the cross-entropy of the last output. Chance knows how often each
    label is the answer in training: its loss is the entropy of these shares, its error 1 less the
    largest. In the test part the shares may be others.

    Args:
        file: path of the file, seen from the folder of the command. What counts is its content:
            in other places the same file is the same run.
        column: the column that is predicted (null: the only one, or there is a label).
        label: the column with a label, a whole number or a word, in every row (null: none).
        inputs: columns that are read, as a+b (null: the predicted one, or the only one beside the
            label).
        length: rows of a window.
        ahead: the answer is the value this many rows after the last row of the window: 1 is the
            very next row (without a label).
        test_share: the share of the rows, the last ones, that are for tests.
        tolerance: the distance from which on an answer is wrong, in standard deviations (without a
            label).
        sha256: of the file (null: as it is). A file with another one is refused.

    Raises:
        SettingError: if the file is not there, is another one, has no such column, or a cell of it
            is no number, or no label; if a column never changes; if there are too few rows; if the
            test part has a label that the training part has not.
    """

    file: str | None = text(_WHAT, short="", decides=False)
    column: str | None = text("the name of a column", short="")
    inputs: str | None = text("names of columns, as a+b")
    length: int = whole(50, least=1)
    ahead: int = whole(1, least=1)
    test_share: float = number(0.2, above=0, below=1)
    tolerance: float = number(0.1, above=0)
    sha256: str | None = sha256_field()
    label: str | None = text("the name of a column", short="")

    name: ClassVar[str] = "series"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be, and read the file."""
        for key in ("column", "inputs", "label"):
            value = getattr(self, key)
            if isinstance(value, int) and not isinstance(value, bool):  # 2020 names a column
                object.__setattr__(self, key, str(value))
        check(self)
        if self.label is not None:
            self._check_label(self.label)
        self.find_file(_WHAT)
        rows, training = len(self._rows.inputs), self._rows.training
        most = min(training - 1, rows - training) - self._later
        if self.length > most:
            allowed = (
                f"a whole number of at most {most}, if any: {self.file} has {training} rows for "
                f"training and {rows - training} for tests (task.test_share={self.test_share:g})"
            )
            raise SettingError("length", self.length, allowed)
        if self.label is not None and self._answers().min() == self._answers().max():
            allowed = f"a column with two labels or more; in the {training} rows for training of"
            raise SettingError("label", self.label, f"{allowed} {self.file} every window has one")

    def _check_label(self, label: str) -> None:
        """Refuse settings that are for numbers, and a label that is read."""
        given = f"with task.label={label}"
        if self.column is not None:
            raise SettingError("column", self.column, f"null {given}: a window has one answer")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in _OF_NUMBERS and value != field.default:
                allowed = f"{field.default:g}, the default, {given}: the answer is the label of the"
                raise SettingError(field.name, value, f"{allowed} window's last row")
        if label in (self.inputs or "").split("+"):
            raise SettingError("inputs", self.inputs, f"columns without {label}, the answer")

    @property
    def _rows(self) -> _Rows:
        inputs = () if self.inputs is None else tuple(self.inputs.split("+"))
        return _read(self.source, inputs, self.column, self.label, self.test_share)

    @property
    def _later(self) -> int:
        """How many rows after the last one of its window an answer stands."""
        return self.ahead if self.label is None else 0

    @property
    def input_size(self) -> int:
        """One for each column that is read."""
        return self._rows.inputs.shape[1]

    @property
    def output_size(self) -> int:
        """One for a number, or one for each label of the training part."""
        return 1 if self.label is None else len(self._rows.classes)

    @property
    def chance_loss(self) -> float:
        """The variance of the answers that training can draw, or the entropy of its labels."""
        if self.label is None:
            return float(self._answers().var())
        shares = self._shares()
        return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())

    @property
    def chance_error(self) -> float:
        """The share of these answers of which their mean, or the most frequent label, is wrong."""
        if self.label is not None:
            return 1 - float(self._shares().max())
        answers = self._answers()
        return float((np.abs(answers - answers.mean()) >= self.tolerance).mean())

    def _shares(self) -> np.ndarray:
        answers = self._answers()
        return np.bincount(answers) / len(answers)

    def _answers(self) -> np.ndarray:
        """Return the answers that training can draw: numbers in float64, or whole ones."""
        rows = self._rows
        answers = rows.answers[self.length + self._later - 1 : rows.training]
        found: np.ndarray = (answers.double() if self.label is None else answers).numpy()
        return found

    @with_slope_of(lambda series: series._scores.loss_and_slope)  # noqa: SLF001 - its own
    def loss(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return each run's mean squared error, or mean cross-entropy in nats."""
        return self._scores.loss(self, outputs, targets)

    def error(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return the share of windows with a number off by the tolerance, or another label."""
        return self._scores.error(self, outputs, targets)

    @property
    def _scores(self) -> Any:  # noqa: ANN401 - what scores numbers takes other shapes than labels
        """What scores the answers."""
        return Regression if self.label is None else Classification

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw windows of the training part, with replacement."""
        starts = self._rows.training - self.length - self._later + 1
        return self._windows(torch.randint(0, starts, (batch_size,), generator=generator))

    def held_out(self) -> Batch:
        """Return each window of the test part once, in order."""
        last = len(self._rows.inputs) - self.length - self._later
        return self._windows(torch.arange(self._rows.training, last + 1))

    def _windows(self, starts: Shaped[Tensor, " batch"]) -> Batch:
        rows, times = self._rows, torch.arange(self.length).unsqueeze(1) + starts
        answers = rows.answers[starts + self.length + self._later - 1]
        cues = torch.arange(1, self.length + 1).unsqueeze(1).expand(self.length, len(starts))
        return Batch(rows.inputs[times], answers.unsqueeze(0), cues, self.length)


@functools.lru_cache(maxsize=8)
def _read(
    source: TaskFiles,
    inputs: tuple[str, ...],
    column: str | None,
    label: str | None,
    test_share: float,
) -> _Rows:
    """Return what is read of a file, and what is the answer."""
    table = table_of(source)
    asked = [("inputs", name) for name in inputs]
    if label is None:
        asked.append(("column", only_column(table, "column") if column is None else column))
    elif not asked:
        asked = [("inputs", only_column(table, "inputs", label))]
    values = numbers_of(table, asked)
    labels = [] if label is None else labels_of(table, "label", label)
    training = table.rows - int(test_share * table.rows)
    if not 1 < training < table.rows:
        allowed = f"{_WHAT}, with more rows; {table.shown} has {table.rows}"
        raise SettingError("file", table.shown, f"{allowed} (task.test_share={test_share:g})")
    numbers = _standardised(values, asked, training, table.shown)
    if label is None:
        return _Rows(numbers[:, :-1] if inputs else numbers, numbers[:, -1], (), training)
    classes = sorted(set(labels[:training]))
    return _Rows(numbers, _places(table, label, labels, classes, training), classes, training)


def _standardised(
    values: np.ndarray, asked: Sequence[tuple[str, str]], training: int, shown: str
) -> Float[Tensor, "time column"]:
    """Return columns in units of the standard deviation of their rows for training.

    Args:
        values: the columns as they stand in the file.
        asked: the setting that asks for each, and its name.
        training: how many rows, the first ones, are for training.
        shown: the path of the file as it was typed.
    """
    part = values[:training]
    with np.errstate(all="ignore"):  # of what overflows, a line says so
        deviation = part.std(0)
        standardised = (values - part.mean(0)) / np.where(np.isfinite(deviation), deviation, np.nan)
        numbers = torch.tensor(standardised, dtype=torch.float32)
    for place, (key, name) in enumerate(asked):
        if part[:, place].min() == part[:, place].max():
            allowed = f"a column that changes in the {training} rows for training of {shown}"
            raise SettingError(key, name, allowed)
        if not bool(numbers[:, place].isfinite().all()):
            allowed = f"a column of {shown} whose numbers, standardised, fit single precision"
            raise SettingError(key, name, allowed)
    return numbers


def _places(
    table: Table, name: str, labels: Sequence[Label], classes: Sequence[Label], training: int
) -> Shaped[Tensor, " time"]:
    """Return the place of each row's label among those of the rows for training.

    Args:
        table: that has the labels.
        name: of their column.
        labels: of every row.
        classes: the different ones of the rows for training.
        training: how many rows, the first ones, are for training.
    """
    place_of = {label: place for place, label in enumerate(classes)}
    for row, label in enumerate(labels[training:], training):
        if label not in place_of:
            allowed = (
                f"a column whose labels all occur in the {training} rows for training; "
                f"{table.place(row)} has {label!r}, which is in the rows for tests alone (change "
                "task.test_share, or leave such rows out)"
            )
            raise SettingError("label", name, allowed)
    return torch.tensor([place_of[label] for label in labels])
