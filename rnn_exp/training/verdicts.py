"""What is said of a run: how far back its gradient reaches, and what theory says of that."""

import math
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

import numpy as np

from rnn_exp import schema
from rnn_exp.profiles import Summary, has_one_rate, middle, summarize
from rnn_exp.theory.prediction import Prediction
from rnn_exp.training.recorder import Rows
from rnn_exp.training.run import Run
from rnn_exp.words import change, half_life, magnitude, rate_with_interval

__all__ = [
    "Carried",
    "Theory",
    "carried",
    "carried_by",
    "carried_in_words",
    "carrier_of",
    "theory_in_words",
    "theory_of",
]

LATE_MEMORY, LATE, MEMORY, STATE = schema.CARRIERS

_GRADIENTS = {
    STATE: "the gradient",
    LATE: "the gradient of the last answer's loss alone",
    MEMORY: "∂L/∂c",
    LATE_MEMORY: "∂L/∂c of the last answer's loss alone",
}
_UNKNOWN = math.log(10)


class Carried(NamedTuple):
    """How far back the gradient of an update reaches, in the top layer.

    Args:
        carrier: the column whose profile shows it: that of the last answer's loss alone wherever
            there are more losses; of a cell with a memory, ∂L/∂c_t.
        summary: of that profile.
        state: of ∂L/∂h_t, where the carrier is ∂L/∂c_t; None: the carrier is ∂L/∂h_t itself.
    """

    carrier: str
    summary: Summary
    state: Summary | None = None


class Theory(NamedTuple):
    """What theory says of the run's carrier at update 0, and why it does not if it does not.

    Args:
        prediction: of the network before its first update.
        because: the premises that fail; None: theory holds.
        log10_profile: the predicted norm at lags 0, 1, … relative to lag 0; empty: no theory.
        log10_measured: the measured norm at the last of these lags, relative to lag 0.
        is_whole: whether theory speaks of every lag of the sequence.
        bound: the largest factor that a step back can have where only the last step has a direct
            part (below 1 it is sufficient for vanishing, above 1 only necessary for exploding),
            from the largest singular value of that update; None: no such bound is known.
    """

    prediction: Prediction
    because: str | None
    log10_profile: np.ndarray
    log10_measured: float
    is_whole: bool
    bound: float | None

    @property
    def holds(self) -> bool:
        """Whether all premises hold."""
        return self.because is None

    @property
    def rate(self) -> float | None:
        """The asymptotic factor per step back; None: theory does not hold."""
        return self.prediction.rate if self.holds else None

    @property
    def lags(self) -> int:
        """The largest lag that theory speaks of."""
        return max(0, len(self.log10_profile) - 1)

    @property
    def middle_rate(self) -> float:
        """The predicted factor per step back over the lags of `Summary.rate`.

        NaN: no theory, or it does not speak of all lags of the sequence.
        """
        if self.lags < 2 or not self.is_whole:
            return math.nan
        inside = middle(self.log10_profile)
        return float(10 ** ((inside[-1] - inside[0]) / (len(inside) - 1)))

    @property
    def log10_change(self) -> float:
        """The predicted log10 of ‖g‖ at that lag over that at lag 0; NaN: no theory."""
        return float(self.log10_profile[-1]) if len(self.log10_profile) > 1 else math.nan


def carried(rows: Rows, which: int) -> Carried:
    """Summarize the top layer's gradient at one of the recorded updates.

    Args:
        rows: as `Recorder.take` returns them.
        which: the place of the update among the recorded ones.
    """
    return carried_by({name: values[which] for name, values in rows.items()})


def carried_by(row: Mapping[str, Any]) -> Carried:
    """Summarize the top layer's gradient at one update.

    Args:
        row: by column what was recorded of it (`recorder.row_of`).
    """
    state, carrier = LATE if LATE in row else STATE, carrier_of(row)
    of_state = _summary(row, state)
    if carrier == state:
        return Carried(state, of_state)
    return Carried(carrier, _summary(row, carrier), of_state)


def carrier_of(columns: Container[str]) -> str:
    """Return the column whose profile shows how far back the gradient reaches.

    Args:
        columns: the names of what was recorded.
    """
    return next(name for name in schema.CARRIERS if name in columns)


def _summary(row: Mapping[str, Any], column: str) -> Summary:
    length, status = row["length"], row[schema.status_of(column)]
    words = np.array(schema.GRADIENT_STATUSES)[status[-1, :length]]
    return summarize(row[column][-1, :length], words)


def theory_of(run: Run, prediction: Prediction, carrier: str, rows: Rows) -> Theory:
    """Put together what theory says of a run's first recorded update, and what was measured.

    Args:
        run: the run.
        prediction: of its network before its first update.
        carrier: the column that it is compared with.
        rows: as `Recorder.take` returns them.
    """
    length = int(rows["length"][0])
    because = prediction.because
    if run.training.truncation is not None and carrier in (STATE, MEMORY):
        cut = "training truncates backpropagation"
        because = cut if because is None else f"{because}; {cut}"
    profile = prediction.profile(length) if because is None else np.empty(0)
    by_lag = rows[carrier][0, -1, :length][::-1]
    known = len(profile) > 1 and np.isfinite(by_lag[[0, len(profile) - 1]]).all()
    measured = float(by_lag[len(profile) - 1] - by_lag[0]) if known else math.nan
    bound = run.network.make_cell().step_bound(float(rows["largest_singular_value"][0]))
    is_whole = len(profile) == length
    return Theory(prediction, because, profile, measured, is_whole, bound)


def _rate_in_words(summary: Summary) -> str:
    """Say what a step back does to the norm, with its interval; "": there is no one rate."""
    if not has_one_rate(summary.rate, summary.reason):
        return ""
    if summary.high - summary.low > _UNKNOWN:
        return "rate not known (its interval spans more than a factor of ten)"
    said = rate_with_interval(summary.rate, summary.rate_low, summary.rate_high)
    return ", ".join(filter(None, [said, half_life(summary.half_life, summary.slope > 0)]))


def carried_in_words(carried: Carried) -> str:
    """Say which gradient it is where that is not ∂L/∂h of the only loss, and its verdict.

    Args:
        carried: of an update.
    """
    said = f"{_GRADIENTS[carried.carrier]} is {_summary_in_words(carried.summary)}"
    if carried.state is None:
        return said
    return f"{said} (∂L/∂h: {carried.state.verdict}, {_change_of(carried.state)})"


def _change_of(summary: Summary) -> str:
    return change(summary.log10_change, summary.lags) or summary.reason


def _summary_in_words(summary: Summary) -> str:
    """Say the verdict on a profile with its numbers, and why where there is no clear one."""
    said = [_rate_in_words(summary), change(summary.log10_change, summary.lags)]
    why = f" ({summary.reason})" if summary.verdict == "undetermined" else ""
    numbers = ", ".join(filter(None, said))
    return f"{summary.verdict}{why}" + (f": {numbers}" if numbers else "")


def theory_in_words(theory: Theory) -> str:
    """Say what theory predicts, as far as it goes, or why it says nothing."""
    if not theory.holds:
        return f"no theory: {theory.because}"
    if not theory.lags:
        return ""
    said = f"theory: {change(theory.log10_change, theory.lags)}"
    if theory.is_whole:
        return said
    known = math.isfinite(theory.log10_measured)
    measured = magnitude(theory.log10_measured) if known else "not known"
    return f"{said} (measured there: {measured}; theory speaks of no larger lags)"
