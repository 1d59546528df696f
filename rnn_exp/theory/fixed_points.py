r"""Fixed points of one logistic unit, x = σ(w x + b), in numpy: the theory that a figure draws.

A fixed point is stable where the slope of the map, x (1 − x) w, lies between −1 and 1. At a
saddle-node two fixed points merge, where the map touches the diagonal: its slope there is 1
(Pascanu, Mikolov & Bengio 2013, §2.2). The module needs no torch.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["CUSP", "bias_of", "saddle_nodes"]

CUSP: Final = 4.0
"""1 / sup σ': no smaller weight of a logistic unit has a slope of 1 anywhere."""


def bias_of(weight: ArrayLike, state: ArrayLike) -> np.ndarray:
    """Return the bias with which a state is a fixed point: b = ln(x / (1 − x)) − w x.

    Args:
        weight: w, of any shape.
        state: x in (0, 1), of a shape that broadcasts with that of the weights.

    Example:
        >>> float(bias_of(5.0, 0.5))
        -2.5
    """
    w, x = np.asarray(weight, dtype=float), np.asarray(state, dtype=float)
    return np.asarray(np.log(x / (1 - x)) - w * x)


def saddle_nodes(weight: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the two biases between which x = σ(w x + b) has two stable fixed points.

    Where two fixed points merge, σ' w = x (1 − x) w = 1, hence

        x = (1 ± √(1 − 4/w)) / 2,      b = ln(x / (1 − x)) − w x.

    As b crosses such a value, the point the unit settles on jumps. They meet at w = 4, b = −2.

    Args:
        weight: w, of any shape.

    Returns:
        Both biases, the smaller first, of the shape of the weights. NaN where w is less than 4
        (the slope never reaches 1, and every b has one fixed point), infinite or NaN.

    Example:
        >>> [b.round(5).tolist() for b in saddle_nodes([3.0, 5.0])]
        [[nan, -2.65561], [nan, -2.34439]]
    """
    w = np.asarray(weight, dtype=float)
    w = np.where((w >= CUSP) & (w < np.inf), w, np.nan)
    # x / (1 − x) = x² w, as x (1 − x) = 1/w: no cancellation in 1 − x; the smaller x is 1/(w x).
    larger = 0.5 * (1 + np.sqrt(1 - CUSP / w))
    smaller = 1 / (w * larger)
    first, second = (np.asarray(np.log(w * x * x) - w * x) for x in (larger, smaller))
    return first, second
