"""Checkpoints: a run in the middle of training, on disk, from which it goes on bit for bit.

A checkpoint is a safetensors file: numbers and a few words, no code. It counts only for the very
run, device and versions that wrote it; else training begins anew, which gives the same result.
"""

import time
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from rnn_exp.fields import SettingError
from rnn_exp.schema import FORMAT
from rnn_exp.storage.files import replace_bytes
from rnn_exp.storage.writing import versions
from rnn_exp.training.experiment import Snapshot, resolve_auto
from rnn_exp.training.run import Run

__all__ = ["FILE", "Clock", "read", "seconds_from", "write"]

FILE = "checkpoint.safetensors"
_STATE, _ROWS = "state.", "rows."


def seconds_from(value: object) -> float:
    """Return a setting as the seconds between two checkpoints.

    Raises:
        SettingError: if it is no number of at least 0.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise SettingError("hydra.launcher.checkpoint_seconds", value, "a number of at least 0")
    return float(value)


class Clock:
    """Says when checkpoints are due: so many seconds apart, and never more than 5 % of the time."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.last, self.cost = seconds, time.monotonic(), 0.0

    def due(self) -> bool:
        """Say whether it is time."""
        return time.monotonic() - self.last >= max(self.seconds, 20 * self.cost)

    def reset(self, begun: float) -> None:
        """Note that checkpoints were written, from ``begun`` (of ``time.monotonic``) until now."""
        self.last = time.monotonic()
        self.cost = self.last - begun


def write(folder: Path, run: Run, snapshot: Snapshot) -> None:
    """Write a run's checkpoint; the one before it stays until the new one is whole.

    Raises:
        OSError: if it cannot be written.
    """
    tensors = {f"{_STATE}{name}": tensor for name, tensor in snapshot.state.items()}
    tensors |= {
        f"{_ROWS}{name}": torch.from_numpy(array).clone() for name, array in snapshot.rows.items()
    }
    words = _identity(run) | {"updates": str(snapshot.updates)}
    # Not save_file, which has an error of its own for a full disk.
    replace_bytes(folder / FILE, safetensors.torch.save(tensors, metadata=words))


def read(folder: Path, run: Run) -> Snapshot | None:
    """Return the run's snapshot, or None if there is none that it can go on from."""
    path, same = folder / FILE, _identity(run)
    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, "pt") as file:
            words = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError):
        return None
    made = words.get("updates", "")
    if not made.isdecimal() or {key: words.get(key) for key in same} != same:
        return None
    state = {
        name.removeprefix(_STATE): tensor
        for name, tensor in tensors.items()
        if name.startswith(_STATE)
    }
    rows = {
        name.removeprefix(_ROWS): tensor.numpy()
        for name, tensor in tensors.items()
        if name.startswith(_ROWS)
    }
    return Snapshot(int(made), state, rows)


def _identity(run: Run) -> dict[str, str]:
    """Return what must agree for the bits to agree."""
    return {
        "format": str(FORMAT),
        "digest": run.digest,
        "device": resolve_auto(run.device),
        **versions(),
    }
