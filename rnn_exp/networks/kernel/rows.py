"""Rows of numbers in flat arrays: copied, cleared, added; a row is whole vectors.

A row of units is filled up to whole vectors with any numbers: they never change those of a unit
(`first_lanes` leaves them out of sums).
"""

from rnn_exp.networks.kernel.compiling import compiled
from rnn_exp.networks.kernel.vectors import BYTES, load, store

__all__ = ["add_rows", "add_to", "clear", "in_half_vectors", "move", "pack", "pack_transposed"]


@compiled
def in_half_vectors(size, itemsize):
    """Return the numbers of as few half vectors as hold so many numbers."""
    half = BYTES // itemsize // 2
    return (size + half - 1) // half * half


@compiled
def move(into, i, source, s, count):
    """Copy so many numbers, whole vectors."""
    for k in range(0, count, BYTES // into.itemsize):
        store(into, i + k, load(source, s + k))


@compiled
def clear(values, start, rows, size, row):
    """Put 0 behind the first numbers of each row."""
    for b in range(rows):
        for j in range(start + b * row + size, start + (b + 1) * row):
            values[j] = 0.0


@compiled
def pack(place, matrix, m, rows, columns):
    """Copy a matrix whose rows lie side by side; rows are filled up with zeros."""
    into, i, row = place
    for k in range(rows):
        for j in range(columns):
            into[i + k * row + j] = matrix[m + k * columns + j]
    clear(into, i, rows, columns, row)


@compiled
def pack_transposed(into, i, row, matrix, m, rows, columns):
    """Copy the transpose of a matrix whose rows lie side by side, as `pack` does."""
    for k in range(columns):
        for j in range(rows):
            into[i + k * row + j] = matrix[m + j * columns + k]
    clear(into, i, columns, rows, row)


@compiled
def add_to(sums, i, part, p, count, first):
    """Add so many numbers to sums, or, the first time, put them there."""
    for k in range(0, count, BYTES // sums.itemsize):
        own = load(part, p + k)
        store(sums, i + k, own if first else load(sums, i + k) + own)


@compiled
def add_rows(sums, i, D, rows, row, first):
    """Add the sum of rows to a row of sums, or, the first time, put it there."""
    for k in range(0, row, BYTES // sums.itemsize):
        own = load(D, k)
        for b in range(1, rows):
            own = own + load(D, b * row + k)
        store(sums, i + k, own if first else load(sums, i + k) + own)
