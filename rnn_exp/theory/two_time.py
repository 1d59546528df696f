r"""The size of the gradient in cells that keep part of it: one W, met at two times.

A step back is δ_{k+1} = a_k δ_k + Wᵀ (b_k ⊙ δ_k), k counted from the last step, with the same W at
every step, W_ij ~ N(0, g²/n). Two paths back pair their i-th W even where they meet it at different
times, so the lags k and l have to be followed together. For C_{k,l} = ⟨δ_k · δ_l⟩ / ⟨δ_0²⟩ the
product of δ_{k+1} − a_k δ_k with δ_{l+1} − a_l δ_l gives (derivation: ours)

    C_{k+1,l+1} = a_k C_{k,l+1} + a_l C_{k+1,l} − a_k a_l C_{k,l} + g² B_{k,l} C_{k,l},
    B_{k,l} = E[b_k b_l],      C_{k,0} = C_{0,k} = a_0 ⋯ a_{k-1},

and ‖δ_k‖ / ‖δ_0‖ = √C_{k,k}. With a = 0 it is the mean field's χ = g² E[b²] a step. With a and b
that do not change ‖δ_k‖ grows as k^(−1/4) (a + g √(E b²))^k: 1 − α + α √χ for a leaky cell. The
one-step formula √(a² + g² E b²), which takes a new W at every step, is wrong there. Blocks of W
that are drawn independently add their g² B.

It holds for lags well below n, and where a hardly differs between units, times and sequences.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch

from rnn_exp.networks.cells import Jacobian
from rnn_exp.shapes import Float

__all__ = [
    "active_units",
    "coupling",
    "growth",
    "kept",
    "log_sizes",
    "rate_of",
    "size_of",
    "spread",
    "variation",
]

_RESCALED = 4  # anti-diagonals after which the largest number is taken out
_HALVINGS = 60
_APART = 10  # lags over which slopes are compared


def log_sizes(
    keep: Float[np.ndarray, " lag"], coupling: Float[np.ndarray, "lag lag"]
) -> Float[np.ndarray, " lag_and_one"]:
    """Return ln(‖δ_k‖ / ‖δ_0‖) = ½ ln C_{k,k} for k = 0…L.

    The recursion goes along anti-diagonals, whose numbers do not depend on each other, and takes
    their size out as it goes: neither a size of 1e-1000 nor one of 1e1000 is lost.

    Args:
        keep: a_0…a_{L-1}.
        coupling: g² B_{k,l}, symmetric.

    Example:
        >>> np.exp(log_sizes(np.full(3, 0.5), np.full((3, 3), 0.25))).round(4).tolist()
        [1.0, 0.7071, 0.6124, 0.559]
    """
    L = len(keep)
    a = np.concatenate([[0.0], keep])
    both = np.zeros((L + 1, L + 1))
    both[1:, 1:] = coupling - np.outer(keep, keep)
    flat, backwards = both.ravel(), a[::-1].copy()
    # Entry k of an anti-diagonal s is C_{k,s-k}; one 0 lies before it, for k − 1.
    before, last, following = np.zeros(L + 2), np.zeros(L + 2), np.zeros(L + 2)
    last[1] = 1.0
    result, scale = np.zeros(L + 1), 0.0
    for s in range(1, 2 * L + 1):
        low, high = max(0, s - L), min(s, L)
        to = slice(low + 1, high + 2)
        behind = slice(low, high + 1)
        paired = flat[s + low * L : s + high * L + 1 : L] if L else flat[:0]
        following[to] = a[low : high + 1] * last[behind]
        following[to] += backwards[L - s + low : L - s + high + 1] * last[to]
        following[to] += paired * before[behind]
        before, last, following = last, following, before
        following[:] = 0
        if s % 2 == 0:
            with np.errstate(divide="ignore"):
                result[s // 2] = 0.5 * (np.log(max(last[s // 2 + 1], 0.0)) + scale)
        if s % _RESCALED == 0 and (largest := max(np.abs(last).max(), np.abs(before).max())) > 0:
            last /= largest
            before /= largest
            scale += math.log(largest)
    return result


def kept(jacobian: Jacobian) -> Float[np.ndarray, " lag"]:
    """Return a_k: what the cell keeps of the gradient at the steps back from T, T − 1, …, 2.

    It is the mean over units and sequences at each step.
    """
    mean = jacobian.keep[1:].double().flatten(1).mean(-1)
    return np.asarray(mean.flip(0).cpu().numpy())


def spread(jacobian: Jacobian) -> float:
    """Return the standard deviation of what is kept, over units and sequences, about its mean."""
    keep = jacobian.keep.double().flatten(1)
    return float((keep - keep.mean(-1, keepdim=True)).square().mean().sqrt())


def coupling(jacobian: Jacobian, gains: Sequence[float]) -> Float[np.ndarray, "lag lag"]:
    """Return g² B_{k,l}, summed over the blocks of W_hh, as a forward pass has it.

    The mean over units and sequences of b_{T-k} b_{T-l}; where there is an outer factor its own
    mean product is multiplied in, since W mixes the units between the two.

    Args:
        jacobian: what a step back does, of some sequences.
        gains: g of each block.
    """
    steps = len(jacobian.keep) - 1
    result = torch.zeros(steps, steps, dtype=torch.float64)
    for gain, factor in zip(gains, jacobian.factors, strict=True):
        if factor is not None:
            result += gain * gain * _mean_products(factor[1:])
    if jacobian.outer is not None:
        result *= _mean_products(jacobian.outer[:-1])
    return np.asarray(result.flip(0, 1).numpy())


def _mean_products(
    values: Float[torch.Tensor, "time run batch hidden"],
) -> Float[torch.Tensor, "time time"]:
    """Return the mean over units and sequences of v_t v_t', for all pairs of time steps."""
    flat = values.double().cpu().flatten(1)
    return flat @ flat.T / max(1, flat.shape[-1])


def variation(jacobian: Jacobian, gains: Sequence[float]) -> float:
    """Return how much b changes within 10 steps: ⟨(b_t − b_{t-10})²⟩ / 2⟨b²⟩, from 0 to about 1.

    With fewer than 12 steps it compares the first with the last; 0: there is nothing to compare.

    Args:
        jacobian: what a step back does, of some sequences.
        gains: g of each block.
    """
    apart = min(_APART, len(jacobian.keep) - 2)
    if apart < 1:
        return 0.0
    own, paired = _through(jacobian, gains, 0), _through(jacobian, gains, apart)
    size = float(own[apart:].sum() + own[:-apart].sum())
    return max(0.0, 1 - 2 * float(paired.sum()) / size) if size > 0 else 0.0


def size_of(jacobian: Jacobian, gains: Sequence[float]) -> float:
    """Return g² E[b²], what W adds to a step back, summed over its blocks; mean over all steps."""
    return float(_through(jacobian, gains, 0).mean()) if len(jacobian.keep) > 1 else 0.0


def active_units(jacobian: Jacobian, gains: Sequence[float]) -> float:
    """Return how many units carry the gradient a step back: n ⟨b²⟩² / ⟨b⁴⟩, mean over all steps.

    n where all slopes are the same, k where k units have the same slope and the others none. Gates
    count by their g² b².

    Args:
        jacobian: what a step back does, of some sequences.
        gains: g of each block.
    """
    of_gates = zip(gains, jacobian.factors, strict=True)
    weights = sum(
        gain * gain * factor.double().square() for gain, factor in of_gates if factor is not None
    )
    if not isinstance(weights, torch.Tensor):
        return 0.0
    squares = weights.square().mean(-1)
    there = squares > 0
    shares = weights.mean(-1).square()[there] / squares[there]
    return weights.shape[-1] * float(shares.mean()) if len(shares) else 0.0


def _through(
    jacobian: Jacobian, gains: Sequence[float], apart: int
) -> Float[torch.Tensor, " time"]:
    """Return g² E[b_t b_{t+apart}] for t = 2, 3, …, summed over blocks as in `coupling`."""

    def products(values: torch.Tensor) -> torch.Tensor:
        flat = values.flatten(1)
        return (flat[apart:] * flat[: len(flat) - apart]).mean(-1).double().cpu()

    of_gates = zip(gains, jacobian.factors, strict=True)
    pairs = [gain * gain * products(factor[1:]) for gain, factor in of_gates if factor is not None]
    result = torch.stack(pairs).sum(0)
    return result if jacobian.outer is None else result * products(jacobian.outer[:-1])


def rate_of(keep: Float[np.ndarray, " lag"], coupling: Float[np.ndarray, "lag lag"]) -> float:
    """Return the asymptotic factor a step back, from the later half of a sequence.

    There a and B(τ), the mean of g² B_{k,k+τ}, count as stationary: see `growth`.
    """
    half = max(1, (len(keep) + 1) // 2)
    own = coupling[:half, :half]
    of_lag = [float(np.diagonal(own, lag).mean()) for lag in range((half + 1) // 2)]
    return growth(float(keep[:half].mean()), of_lag)


def growth(keep: float, coupling: Sequence[float]) -> float:
    r"""Return λ with ‖δ_k‖ ~ λ^k of a stationary g² B(τ), τ = |k − l|.

    C_{k,l} = λ^{k+l} c(τ) turns the recursion into (derivation: ours)

        (λ² + a² − g² B(τ)) c(τ) = a λ (c(τ + 1) + c(τ − 1)),      c(−τ) = c(τ),

    whose largest λ with a bounded c > 0 is wanted. Beyond the last τ that is given B counts as
    that of the last, so that c falls there by a factor a step. With B that does not change c is 1
    and λ = a + g √B.

    Args:
        keep: a.
        coupling: g² B(0), g² B(1), …

    Example:
        >>> round(growth(0.9, [0.01] * 5), 9), growth(0.0, [4.0, 1.0])
        (1.0, 2.0)
    """
    largest = max(coupling)
    if keep <= 0 or len(coupling) == 1 or min(coupling) == largest:
        return max(keep, 0.0) + math.sqrt(coupling[0])

    def is_above(rate: float) -> bool:
        """Say whether a rate is above the wanted one, by the ratios c(τ + 1) / c(τ)."""
        half = (rate * rate + keep * keep - coupling[-1]) / (2 * keep * rate)
        if half < 1:
            return False
        ahead = 1 / (half + math.sqrt(half * half - 1))
        for value in coupling[:0:-1]:
            denominator = (rate * rate + keep * keep - value) / (keep * rate) - ahead
            if denominator <= 0:
                return False
            ahead = 1 / denominator
        return rate * rate + keep * keep - coupling[0] > 2 * keep * rate * ahead

    low, high = keep, keep + math.sqrt(max(largest, 0.0))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if is_above(middle) else (middle, high)
    return high
