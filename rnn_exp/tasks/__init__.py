"""Tasks: sequences whose answer depends on inputs far in the past."""

from rnn_exp.tasks.adding import Adding
from rnn_exp.tasks.base import Batch, Task
from rnn_exp.tasks.copy import Copy
from rnn_exp.tasks.digits import Digits
from rnn_exp.tasks.hold import Hold
from rnn_exp.tasks.latch import Latch
from rnn_exp.tasks.memorization import Memorization
from rnn_exp.tasks.multiplication import Multiplication
from rnn_exp.tasks.noise import Noise
from rnn_exp.tasks.permutation import Permutation
from rnn_exp.tasks.stream import Drawn, Stream
from rnn_exp.tasks.temporal_order import TemporalOrder

__all__ = [
    "TASKS",
    "Adding",
    "Batch",
    "Copy",
    "Digits",
    "Drawn",
    "Hold",
    "Latch",
    "Memorization",
    "Multiplication",
    "Noise",
    "Permutation",
    "Stream",
    "Task",
    "TemporalOrder",
]

TASKS: dict[str, type[Task]] = {
    "temporal_order": TemporalOrder,
    "adding": Adding,
    "multiplication": Multiplication,
    "permutation": Permutation,
    "memorization": Memorization,
    "copy": Copy,
    "latch": Latch,
    "digits": Digits,
    "noise": Noise,
    "hold": Hold,
}
