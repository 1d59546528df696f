"""What a run leaves behind, written down once: tables and columns, statuses, keys of run.json.

Whoever writes, reads, draws or documents results takes names, types and words from here. The
module needs nothing but the standard library, so that a list of columns costs no start-up.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

__all__ = [
    "DONE",
    "FORMAT",
    "FORMER_NAMES",
    "GRADIENT_STATUSES",
    "RUN_JSON",
    "RUN_KEYS",
    "RUN_STATUSES",
    "TABLES",
    "VERDICTS",
    "WEIGHTS",
    "WITHOUT_RESULTS",
    "Column",
    "Key",
    "Table",
    "column_lines",
    "status_of",
    "tables_of",
]

FORMAT: Final = 3
"""The version of this format, in every run.json; folders without one are of version 1."""

RUN_JSON: Final = "run.json"
WEIGHTS: Final = "weights.safetensors"

RUN_STATUSES: Final = ("finished", "solved", "diverged", "failed", "running")
"""How a run stands: all updates made; task solved; NaN or infinity met; an error; in training."""
DONE: Final = ("finished", "solved", "diverged")
"""The statuses of runs that have results and are never trained again."""
WITHOUT_RESULTS: Final = ("running", "failed")

GRADIENT_STATUSES: Final = ("ok", "zero", "underflow", "inf", "nan", "cut_off")
"""What training saw of a gradient norm, whose log10 is the true one all the same.

zero: exactly zero. underflow: not zero, but in training's precision too small for all its digits,
or rounded to 0. inf, nan: what training computed was that. cut_off: zero because truncated
backpropagation does not go back so far.
"""

VERDICTS: Final = ("vanishing", "stable", "exploding", "undetermined")
"""What is said of a gradient profile (`profiles.summarize`), whatever becomes of the run."""

ColumnType = Literal["whole", "real", "truth", "status"]
KeyType = Literal["text", "number", "truth", "object", "numbers"]


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table: its name, what it holds, its unit, and one line of meaning.

    ``when``: the condition on which a table has the column; empty: it always has.
    ``of``: the column that a status says something of.
    ``since``: the format that brought it.
    """

    name: str
    type: ColumnType
    unit: str
    meaning: str
    when: str = ""
    of: str = ""
    since: int = 1


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of a run's folder, ``NAME.parquet``: what a row stands for, and the columns."""

    name: str
    row: str
    columns: tuple[Column, ...]

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.parquet"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns that it may have, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def always(self) -> tuple[str, ...]:
        """The names of the columns that it has on no condition, in order."""
        return tuple(column.name for column in self.columns if not column.when)

    def column(self, name: str) -> Column:
        """Return the column of this name."""
        return next(column for column in self.columns if column.name == name)


_UPDATE = Column("update", "whole", "updates", "number of the update; 0: before any weight changed")
_NORM = "log10 of a gradient norm"
_HAS_MEMORY = "the cell has a memory c (LSTM)"
_SEVERAL_LOSSES = "more than one time step has a loss"
_MEMORY_AND_LOSSES = "the cell has a memory c, and more than one time step has a loss"


def _status(name: str, of: str, when: str = "", since: int = 3) -> Column:
    return Column(name, "status", "", f"what training saw of {of}", when, of, since)


_UPDATES = Table(
    "updates",
    "a recorded update",
    (
        _UPDATE,
        Column("length", "whole", "time steps", "length of the update's sequences"),
        Column("loss", "real", "of the task", "mean loss of the batch"),
        Column("error", "real", "share", "share of the batch's sequences answered wrong"),
        Column("grad_norm", "real", "1", "gradient norm over all parameters, before clipping"),
        Column("clipped", "truth", "", "whether the gradient was clipped, by norm or by value"),
        Column("recurrent_grad_norm", "real", "1", "norm of ∂L/∂W_hh of the top layer"),
        Column("spectral_radius", "real", "1", "largest modulus of an eigenvalue of W_hh (top)"),
        Column("largest_singular_value", "real", "1", "largest singular value of W_hh (top)"),
        Column("omega", "real", "1", "the regulariser Ω of the top layer; NaN where it is unused"),
        Column(
            "weight_change", "real", "1", "‖W_hh − W_0‖ / ‖W_0‖ of the top layer, W_0 at the start"
        ),
    ),
)

_GRADIENTS = Table(
    "gradients",
    "a recorded update, layer and time step",
    (
        _UPDATE,
        Column("layer", "whole", "", "number of the layer; 0 reads the inputs"),
        Column("time", "whole", "time steps", "time step t, from 1"),
        Column("lag", "whole", "time steps", "T − t: steps back from the last one"),
        Column("log10_total", "real", _NORM, "∂L/∂h_t through all later time steps"),
        Column("log10_direct", "real", _NORM, "the part of ∂L/∂h_t not through h_{t+1}"),
        Column("log10_contribution", "real", _NORM, "what the time step adds to ∂L/∂W_hh"),
        Column("saturation", "real", "1", "mean φ' over batch, units and gates; small: saturated"),
        Column("state_rms", "real", "1", "root mean square of h_t over batch and units"),
        Column("log10_memory", "real", _NORM, "∂L/∂c_t", _HAS_MEMORY),
        Column(
            "log10_late",
            "real",
            _NORM,
            "∂L/∂h_t of the last answer's loss alone, never truncated",
            _SEVERAL_LOSSES,
        ),
        Column(
            "log10_late_memory",
            "real",
            _NORM,
            "∂L/∂c_t of the last answer's loss alone, never truncated",
            _MEMORY_AND_LOSSES,
        ),
        Column(
            "log10_predicted",
            "real",
            _NORM,
            "theory's value of the carrier (run.json) at update 0, top layer; equal at lag 0",
            "theory holds",
        ),
        _status("status", "log10_total", since=1),
        _status("status_direct", "log10_direct"),
        _status("status_contribution", "log10_contribution"),
        _status("status_memory", "log10_memory", _HAS_MEMORY),
        _status("status_late", "log10_late", _SEVERAL_LOSSES),
        _status("status_late_memory", "log10_late_memory", _MEMORY_AND_LOSSES),
    ),
)

_EXPONENTS = Table(
    "exponents",
    "a recorded update and exponent",
    (
        _UPDATE,
        Column("index", "whole", "", "place of the exponent; 1 is the largest"),
        Column("exponent", "real", "nats per time step", "Lyapunov exponent of the top layer"),
    ),
)

TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {table.name: table for table in (_UPDATES, _GRADIENTS, _EXPONENTS)}
)
"""All tables by name."""


def status_of(column: str) -> str:
    """Return the name of the column that says what can be said of a gradient norm.

    Args:
        column: of the norm, such as log10_late.

    Example:
        >>> status_of("log10_total"), status_of("log10_late")
        ('status', 'status_late')
    """
    name = column.removeprefix("log10_")
    return "status" if name == "total" else f"status_{name}"


def tables_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the tables that a run with these settings leaves behind.

    Args:
        settings: by configuration key, as in run.json.
    """
    without = () if settings.get("recording.exponents") else ("exponents",)
    return tuple(name for name in TABLES if name not in without)


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of run.json: its dotted path, what it holds, and one line of meaning.

    ``column``: what the table of runs calls it; empty: it is no column there.
    ``needed``: a run.json without it cannot be read.
    """

    path: str
    type: KeyType
    meaning: str
    column: str = ""
    needed: bool = False


RUN_KEYS: Final = (
    Key("format", "number", "version of this format"),
    Key("run", "text", "the run's name, which is also its folder's", "run", needed=True),
    Key("digest", "text", "16 hex digits of what decides the results", "digest", needed=True),
    Key("status", "text", "how the run stands", "status", needed=True),
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
    Key("final.decay_rate", "number", "as decay_rate, last recorded update", "final_decay_rate"),
    Key("final.half_life", "number", "as half_life, last recorded update", "final_half_life"),
    Key("final.log10_change", "number", "as log10_change, there", "final_log10_change"),
    Key("final.verdict", "text", "as verdict, last recorded update", "final_verdict"),
    Key("final.verdict_reason", "text", "why", "final_verdict_reason"),
    Key("theory.holds", "truth", "whether all premises of the theory hold", "theory_holds"),
    Key("theory.because", "text", "the premises that fail", "theory_because"),
    Key("theory.form", "text", "mean field, or two-time for cells with a skip", "theory_form"),
    Key("theory.lags", "number", "the largest lag that it speaks of", "theory_lags"),
    Key("theory.decay_rate", "number", "of theory's profile, over the same lags", "theory_rate"),
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
    Key("network.largest_slope", "number", "γ = sup φ'", "largest_slope"),
    Key("diverged.update", "number", "update of the first NaN or infinity", "diverged_update"),
    Key("diverged.time", "number", "time step of it", "diverged_time"),
    Key("diverged.direction", "text", "forward or backward pass", "diverged_direction"),
    Key("failure", "text", "why a run failed", "failure"),
    Key("settings", "object", "every setting under its configuration key", needed=True),
    Key("command", "text", "the shell command that makes this run", "command", needed=True),
    Key("seed", "number", "the seed, as in settings"),
    Key("device", "text", "the device on which it trained; auto is decided"),
    Key("steps", "numbers", "time steps of the shortest and the longest sequence"),
    Key("versions", "object", "versions that the bits may depend on"),
)
"""Every key of run.json; its settings are columns of the table of runs as well."""

FORMER_NAMES: Final[Mapping[str, str]] = MappingProxyType({"weight_change": "moved"})
"""What columns were called in format 1: folders of that time stay readable."""


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
        yield f"  {key.path:28}{key.type:8}{key.meaning}{called}"
