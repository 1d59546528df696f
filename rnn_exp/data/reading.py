"""Which of the known formats a file of a table has."""

from rnn_exp.data.csv_table import CsvTable
from rnn_exp.data.table import Table

__all__ = ["read_table"]

_PARQUET = b"PAR1"


def read_table(content: bytes, shown: str) -> Table:
    """Return the table in a file, whatever the file is called.

    Args:
        content: of the file.
        shown: its path as it was typed, for messages.

    Raises:
        DataError: if it is neither a CSV file nor a parquet file.
    """
    if content.startswith(_PARQUET):
        from rnn_exp.data.parquet_table import ParquetTable  # pyarrow is slow to import

        return ParquetTable(content, shown)
    return CsvTable(content, shown)
