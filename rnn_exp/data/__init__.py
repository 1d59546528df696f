"""Data of users: tables in CSV and parquet files, trusted for nothing.

`read_table` opens one. A cell that cannot be used is refused with its place (`DataError`); who
asked for it, a setting of a task, say, is known elsewhere.
"""

from rnn_exp.data.reading import read_table
from rnn_exp.data.table import DataError, Label, Table

__all__ = ["DataError", "Label", "Table", "read_table"]
