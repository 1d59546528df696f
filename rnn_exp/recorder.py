"""`record_gradients`: see where the gradient of one's own network goes, without changing it."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import torch
from torch import nn

from rnn_exp.fields import SettingError
from rnn_exp.probe import BadValue, Recorder, Watching
from rnn_exp.probe.summary import Recorded, clipping, sentences_of, summary
from rnn_exp.words import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GradientRecording", "RecordingWarning", "record_gradients"]

Reduction = Literal["mean", "sum"]


class RecordingWarning(UserWarning):
    """A recording saw nothing of a module, and why that may be."""


def record_gradients(
    model: nn.Module,
    *,
    every: int = 1,
    steps_of: Iterable[str] = (),
    reduction: Reduction = "mean",
    optimizer: torch.optim.Optimizer | None = None,
    stop_on_nonfinite: bool = False,
    path: str | Path | None = None,
) -> "GradientRecording":
    r"""Record the exact gradient of every time step while a model trains; nothing is changed.

    Finds nn.RNN, nn.GRU and nn.LSTM inside the model and records the total gradient

        ∂L/∂h_t = d_t + (∂h_{t+1}/∂h_t)ᵀ ∂L/∂h_{t+1}

    of every layer and direction (and ∂L/∂c_t of an LSTM), computed from the states and the direct
    parts d_t that torch itself has computed. Of modules in ``steps_of``, which are called once a
    time step, it is autograd's own gradient of each call's output. Weights, gradients, random
    numbers and what is trained stay the same to the bit.

    Args:
        model: any module.
        every: the first update of so many is recorded.
        steps_of: the names of modules that are called once a time step (a cell, or a block in a
            loop), as ``model.named_modules()`` gives them.
        reduction: ``"mean"``: the loss is a mean over the batch, and a norm is the root mean square
            over the batch of each sequence's own; ``"sum"``: it is a sum.
        optimizer: whose steps end updates; its gradient's norm before and after clipping and how
            far the weights move are recorded too. Without it an update ends when weights have
            moved in place.
        stop_on_nonfinite: stop with a `NonFiniteError` at the first value that is not finite,
            which says where; every update is then recorded.
        path: of a folder to which rows go as they come; None: they stay in memory.

    Returns:
        A recording, to be used in a ``with`` statement.

    Raises:
        RecorderError: if a module cannot be recorded exactly, or there is none to record.
        SettingError: for an interval or a reduction that is none.

    Example:
        >>> model = nn.LSTM(3, 5)
        >>> with record_gradients(model) as recording:
        ...     model(torch.zeros(7, 2, 3))[0][-1].mean().backward()
        >>> len(recording.to_frame())
        7
    """
    if reduction not in ("mean", "sum"):
        raise SettingError("reduction", reduction, "'mean' or 'sum'")
    watching = Watching(every, reduction == "mean", stop_on_nonfinite)
    folder = None if path is None else Path(path)
    recorder = Recorder(model, watching, steps_of=steps_of, optimizer=optimizer, folder=folder)
    return GradientRecording(recorder)


class GradientRecording:
    """What `record_gradients` has seen: tables, a summary, figures and a page.

    Args:
        recorder: what records.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

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
        unseen, unreached = self._recorder.unseen(), self._recorder.unreached()
        if error is None and unreached:
            warnings.warn(
                f"no gradient came to {', '.join(unreached)}: was there a backward pass, and does "
                "the loss depend on what it returns?",
                RecordingWarning,
                stacklevel=2,
            )
        if error is None and unseen:
            warnings.warn(
                f"no call of {', '.join(unseen)} with a graph was seen: is it frozen, was it "
                "called under no_grad, compiled, or not called at all?",
                RecordingWarning,
                stacklevel=2,
            )

    def next_update(self) -> None:
        """End an update by hand: for programs that move weights where torch cannot see it."""
        self._recorder.next_update()

    def to_frame(self) -> pd.DataFrame:
        """Return a row an update, call, module, layer, direction and time step.

        Columns are those of the table of gradients of a run (``docs/columns``), with ``module``,
        ``direction`` and ``call`` (of the module in that update, from 0) beside them.
        """
        return self._recorder.rows.to_frame()

    @property
    def updates(self) -> pd.DataFrame:
        """A row a recorded update, where an optimizer was given: norms, and whether it clipped."""
        columns = ["update", "grad_norm", "clipped", "update_norm", "update_ratio"]
        return pd.DataFrame(self._recorder.updates, columns=columns)

    @property
    def cuts(self) -> pd.DataFrame:
        """A row a call of a module in ``steps_of`` that does not depend on the one before it."""
        return pd.DataFrame(self._recorder.cuts, columns=["update", "module", "call", "why"])

    @property
    def first_bad(self) -> BadValue | None:
        """The first value that was not finite; None: all were."""
        return self._recorder.bad[0] if self._recorder.bad else None

    def summary(self) -> pd.DataFrame:
        """Return what is said of the first and the last recorded update: a row a layer.

        ``rate`` is the factor a step back in time with its 95 % interval, ``log10_change`` that of
        the norm at the first step over that at the last, ``horizon`` the lags until the norm is
        1 % of its largest value, ``steps_with_loss`` the time steps with a direct part: where these
        are many, a flat profile says little of how far back any one loss reaches.
        """
        return summary(self.to_frame())

    def clipping(self) -> dict[str, Any]:
        """Return how often the gradient was clipped, where an optimizer was given."""
        return clipping(self.updates)

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

        return figure(self._recorded(), name, width)

    def report(self, path: str | Path) -> Path:
        """Write a page with the summary, the figures and what else was found.

        Args:
            path: of the HTML file.

        Returns:
            The path.
        """
        from rnn_exp.report.recordings import write  # here: who records may not want to draw

        return write(self._recorded(), Path(path))

    def _recorded(self) -> Recorded:
        bad = None if self.first_bad is None else str(self.first_bad)
        return Recorded(self.to_frame(), self.updates, self.cuts, bad)

    def state_dict(self) -> dict[str, Any]:
        """Return what a recording needs to go on in another process, to be saved with the model."""
        return self._recorder.state()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after a state, before recording begins: rows written after it are removed."""
        self._recorder.go_on(state)

    def __repr__(self) -> str:
        frame = self.to_frame()
        said = [f"Gradients of {plural(frame['update'].nunique(), 'update')}"]
        said += [f"  {sentence}" for sentence in sentences_of(self.summary())]
        if self.first_bad is not None:
            said.append(f"  first value that is not finite: {self.first_bad}")
        return "\n".join(said)
