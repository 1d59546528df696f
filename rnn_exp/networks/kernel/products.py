"""The product of two matrices of every run, a run after the other. Arrays are flat."""

from rnn_exp.networks.kernel.compiling import kept
from rnn_exp.networks.kernel.tiles import add_to, product

__all__ = ["add_products"]


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
