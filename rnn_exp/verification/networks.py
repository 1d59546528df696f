"""Checks of activations and cells: slopes and adjoints against oracles that are independent."""

from collections.abc import Iterator

import torch

from rnn_exp.networks import Activation, CellKind
from rnn_exp.networks.checking import check_cell
from rnn_exp.verification.finding import Finding, truth

__all__ = ["check_activation", "check_kind"]

_STEP = 1e-6  # of central differences in float64
_AWAY = 1e-4  # from the places where φ or a derivative jumps
_DIFFERENCES = 1e-7
_FOUND = 1e-6  # of a largest slope that was looked for on a grid


def check_activation(part: str, phi: Activation) -> Iterator[Finding]:
    """Yield what is found of an activation.

    Args:
        part: what it is called in findings.
        phi: the activation.
    """
    u = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    for place in phi.where_not_smooth:
        u = u[(u - place).abs() > _AWAY]
    differences = (phi(u + _STEP) - phi(u - _STEP)) / (2 * _STEP)
    slope = phi.derivative(u)
    size = 1 + slope.abs()
    off = float(((slope - differences) / size).abs().max())
    yield Finding(part, "φ' is that of central differences", off, _DIFFERENCES)
    excess = float(slope.abs().max()) - phi.largest_slope
    yield Finding(part, "no |φ'| is above the largest slope", max(excess, 0.0), _FOUND)
    values = phi(torch.linspace(-100, 100, 4001, dtype=torch.float64))
    yield truth(part, "φ is finite from -100 to 100", bool(values.isfinite().all()))
    within = bool((values.abs() <= 1).all())
    yield truth(part, "|φ| is at most 1 where that is said", within or not phi.bounded)


def check_kind(part: str, kind: CellKind) -> Iterator[Finding]:
    """Yield what is found of a cell.

    Args:
        part: what it is called in findings.
        kind: of the cell.
    """
    found = check_cell(kind)
    for each in found:
        yield truth(part, f"{each.where}: {each.said}", False)
    if not found:
        claim = (
            "gradients of every time step are those of autograd and of differences (T = 1, 3, 6), "
            "runs have the same bits alone and together"
        )
        yield truth(part, claim, True)
