"""Loading: the runs of a folder as tidy tables, settings joined from each run.json."""

import json
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["Results", "load"]

_RESULTS = {
    "run": "run", "digest": "digest", "status": "status", "verdict": "verdict",
    "verdict_rule": "verdict_rule", "decay_rate": "decay_rate", "half_life": "half_life",
    "final_decay_rate": "final.decay_rate", "final_half_life": "final.half_life",
    "final_verdict": "final.verdict", "predicted_rate": "prediction.decay_rate",
    "drive": "prediction.drive", "bound": "prediction.bound",
    "diverged_update": "diverged.update", "diverged_time": "diverged.time",
    "diverged_direction": "diverged.direction", "failure": "failure", "command": "command",
}  # fmt: skip
_NUMBERS = [name for name in _RESULTS if name.endswith(("rate", "life", "_update", "_time"))]
_NUMBERS += ["drive", "bound"]
_NEEDED = ("run", "digest", "status", "settings", "command")


class Results(NamedTuple):
    """The tables of a results folder.

    ``runs``: a row a run. ``updates``: a row a recorded update. ``gradients``: a row a (recorded
    update, layer, time). ``broken``: a row a folder that could not be read, and why. All but
    ``broken`` carry every setting as a column under its configuration key, such as ``init.gain``.
    """

    runs: pd.DataFrame
    updates: pd.DataFrame
    gradients: pd.DataFrame
    broken: pd.DataFrame


def load(folder: str | Path) -> Results:
    """Read a study's folder, or a single run's. Broken runs are listed, not fatal.

    Raises:
        FileNotFoundError: if there is no such folder, or no run in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    rows: list[dict[str, Any]] = []
    broken: list[dict[str, str]] = []
    tables: dict[str, list[pa.Table]] = {"updates": [], "gradients": []}
    for place in _run_folders(folder):
        try:
            row, own = _read_run(place)
        except (OSError, ValueError, pa.ArrowException) as error:
            broken.append({"run": place.name, "why": f"{type(error).__name__}: {error}"})
            continue
        rows.append(row)
        for name, table in own.items():
            tables[name].append(table)
    if not rows and not broken:
        raise FileNotFoundError(f"there are no runs in {folder} (no */run.json)")
    runs = _runs_frame(rows)
    settings = runs[["run", *(name for name in runs.columns if name not in _RESULTS)]]
    return Results(
        runs,
        _joined(tables["updates"], settings),
        _joined(tables["gradients"], settings),
        pd.DataFrame(broken, columns=["run", "why"]),
    )


def _run_folders(folder: Path) -> list[Path]:
    """Return the folders that are, or should have become, runs."""
    if (folder / "run.json").exists():
        return [folder]
    return [
        place for place in sorted(folder.iterdir())
        if place.is_dir() and ((place / "run.json").exists() or (place / ".hydra").exists())
    ]  # fmt: skip


def _read_run(place: Path) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """Read one run's description and, if it is done, its tables."""
    found = json.loads((place / "run.json").read_text(encoding="utf-8"))
    missing = [key for key in _NEEDED if not isinstance(found, dict) or key not in found]
    if missing:
        raise ValueError(f"run.json has no {', '.join(missing)}")
    if not isinstance(found["settings"], dict):
        raise ValueError("run.json: settings is not an object")
    row = {name: _at(found, path) for name, path in _RESULTS.items()} | found["settings"]
    row["run"] = place.name
    for name in _NUMBERS:
        if not isinstance(row[name], (int, float, NoneType)):
            raise ValueError(f"run.json: {name} is not a number")
    if found["status"] in ("running", "failed"):
        return row, {}
    tables = {name: pq.read_table(place / f"{name}.parquet") for name in ("updates", "gradients")}
    return row, {
        name: table.append_column("run", pa.array([place.name] * len(table)).dictionary_encode())
        for name, table in tables.items()
    }


def _at(found: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value at a dotted path, None where there is none."""
    value: Any = found
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _runs_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(_RESULTS))
    return frame.astype(dict.fromkeys(_NUMBERS, float))


def _joined(tables: list[pa.Table], settings: pd.DataFrame) -> pd.DataFrame:
    if not tables:
        return pd.DataFrame(columns=settings.columns)
    frame: pd.DataFrame = pa.concat_tables(tables, promote_options="default").to_pandas()
    frame["run"] = frame["run"].astype(settings["run"].dtype)
    return frame.merge(settings, on="run", how="left", validate="many_to_one")
