r"""Recording: gradient norms per layer and time step, in log space, with a status each.

The gradient norm at time t is the root mean square over the batch of the per-sequence norm
‖∂L_b/∂h_{t,b}‖. The loss is a mean over B sequences, so it is √B ‖∂L/∂h_t‖_F and does not depend
on the batch size. Norms are accumulated in float64, or scaled by the largest entry where float64
itself could overflow, and kept as log10: float32 norms of 64 entries of 1e-23 are 0, of 1e20 inf.
"""

import dataclasses
import functools
import math

import numpy as np
import torch
from torch import Tensor

from rnn_exp.activations import Activation
from rnn_exp.blocks import cachefuls
from rnn_exp.engines import Gradients
from rnn_exp.settings import check, whole
from rnn_exp.shapes import Float

__all__ = ["COLUMNS", "STATUSES", "Recording", "log10_norm", "norm64", "norm_statuses", "profile"]

COLUMNS = ("log10_total", "log10_direct", "saturation", "state_rms")
STATUSES = ("ok", "zero", "underflow", "inf", "nan")

# A norm this many decades above the smallest normal number can be followed by a rounded-off zero.
_UNDERFLOW_REACH = 8


@dataclasses.dataclass(frozen=True)
class Recording:
    """How often to record: at every ``every``-th update, and always at the first and the last.

    Raises:
        SettingError: if ``every`` is below 1.
    """

    every: int = whole(10, least=1)

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    def wanted(self, update: int, updates: int) -> bool:
        """Say whether this update is recorded."""
        return update % self.every == 0 or update == updates - 1


def log10_norm(values: Float[Tensor, "*kept batch hidden"]) -> Float[Tensor, "*kept"]:
    r"""Return log10 √(Σ v²) over the last two axes, without false underflow or overflow.

    Example:
        >>> log10_norm(torch.full((1, 4, 25), 1e-30)).round(decimals=4).item()
        -29.0
    """
    if values.dtype == torch.float64:
        largest = values.abs().amax(dim=(-2, -1), keepdim=True)
        scale = torch.where((largest > 0) & largest.isfinite(), largest, 1.0)
        norm = torch.linalg.vector_norm(values / scale, dim=(-2, -1))
        return norm.log10() + scale[..., 0, 0].log10()
    return norm64(values).log10()


def norm64(values: Float[Tensor, "*kept batch hidden"]) -> Float[Tensor, "*kept"]:
    """Return the Frobenius norm over the last two axes, accumulated in float64.

    torch widens a copy of what it is given; a cacheful at a time that copy costs little.
    """
    norm = functools.partial(torch.linalg.vector_norm, dim=(-2, -1), dtype=torch.float64)
    if values.dim() == 2:
        return norm(values)
    return torch.cat([norm(part) for part in cachefuls(values)])


def profile(gradients: Gradients, activation: Activation) -> Float[Tensor, "column layer time run"]:
    """Return `COLUMNS` for every layer, time step and run.

    total and direct: log10 of the gradient norm. saturation: mean φ' over batch and units (the
    smaller, the more saturated). state_rms: root mean square of h over batch and units.
    """
    layers = []
    for states, direct, total in zip(
        gradients.states, gradients.direct, gradients.total, strict=True
    ):
        B, H = states.shape[-2:]
        per_sequence = 0.5 * math.log10(B)
        rms = norm64(states)
        layers.append(
            torch.stack([
                log10_norm(total) + per_sequence,
                _from_the_end(log10_norm(direct) + per_sequence, len(states)),
                activation.slope(states).mean(dim=(-2, -1)).double(),
                rms / math.sqrt(B * H),
            ])
        )  # fmt: skip
    return torch.stack(layers, dim=1)


def _from_the_end(norms: Tensor, T: int) -> Tensor:
    """Put −∞, the log of nothing, in front of the norms of the last steps."""
    return torch.nn.functional.pad(norms, (0, 0, T - len(norms), 0), value=-math.inf)


def norm_statuses(log10_total: np.ndarray, entries: int, dtype: torch.dtype) -> np.ndarray:
    """Return an index into `STATUSES` for every norm; time is the last axis.

    ``underflow``: the entries are below the smallest normal number of the precision (so digits are
    lost), or they are zero right after (in the order of the backward pass) norms that were within
    a few decades of it. ``zero``: any other exact zero, as behind a dead relu.
    """
    floor = math.log10(torch.finfo(dtype).tiny) + 0.5 * math.log10(entries)
    backwards = log10_total[..., ::-1]
    finite = np.isfinite(backwards)
    position = np.maximum.accumulate(np.where(finite, np.arange(backwards.shape[-1]), 0), axis=-1)
    before = np.take_along_axis(backwards, position, axis=-1)[..., ::-1]
    zero = np.isneginf(log10_total)
    lost = (log10_total < floor) & (
        ~zero | (before < floor + _UNDERFLOW_REACH) & np.isfinite(before)
    )
    status = np.zeros(log10_total.shape, dtype=np.int8)
    status[zero] = STATUSES.index("zero")
    status[lost] = STATUSES.index("underflow")
    status[np.isposinf(log10_total)] = STATUSES.index("inf")
    status[np.isnan(log10_total)] = STATUSES.index("nan")
    return status
