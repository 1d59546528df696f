"""Trackers: what takes the curves of a training as it goes on, and TensorBoard as one of them.

A tracker is anything with one method, ``log(step, values)``. Whoever opened it closes it.
"""

import dataclasses
import importlib.util
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from rnn_exp.fields import SettingError, check, choice

__all__ = ["TensorBoard", "Tracker", "Tracking", "refuse_other_than_tracker"]

_PACKAGE: Final = "tensorboard"
_ALLOWED: Final = f"what is installed; pip install 'rnn-exp[{_PACKAGE}]' brings it"
_NUMBER: Final = re.compile(r"\.tfevents\.(\d+)")
_VERSION: Final = "brain.Event:2"  # from this version on a start of a session purges


@runtime_checkable
class Tracker(Protocol):
    """What takes curves while a model trains: anything with a method ``log(step, values)``.

    It is called once for every recorded update, with the number of the update and a number for each
    curve, by its name (docs/how-to/trackers.md has the names).

    Example:
        >>> class Printed:
        ...     def log(self, step, values):
        ...         print(step, values)
        >>> isinstance(Printed(), Tracker)
        True
    """

    def log(self, step: int, values: Mapping[str, float]) -> object:
        """Take a point of each curve.

        Args:
            step: the number of the update, from 0; each is larger than the one before.
            values: a number for each curve, by its name (``lstm/layer_0/decay_rate``). What is not
                known is left out; a loss or a norm that is not finite is there as it is.
        """
        ...


def refuse_other_than_tracker(given: object) -> None:
    """Refuse what is neither a tracker nor None.

    Raises:
        SettingError: saying what came and what a tracker is.
    """
    if given is not None and (isinstance(given, type) or not isinstance(given, Tracker)):
        came = f"the class {given.__name__}" if isinstance(given, type) else given
        raise SettingError("tracker", came, "an object with log(step, values), or None")


class TensorBoard:
    """Writes curves into files that TensorBoard shows (``tensorboard --logdir FOLDER``).

    A point is in the file when `log` returns, so a process that is killed loses none. No file stays
    open and no thread is started.

    Args:
        folder: where the files go; it is made if it is not there.
        purge_step: for a training that goes on: of what is in the folder already, TensorBoard shows
            no more from this step on (None: all that is there stays).

    Raises:
        SettingError: if the package tensorboard is not installed.
        OSError: if the file cannot be written.
    """

    def __init__(self, folder: str | Path, *, purge_step: int | None = None) -> None:
        if importlib.util.find_spec(_PACKAGE) is None:
            raise SettingError("tracker", "TensorBoard", _ALLOWED)
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer import record_writer

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._writer = record_writer.RecordWriter
        self._path = _new_file(Path(folder))
        self._write(file_version=_VERSION)
        if purge_step is not None:
            session = event_pb2.SessionLog
            self._write(step=purge_step, session_log=session(status=session.START))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write a point of each curve; TensorBoard keeps 32 bits of a number.

        Args:
            step: the number of the update.
            values: a number for each curve, by its name.

        Raises:
            OSError: if the file cannot be written.
        """
        value = self._summary.Value
        points = [value(tag=name, simple_value=float(each)) for name, each in values.items()]
        self._write(step=step, summary=self._summary(value=points))

    def _write(self, **said: Any) -> None:  # noqa: ANN401 - the fields of an event
        event = self._event(wall_time=time.time(), **said)
        with self._path.open("ab") as stream:
            self._writer(stream).write(event.SerializeToString())


def _new_file(folder: Path) -> Path:
    """Make an empty file whose name comes after those that are there: so they are read in order."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [_NUMBER.search(path.name) for path in folder.glob("*.tfevents.*")]
    number = max([int(time.time()), *(int(each[1]) + 1 for each in found if each is not None)])
    while True:
        path = folder / f"events.out.tfevents.{number:010d}.rnn-exp"
        try:
            path.touch(exist_ok=False)
        except FileExistsError:  # another process made it a moment ago
            number += 1
        else:
            return path


@dataclasses.dataclass(frozen=True)
class Tracking:
    """Where the curves of a run go while it trains; it decides no result.

    ``tracking``: ``tensorboard`` writes event files into the folder of each run.

    Raises:
        SettingError: for another word, and for a package that is not installed.

    Example:
        >>> Tracking().tracking
        'none'
    """

    tracking: str = choice("none", ["none", _PACKAGE])

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check(self)
        if self.is_wanted and importlib.util.find_spec(_PACKAGE) is None:
            raise SettingError("tracking", self.tracking, _ALLOWED)

    @property
    def is_wanted(self) -> bool:
        """Whether there is to be a tracker."""
        return self.tracking != "none"

    def open(self, folder: Path, made: int) -> Tracker | None:
        """Return the tracker of a run; None: none is wanted.

        Args:
            folder: the run's.
            made: how many updates were made: what was tracked of later ones counts no more.

        Raises:
            SettingError: if this process lacks the package.
            OSError: if the folder cannot be written.
        """
        return TensorBoard(folder, purge_step=made) if self.is_wanted else None
