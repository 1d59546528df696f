"""The activations of a vector, and their slopes, as the kernels compute them.

tanh and sigmoid are within 2.5 units in the last place everywhere, subnormal numbers included, and
their slopes come from the output as in `known_activations`. A NaN stays one.
"""

from numba.core import types
from numba.extending import overload

from rnn_exp.networks.cells.known_activations import LEAK
from rnn_exp.networks.kernel.compiling import compiled
from rnn_exp.networks.kernel.vectors import (
    BYTES,
    absolute,
    copysign,
    filled,
    fma,
    load,
    power_of_two,
    store,
    where,
)
from rnn_exp.schema import ACTIVATION_CODES

__all__ = [
    "activate",
    "exponential",
    "gate_slope",
    "make_deltas",
    "sigmoid",
    "slope_at",
    "tanh",
    "tanh_slope",
]

_TANH, _SIGMOID, _RELU, _LEAKY_RELU, _HARD_TANH, _SOFTSIGN, _ELU = (
    ACTIVATION_CODES[name]
    for name in ("tanh", "sigmoid", "relu", "leaky_relu", "hard_tanh", "softsign", "elu")
)


def _exponential(x):
    """Return (p, s, t) with e^x = s (1 + p), s = 2^n, and n in the last bits of t.

    p = e^r − 1 with |r| ≤ ln 2 / 2, to 2.6e-8 of it in float32, to 1e-18 in float64.
    """


@overload(_exponential)
def _exponential_of(x):
    if x.dtype == types.float32:

        def found(x):
            t = fma(x, 1.4426950408889634, 12582912.0)
            n = t - 12582912.0
            r = fma(n, 2.1219444e-4, fma(n, -0.693359375, x))
            q = fma(0.0013926184, r, 0.008363179)
            q = fma(fma(fma(q, r, 0.041666556), r, 0.16666576), r, 0.5)
            return fma(r * r, q, r), power_of_two(t), t

    else:

        def found(x):
            t = fma(x, 1.4426950408889634, 6755399441055744.0)
            n = t - 6755399441055744.0
            r = fma(n, -1.9082149292705877e-10, fma(n, -0.6931471803691238, x))
            q = fma(2.0914686968086876e-09, r, 2.5105217004720745e-08)
            q = fma(fma(q, r, 2.75572736431103e-07), r, 2.7557255400206422e-06)
            q = fma(fma(q, r, 2.4801587325547743e-05), r, 0.00019841269874820627)
            q = fma(fma(q, r, 0.0013888888888883748), r, 0.008333333333326136)
            q = fma(fma(q, r, 0.04166666666666667), r, 0.1666666666666667)
            q = fma(q, r, 0.5)
            return fma(r * r, q, r), power_of_two(t), t

    return found


def _limits(x):
    """Return the |x| above which e^-|x| is scaled, and 0; log2 of the scale, and what undoes it."""


@overload(_limits)
def _limits_of(x):
    if x.dtype == types.float32:
        return lambda x: (80.0, 110.0, 64.0, 2.0**-64)
    return lambda x: (700.0, 760.0, 128.0, 2.0**-128)


@compiled
def tanh(x):
    """Return tanh x = (e^2x − 1) / (e^2x + 1), of which near 0 only e^2x − 1 is rounded."""
    a = absolute(x)
    a = where(a > 22.0, 22.0, a)
    p, s, _ = _exponential(a + a)
    e = fma(p, s, s - 1.0)
    small = a < 0.55
    return copysign(where(small, e, -2.0) / (e + 2.0) + where(small, e - e, 1.0), x)


@compiled
def exponential(x):
    """Return e^x of x ≤ 0, or NaN; far below 0 it is scaled to the end."""
    a = 0.0 - x
    small, none, shift, scale = _limits(x)
    a = where(a > none, none, a)
    low = a > small
    p, s, t = _exponential(0.0 - a)
    s = where(low, power_of_two(t + shift), s)
    e = fma(p, s, s)
    return where(low, e * scale, e)


@compiled
def sigmoid(x):
    """Return 1 / (1 + e^-x), or e^x / (1 + e^x)."""
    e = exponential(0.0 - absolute(x))
    return where(x < 0.0, e, 1.0) / (1.0 + e)


@compiled
def _elu(x):
    a = where(x < -40.0, -40.0, x)  # there e^x is nothing beside 1
    a = where(a > 0.0, 0.0, a)
    p, s, _ = _exponential(a)
    return where(x > 0.0, x, fma(p, s, s - 1.0))


@compiled
def activate(code, block, start, count):
    """Replace u by φ(u) in a block of whole vectors."""
    for i in range(start, start + count, BYTES // block.itemsize):
        x = load(block, i)
        if code == _TANH:
            x = tanh(x)
        elif code == _SIGMOID:
            x = sigmoid(x)
        elif code == _RELU:
            x = where(x < 0.0, 0.0, x)
        elif code == _LEAKY_RELU:
            x = where(x < 0.0, x * LEAK, x)
        elif code == _HARD_TANH:
            x = where(x > 1.0, 1.0, x)
            x = where(x < -1.0, -1.0, x)
        elif code == _SOFTSIGN:
            x = x / (absolute(x) + 1.0)
        elif code == _ELU:
            x = _elu(x)
        store(block, i, x)


@compiled
def tanh_slope(h):
    """Return tanh' u = 1 − h² from h = tanh u."""
    return fma(0.0 - h, h, 1.0)


@compiled
def gate_slope(s):
    """Return σ'(u) = s − s² from s = σ(u), as cells with gates have it: rounded once."""
    return fma(0.0 - s, s, s)


@compiled
def slope_at(code, h):
    """Return φ' from h = φ(u)."""
    slope = filled(h, 1.0)
    if code == _TANH:
        slope = tanh_slope(h)
    elif code == _SIGMOID:
        slope = h * (1.0 - h)
    elif code == _RELU:
        slope = where(h > 0.0, 1.0, filled(h, 0.0))
    elif code == _LEAKY_RELU:
        slope = where(h > 0.0, 1.0, filled(h, LEAK))
    elif code == _HARD_TANH:
        slope = where(absolute(h) < 1.0, 1.0, filled(h, 0.0))
    elif code == _SOFTSIGN:
        slope = (1.0 - absolute(h)) * (1.0 - absolute(h))
    elif code == _ELU:
        slope = where(h > 0.0, 1.0, h + 1.0)
    return slope


@compiled
def make_deltas(code, source, s, G, g, D, d, add, count):
    """Put δ = a φ' g into D, so many numbers, whole vectors.

    Args:
        code: of the activation.
        source: h = φ(u), from which φ' comes.
        s: the index of its first number.
        G: g.
        g: the index of its first number.
        D: δ.
        d: the index of its first number.
        add: a.
        count: how many numbers.
    """
    for i in range(0, count, BYTES // G.itemsize):
        slope = slope_at(code, load(source, s + i))
        store(D, d + i, slope * load(G, g + i) * add)
