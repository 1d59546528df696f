"""Products and inverses of matrices of every run, a run after the other. Arrays are flat."""

from rnn_exp.networks.kernel.compiling import kept
from rnn_exp.networks.kernel.tiles import add_to, product
from rnn_exp.networks.kernel.vectors import BYTES, fma, load, store

__all__ = ["add_products", "invert"]


@kept
def add_products(C, spare, A, B, sizes):
    """Add A B to C: sums over stretches of k, one stretch after the other.

    Args:
        C: (run, M, N), rows of whole vectors.
        spare: room for a product (M, N), then a row of zeros (N).
        A: an array, and the numbers in it from one run, one row and one column to the next.
        B: an array, rows of whole vectors, and the numbers from one run and one row to the next.
        sizes: R, M, K, N, and the length of a stretch.
    """
    R, M, K, N, stretch = sizes
    A, a_run, a_row, a_column = A
    B, b_run, b_row = B
    for r in range(R):
        for k in range(0, K, stretch):
            of_a = A, r * a_run + k * a_column, a_row, a_column
            of_b = B, r * b_run + k * b_row, b_row
            shape = M, min(stretch, K - k), N
            product((spare, 0, N), (spare, M * N, 0), of_a, of_b, shape)
            add_to(C, r * M * N, spare, 0, M * N, False)


@kept
def invert(M, sizes):
    """Put M⁻¹ in the place of M = 1 + S, Sᵀ = −S, by elimination (Gauss and Jordan).

    What is left of such a matrix at any time is 1 + S of fewer rows and a matrix whose symmetric
    part is not negative: no pivot is below 1, and rows need not be exchanged.

    Args:
        M: (run, n, row), rows of whole vectors.
        sizes: R, n, row.
    """
    R, n, row = sizes
    lanes = BYTES // M.itemsize
    for start in range(0, R * n * row, n * row):
        for k in range(start, start + n * row, row):
            column = (k - start) // row
            pivot, M[k + column] = 1.0 / M[k + column], 1.0
            for j in range(0, row, lanes):
                store(M, k + j, load(M, k + j) * pivot)
            for i in range(start, start + n * row, row):
                if i != k:
                    share, M[i + column] = -M[i + column], 0.0
                    for j in range(0, row, lanes):
                        store(M, i + j, fma(load(M, k + j), share, load(M, i + j)))
