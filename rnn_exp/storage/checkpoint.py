"""Checkpoints: a run in the middle of training, on disk, from which it goes on bit for bit.

While a run trains its folder has one more, ``unfinished``: the checkpoint, a safetensors file with
the run's state, and the parts with its rows so far (`parts`). A checkpoint counts only if it is as
it was written, with its parts, and only for the very run, device, versions and arithmetic that
wrote it. Any other is put aside, and training begins anew, which gives the same result.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch as tensor_files
import torch

from rnn_exp.arithmetic import arithmetic
from rnn_exp.fields import SettingError
from rnn_exp.schema import FORMAT, tables_of
from rnn_exp.storage.files import replace_bytes
from rnn_exp.storage.parts import Parts
from rnn_exp.storage.unfinished import (
    FILE,
    FOLDER,
    NO_HASH,
    UnusableError,
    parts_of,
    sealed_bytes,
    words_of,
)
from rnn_exp.storage.writing import versions
from rnn_exp.training.devices import resolve_auto
from rnn_exp.training.experiment import Snapshot
from rnn_exp.training.run import Run

__all__ = ["Clock", "read", "seconds_from", "write"]

_STATE, _FIRST = "state.", "first."


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


def write(folder: Path, run: Run, snapshot: Snapshot, parts: Parts) -> None:
    """Write a run's checkpoint; the one before it stays until the new one is whole.

    Args:
        folder: the run's.
        run: the run.
        snapshot: from which it goes on.
        parts: its rows so far.

    Raises:
        OSError: if it cannot be written.
    """
    tensors = {f"{_STATE}{name}": tensor for name, tensor in snapshot.state.items()}
    tensors |= {
        f"{_FIRST}{name}": torch.from_numpy(array).clone() for name, array in snapshot.first.items()
    }
    words = _identity(run) | {"updates": str(snapshot.updates), "parts": parts.text}
    # Not save_file, which has an error of its own for a full disk.
    content = tensor_files.save(tensors, metadata=words | NO_HASH)
    (folder / FOLDER).mkdir(exist_ok=True)
    replace_bytes(folder / FOLDER / FILE, sealed_bytes(content))


def read(folder: Path, run: Run) -> tuple[Snapshot, Parts] | None:
    """Return from where a run goes on, and its rows until there; None: there is no checkpoint.

    Raises:
        UnusableError: if there is one that is damaged, or of another run, machine or version.
    """
    words, content = words_of(folder)
    if not words:
        return None
    same = _identity(run)
    other = [key for key, value in same.items() if words.get(key) != value]
    if other:
        was = ", ".join(f"{key} was {words.get(key)}, and is {same[key]}" for key in other)
        raise UnusableError(f"it is of another run, machine or version ({was})")
    parts = parts_of(folder, tables_of(run.settings()), words)
    if damage := parts.damage():
        raise UnusableError(damage)
    made = words.get("updates", "")
    if not made.isdecimal() or not 0 < int(made) < run.training.updates:
        raise UnusableError(f"it is of update {made!r} of {run.training.updates}")
    tensors = tensor_files.load(content)
    state = dict(_below(_STATE, tensors))
    first = {name: tensor.numpy() for name, tensor in _below(_FIRST, tensors)}
    return Snapshot(int(made), state, first), parts


def _below(prefix: str, tensors: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), tensor


def _identity(run: Run) -> dict[str, str]:
    """Return what must agree for the bits to agree."""
    return {
        "format": str(FORMAT),
        "digest": run.digest,
        "device": resolve_auto(run.device),
        **versions(),
        **arithmetic(),
    }
