"""Products, inverses and Cayley transforms by kernels: the same bits in any company, anywhere.

With S = A − Aᵀ and M = (1 + S)⁻¹, the rotation (1 + S)⁻¹ (1 − S) is 2 M − 1, and a gradient G by it
is −2 Mᵀ G Mᵀ by S. M is computed in float64.
"""

import torch
from torch import Tensor

from rnn_exp.networks.kernel.memory import handed, row_length, rows_of, widened
from rnn_exp.networks.kernel.products import invert, multiply
from rnn_exp.shapes import Float

__all__ = ["KernelMatrices"]

Square = Float[Tensor, "run hidden hidden"]


class KernelMatrices:
    """Computes with matrices as `networks.matrices.TorchMatrices` does."""

    def product(
        self, left: Float[Tensor, "run m k"], right: Float[Tensor, "run k n"]
    ) -> Float[Tensor, "run m n"]:
        """Return the product of two matrices of every run."""
        (R, M, K), N, dtype = left.shape, right.shape[-1], left.dtype
        row = row_length(N, dtype)
        made, spare = left.new_empty(R, M, row), left.new_empty((M + 1) * row)
        rows, (own, distances) = rows_of(right.unsqueeze(0), whole_vectors=True), _left(left)
        given = handed(dtype, made, rows.values, own, spare)
        multiply(*given, (*distances, rows.run, rows.row), (R, M, K, row))
        return made[..., :N]

    def cayley(self, A: Square) -> Square:
        """Return the rotation of A."""
        return (2 * _inverse(A) - torch.eye(A.shape[-1], dtype=torch.float64)).to(A.dtype)

    def before_cayley(self, A: Square, of_Q: Square) -> Square:
        """Return the gradient by A from that by its rotation."""
        inverse = _inverse(A).to(A.dtype).mT
        of_S = self.product(inverse, self.product(of_Q, inverse))
        return 2 * (of_S.mT - of_S)


def _left(values: Float[Tensor, "run m k"]) -> tuple[Tensor, tuple[int, ...]]:
    """Return a matrix whose rows or columns lie side by side, and numbers between its entries."""
    own = values if values.mT.is_contiguous() else values.contiguous()
    return own, own.stride()


def _inverse(A: Square) -> Float[Tensor, "run hidden hidden"]:
    """Return (1 + A − Aᵀ)⁻¹ in float64."""
    own = A.double()
    made = widened(own - own.mT + torch.eye(A.shape[-1], dtype=torch.float64))
    order = made.new_empty(A.shape[-1])
    invert(*handed(made.dtype, made, order), tuple(made.shape))
    return made[..., : A.shape[-1]]
