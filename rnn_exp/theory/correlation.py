r"""How alike two sequences stay: the map of the correlation of their pre-activations.

Two state sequences of one network, u^a and u^b, both of the stationary length q*, have the
correlation c = (u^a · u^b) / (n q*). One time step later, under inputs that correlate c_in,

    c' = (g² E[φ(√q* z₁) φ(√q* z₂)] + s² c_in) / q*,      z₁, z₂ ~ N(0, 1) with E[z₁ z₂] = c.

(Poole et al. 2016, eq. 5; Schoenholz et al. 2017, for recurrent weights; Molgedey,
Schuchhardt & Schuster 1992 for common drive.) Inputs that are the same, c_in = 1, make c = 1 a
fixed point, whose slope is χ: χ < 1, and all states come together; χ > 1, and they part: chaos.

All functions take an activation by name, a gain g and a drive s² (the variance that inputs and
biases add to a pre-activation), as `rnn_exp.theory.stationary` does. The means are integrals over
a grid, exact to rounding for a smooth φ; for a piecewise linear φ they have a closed form.
"""

import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.theory.quadrature import gaussian_mean, gaussian_means, nodes, pieces
from rnn_exp.theory.stationary import mean_field

__all__ = ["correlation_map", "correlation_slope", "fixed_correlation"]

_STEEPEST = 25.0  # of √q: the plane needs the square of as many nodes as a line
_HALVINGS = 45
_NEAREST, _CUTS = 1e-8, 30  # how near to a break the plane is cut, and how often doubled
_ROWS = 128  # of the plane that are held at once


def correlation_map(
    activation: str, gain: float, drive: float, c: float, input_correlation: float = 1.0
) -> float:
    """Return the correlation c' one time step after it was c.

    Args:
        activation: the name of φ.
        gain: g, of W_ij ~ N(0, g²/n).
        drive: s², the variance that inputs and biases add to a pre-activation.
        c: the correlation now, from −1 to 1.
        input_correlation: c_in, that of the two inputs, from −1 to 1.

    Returns:
        The correlation at the next time step.

    Raises:
        ValueError: for a correlation outside [−1, 1], and where the states have no stationary
            length to correlate at: q* = 0 or infinite, or, for a φ that is not piecewise linear,
            steeper than √q* = 25.

    Example:
        >>> round(correlation_map("tanh", 1.0, 0.25, 1.0), 12)
        1.0
        >>> correlation_map("identity", 0.5, 1.0, 0.0)  # c' = g² c + (1 − g²) c_in
        0.75
    """
    _check_correlation("input_correlation", input_correlation)
    q = _stationary_length(activation, gain, drive)
    return (gain * gain * _mean_product(activation, q, c) + drive * input_correlation) / q


def correlation_slope(activation: str, gain: float, drive: float, c: float) -> float:
    """Return dc'/dc = g² E[φ'(√q* z₁) φ'(√q* z₂)]; at c = 1 it is χ.

    Below 1 at a fixed point, that point attracts: a small difference from it shrinks by the
    slope every time step (Schoenholz et al. 2017).

    Args:
        activation: the name of φ.
        gain: g, of W_ij ~ N(0, g²/n).
        drive: s², the variance that inputs and biases add to a pre-activation.
        c: the correlation at which the slope is wanted, from −1 to 1.

    Returns:
        The derivative of `correlation_map` by c.

    Raises:
        ValueError: as `correlation_map`.

    Example:
        >>> round(correlation_slope("tanh", 2.0, 0.0, 1.0), 6)
        1.362673
    """
    q = _stationary_length(activation, gain, drive)
    return gain * gain * _mean_product_of_slopes(activation, q, c)


def fixed_correlation(
    activation: str, gain: float, drive: float, input_correlation: float = 1.0
) -> float:
    """Return the attracting fixed point c* of the correlation map in [0, 1].

    For c_in ≥ 0 the map is a power series in c with coefficients ≥ 0 (Mehler's formula), hence
    rising and convex on [0, 1]: it crosses c once from above, unless c_in = 1 and χ ≤ 1, where
    it first meets c at c = 1.

    Args:
        activation: the name of φ.
        gain: g, of W_ij ~ N(0, g²/n).
        drive: s², the variance that inputs and biases add to a pre-activation.
        input_correlation: c_in, that of the two inputs, from 0 to 1.

    Returns:
        The correlation at which two state sequences end.

    Raises:
        ValueError: for an input correlation outside [0, 1], and as `correlation_map`.

    Example:
        >>> fixed_correlation("tanh", 0.9, 0.25)  # χ < 1: the same input, the same states
        1.0
        >>> round(fixed_correlation("identity", 0.5, 1.0, 0.3), 9)
        0.3
    """
    if input_correlation < 0:
        raise ValueError(f"input_correlation={input_correlation} is not in [0, 1]")
    if input_correlation == 1 and correlation_slope(activation, gain, drive, 1.0) <= 1:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = correlation_map(activation, gain, drive, middle, input_correlation) > middle
        low, high = (middle, high) if above else (low, middle)
    return 0.5 * (low + high)


def _mean_product(activation: str, q: float, c: float) -> float:
    """Return E[φ(√q z₁) φ(√q z₂)], z₁ and z₂ standard normal with correlation c."""
    _check_correlation("c", c)
    if halves := ACTIVATIONS[activation].halves:
        return q * _piecewise_linear_product(halves, c)
    return _integral(activation, q, c, slopes=False)


def _mean_product_of_slopes(activation: str, q: float, c: float) -> float:
    """Return E[φ'(√q z₁) φ'(√q z₂)], z₁ and z₂ standard normal with correlation c."""
    _check_correlation("c", c)
    if halves := ACTIVATIONS[activation].halves:
        return _piecewise_linear_slopes(halves, c)
    return _integral(activation, q, c, slopes=True)


def _integral(activation: str, q: float, c: float, *, slopes: bool) -> float:
    """Return the mean product of φ, or of φ', over a grid with z₂ = c z₁ + √(1 − c²) z."""
    phi, length = ACTIVATIONS[activation], math.sqrt(q)
    function = phi.derivative if slopes else phi
    if phi.where_not_smooth:
        return _integral_in_pieces(function, phi.where_not_smooth, length, c)
    z = nodes(length)
    first = function(length * z)
    second = function(length * (c * z.unsqueeze(-1) + math.sqrt(1 - c * c) * z))
    return gaussian_mean(first * gaussian_means(second))


def _integral_in_pieces(
    function: Callable[[Tensor], Tensor], breaks: Sequence[float], length: float, c: float
) -> float:
    """Return the same of a φ that is not smooth: both axes are cut where it is not.

    The inner mean changes within √(1 − c²) of a break. There the outer axis is cut ever finer.
    """
    rest, at = math.sqrt(max(0.0, 1 - c * c)), torch.tensor(breaks, dtype=torch.float64) / length
    if rest == 0:
        z, weights = pieces(length, torch.cat([at, -at]))
        return float(weights @ (function(length * z) * function(length * c * z)))
    near = max(rest, _NEAREST) * 2.0 ** torch.arange(-2, _CUTS)
    turns = torch.cat([at, at / c]) if c else at
    offsets = torch.cat([-near.flip(0), torch.zeros(1), near])
    z, weights = pieces(length, (turns.unsqueeze(-1) + offsets).flatten())
    total = 0.0
    for some, share in zip(torch.split(z, _ROWS), torch.split(weights, _ROWS), strict=True):
        inner, inner_weights = pieces(length * rest, (at - c * some.unsqueeze(-1)) / rest)
        second = function(length * (c * some.unsqueeze(-1) + rest * inner))
        total += float(share @ (function(length * some) * (inner_weights * second).sum(-1)))
    return total


def _piecewise_linear_product(halves: tuple[float, float], c: float) -> float:
    """Return E[φ(z₁) φ(z₂)] for φ with the slopes (a, b): no grid in the plane fits its kink.

    φ(z) = b relu(z) − a relu(−z), so it is (a² + b²) K(c) − 2ab K(−c), where K is half the
    arc-cosine kernel of degree 1 (Cho & Saul 2009),

        K(c) = E[relu(z₁) relu(z₂)] = (√(1 − c²) + c (π − arccos c)) / 2π.

    K(c) − K(−c) = c/2 leaves (b − a)² K(c) + ab c, in which nothing cancels.
    """
    a, b = halves
    kernel = math.sqrt(1 - c * c) / (2 * math.pi) + c * _both_positive(c)
    return (b - a) ** 2 * kernel + a * b * c


def _piecewise_linear_slopes(halves: tuple[float, float], c: float) -> float:
    """Return E[φ'(z₁) φ'(z₂)] for φ with the slopes (a, b).

    With P the probability that both are positive it is (a² + b²) P + 2ab (½ − P), which is
    (b − a)² P + ab.
    """
    a, b = halves
    return (b - a) ** 2 * _both_positive(c) + a * b


def _both_positive(c: float) -> float:
    """Return P(z₁ > 0, z₂ > 0), half the arc-cosine kernel of degree 0 (Cho & Saul 2009)."""
    return 0.5 - math.acos(c) / (2 * math.pi)


@functools.lru_cache(64)
def _stationary_length(activation: str, gain: float, drive: float) -> float:
    """Return q*, if it is one at which states can correlate."""
    q = mean_field(activation, gain, drive).q
    too_steep = not ACTIVATIONS[activation].homogeneous and q > _STEEPEST**2
    if not 0 < q < math.inf or too_steep:
        setting = f"{activation} with {gain=:g} and {drive=:g}"
        raise ValueError(f"no correlation is defined for {setting}: its states have q* = {q:g}")
    return q


def _check_correlation(name: str, value: float) -> None:
    if not -1 <= value <= 1:
        raise ValueError(f"{name}={value} is not in [-1, 1]")
