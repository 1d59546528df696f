"""The history of a run: what was recorded of it so far, as arrays that can be put aside."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from rnn_exp.updates import Update

__all__ = ["SCALARS", "History"]

SCALARS = (
    "update", "length", "loss", "error", "grad_norm", "clipped", "recurrent_grad_norm",
    "spectral_radius", "largest_singular_value", "omega", "moved",
)  # fmt: skip


class History:
    """What was recorded of the run at ``place`` of its chunk; ``before``: `arrays` so far."""

    def __init__(self, place: int, before: Mapping[str, np.ndarray]) -> None:
        self.place, self.folded, self.kept = place, dict(before), list[Update]()

    def add(self, update: Update) -> None:
        """Keep a recorded update; its numbers are read when they are wanted, not now."""
        self.kept.append(update)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return `SCALARS`, ``profile`` (column layer time) and ``exponents`` (index).

        Each has an entry a recorded update.
        """
        if self.kept:
            rows = [self._row(update) for update in self.kept]
            new = {name: np.array([row[name] for row in rows]) for name in rows[0]}
            old = self.folded
            self.folded = {
                name: np.concatenate([old[name], values]) if old else values
                for name, values in new.items()
            }
            self.kept = []
        return self.folded

    def _row(self, update: Update) -> dict[str, Any]:
        recorded = update.recorded
        assert recorded is not None
        here = update.runs.index(self.place)
        row: dict[str, Any] = {"update": update.update, "loss": update.loss}
        row["grad_norm"] = update.grad_norm
        row |= recorded.known._asdict() | recorded._asdict()
        row["length"] = recorded.known.length[here]
        plain = {
            name: row[name][here].item() if torch.is_tensor(row[name]) else row[name]
            for name in SCALARS
        }
        tensors = {"profile": recorded.profile[..., here], "exponents": recorded.exponents[here]}
        arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
        return plain | arrays
