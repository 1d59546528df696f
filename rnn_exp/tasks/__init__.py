"""Tasks: sequences whose answer depends on inputs far in the past.

A module holds a family of tasks. A task says what it draws, what guessing would score and when an
answer is wrong (`Task`). A new task is a class in a module here and a name in the list below, whose
order is that in which messages name them.
"""

from rnn_exp.tasks.adding import Adding, Multiplication
from rnn_exp.tasks.digits import Digits
from rnn_exp.tasks.images import Images
from rnn_exp.tasks.latch import Latch
from rnn_exp.tasks.lengths import LengthRange, at_length, lengths_field, longest_field
from rnn_exp.tasks.loss import TaskLoss
from rnn_exp.tasks.memoryless import Hold, Noise
from rnn_exp.tasks.order import TemporalOrder
from rnn_exp.tasks.recall import Copy, Memorization, Permutation
from rnn_exp.tasks.series import Series
from rnn_exp.tasks.stream import SequenceBatch, Stream
from rnn_exp.tasks.task import TASKS, Batch, HoldsOut, Task

__all__ = [
    "TASKS",
    "Adding",
    "Batch",
    "Copy",
    "Digits",
    "Hold",
    "HoldsOut",
    "Images",
    "Latch",
    "LengthRange",
    "Memorization",
    "Multiplication",
    "Noise",
    "Permutation",
    "SequenceBatch",
    "Series",
    "Stream",
    "Task",
    "TaskLoss",
    "TemporalOrder",
    "at_length",
    "lengths_field",
    "longest_field",
]

KINDS: tuple[type[Task], ...] = (
    TemporalOrder,
    Adding,
    Multiplication,
    Permutation,
    Memorization,
    Copy,
    Latch,
    Digits,
    Images,
    Series,
    Noise,
    Hold,
)
for kind in KINDS:
    TASKS.register(kind)
