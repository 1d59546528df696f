"""The objective: the one number of a run that a search (Optuna's, say) makes small or large.

It is a number that run.json has, so a run that is already there has it as well.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any, Final

from rnn_exp.fields import SettingError, check, choice
from rnn_exp.schema import RUN_JSON, RUN_KEYS, TABLES
from rnn_exp.storage.trust import read_json

__all__ = ["Objective"]

_KEYS: Final = {key.column: key for key in RUN_KEYS if key.column and key.type == "number"}
_UPDATES: Final = TABLES["updates"]
_OF_TESTS: Final = ("final_test_loss", "final_test_error")
_OF_MEMORY: Final = ("decay_rate_h", "log10_change_h")


@dataclasses.dataclass(frozen=True)
class Objective:
    """The number of a run that a search looks at; it decides no result.

    ``objective``: what a job returns to Hydra's sweeper, a number of the table of runs. A number
    that a run does not have fails in the search, where it is null in run.json; the final loss and
    error of a run that diverged are infinite.

    Raises:
        SettingError: if there is no such number.

    Example:
        >>> Objective().objective
        'final_loss'
    """

    objective: str = choice("final_loss", list(_KEYS))

    def __post_init__(self) -> None:
        """Refuse what is no number of the table of runs."""
        check(self)

    def refuse_for(self, *, has_tests: bool, has_memory: bool = True) -> None:
        """Refuse a number that a run cannot have, by its settings.

        Args:
            has_tests: whether it is tested on other sequences, ``evaluation.every``.
            has_memory: whether its cell has a memory; true where that is not known yet.

        Raises:
            SettingError: with the setting that it needs.
        """
        if self.objective in _OF_TESTS and not has_tests:
            needs = "evaluation.every=…, a multiple of recording.every: this run has no tests"
        elif self.objective in _OF_MEMORY and not has_memory:
            needs = "network.cell=lstm: no other cell has a memory beside its state"
        else:
            return
        raise SettingError("objective", self.objective, f"this with {needs}")

    def of(self, folder: Path) -> float | None:
        """Return the objective of a run that is done; None where it has no such number.

        Args:
            folder: the run's.

        Raises:
            OSError, ValueError: if the folder's files cannot be read.
        """
        said: Any = read_json(folder / RUN_JSON)
        key = _KEYS[self.objective]
        if said["status"] == "diverged" and key.if_diverged is not None:
            return key.if_diverged
        part, _, name = key.path.rpartition(".")
        group = said.get(part) if part else said
        if not isinstance(group, dict):
            return None
        if part == "final" and name not in group and name in _UPDATES.always:
            # Formats up to 3 have it in the table alone.
            return _last_recorded(folder, name)
        value = group.get(name)
        return None if value is None else float(value)


def _last_recorded(folder: Path, column: str) -> float | None:
    """Return the last number in a column of updates.parquet, None if it is not finite."""
    import pyarrow.parquet as pq

    [*_, last] = pq.read_table(folder / _UPDATES.file, columns=[column])[column].to_pylist()
    return last if math.isfinite(last) else None
