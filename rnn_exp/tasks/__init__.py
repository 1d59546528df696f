"""Tasks: sequences whose answer depends on inputs far in the past."""

from rnn_exp.tasks.adding import Adding, Multiplication
from rnn_exp.tasks.digits import Digits
from rnn_exp.tasks.latch import Latch
from rnn_exp.tasks.memoryless import Hold, Noise
from rnn_exp.tasks.order import Permutation, TemporalOrder
from rnn_exp.tasks.recall import Copy, Memorization
from rnn_exp.tasks.task import Batch, Drawn, Stream, Task

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
