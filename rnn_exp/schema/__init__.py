"""What a run leaves behind, written down once: tables and columns, statuses, keys of run.json.

Whoever writes, reads, draws or documents results takes names, types and words from here. The
package needs nothing but the standard library, so that a list of columns costs no start-up.
"""

from rnn_exp.schema.added import ADDED_SETTINGS, OF_TASKS, decisive, filled_in, with_added
from rnn_exp.schema.kernels import (
    ACTIVATION_CODES,
    AUTO,
    ENGINE,
    KERNEL,
    KERNEL_CELLS,
    decided_engine,
    engines_are_decided,
    is_of_other_kernels,
    kernel_of,
    with_its_engine,
)
from rnn_exp.schema.run_keys import RUN_KEYS, Key, column_lines
from rnn_exp.schema.tables import (
    CARRIERS,
    DONE,
    FORMAT,
    FORMER_NAMES,
    GRADIENT_STATUSES,
    HASHES_SINCE,
    RUN_JSON,
    RUN_STATUSES,
    SEAL,
    SWEEP_JSON,
    TABLES,
    VERDICTS,
    WEIGHTS,
    WITHOUT_RESULTS,
    Column,
    Table,
    status_of,
    tables_of,
)

__all__ = [
    "ACTIVATION_CODES",
    "ADDED_SETTINGS",
    "AUTO",
    "CARRIERS",
    "DONE",
    "ENGINE",
    "FORMAT",
    "FORMER_NAMES",
    "GRADIENT_STATUSES",
    "HASHES_SINCE",
    "KERNEL",
    "KERNEL_CELLS",
    "OF_TASKS",
    "RUN_JSON",
    "RUN_KEYS",
    "RUN_STATUSES",
    "SEAL",
    "SWEEP_JSON",
    "TABLES",
    "VERDICTS",
    "WEIGHTS",
    "WITHOUT_RESULTS",
    "Column",
    "Key",
    "Table",
    "column_lines",
    "decided_engine",
    "decisive",
    "engines_are_decided",
    "filled_in",
    "is_of_other_kernels",
    "kernel_of",
    "status_of",
    "tables_of",
    "with_added",
    "with_its_engine",
]
