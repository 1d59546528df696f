"""One folder a run, written atomically, read back without running any of its code.

``run.json`` (settings, status, results), ``updates.parquet``, ``gradients.parquet``,
``exponents.parquet`` (where they are recorded) and ``weights.safetensors``. ``run.json`` is written
last, so a folder whose run.json says finished is whole. Nothing is pickled.
"""

import functools
import json
import math
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors
import safetensors.torch
import torch

from rnn_exp.profiles import RULE, Summary
from rnn_exp.schema import DONE, FORMAT, RUN_JSON, TABLES, WEIGHTS, tables_of
from rnn_exp.storage.files import replace_bytes, replace_file
from rnn_exp.training.experiment import resolve_auto
from rnn_exp.training.outcome import Outcome, in_words
from rnn_exp.training.run import Run

__all__ = [
    "describe",
    "is_done",
    "remove_half_written",
    "status_of",
    "versions",
    "write",
    "write_status",
]


def describe(run: Run) -> dict[str, Any]:
    """Return what run.json says of a run before it has run (`schema.RUN_KEYS`)."""
    network = run.network
    return {
        "format": FORMAT,
        "run": run.name,
        "digest": run.digest,
        "settings": run.settings(),
        "seed": run.seed,
        "device": resolve_auto(run.device),
        "steps": [run.task.shortest, run.task.steps],
        "chance": {"loss": run.task.chance_loss, "error": run.task.chance_error},
        "network": {
            "recurrent_weights": network.kind.gates * network.hidden_size**2,
            "largest_slope": network.phi.largest_slope,
        },
        "versions": versions(),
        "command": run.command,
    }


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions that a run's bits may depend on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "rnn-exp": version("rnn-exp"),
    }


def write_status(folder: Path, run: Run, status: str, **more: object) -> None:
    """Write a run.json that has no results: ``running``, or ``failed`` and why.

    Args:
        folder: the run's.
        run: the run.
        status: of the run.
        more: further keys of run.json.
    """
    _write_json(folder / RUN_JSON, describe(run) | {"status": status, **more})


def write(folder: Path, outcome: Outcome) -> None:
    """Write all files of a run, run.json last.

    Raises:
        OSError: if a file cannot be written; the folder then has no run.json that says finished.
    """
    tables = {
        "updates": outcome.updates,
        "gradients": outcome.gradients,
        "exponents": outcome.exponents,
    }
    for name in tables_of(outcome.run.settings()):
        table = pa.table(tables[name])
        replace_file(folder / TABLES[name].file, functools.partial(pq.write_table, table))
    weights = {name: tensor.cpu().contiguous() for name, tensor in outcome.weights.items()}
    replace_bytes(folder / WEIGHTS, safetensors.torch.save(weights))
    _write_json(folder / RUN_JSON, describe(outcome.run) | _results(outcome))


def is_done(folder: Path, run: Run) -> bool:
    """Say whether the folder holds this very run, done and whole.

    Raises:
        FileExistsError: if it holds another run, or a run.json that cannot be read.
    """
    path = folder / RUN_JSON
    if not path.exists():
        return False
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise FileExistsError(f"{path} cannot be read; move or remove it")
    if found.get("digest") != run.digest:
        raise FileExistsError(
            f"{folder} holds another run ({found.get('run')}); choose another folder or move it"
        )
    return found.get("status") in DONE and _is_whole(folder, tables_of(run.settings()))


def status_of(folder: Path) -> str:
    """Return the status in a run's run.json."""
    return str(json.loads((folder / RUN_JSON).read_text(encoding="utf-8"))["status"])


def _is_whole(folder: Path, tables: Sequence[str]) -> bool:
    """Say whether tables and weights are there and their headers can be read."""
    try:
        for name in tables:
            pq.read_metadata(folder / TABLES[name].file)
        with safetensors.safe_open(folder / WEIGHTS, "pt"):
            return True
    except (OSError, pa.ArrowException, safetensors.SafetensorError):
        return False


def remove_half_written(folder: Path) -> None:
    """Remove the half-written files that a killed process may have left in a run's folder."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    replace_bytes(path, text.encode())


def _results(outcome: Outcome) -> dict[str, Any]:
    first, last, theory = outcome.first, outcome.last, outcome.theory
    by_state = {}
    if first.state is not None:
        by_state = {f"{key}_h": value for key, value in _in_short(first.state).items()}
    return {
        "status": outcome.status,
        "message": in_words(outcome),
        "diverged": outcome.divergence._asdict() if outcome.divergence else None,
        "lags": first.summary.lags,
        "carrier": first.carrier,
        **_summary(first.summary),
        **by_state,
        "verdict_rule": RULE,
        "final": {
            "loss": _finite_or_none(float(outcome.updates["loss"][-1])),
            "error": _finite_or_none(float(outcome.updates["error"][-1])),
            **_in_short(last.summary),
            "half_life": _finite_or_none(last.summary.half_life),
            "verdict_reason": last.summary.reason,
        },
        "theory": {
            "holds": theory.holds,
            "because": theory.because,
            "form": theory.prediction.form,
            "lags": theory.lags if theory.holds else None,
            "decay_rate": _finite_or_none(theory.middle_rate),
            "log10_change": _finite_or_none(theory.log10_change),
            "measured_log10_change": _finite_or_none(theory.log10_measured),
        },
        "prediction": {
            "drive": _finite_or_none(theory.prediction.drive),
            "decay_rate": theory.rate,
            "bound": _finite_or_none(theory.prediction.bound),
        },
    }


def _in_short(summary: Summary) -> dict[str, Any]:
    return {
        "decay_rate": _finite_or_none(summary.rate),
        "log10_change": _finite_or_none(summary.log10_change),
        "verdict": summary.verdict,
    }


def _summary(summary: Summary) -> dict[str, Any]:
    """Return all that is said of a profile (`schema.RUN_KEYS`)."""
    shortest, longest = summary.half_life_interval
    return {
        **_in_short(summary),
        "verdict_reason": summary.reason,
        "decay_rate_low": _finite_or_none(summary.rate_low),
        "decay_rate_high": _finite_or_none(summary.rate_high),
        "decay_rate_error": _finite_or_none(summary.error),
        "r_squared": _finite_or_none(summary.r_squared),
        "bent": summary.is_bent,
        "half_life": _finite_or_none(summary.half_life),
        "half_life_low": _finite_or_none(shortest),
        "half_life_high": _finite_or_none(longest),
        "horizon": _finite_or_none(summary.horizon),
        "lost_at": summary.lost_at,
    }


def _finite_or_none(value: float | None) -> float | None:
    """Return a finite number, or None where there is none (JSON knows no NaN)."""
    return value if value is not None and math.isfinite(value) else None
