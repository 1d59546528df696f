r"""Norms that neither under- nor overflow falsely, and the status of each gradient norm.

Squares of float32 numbers are added up in float64, which holds them all; float64 numbers are
scaled by their largest first. 64 entries of 1e-23 have the float32 norm 0, 64 of 1e20 have inf.

The norm of a sum of outer products needs none of them (the Gram form):

    ‖Σ_b l_b r_bᵀ‖² = Σ_{b,b'} (l_b·l_b') (r_b·r_b').

It loses digits where the products nearly cancel: at most about n κ² 2^-53 of the norm is wrong,
n = the numbers of a row and κ = Σ_b ‖l_b‖‖r_b‖ / ‖Σ_b l_b r_bᵀ‖. From κ = 100 on, and where the
sum may not fit the precision of l and r, it is multiplied out in float64.
"""

import functools
import math
from typing import Final

import torch
from torch import Tensor

from rnn_exp.networks.cells.layout import cache_blocks
from rnn_exp.schema import GRADIENT_STATUSES
from rnn_exp.shapes import Float, Shaped

__all__ = [
    "MOST_NUMBERS",
    "largest_singular_value",
    "log10_norm",
    "log10_norm_of_product",
    "norm",
    "norm_of_parameter",
    "norm_statuses",
    "quick_log10_norm",
    "which_fit",
]

MOST_NUMBERS: Final = 1 << 20
"""Numbers of products that are held at a time: they are many, and only norms are wanted."""

# Decades by which a norm may be off for what was lost on its way and still be called ok.
_APART = 0.01
# Squares of numbers up to this, and of those that matter beside its reciprocal, fit float64.
_MODERATE = 1e100
# The Gram form is quicker where it has at most this share of the multiplications (measured): it
# needs float64, which float32 numbers are multiplied out without.
_GRAM_PAYS = {torch.float32: 0.6, torch.float64: 1.25}
# The square of a sum over that of the sum of norms, 1 / κ², from which on it is multiplied out.
_CANCELLED = 1e-4
# Below this, of numbers of size 1, squares of what matters may have been too small for float64.
_LEAST = 1e-140


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


def which_fit(norms: Float[Tensor, "*kept"], dtype: torch.dtype) -> Shaped[Tensor, "*kept"] | None:
    """Say which roots of sums of squares are norms, as no square was lost; None: all are.

    Args:
        norms: √(Σ v²), in float64; 0 where all v are.
        dtype: of the numbers v; squares of float32 all fit float64.

    Example:
        >>> which_fit(torch.tensor([100.0, 1e-150], dtype=torch.float64), torch.float64).tolist()
        [True, False]
    """
    if dtype != torch.float64:
        return None
    fits = (norms == 0) | ((norms > 1 / _MODERATE) & (norms < _MODERATE))
    return None if bool(fits.all()) else fits


def log10_norm_of_product(
    left: Float[Tensor, "*kept batch rows"], right: Float[Tensor, "*kept batch columns"]
) -> Float[Tensor, "*kept"]:
    r"""Return log10 ‖leftᵀ right‖ = log10 ‖Σ_b l_b r_bᵀ‖ (Frobenius), in float64.

    It is inf where a number of the product overflows the precision of left and right.

    Args:
        left: l_b, a row each; at least one axis is kept.
        right: r_b, of the same precision.

    Example:
        >>> ones = torch.ones(1, 4, 25)
        >>> log10_norm_of_product(ones, ones).item()
        2.0
    """
    *kept, batch, rows = left.shape
    columns = right.shape[-1]
    by_gram = batch * (rows + columns) <= _GRAM_PAYS.get(left.dtype, 0.0) * rows * columns
    held = batch * (rows + columns) + (2 * batch * batch if by_gram else rows * columns)
    steps = max(1, MOST_NUMBERS // max(1, math.prod(kept[1:]) * held))
    # One place for all results, had before the first piece: small blocks of memory that are asked
    # for between large ones keep those from being used again, and the heap grows with every step.
    found = left.new_empty(kept, dtype=torch.float64)
    sure = torch.ones_like(found, dtype=torch.bool)
    for start in range(0, len(left), steps):
        piece = slice(start, start + steps)
        if by_gram:
            found[piece], sure[piece] = _log10_by_gram(left[piece], right[piece])
        else:
            found[piece] = _log10_norm_of(_products(left[piece], right[piece], left.dtype))
    if by_gram and not bool(sure.all()):
        for places in torch.split((~sure).nonzero(), max(1, MOST_NUMBERS // (rows * columns))):
            lost = tuple(places.T)
            product = _products(left[lost], right[lost], torch.float64)
            found[lost] = _log10_norm_of(product.to(left.dtype))
    return found


def _in_order(
    factors: Float[Tensor, "*kept rows columns"], dtype: torch.dtype
) -> Float[Tensor, "count rows columns"]:
    """Return matrices in a precision, one behind the other in new memory, and at least two.

    ``@`` copies a factor, or transposes it as it multiplies, by how what is kept lies in memory:
    in another way where a run is alone. The two are rounded otherwise, and so is a product that is
    the only one.
    """
    count = math.prod(factors.shape[:-2])
    made = factors.new_empty((max(2, count), *factors.shape[-2:]), dtype=dtype)
    made[:count].view(factors.shape).copy_(factors)
    made[count:] = made[:1]
    return made


def _products(
    left: Float[Tensor, "*kept batch rows"],
    right: Float[Tensor, "*kept batch columns"],
    dtype: torch.dtype,
) -> Float[Tensor, "*kept rows columns"]:
    """Return leftᵀ right in a precision, to the same bits alone and in company."""
    kept, count = left.shape[:-2], math.prod(left.shape[:-2])
    made = torch.bmm(_in_order(left, dtype).mT, _in_order(right, dtype))
    return made[:count].view(*kept, *made.shape[-2:])


def _gram(part: Float[Tensor, "*kept batch k"]) -> Float[Tensor, "*kept batch batch"]:
    """Return part partᵀ in float64, to the same bits alone and in company."""
    kept, count = part.shape[:-2], math.prod(part.shape[:-2])
    own = _in_order(part, torch.float64)
    made = torch.bmm(own, own.mT)
    return made[:count].view(*kept, *made.shape[-2:])


def _log10_by_gram(
    left: Float[Tensor, "*kept batch rows"], right: Float[Tensor, "*kept batch columns"]
) -> tuple[Float[Tensor, "*kept"], Shaped[Tensor, "*kept"]]:
    """Return log10 of the norm of a product, and where that has its digits."""
    largest, is_wide = math.log10(torch.finfo(left.dtype).max), left.dtype == torch.float64
    log10_scale: Tensor | float = 0.0
    if is_wide:
        (left, of_left), (right, of_right) = _scaled(left), _scaled(right)
        log10_scale = of_left.log10() + of_right.log10()
    grams = [_gram(part) for part in (left, right)]
    own, other = (gram.diagonal(dim1=-2, dim2=-1) for gram in grams)
    most = (own * other).sqrt().sum(-1)
    square = grams[0].mul_(grams[1]).sum((-2, -1))
    sure = (square > _CANCELLED * most.square()) & (most > _LEAST)
    # Squares of float32 numbers all fit float64: a sum that is 0 has nothing but zeros.
    sure = sure if is_wide else sure | (most == 0)
    return square.log10() / 2 + log10_scale, sure & (most.log10() + log10_scale < largest)


def _log10_norm_of(product: Float[Tensor, "*kept rows columns"]) -> Float[Tensor, "*kept"]:
    return quick_log10_norm(product) if product.dtype == torch.float64 else log10_norm(product)


def largest_singular_value(
    matrices: Float[Tensor, "*kept rows columns"],
) -> Float[Tensor, "*kept"]:
    r"""Return σ_max = √λ_max(W Wᵀ), in float64; all numbers must be finite.

    Example:
        >>> largest_singular_value(torch.tensor([[0.0, 3e-300], [0.0, 0.0]], dtype=torch.float64))
        tensor(3.0000e-300, dtype=torch.float64)
    """
    W, scale = _scaled(matrices.double())
    return torch.linalg.eigvalsh(W @ W.mT)[..., -1].clamp(min=0).sqrt() * scale


def _scaled_norm(values: Float[Tensor, "*kept rows columns"]) -> tuple[Tensor, Tensor]:
    """Return the norm of float64 numbers / scale, and the scale."""
    scaled, scale = _scaled(values)
    return torch.linalg.vector_norm(scaled, dim=(-2, -1)), scale


def _scaled(
    values: Float[Tensor, "*kept rows columns"],
) -> tuple[Float[Tensor, "*kept rows columns"], Float[Tensor, "*kept"]]:
    """Return numbers over the largest of them, and that; over 1 where it is 0 or not finite."""
    largest = values.abs().amax(dim=(-2, -1), keepdim=True)
    scale = torch.where((largest > 0) & largest.isfinite(), largest, 1.0)
    return values / scale, scale[..., 0, 0]


def _widened_norm(values: Float[Tensor, "*kept rows columns"]) -> Float[Tensor, "*kept"]:
    # torch widens a copy of what it is given; a cacheful at a time that copy costs little.
    wide = functools.partial(torch.linalg.vector_norm, dim=(-2, -1), dtype=torch.float64)
    parts = cache_blocks(values)
    return wide(values) if len(parts) == 1 else torch.cat(list(map(wide, parts)))


def norm_statuses(
    seen: Float[Tensor, "*which time run"],
    true: Float[Tensor, "*which time run"],
    small: Shaped[Tensor, "*which time run"],
    spoilt: Shaped[Tensor, "*which time run"],
    cut: Shaped[Tensor, "*of_these time run"] | None,
) -> Shaped[Tensor, "*which time run"]:
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
        cut: what truncated backpropagation does not reach; None: nothing is truncated.
    """
    status = torch.zeros_like(seen, dtype=torch.int8)
    lost = small if true is seen else small | (spoilt & ((seen - true).abs() > _APART))
    nothing = seen == -math.inf
    for word, where in (
        ("underflow", lost),
        ("zero", small & (nothing if true is seen else true == -math.inf)),
        *(() if cut is None else [("cut_off", cut & nothing)]),
        ("inf", seen == math.inf),
        ("nan", seen.isnan()),
    ):
        status.masked_fill_(where, GRADIENT_STATUSES.index(word))
    return status
