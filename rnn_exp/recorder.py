"""`record_gradients`: see where the gradient of one's own network goes, without changing it."""

import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import torch
from torch import nn

from rnn_exp.probe import BadValue, Recorder, StepsOf, Watching
from rnn_exp.probe.modules import paths_of, refuse_other
from rnn_exp.probe.rows import Rows, folder_of, frame_of
from rnn_exp.probe.tables import cuts_of, recorded_of, updates_of
from rnn_exp.probe.updates import bool_of, watching_of
from rnn_exp.recordings.curves import curves_of
from rnn_exp.recordings.line import parts_of
from rnn_exp.recordings.sentences import html_of, many_losses, sentences_of
from rnn_exp.recordings.summary import clipping, summary
from rnn_exp.recordings.trackers import Tracker, refuse_other_than_tracker
from rnn_exp.sweeps.line import Line, Stream
from rnn_exp.words import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GradientRecording", "RecordingWarning", "record_gradients"]

Reduction = Literal["mean", "sum"]
_SECONDS = 0.5  # between two drawings of the live line on a terminal
_NOT_ENTERED = (
    "this recording was never entered, so nothing was recorded{since}: put the calls of the model "
    "and the backward pass inside `with record_gradients(…) as recording:`"
)


class RecordingWarning(UserWarning):
    """A recording saw nothing of a module, and why that may be."""


def record_gradients(
    model: nn.Module,
    *,
    every: int = 1,
    steps_of: StepsOf = (),
    reduction: Reduction = "mean",
    optimizer: torch.optim.Optimizer | None = None,
    scaler: torch.amp.GradScaler | None = None,
    stop_on_nonfinite: bool = False,
    path: str | Path | None = None,
    live: bool = False,
    tracker: Tracker | None = None,
) -> "GradientRecording":
    r"""Record the exact gradient of every time step while a model trains; no bit of that changes.

    Finds nn.RNN, nn.GRU and nn.LSTM inside the model and records the total gradient

        ∂L/∂h_t = d_t + (∂h_{t+1}/∂h_t)ᵀ ∂L/∂h_{t+1}

    of every layer and direction, and ∂L/∂c_t of an LSTM; of modules in ``steps_of`` of their state.

    Args:
        model: any module.
        every: the first update of so many is recorded.
        steps_of: the names (``model.named_modules()``) of modules called once a time step; or with
            each the place of its state in what it returns, as ``{"decoder": 1}``; else it is found.
        reduction: of the loss over the batch of one call, "mean" or "sum" (see ``to_frame``).
        optimizer: whose steps end updates, and are measured; None: weights that move end them.
        scaler: of the loss (mixed precision); its factor is taken out of all that is recorded.
        stop_on_nonfinite: record every update; stop with a `NonFiniteError` that says where.
        path: of a folder to which rows go as they come; None: they stay in memory.
        live: show the latest recorded update (`GradientRecording.line`) on stderr, now and then.
        tracker: gets the curves of every recorded update (docs/how-to/trackers.md).

    Returns:
        A recording, to be used in a ``with`` statement.

    Raises:
        RecorderError, SettingError: for what cannot be recorded exactly, or is not allowed.

    Example:
        >>> with record_gradients(model := nn.LSTM(3, 5)) as recording:
        ...     model(torch.zeros(7, 2, 3))[0][-1].mean().backward()
        >>> len(recording.to_frame())
        7
    """
    refuse_other(model, optimizer, scaler)
    shown = _Latest(path, sys.stderr if bool_of("live", live) else None, tracker)
    watching = watching_of(every, reduction, stop_on_nonfinite)
    return _recording(model, watching, paths_of(steps_of), optimizer, scaler, shown)


def _recording(
    model: nn.Module,
    watching: Watching,
    steps_of: Mapping[str, str | int | None],
    optimizer: torch.optim.Optimizer | None,
    scaler: torch.amp.GradScaler | None,
    shown: "_Latest",
) -> "GradientRecording":
    """Return a recording whose latest update is at hand to be shown."""
    recorder = Recorder(
        model,
        watching,
        rows=shown.rows,
        steps_of=steps_of,
        optimizer=optimizer,
        scaler=scaler,
        ended=shown.hand_on,
    )
    return GradientRecording(recorder, shown)


class _Latest:
    """Hands on the latest recorded update: to a tracker, and to a line where it is time to.

    Args:
        folder: of the rows; None: they stay in memory.
        stream: where to show it; None: nowhere.
        tracker: gets its curves.
    """

    def __init__(self, folder: object, stream: Stream | None, tracker: Tracker | None) -> None:
        refuse_other_than_tracker(tracker)
        self.rows = Rows(folder_of(folder))
        self._tracker = tracker
        self._line = None if stream is None else Line(stream, "", _SECONDS)

    def hand_on(self, update: int, measured: Mapping[str, Any]) -> None:
        """Hand on an update that has been recorded, and what is known of the optimizer's step."""
        if self._tracker is not None:
            self._tracker.log(update, curves_of(frame_of(self.rows.latest), measured))
        if self._line is not None and self._line.is_due():
            self._line.show(None, self.parts())

    def close(self) -> None:
        """Show on a terminal what came last, and end the line; it stays."""
        if self._line is not None:
            if self._line.is_terminal and self.rows.latest:
                self._line.show(None, self.parts())
            self._line.close()

    def parts(self) -> list[str]:
        """Return what there is to say, what is wanted most first."""
        latest = self.rows.latest
        return parts_of(frame_of(latest) if latest else self.rows.to_frame())


class GradientRecording:
    """What `record_gradients` has seen: tables, a summary, figures and a page.

    Args:
        recorder: what records.
        live: the latest update in a line.
    """

    def __init__(self, recorder: Recorder, live: _Latest) -> None:
        self._recorder, self._live = recorder, live

    def __enter__(self) -> "GradientRecording":
        self._recorder.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._recorder.close()
        self._live.close()
        if error is None:
            for said in self._recorder.doubts():
                warnings.warn(said, RecordingWarning, stacklevel=2)

    def next_update(self) -> None:
        """End an update by hand: for programs that move weights where torch cannot see it."""
        self._asked().next_update()

    def to_frame(self) -> pd.DataFrame:
        """Return a row an update, call, module, layer, direction and time step.

        Columns are those of the table of gradients of a run (``rnn-exp --columns``), with
        ``module``, ``direction`` and ``call`` (of the module in that update, from 0) beside them.
        Calls of nn.RNN, nn.GRU and nn.LSTM that hand on their state in the graph are one sequence,
        with the number of its first call.

        A norm is the root mean square over the sequences of its call, each sequence's gradient
        times their number if ``reduction`` is "mean": of a mean over n equal calls it is 1/n.
        """
        return self._asked().rows.to_frame()

    @property
    def updates(self) -> pd.DataFrame:
        """A row a recorded update, where an optimizer was given: norms, and whether it clipped."""
        return updates_of(self._asked())

    @property
    def cuts(self) -> pd.DataFrame:
        """A row a call that does not depend on the one before it, or begins with its copy.

        ``call`` is its number among the calls of its module in that update, from 0.
        """
        return cuts_of(self._asked())

    @property
    def first_bad(self) -> BadValue | None:
        """The first recorded value that was not finite; None: all were."""
        return next(iter(self._asked().bad), None)

    def summary(self) -> pd.DataFrame:
        """Return what is said of the first and the last recorded update: a row a layer.

        ``rate`` is the factor a step back in time with its 95 % interval, ``log10_change`` that of
        the norm at the first step over that at the last, ``horizon`` the lags until the norm is
        1 % of its largest value, ``steps_with_loss`` the time steps with a direct part: where these
        are many, a flat profile says little of how far back any one loss reaches.
        """
        return summary(self._asked().rows.to_frame())

    def line(self) -> str:
        """Return the latest recorded update as one line: a curve of bars over lag, and the verdict.

        Of the bars, from left to right over the lags, each step down is ten times less than the
        largest; the lowest is less still.
        """
        self._asked()
        return ", ".join(self._live.parts())

    def clipping(self) -> dict[str, Any]:
        """Return how often the gradient was clipped, where an optimizer was given."""
        return clipping(updates_of(self._asked()))

    def figure(self, name: str = "profile", *, width: float | None = None) -> "Figure":
        """Draw what was recorded.

        Args:
            name: ``profile``: norm against lag at some updates; ``heatmap``: by lag and update.
            width: in inches; None: a column or a page of a paper.

        Raises:
            SettingError: for another name.
            CannotDraw: if what was recorded cannot answer the figure's question.
        """
        from rnn_exp.report.recordings import figure  # here: who records may not want to draw

        return figure(recorded_of(self._asked()), name, width)

    def report(self, path: str | Path) -> Path:
        """Write a page with the summary, the figures and what else was found.

        Args:
            path: of the HTML file, in a folder that is there.

        Returns:
            The path.

        Raises:
            SettingError: for what is no path.
            FileNotFoundError, IsADirectoryError: if no file can have that path.
        """
        from rnn_exp.report.recordings import write  # here: who records may not want to draw

        return write(recorded_of(self._asked()), path)

    def state_dict(self) -> dict[str, Any]:
        """Return what a recording needs to go on in another process, to be saved with the model."""
        return self._asked().state()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after a state, before recording begins: rows written after it are removed."""
        self._recorder.go_on(state)

    def _asked(self) -> Recorder:
        """Return what has recorded; where nothing can have been, a warning says why."""
        if not self._recorder.was_opened and not self._recorder.has_gone_on:
            warnings.warn(self._not_entered(), RecordingWarning, stacklevel=3)
        return self._recorder

    def _not_entered(self) -> str:
        """Say that the recording was never entered; empty: it was."""
        if self._recorder.was_opened:
            return ""
        since = " since load_state_dict" if self._recorder.has_gone_on else ""
        return _NOT_ENTERED.format(since=since)

    def __repr__(self) -> str:
        frame = self._recorder.rows.to_frame()
        said = [f"Gradients of {plural(frame['update'].nunique(), 'update')}"]
        said += [f"  {self._not_entered()}"] if self._not_entered() else []
        found = summary(frame)
        said += [f"  {sentence}" for sentence in sentences_of(found) + many_losses(found)]
        if self._recorder.cuts:
            said.append(
                f"  the gradient is cut at {plural(len(self._recorder.cuts), 'call')}: `cuts` has "
                "where and why"
            )
        if self._recorder.bad:
            said.append(f"  first value that is not finite: {self._recorder.bad[0]}")
        return "\n".join(said)

    def _repr_html_(self) -> str:
        why = self._not_entered()
        return html_of(summary(self._recorder.rows.to_frame())) + (why and f"<p>{why}</p>")
