"""One call of a module that is called once a time step, and what is measured of many."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from rnn_exp.networks.norms import log10_norm, norm
from rnn_exp.probe.outputs import Output
from rnn_exp.probe.profile import Profile
from rnn_exp.schema import GRADIENT_STATUSES, status_of

__all__ = ["Step", "norm_of", "profile_of"]

_WORDS: Final = {word: number for number, word in enumerate(GRADIENT_STATUSES)}
_MARGIN: Final = 3.0
_NAMES: Final = ("log10_total", "log10_memory")


@dataclasses.dataclass
class Step:
    """One call: what it returned, and the gradients that have come.

    Args:
        place: of the call among all calls of this update.
        chain: the number of its chain, of this module in this update.
        time: its place in the chain, from 1.
        outputs: by their paths.
        states: the paths of h_t, and of c_t if there is one; None: not known before the next call.
        has_graph: whether it can receive gradients.
        before: the last call before it, in its thread; None: there is none, or it has had its
            backward pass.
        decades: by which the gradients are too large, for the loss was multiplied by a factor.
        received_at: the time of the backward pass that has reached it (`bad.Findings.now`).
    """

    place: int
    chain: int
    time: int
    outputs: dict[str, Output]
    states: tuple[str, ...] | None
    has_graph: bool
    before: "Step | None"
    decades: float = 0.0
    received_at: tuple[int, int] = (0, 0)

    @property
    def state(self) -> list[Output]:
        """h_t, and c_t if there is one; none where these are not known."""
        return [self.outputs[path] for path in self.states or ()]

    @property
    def has_come(self) -> bool:
        """Whether a gradient has come."""
        return any(each.received is not None for each in self.outputs.values())


def profile_of(steps: list[Step], is_mean: bool) -> Profile:
    """Return the columns of connected calls, whose states are known.

    Args:
        steps: the calls.
        is_mean: whether the loss is a mean over the batch, which is the first axis of a state.
    """
    columns: dict[str, np.ndarray] = {}
    reached = any(step.has_come for step in steps)
    for place, name in enumerate(_NAMES[: min(len(step.state) for step in steps)]):
        states = [step.state[place] for step in steps]
        columns[name] = _log10([state.received for state in states], is_mean)
        floor = math.log10(torch.finfo(states[0].dtype).tiny) + _MARGIN
        statuses = [_status(each, floor, reached) for each in columns[name].tolist()]
        columns[name] -= [step.decades for step in steps]
        columns[status_of(name)] = np.array(statuses, dtype=np.int8)
    sizes = torch.stack([step.state[0].norm for step in steps]).cpu().numpy()
    numbers = np.array([math.prod(step.state[0].shape) for step in steps])
    return Profile(0, 0, columns | {"state_rms": sizes / np.sqrt(numbers)})


def _rows(values: Tensor) -> Tensor:
    return values.reshape(1, -1) if values.ndim < 2 else values.flatten(1)


def norm_of(values: Tensor) -> Tensor:
    """Return the norm of all numbers, in float64."""
    if values.dtype == torch.float64:
        return norm(_rows(values))
    return torch.linalg.vector_norm(values, dtype=torch.float64)


def _log10(gradients: Sequence[Tensor | None], is_mean: bool) -> np.ndarray:
    """Return log10 of the root mean square over the batch of each sequence's gradient norm."""
    norms = np.full(len(gradients), -math.inf)
    came = [place for place, each in enumerate(gradients) if each is not None]
    rows = [_rows(each) for each in gradients if each is not None]
    if rows:
        # All are read at once: a GPU is waited for once.
        norms[came] = _log10_norms(rows).cpu().numpy()
        norms[came] += [
            math.log10(len(each) if is_mean else 1) - 0.5 * math.log10(len(each)) for each in rows
        ]
    return norms


def _log10_norms(rows: Sequence[Tensor]) -> Tensor:
    if len({(each.shape, each.dtype, each.device) for each in rows}) == 1:
        return log10_norm(torch.stack([*rows]))
    return torch.stack([log10_norm(each.double()) for each in rows])


def _status(log10_norm: float, floor: float, reached: bool) -> int:
    if not reached:
        return _WORDS["cut_off"]
    if math.isnan(log10_norm):
        return _WORDS["nan"]
    if math.isinf(log10_norm):
        return _WORDS["inf" if log10_norm > 0 else "zero"]
    return _WORDS["underflow" if log10_norm < floor else "ok"]
