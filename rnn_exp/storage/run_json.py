"""Run folders as they are found: what run.json says, and what the tables' footers promise."""

import json
from pathlib import Path
from types import NoneType
from typing import Any, Final, NamedTuple

from rnn_exp.storage.parquet import TABLES, Source, promised

__all__ = ["NUMBERS", "RESULTS", "TEXTS", "Found", "find", "read"]

RESULTS: Final = {
    "run": "run",
    "digest": "digest",
    "status": "status",
    "verdict": "verdict",
    "decay_rate": "decay_rate",
    "half_life": "half_life",
    "final_decay_rate": "final.decay_rate",
    "final_half_life": "final.half_life",
    "final_verdict": "final.verdict",
    "predicted_rate": "prediction.decay_rate",
    "drive": "prediction.drive",
    "bound": "prediction.bound",
    "chance_loss": "chance.loss",
    "chance_error": "chance.error",
    "recurrent_weights": "network.recurrent_weights",
    "largest_slope": "network.largest_slope",
    "diverged_update": "diverged.update",
    "diverged_time": "diverged.time",
    "diverged_direction": "diverged.direction",
    "failure": "failure",
    "command": "command",
}
"""Columns of the table of runs that are no settings, and where run.json has them."""
NUMBERS: Final = [
    *(name for name in RESULTS if name.endswith(("rate", "life", "_update", "_time"))),
    *("drive", "bound", "chance_loss", "chance_error", "recurrent_weights", "largest_slope"),
]
TEXTS: Final = [name for name in RESULTS if name not in NUMBERS]
_NEEDED: Final = ("run", "digest", "status", "settings", "command")
_BOTH_ENDS: Final = 2
_WITHOUT_RESULTS: Final = ("running", "failed")
_TAKEN: Final = {*RESULTS, *(name for columns in TABLES.values() for name in columns)}


class Found(NamedTuple):
    """A run that could be read: its row in the table of runs, and its tables if it is done.

    ``rule``: the text of the rule by which its verdict was given, which is no column.
    """

    row: dict[str, Any]
    tables: dict[str, Source]
    rule: str | None


def find(folder: Path) -> list[Path]:
    """Return the folders that are, or should have become, runs."""
    if (folder / "run.json").exists():
        return [folder.absolute()]
    return [
        place
        for place in sorted(folder.iterdir())
        if not place.name.startswith(".")
        and place.is_dir()
        and ((place / "run.json").exists() or (place / ".hydra").exists())
    ]


def read(place: Path) -> Found:
    """Read a run's description and, if it is done, the footers of its tables.

    Raises:
        OSError, ValueError or pyarrow.ArrowException: if either is not as it should be.
    """
    said = json.loads((place / "run.json").read_text(encoding="utf-8"))
    row, rule = _row(said) | {"run": place.name}, said.get("verdict_rule")
    if not isinstance(rule, str | None):
        raise ValueError("run.json: verdict_rule is not text")
    if said["status"] in _WITHOUT_RESULTS:
        return Found(row, {}, rule)
    asked = bool(said["settings"].get("recording.exponents"))
    names = [name for name in TABLES if name != "exponents" or asked]
    tables = {name: promised(place / f"{name}.parquet") for name in names}
    _agree(said, tables)
    return Found(row, tables, rule)


def _row(said: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    missing = [key for key in _NEEDED if not isinstance(said, dict) or key not in said]
    if missing:
        raise ValueError(f"run.json has no {', '.join(missing)}")
    settings = said["settings"]
    if not isinstance(settings, dict):
        raise ValueError("run.json: settings is not an object")
    taken = sorted(_TAKEN & set(settings))
    if taken:
        raise ValueError(f"run.json: a setting has the name of a result: {', '.join(taken)}")
    row = {name: _at(said, path) for name, path in RESULTS.items()}
    for names, types, what in ((NUMBERS, (int, float), "a number"), (TEXTS, (str,), "text")):
        for name in names:
            if not isinstance(row[name], (*types, NoneType)):
                raise ValueError(f"run.json: {name} is not {what}")
    return row | settings


def _agree(said: dict[str, Any], tables: dict[str, Source]) -> None:
    """Refuse tables that are not of the same updates: there is a row a layer and time of each."""
    steps, layers = said.get("steps"), said["settings"].get("network.num_layers")
    if not isinstance(layers, int) or not isinstance(steps, list) or len(steps) != _BOTH_ENDS:
        return
    if not all(isinstance(step, int) for step in steps):
        return
    updates, rows = tables["updates"].rows, tables["gradients"].rows
    least, most = (updates * layers * step for step in steps)
    if not least <= rows <= most:
        times = " to ".join(str(step) for step in dict.fromkeys(steps))
        raise ValueError(
            f"gradients.parquet has {rows} rows, updates.parquet {updates}: not {layers} "
            f"(layers) times {times} (steps) as many"
        )


def _at(said: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value at a dotted path, None where there is none."""
    value: Any = said
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
