"""Sequences that end at time steps of their own: what lies behind an end, and steps by their lag.

The time steps of all sequences begin together. What is recorded is counted from the end: of
sequences that end together, a lag is a time step; of others it is another step in each. `ByLag`
moves the steps of each sequence so that it ends where the longest of its run does.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from rnn_exp.networks.cells import Trace
from rnn_exp.networks.scaled import Scaled
from rnn_exp.shapes import Float, Shaped

__all__ = ["ByLag", "clear_after"]


def clear_after(
    ends: Shaped[Tensor, "run batch"], parts: Iterable[Float[Tensor, "time run batch ..."]]
) -> None:
    """Set to 0 what comes after the end of each sequence, in place.

    Args:
        ends: the last time step of each sequence; below 1: all steps come after it.
        parts: whose time steps are counted from 1.
    """
    for part in parts:
        first = min(max(0, int(ends.min())), len(part))
        time = torch.arange(first, len(part), device=part.device).view(-1, 1, 1)
        after = time >= ends.to(part.device)
        part[first:].masked_fill_(after.view(*after.shape, *(1,) * (part.ndim - 3)), 0)


class ByLag:
    """The steps of each sequence, moved so that all sequences of a run end with its longest one.

    A sequence that has no step at a lag has nothing there: its gradient is 0, and its states, which
    are those of its first step, count for nothing.

    Args:
        ends: the last time step of each sequence.
        T: time steps.
    """

    def __init__(self, ends: Shaped[Tensor, "run batch"], T: int) -> None:
        self._ends, self._T = ends, T
        longest = ends.amax(1, keepdim=True)
        time = torch.arange(T, device=ends.device).view(-1, 1, 1)
        step = time - (longest - ends)
        self.there: Shaped[Tensor, "time run batch"] = (step >= 0) & (time < longest)
        """Whether a sequence has a step at this lag."""
        self._step = step.clamp(min=0)

    def of_runs(self, places: list[int]) -> "ByLag":
        """Return the same of some runs."""
        return ByLag(self._ends[places], self._T)

    @property
    def counts(self) -> Shaped[Tensor, "time run"]:
        """How many sequences have a step at this lag; 1 where there is none."""
        return self.there.sum(-1).clamp(min=1)

    def moved(
        self, values: Float[Tensor, "time run batch *k"]
    ) -> Float[Tensor, "time run batch *k"]:
        """Return numbers of time steps moved; where a sequence has no step, those of its first."""
        step = self._step.view(*self._step.shape, *(1,) * (values.ndim - 3))
        return values.gather(0, step.expand(values.shape))

    def gradient(self, values: Float[Tensor, "some run batch k"]) -> Tensor:
        """Return a gradient moved, that of the last time steps with 0 before them."""
        missing = self._T - len(values)
        whole = torch.nn.functional.pad(values, (0, 0, 0, 0, 0, 0, missing, 0))
        return torch.where(self.there.unsqueeze(-1), self.moved(whole), 0.0)

    def trace(self, trace: Trace) -> Trace:
        """Return what a forward pass has left, moved."""
        kept = tuple(map(self.moved, trace.kept))
        return Trace(self.moved(trace.states), self.moved(trace.previous_states), kept)

    def scaled(self, gradient: Scaled) -> Scaled:
        """Return a gradient without a floor moved, that of the last time steps."""
        device = gradient.values.device
        shape = (*self.there.shape, gradient.values.shape[-1])
        whole = Scaled.zeros(shape, device)
        whole.put(self._T - len(gradient.values), gradient)
        values, exponents = Scaled.zeros(shape, device)
        found = self.moved(whole.values), whole.exponents.gather(0, self._step)
        return Scaled(
            torch.where(self.there.unsqueeze(-1), found[0], values),
            torch.where(self.there, found[1], exponents),
        )
