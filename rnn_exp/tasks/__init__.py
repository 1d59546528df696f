"""Tasks: synthetic sequences whose answer depends on inputs far in the past."""

from rnn_exp.tasks.adding import Adding
from rnn_exp.tasks.base import Batch, Task
from rnn_exp.tasks.stream import Drawn, Stream
from rnn_exp.tasks.temporal_order import TemporalOrder

__all__ = ["TASKS", "Adding", "Batch", "Drawn", "Stream", "Task", "TemporalOrder"]

TASKS: dict[str, type[Adding] | type[TemporalOrder]] = {
    "adding": Adding,
    "temporal_order": TemporalOrder,
}
