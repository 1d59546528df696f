r"""Norms that neither under- nor overflow falsely, and the status of each gradient norm.

Squares of float32 numbers are added up in float64, which holds them all; float64 numbers are
scaled by their largest first. 64 entries of 1e-23 have the float32 norm 0, 64 of 1e20 have inf.
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor

from rnn_exp.networks.cells.layout import cache_blocks
from rnn_exp.schema import GRADIENT_STATUSES
from rnn_exp.shapes import Float

__all__ = ["log10_norm", "norm", "norm_statuses"]

# A norm this many decades above the smallest normal number can be followed by a rounded-off zero.
_UNDERFLOW_REACH = 8


def norm(values: Float[Tensor, "*kept rows columns"]) -> Float[Tensor, "*kept"]:
    r"""Return √(Σ v²) over the last two axes, in float64; inf where even that cannot hold it.

    Example:
        >>> round(norm(torch.full((1, 4, 25), 1e-30)).item() / 1e-29, 6)
        1.0
    """
    scaled, scale = _scaled_norm(values)
    return scaled * scale


def log10_norm(values: Float[Tensor, "*kept rows columns"]) -> Float[Tensor, "*kept"]:
    r"""Return log10 √(Σ v²) over the last two axes; it exists where the norm itself overflows.

    Example:
        >>> log10_norm(torch.full((1, 4, 25), 1e-30)).round(decimals=4).item()
        -29.0
    """
    scaled, scale = _scaled_norm(values)
    return scaled.log10() + scale.log10()


def _scaled_norm(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the norm of values / scale, and the scale."""
    if values.dtype == torch.float64:
        largest = values.abs().amax(dim=(-2, -1), keepdim=True)
        scale = torch.where((largest > 0) & largest.isfinite(), largest, 1.0)
        return torch.linalg.vector_norm(values / scale, dim=(-2, -1)), scale[..., 0, 0]
    # torch widens a copy of what it is given; a cacheful at a time that copy costs little.
    wide = functools.partial(torch.linalg.vector_norm, dim=(-2, -1), dtype=torch.float64)
    found = torch.cat([wide(part) for part in cache_blocks(values)])
    return found, torch.ones_like(found)


def norm_statuses(log10_total: np.ndarray, B: int, H: int, dtype: torch.dtype) -> np.ndarray:
    """Return an index into `GRADIENT_STATUSES` for every gradient norm; time is the last axis.

    B sequences and H units with entries of size e make a gradient norm √B ‖G‖_F = e B √H.

    ``underflow``: the entries are below the smallest normal number of the precision (so digits are
    lost), or they are zero right after (in the order of the backward pass) norms that were within
    a few decades of it. ``zero``: any other exact zero, as behind a dead relu.
    """
    floor = math.log10(torch.finfo(dtype).tiny) + math.log10(B) + 0.5 * math.log10(H)
    backwards = log10_total[..., ::-1]
    finite = np.isfinite(backwards)
    position = np.maximum.accumulate(np.where(finite, np.arange(backwards.shape[-1]), 0), axis=-1)
    before = np.take_along_axis(backwards, position, axis=-1)[..., ::-1]
    zero = np.isneginf(log10_total)
    lost = (log10_total < floor) & (
        ~zero | (before < floor + _UNDERFLOW_REACH) & np.isfinite(before)
    )
    status = np.zeros(log10_total.shape, dtype=np.int8)
    status[zero] = GRADIENT_STATUSES.index("zero")
    status[lost] = GRADIENT_STATUSES.index("underflow")
    status[np.isposinf(log10_total)] = GRADIENT_STATUSES.index("inf")
    status[np.isnan(log10_total)] = GRADIENT_STATUSES.index("nan")
    return status
