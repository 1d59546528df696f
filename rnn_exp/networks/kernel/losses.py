"""The two losses and their gradients, computed in float64: the same bits on any processor.

With o = Σ e^(y_j − y_k) over all classes but the most likely one, k, the cross-entropy of an answer
t is log(1 + o) + y_k − y_t: no digit of a small loss is lost.
"""

from rnn_exp.networks.kernel.compiling import compiled, kept
from rnn_exp.networks.kernel.functions import exponential
from rnn_exp.networks.kernel.vectors import BYTES, arrays_at, filled, lane_sum, load, store

__all__ = ["cross_entropy", "squared_error"]

_LANES = BYTES // 8
_ROOT, _LOG_OF_2 = 1.4142135623730951, 0.6931471805599453
_NOTHING = -1e4  # e^ of it is 0
_UNSCORED = -100  # torch's word for an answer that is not scored


@kept
def squared_error(like, addresses, sizes):
    """Fill in each run's mean squared error, and its gradient by the outputs.

    Args:
        like: an array of the precision.
        addresses: of the outputs, their gradient and the targets (run, row), and of losses (run).
        sizes: R, rows.
    """
    (y, of_y, wanted, losses), (R, rows) = arrays_at(like, addresses), sizes
    share = like.dtype.type(2.0 / rows)
    for r in range(R):
        total = 0.0
        for i in range(r * rows, r * rows + rows):
            off = y[i] - wanted[i]
            of_y[i] = off * share
            total += (1.0 * off) * off
        losses[r] = total / rows


@kept
def cross_entropy(like, addresses, targets, sizes):
    """Fill in each run's mean cross-entropy and its gradient; say whether targets are classes.

    An answer that is not scored has neither loss nor gradient; it counts in the mean, as in torch.

    Args:
        like: an array of the precision.
        addresses: of the outputs and their gradient (run, row, class), and of the losses (run).
        targets: the right class of every row, and room for a row of whole vectors in float64.
        sizes: R, rows, classes.
    """
    (y, of_y, losses), (wanted, row) = arrays_at(like, addresses), targets
    R, rows, classes = sizes
    for i in range(R * rows):
        if not (0 <= wanted[i] < classes or wanted[i] == _UNSCORED):
            return False
    for j in range(classes, row.size):
        row[j] = _NOTHING
    for r in range(R):
        total = 0.0
        for i in range(r * rows, r * rows + rows):
            if wanted[i] == _UNSCORED:
                for j in range(i * classes, (i + 1) * classes):
                    of_y[j] = 0.0
            else:
                total += _of_row(y, of_y, i * classes, wanted[i], row, (rows, classes))
        losses[r] = total / rows
    return True


@compiled
def _of_row(y, of_y, start, right, row, sizes):
    """Return the loss of one row of outputs, and fill in its gradient over how many rows there are.

    Args:
        y: the outputs.
        of_y: their gradient.
        start: the place of the row in both.
        right: the class.
        row: room; what fills it up is there.
        sizes: rows, classes.
    """
    (rows, classes), best = sizes, 0
    for j in range(1, classes):
        best = j if y[start + j] > y[start + best] else best
    most = 1.0 * y[start + best]
    for j in range(classes):
        row[j] = y[start + j] - most
    off = row[right]
    for j in range(0, row.size, _LANES):
        store(row, j, exponential(load(row, j)))
    of_best, row[best] = row[best], 0.0
    others = filled(load(row, 0), 0.0)
    for j in range(0, row.size, _LANES):
        others = others + load(row, j)
    rest = lane_sum(others) + (of_best - 1.0)  # which is 0, or NaN
    row[best] = of_best
    for j in range(classes):
        part = row[j] / (1.0 + rest)
        if j == right:
            part = (0.0 - rest) / (1.0 + rest) if j == best else part - 1.0
        of_y[start + j] = part / rows
    for j in range(classes, row.size):
        row[j] = _NOTHING
    return _log_of_one_and(rest) - off


@compiled
def _log_of_one_and(x):
    """Return log(1 + x) of x ≥ 0: 2 artanh((s − 1)/(s + 1)) + n log 2, where 1 + x = 2^n s."""
    s, n = 1.0 + x, 0.0
    while s > _ROOT:
        s, n = s * 0.5, n + 1.0
    z = x / (2.0 + x) if n == 0.0 else (s - 1.0) / (s + 1.0)
    square, found = z * z, 0.0
    for k in range(23, 1, -2):
        found = (found + 1.0 / k) * square
    return n * _LOG_OF_2 + (2.0 * z + 2.0 * z * found)
