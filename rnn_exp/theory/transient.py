r"""The mean field before it is stationary: a length and a χ for every time step.

A plain network starts from a constant state h_0, and what drives it differs from step to step. Its
pre-activations u_t = W h_{t-1} + a_t, W_ij ~ N(0, g²/n), have the variances (Poole et al. 2016,
eq. 3, for recurrent weights and a drive that changes; derivation: ours)

    q_1 = g² h_0² + s_1²,      q_{t+1} = g² E[φ(√q_t z)²] + s_{t+1}²,      z ~ N(0, 1),

s_t² = mean square of a_t over units and sequences. A step back from t to t − 1 multiplies
‖∂L/∂h‖² by χ_t = g² E[φ'(√q_t z)²], so that where only the last step has a direct part

    ln‖g_{T-k}‖ − ln‖g_T‖ = Σ ½ ln χ_t  over the k last steps, t = T − k + 1 … T.

With drives that stay the same χ_t tends to the χ of `rnn_exp.theory.stationary`: for weak drives
only after tens of steps.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.shapes import Float
from rnn_exp.theory.quadrature import STEEPEST, mean_square, mean_square_slope, mean_squares
from rnn_exp.theory.stationary import no_gain

__all__ = ["Transient", "balanced", "edge_gain", "log_steps", "transient"]

_FLAT = 20.0  # a table up to here takes milliseconds, up to 1000 a tenth of a second
_SPACING = 0.02  # of the interpolation, in arsinh √q
_TOLERANCE = 1e-10  # of the logarithm of the gain
_EVALUATIONS = 60
_DOUBLINGS = 24


class Transient(NamedTuple):
    """The variance q_t of the pre-activations and χ_t, for t = 1…T; NaN where not resolved."""

    q: Float[np.ndarray, " time"]
    chi: Float[np.ndarray, " time"]


def transient(
    activation: str, gain: float, drives: Sequence[float], initial_state: float = 0.0
) -> Transient:
    """Return q_t and χ_t of every time step.

    Args:
        activation: the word of φ.
        gain: g, the standard deviation of W times √n.
        drives: s_1²…s_T², the mean square of what inputs and biases give a unit at each step.
        initial_state: h_0 of every unit.

    Returns:
        Two arrays of T numbers. For a φ that is not homogeneous they are NaN from the step on at
        which √q exceeds 1000.

    Raises:
        ValueError: for a gain or a drive that is negative or NaN.

    Example:
        >>> transient("relu", 2.0, [1.0, 0.0, 0.0]).q.round(9).tolist()  # q_{t+1} = g²/2 q_t
        [1.0, 2.0, 4.0]
        >>> transient("tanh", 0.5, [0.0, 0.0], initial_state=1.0).q.round(4).tolist()
        [0.25, 0.0434]
    """
    if not (gain >= 0 and all(drive >= 0 for drive in drives)):
        raise ValueError(f"gain and drives are at least 0, got {gain=}, {drives=}")
    first = gain * gain * initial_state * initial_state
    if ACTIVATIONS[activation].homogeneous:
        return _homogeneous(activation, gain, drives, first)
    most = gain * gain * max(1.0, initial_state * initial_state) + max(drives, default=0.0)
    flat = ACTIVATIONS[activation].bounded and most <= _FLAT**2
    squares, slopes = _interpolants(activation, _FLAT if flat else STEEPEST)
    q, carried = np.full(len(drives), math.nan), first
    for t, drive in enumerate(drives):
        length = carried + drive
        if not length <= STEEPEST**2:
            break
        q[t] = length
        place, rest = divmod(math.asinh(math.sqrt(length)) / _SPACING, 1.0)
        a, b, c, d, e, f = squares[int(place)]
        carried = gain * gain * (a + rest * (b + rest * (c + rest * (d + rest * (e + rest * f)))))
    resolved = ~np.isnan(q)
    places = np.arcsinh(np.sqrt(q[resolved])) / _SPACING
    powers = np.vander(places % 1.0, 6, increasing=True)
    chi = np.full(len(drives), math.nan)
    chi[resolved] = gain * gain * (slopes[places.astype(int)] * powers).sum(axis=1)
    return Transient(q, chi)


@functools.lru_cache(8)
def _interpolants(
    activation: str, steepest: float
) -> tuple[list[list[float]], Float[np.ndarray, "interval power"]]:
    """Return the polynomials of degree 5 that give E[φ(s z)²] and E[φ'(s z)²] for s ≤ ``steepest``.

    Both are smooth in s, and even where φ is smooth (else s < 0 is left out). They are computed at
    equal distances in arsinh s, and through the six points around an interval goes its polynomial,
    in the share of the interval; the error is below 1e-8, or 1e-6 where φ is not smooth at 0.
    """
    phi, last = ACTIVATIONS[activation], math.ceil(math.asinh(steepest) / _SPACING)
    places = range(0 if phi.where_not_smooth else -2, last + 4)
    values = [mean_squares(phi, math.sinh(place * _SPACING)) for place in places]
    while len(values) < last + 6:  # the polynomial through the first six goes on below 0
        values.insert(0, (np.array([6, -15, 20, -15, 6, -1]) @ np.array(values[:6])).tolist())
    around = np.lib.stride_tricks.sliding_window_view(np.array(values), 6, axis=0)
    to_powers = np.linalg.inv(np.vander(np.arange(-2.0, 4.0), 6, increasing=True))
    squares, slopes = np.moveaxis(around @ to_powers.T, 1, 0)
    return squares.tolist(), slopes


def _homogeneous(
    activation: str, gain: float, drives: Sequence[float], carried: float
) -> Transient:
    """Return q_t by q_{t+1} = c q_t + s², and χ, which does not depend on q; q may be infinite."""
    phi = ACTIVATIONS[activation]
    kept = gain * gain * mean_square(phi, 1.0)
    chi = gain * gain * mean_square_slope(phi, 1.0)
    lengths = []
    for drive in drives:
        lengths.append(carried + drive)
        carried = kept * lengths[-1]
    return Transient(np.array(lengths), np.full(len(drives), chi))


def log_steps(chi: Float[np.ndarray, " time"]) -> Float[np.ndarray, " lag"]:
    """Return ln‖g_{t-1}‖ − ln‖g_t‖ = ½ ln χ_t for the steps back T, T − 1, …, 2.

    Args:
        chi: χ_1…χ_T. That of the first step leads to h_0, whose gradient nobody looks at.

    Example:
        >>> log_steps(np.array([9.0, 1.0, np.e**2])).tolist()
        [1.0, 0.0]
    """
    with np.errstate(divide="ignore"):
        return 0.5 * np.log(chi[:0:-1])


def edge_gain(activation: str, drives: Sequence[float], initial_state: float = 0.0) -> float:
    """Return the gain at which the gradient of the first state is as large as that of the last.

    There Σ ½ ln χ_t over t = 2…T is 0 (derivation: ours). With a stationary start it is the
    critical gain of `stationary.critical_gain`.

    Args:
        activation: the word of φ.
        drives: s_1²…s_T², at least two of them.
        initial_state: h_0 of every unit.

    Raises:
        ValueError: for fewer than two steps, for a drive that is not finite, for drives so large
            that this gain lies where the integrals are not resolved, and where states grow beyond
            that at every gain at which the gradient does not vanish.

    Example:
        >>> round(edge_gain("relu", [1.0] * 5), 9)
        1.414213562
    """
    if len(drives) < 2:
        raise ValueError("a change over the sequence needs at least two time steps")

    drive = sum(drives) / len(drives)
    if not 0 <= drive < math.inf:
        raise ValueError(f"the drive is a finite number of at least 0, got {drive}")

    def change(gain: float) -> float:
        return float(log_steps(transient(activation, gain, drives, initial_state).chi).sum())

    gain = balanced(change, 1 / ACTIVATIONS[activation].largest_slope)
    if gain is None:
        raise ValueError(no_gain(activation, drive))
    return gain


def balanced(
    change: Callable[[float], float],
    start: float,
    *,
    tolerance: float = _TOLERANCE,
    evaluations: int = _EVALUATIONS,
) -> float | None:
    """Return a gain at which a change that rises with the gain crosses 0; None: none was found.

    The search doubles or halves the gain until the change has the other sign, and then goes on by
    regula falsi in ln g (the Illinois variant: Dowell & Jarratt 1971), which needs about ten
    evaluations.

    Args:
        change: ln‖g_1‖ − ln‖g_T‖ as a function of the gain; NaN: not resolved.
        start: the gain to begin with.
        tolerance: of ln g.
        evaluations: the most there may be, beside those of the first search.
    """
    bracket = _bracket(change, start)
    if bracket is None:
        return None
    (low, f_low), (high, f_high) = bracket
    side = 0
    for _ in range(evaluations):
        if f_low == 0 or high - low <= tolerance:
            return math.exp(low)
        middle = low - f_low * (high - low) / (f_high - f_low)
        if not low < middle < high:
            middle = 0.5 * (low + high)
        value = change(math.exp(middle))
        if math.isnan(value):
            return None
        if abs(value) <= tolerance:
            return math.exp(middle)
        if value < 0:
            low, f_low, f_high = middle, value, f_high / 2 if side < 0 else f_high
            side = -1
        else:
            high, f_high, f_low = middle, value, f_low / 2 if side > 0 else f_low
            side = 1
    return math.exp(low if abs(f_low) < abs(f_high) else high)


def _bracket(
    change: Callable[[float], float], start: float
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return (ln g, change) below and above 0, a factor of 2 apart; None: there is no such pair.

    Where a larger gain is not resolved, a smaller step up is tried: states may have grown.
    """
    at, value, step = math.log(start), change(start), math.log(2)
    if math.isnan(value):
        return None
    up = value < 0
    for _ in range(_DOUBLINGS):
        ahead = at + (step if up else -step)
        following = change(math.exp(ahead))
        if math.isnan(following) and up:
            step /= 2
            continue
        if math.isnan(following):
            return None
        if (following >= 0) == up or following == 0:
            pair = (at, value), (ahead, following)
            return pair if up else (pair[1], pair[0])
        at, value = ahead, following
    return None
