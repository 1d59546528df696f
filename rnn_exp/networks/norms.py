r"""Norms that neither under- nor overflow falsely, and the status of each gradient norm.

Squares of float32 numbers are added up in float64, which holds them all; float64 numbers are
scaled by their largest first. 64 entries of 1e-23 have the float32 norm 0, 64 of 1e20 have inf.
"""

import functools
import math

import torch
from torch import Tensor

from rnn_exp.networks.cells.layout import cache_blocks
from rnn_exp.schema import GRADIENT_STATUSES
from rnn_exp.shapes import Float, Shaped

__all__ = ["log10_norm", "norm", "norm_of_parameter", "norm_statuses", "quick_log10_norm"]

# Decades by which a norm may be off for what was lost on its way and still be called ok.
_APART = 0.01
# Squares of numbers up to this, and of those that matter beside its reciprocal, fit float64.
_MODERATE = 1e100


def norm(values: Float[Tensor, "*kept rows columns"]) -> Float[Tensor, "*kept"]:
    r"""Return √(Σ v²) over the last two axes, in float64; inf where even that cannot hold it.

    Example:
        >>> round(norm(torch.full((1, 4, 25), 1e-30)).item() / 1e-29, 6)
        1.0
    """
    if values.dtype != torch.float64:
        return _widened_norm(values)
    scaled, scale = _scaled_norm(values)
    return scaled * scale


def norm_of_parameter(values: Float[Tensor, "run ..."]) -> Float[Tensor, " run"]:
    """Return each run's norm of a parameter, be it a matrix or not."""
    return norm(values if values.ndim == 3 else values.flatten(1).unsqueeze(1))


def log10_norm(values: Float[Tensor, "*kept rows columns"]) -> Float[Tensor, "*kept"]:
    r"""Return log10 √(Σ v²) over the last two axes; it exists where the norm itself overflows.

    Example:
        >>> log10_norm(torch.full((1, 4, 25), 1e-30)).round(decimals=4).item()
        -29.0
    """
    if values.dtype != torch.float64:
        return _widened_norm(values).log10()
    scaled, scale = _scaled_norm(values)
    return scaled.log10() + scale.log10()


def quick_log10_norm(values: Float[Tensor, "*kept rows columns"]) -> Float[Tensor, "*kept"]:
    """Do as `log10_norm` with float64 numbers that are most often of a moderate size."""
    found = torch.linalg.vector_norm(values, dim=(-2, -1))
    moderate = (found > 1 / _MODERATE) & (found < _MODERATE)
    if bool(moderate.all()):
        return found.log10()
    return torch.where(moderate, found.log10(), log10_norm(values))


def _scaled_norm(values: Float[Tensor, "*kept rows columns"]) -> tuple[Tensor, Tensor]:
    """Return the norm of float64 numbers / scale, and the scale."""
    largest = values.abs().amax(dim=(-2, -1), keepdim=True)
    scale = torch.where((largest > 0) & largest.isfinite(), largest, 1.0)
    return torch.linalg.vector_norm(values / scale, dim=(-2, -1)), scale[..., 0, 0]


def _widened_norm(values: Float[Tensor, "*kept rows columns"]) -> Float[Tensor, "*kept"]:
    # torch widens a copy of what it is given; a cacheful at a time that copy costs little.
    wide = functools.partial(torch.linalg.vector_norm, dim=(-2, -1), dtype=torch.float64)
    parts = [wide(part) for part in cache_blocks(values)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def norm_statuses(
    seen: Float[Tensor, "layer time run"],
    true: Float[Tensor, "layer time run"],
    small: Shaped[Tensor, "layer time run"],
    spoilt: Shaped[Tensor, "layer time run"],
    cut: Shaped[Tensor, "*layer time run"],
) -> Shaped[Tensor, "layer time run"]:
    """Return an index into `GRADIENT_STATUSES` for every norm.

    ``inf``, ``nan``: what training computed is that. ``cut_off``: zero, behind the cut of truncated
    backpropagation. ``zero``: training computed (next to) nothing, and that is the exact value.
    ``underflow``: the exact value is not zero, but training's is, or has lost digits.

    Args:
        seen: log10 of the norms as training computed them.
        true: as they are.
        small: where training's is below the floor under which digits are lost.
        spoilt: where training's is made of gradients that had lost digits; it is then ok only if
            it agrees with the true one.
        cut: what truncated backpropagation does not reach.
    """
    status = torch.zeros_like(seen, dtype=torch.int8)
    apart = spoilt & ((seen - true).abs() > _APART)
    for word, where in (
        ("underflow", small | apart),
        ("zero", small & (true == -math.inf)),
        ("cut_off", cut & (seen == -math.inf)),
        ("inf", seen == math.inf),
        ("nan", seen.isnan()),
    ):
        status[where] = GRADIENT_STATUSES.index(word)
    return status
