"""The keys of run.json, and the list of everything a run leaves behind."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Final, Literal

from rnn_exp.schema.tables import (
    GRADIENT_STATUSES,
    RUN_JSON,
    RUN_STATUSES,
    SEAL,
    TABLES,
    VERDICTS,
)

__all__ = ["RUN_KEYS", "Key", "column_lines"]

KeyType = Literal["text", "texts", "number", "truth", "object", "numbers"]


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of run.json: its dotted path, what it holds, and one line of meaning.

    ``column``: what the table of runs calls it; empty: it is no column there.
    ``needed``: a run.json without it cannot be read.
    ``if_diverged``: what a search takes for it where the run diverged; None: what is written.
    """

    path: str
    type: KeyType
    meaning: str
    column: str = ""
    needed: bool = False
    if_diverged: float | None = None


RUN_KEYS: Final = (
    Key("format", "number", "version of this format"),
    Key("run", "text", "the run's name; in the table the path of its folder", "run", needed=True),
    Key("digest", "text", "16 hex digits of what decides the results", "digest", needed=True),
    Key("status", "text", "what became of the run", "status", needed=True),
    Key(
        "clipped_at_start",
        "truth",
        "whether the gradient was clipped at update 0",
        "clipped_at_start",
    ),
    Key("lags", "number", "lag of the first time step at update 0, T − 1", "lags"),
    Key("carrier", "text", "the column whose profile is summarized (top layer)", "carrier"),
    Key("verdict", "text", "what the gradient does at update 0, in a word", "verdict"),
    Key("verdict_reason", "text", "why", "verdict_reason"),
    Key("verdict_rule", "text", "the rule by which verdicts are given"),
    Key(
        "log10_change",
        "number",
        "log10 of the norm at the first time step over that at the last; null: zero or not known",
        "log10_change",
    ),
    Key("decay_rate", "number", "factor per step back in time, update 0", "decay_rate"),
    Key("decay_rate_low", "number", "lower end of its 95 % interval", "decay_rate_low"),
    Key("decay_rate_high", "number", "upper end of its 95 % interval", "decay_rate_high"),
    Key("decay_rate_error", "number", "standard error of its logarithm", "decay_rate_error"),
    Key("r_squared", "number", "R² of a straight line through ln of the norm", "r_squared"),
    Key("bent", "truth", "whether the slopes of the first and last third differ", "bent"),
    Key(
        "half_life",
        "number",
        "lags until the norm has halved or doubled; null: not known, or infinite as the interval "
        "of decay_rate holds 1",
        "half_life",
    ),
    Key("half_life_low", "number", "lower end of its interval", "half_life_low"),
    Key("half_life_high", "number", "upper end; null: infinite", "half_life_high"),
    Key(
        "horizon",
        "number",
        "lags until the norm is 1 % of its largest value before; null: beyond the sequence",
        "horizon",
    ),
    Key("lost_at", "number", "lag from which the profile is zero, cut off or lost", "lost_at"),
    Key("decay_rate_h", "number", "as decay_rate, of ∂L/∂h_t beside ∂L/∂c_t", "decay_rate_h"),
    Key("log10_change_h", "number", "as log10_change, of ∂L/∂h_t", "log10_change_h"),
    Key("verdict_h", "text", "as verdict, of ∂L/∂h_t beside ∂L/∂c_t", "verdict_h"),
    Key(
        "final.loss",
        "number",
        "loss of the last recorded update; null: not finite",
        "final_loss",
        if_diverged=math.inf,
    ),
    Key("final.error", "number", "error there", "final_error", if_diverged=math.inf),
    Key(
        "final.test_loss",
        "number",
        "loss on test sequences there; null: no test, or not finite",
        "final_test_loss",
        if_diverged=math.inf,
    ),
    Key(
        "final.test_error",
        "number",
        "share of test sequences answered wrong there",
        "final_test_error",
        if_diverged=math.inf,
    ),
    Key("final.decay_rate", "number", "as decay_rate, last recorded update", "final_decay_rate"),
    Key("final.half_life", "number", "as half_life, last recorded update", "final_half_life"),
    Key("final.log10_change", "number", "as log10_change, there", "final_log10_change"),
    Key("final.verdict", "text", "as verdict, last recorded update", "final_verdict"),
    Key("final.verdict_reason", "text", "why", "final_verdict_reason"),
    Key("theory.holds", "truth", "whether all premises of the theory hold", "theory_holds"),
    Key("theory.because", "text", "the premises that fail", "theory_because"),
    Key("theory.form", "text", "mean field, or two-time for cells with a skip", "theory_form"),
    Key("theory.lags", "number", "the largest lag that it speaks of", "theory_lags"),
    Key("theory.decay_rate", "number", "theory's, where it speaks of all lags", "theory_rate"),
    Key("theory.log10_change", "number", "log10_change up to that lag", "predicted_log10_change"),
    Key(
        "theory.measured_log10_change",
        "number",
        "the measured one up to the same lag",
        "measured_log10_change",
    ),
    Key(
        "prediction.decay_rate",
        "number",
        "rate far back: √χ of the stationary mean field, or that at two times; null: no theory",
        "predicted_rate",
    ),
    Key(
        "prediction.drive",
        "number",
        "mean square s² of what inputs and biases give a unit",
        "drive",
    ),
    Key(
        "prediction.bound",
        "number",
        "largest factor that a step back can have, where only the last step has a loss",
        "bound",
    ),
    Key("chance.loss", "number", "loss of the best guess that has seen no input", "chance_loss"),
    Key("chance.error", "number", "error of that guess", "chance_error"),
    Key("network.recurrent_weights", "number", "numbers in W_hh of a layer", "recurrent_weights"),
    Key("network.kernel", "number", "version of the kernels; none: it was computed without"),
    Key("network.largest_slope", "number", "γ = sup φ'; null: the cell has no φ", "largest_slope"),
    Key("diverged.update", "number", "update of the first NaN or infinity", "diverged_update"),
    Key("diverged.time", "number", "time step of it", "diverged_time"),
    Key("diverged.direction", "text", "forward or backward pass", "diverged_direction"),
    Key("message", "text", "the line that was said when the run ended"),
    Key("failure", "text", "why a run failed", "failure"),
    Key("settings", "object", "every setting under its configuration key", needed=True),
    Key("note", "text", "a line that was written on the run; null: none", "note"),
    Key("tags", "texts", "words that were written on the run", "tags"),
    Key("sources", "texts", "parts that come from elsewhere, and their hashes", "sources"),
    Key("command", "text", "the shell command that makes this run", "command", needed=True),
    Key("seed", "number", "the seed, as in settings"),
    Key("device", "text", "the device on which it trained; auto is decided"),
    Key("steps", "numbers", "time steps of the shortest and the longest sequence"),
    Key("versions", "object", "versions that the bits may depend on"),
    Key("arithmetic", "object", "processor and settings that the bits may depend on"),
    Key("files", "object", "bytes and SHA-256 of the run's other files"),
    Key(SEAL, "text", "SHA-256 of all that is said here beside it"),
)
"""Every key of run.json; its settings are columns of the table of runs as well."""


def column_lines() -> Iterator[str]:
    """Yield the lines of a text that lists every table, column, status and key for users.

    Example:
        >>> next(column_lines())
        'updates.parquet: a row for a recorded update'
    """
    for table in TABLES.values():
        yield f"{table.file}: a row for {table.row}"
        for column in table.columns:
            unit = f" [{column.unit}]" if column.unit else ""
            when = f" (where {column.when})" if column.when else ""
            yield f"  {column.name:24}{column.type:8}{column.meaning}{unit}{when}"
        yield ""
    yield f"status of a gradient: {', '.join(GRADIENT_STATUSES)}"
    yield f"status of a run: {', '.join(RUN_STATUSES)}"
    yield f"verdict: {', '.join(VERDICTS)}"
    yield ""
    yield f"{RUN_JSON} (what is a column of the table of runs is called so there)"
    for key in RUN_KEYS:
        called = f" (column {key.column})" if key.column not in ("", key.path) else ""
        yield f"  {key.path:30}{key.type:8}{key.meaning}{called}"
