"""The files of a run's folder, the columns of its tables, and the words that they hold."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

__all__ = [
    "CARRIERS",
    "DONE",
    "FORMAT",
    "FORMER_NAMES",
    "GRADIENT_STATUSES",
    "HASHES_SINCE",
    "RUN_JSON",
    "RUN_STATUSES",
    "SEAL",
    "SWEEP_JSON",
    "TABLES",
    "VERDICTS",
    "WEIGHTS",
    "WITHOUT_RESULTS",
    "Column",
    "Table",
    "status_of",
    "tables_of",
]

FORMAT: Final = 6
"""The version of this format, in every run.json; folders without one are of version 1."""
HASHES_SINCE: Final = 4
"""The format from which on run.json has the hashes of a folder's other files."""

RUN_JSON: Final = "run.json"
SWEEP_JSON: Final = "sweep.json"
WEIGHTS: Final = "weights.safetensors"
SEAL: Final = "sha256"
"""The key of run.json that has the hash of all its others."""

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

CARRIERS: Final = ("log10_late_memory", "log10_late", "log10_memory", "log10_total")
"""The columns that may show how far the gradient of a run reaches; the first that it has does."""

ColumnType = Literal["whole", "real", "truth", "status"]


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
_HAS_TESTS = "evaluation.every is given; NaN at updates without a test"
_MEMORY_AND_LOSSES = "the cell has a memory c, and more than one time step has a loss"


def _status(name: str, of: str, when: str = "", since: int = 3) -> Column:
    return Column(name, "status", "", f"what training saw of {of}", when, of, since)


_UPDATES = Table(
    "updates",
    "a recorded update",
    (
        _UPDATE,
        Column("length", "whole", "time steps", "length of the update's longest sequence"),
        Column("loss", "real", "of the task", "mean loss of the batch"),
        Column("error", "real", "share", "share of the batch's sequences answered wrong"),
        Column("grad_norm", "real", "1", "gradient norm over all parameters, before clipping"),
        Column("clipped", "truth", "", "whether the gradient was clipped, by norm or by value"),
        Column("recurrent_grad_norm", "real", "1", "norm of ∂L/∂W_hh of the top layer"),
        Column(
            "spectral_radius",
            "real",
            "1",
            "largest modulus of an eigenvalue of W_hh (top); NaN: recording.spectrum_every leaves "
            "the update out",
        ),
        Column(
            "largest_singular_value",
            "real",
            "1",
            "largest singular value of W_hh (top); NaN: likewise, but never at update 0",
        ),
        Column("omega", "real", "1", "the regulariser Ω of the top layer; NaN where it is unused"),
        Column(
            "weight_change", "real", "1", "‖W_hh − W_0‖ / ‖W_0‖ of the top layer, W_0 at the start"
        ),
        Column("test_loss", "real", "of the task", "mean loss on test sequences", _HAS_TESTS),
        Column("test_error", "real", "share", "share of these answered wrong", _HAS_TESTS),
        Column(
            "update_norm",
            "real",
            "1",
            "‖Δw‖ of the step that the update made, over all weights and biases, after clipping; "
            "NaN: it made none, the run ended with it",
            since=5,
        ),
        Column(
            "update_ratio",
            "real",
            "1",
            "‖Δw‖ / ‖w‖ of that step, w before it",
            since=5,
        ),
        Column(
            "learning_rate",
            "real",
            "1",
            "learning rate of the update: that of the schedule, after warm-up",
            since=6,
        ),
    ),
)

_GRADIENTS = Table(
    "gradients",
    "a recorded update, layer and time step",
    (
        _UPDATE,
        Column("layer", "whole", "", "number of the layer; 0 reads the inputs"),
        Column("time", "whole", "time steps", "time step t of the longest sequence, from 1"),
        Column(
            "lag", "whole", "time steps", "T − t: steps back from the last one of each sequence"
        ),
        Column("log10_total", "real", _NORM, "∂L/∂h_t through all later time steps"),
        Column("log10_direct", "real", _NORM, "the part of ∂L/∂h_t not through h_{t+1}"),
        Column("log10_contribution", "real", _NORM, "what the time step adds to ∂L/∂W_hh"),
        Column(
            "saturation",
            "real",
            "1",
            "mean φ' over batch, units and gates; small: saturated; NaN: the cell is one's own, by "
            "a step, which does not say what its activations are",
        ),
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

_JACOBIANS = Table(
    "jacobians",
    "a recorded update, lag and singular value",
    (
        _UPDATE,
        Column(
            "lag",
            "whole",
            "time steps",
            "k of the Jacobian ∂h_T/∂h_{T−k} (top layer); of h and c side by side where there is c",
        ),
        Column("index", "whole", "", "place of the singular value; 1 is the largest"),
        Column(
            "log10_singular_value",
            "real",
            "1",
            "log10 of it, of the batch's first sequence; −inf: it is 0; NaN: less than 1e-10 of "
            "the largest, and not known",
        ),
    ),
)

TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {table.name: table for table in (_UPDATES, _GRADIENTS, _EXPONENTS, _JACOBIANS)}
)
"""All tables by name."""


_ASKED: Final = {
    "exponents": "recording.exponents",
    "jacobians": "recording.jacobian_lags",
}
"""Tables that a run has if a setting asks for them, and the setting."""


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
    return tuple(name for name in TABLES if name not in _ASKED or settings.get(_ASKED[name]))


FORMER_NAMES: Final[Mapping[str, str]] = MappingProxyType({"weight_change": "moved"})
"""What columns were called in format 1: folders of that time stay readable."""
