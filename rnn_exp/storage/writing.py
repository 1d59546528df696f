"""One folder a run, written atomically, read back without running any of its code.

``run.json`` (settings, status, results), ``updates.parquet``, ``gradients.parquet``,
``exponents.parquet`` and ``jacobians.parquet`` (where they are recorded) and
``weights.safetensors``. ``run.json`` is written last and has the hashes of the others, so a folder
whose run.json says finished is whole. Nothing is pickled.
"""

import functools
import itertools
import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors
import safetensors.torch
import torch

from rnn_exp.arithmetic import arithmetic
from rnn_exp.profiles import RULE, Summary
from rnn_exp.schema import DONE, FORMAT, HASHES_SINCE, KERNEL, RUN_JSON, TABLES, WEIGHTS, tables_of
from rnn_exp.storage.files import LOCK_SECONDS, held, put_aside, replace_bytes
from rnn_exp.storage.hashes import damage, entry_of, is_unbroken, sealed
from rnn_exp.storage.labels import described, relabelled, with_label
from rnn_exp.storage.parts import Parts, arrow_table, write_table
from rnn_exp.storage.trust import read_json
from rnn_exp.training.devices import resolve_auto
from rnn_exp.training.outcome import Outcome, in_words
from rnn_exp.training.run import Run
from rnn_exp.words import from_here

__all__ = [
    "describe",
    "is_done",
    "put_damaged_aside",
    "relabel",
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
            "recurrent_weights": network.kind.recurrent_size(network.hidden_size),
            "largest_slope": network.phi.largest_slope if network.kind.takes_phi else None,
            "kernel": KERNEL.version if network.by_kernels else None,
        },
        "versions": versions(),
        "arithmetic": arithmetic(),
        "sources": [f"{what} {source.in_full}" for what, source in run.sources.items()],
        "command": run.command,
        **described(run),
    }


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions that a run's bits may depend on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "numba": version("numba"),
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
    said = describe(with_label(folder, run))
    _write_json(folder / RUN_JSON, said | {"status": status, **more})


def write(
    folder: Path, outcome: Outcome, parts: Parts | None = None, beside: Iterable[str] = ()
) -> None:
    """Write all files of a run, run.json last.

    Args:
        folder: the run's.
        outcome: of the run.
        parts: its rows before those of the outcome's tables; None: there are none.
        beside: paths of other files in the folder whose hashes run.json is to have.

    Raises:
        OSError: if a file cannot be written; the folder then has no run.json that says finished.
    """
    files = [*beside, WEIGHTS]
    for name in tables_of(outcome.run.settings()):
        earlier = parts.pieces(name) if parts is not None else ()
        table = TABLES[name].file
        write_table(folder / table, itertools.chain(earlier, [arrow_table(outcome.tables[name])]))
        files.append(table)
    weights = {name: tensor.cpu().contiguous() for name, tensor in outcome.weights.items()}
    replace_bytes(folder / WEIGHTS, safetensors.torch.save(weights))
    entries = {name: entry_of(folder / name) for name in files}
    said = describe(with_label(folder, outcome.run))
    _write_json(folder / RUN_JSON, said | _results(outcome) | {"files": entries})


def is_done(folder: Path, run: Run) -> bool:
    """Say whether the folder holds this very run, done, with every file as it was written.

    A run.json that was changed after it was written, or cannot be read, counts for nothing: the run
    is not done.

    Raises:
        FileExistsError: if it holds another run.
    """
    found = _trusted(folder / RUN_JSON)
    if found is None:
        return False
    if found.get("digest") != run.digest:
        raise FileExistsError(
            f"{from_here(folder)} holds another run ({found.get('run')}); choose another folder or "
            "move it"
        )
    return found.get("status") in DONE and not _damaged(folder, found, run)


def put_damaged_aside(folder: Path, run: Run) -> Path | None:
    """Move the results in a run's folder into one beside them, if they cannot be trusted.

    Returns:
        Where they are now; None: there are none, or they are whole.
    """
    found, path = _trusted(folder / RUN_JSON), folder / RUN_JSON
    if not path.exists() or (
        found is not None and not (found.get("status") in DONE and _damaged(folder, found, run))
    ):
        return None
    return put_aside(folder, [RUN_JSON, WEIGHTS, *(table.file for table in TABLES.values())])


def relabel(folder: Path, run: Run) -> bool:
    """Write a run's note and tags into the run.json of a run that is done, if it has others.

    Returns:
        Whether there was something to write.

    Raises:
        OSError: if it cannot be written, or another process holds the folder.
    """
    if run.note is None and run.tags is None:
        return False
    path = folder / RUN_JSON
    said = read_json(path)
    if relabelled(said, run) == said:
        return False
    with held(folder, patience=LOCK_SECONDS):
        _write_json(path, relabelled(read_json(path), run))
    return True


def status_of(folder: Path) -> str:
    """Return the status in a run's run.json."""
    return str(read_json(folder / RUN_JSON)["status"])


def _trusted(path: Path) -> dict[str, Any] | None:
    """Return what a run.json says; None: there is none, or it is not as it was written."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and is_unbroken(found) else None


def _damaged(folder: Path, found: Mapping[str, Any], run: Run) -> bool:
    """Say whether a file of a run that is done is not as it was written."""
    names = [*(TABLES[name].file for name in tables_of(run.settings())), WEIGHTS]
    entries = found.get("files")
    if isinstance(entries, dict):
        return any(damage(folder / name, entries.get(name)) for name in names)
    return found.get("format", 1) >= HASHES_SINCE or not _can_be_read(folder, names)


def _can_be_read(folder: Path, names: Sequence[str]) -> bool:
    """Say whether tables and weights are there and their headers can be read."""
    try:
        for name in names:
            if name == WEIGHTS:
                with safetensors.safe_open(folder / name, "pt"):
                    continue
            pq.read_metadata(folder / name)
    except (OSError, pa.ArrowException, safetensors.SafetensorError):
        return False
    return True


def _write_json(path: Path, value: dict[str, Any]) -> None:
    text = json.dumps(sealed(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
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
        "clipped_at_start": outcome.clipped_norm is not None,
        "lags": first.summary.lags,
        "carrier": first.carrier,
        **_summary(first.summary),
        **by_state,
        "verdict_rule": RULE,
        "final": {
            "loss": _finite_or_none(float(outcome.updates["loss"][-1])),
            "error": _finite_or_none(float(outcome.updates["error"][-1])),
            **_tests(outcome),
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
            "bound": _finite_or_none(theory.bound),
        },
    }


def _tests(outcome: Outcome) -> dict[str, Any]:
    """Return the last scores on test sequences; nothing where there are no tests."""
    names = [name for name in ("test_loss", "test_error") if name in outcome.updates]
    return {name: _finite_or_none(float(outcome.updates[name][-1])) for name in names}


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
