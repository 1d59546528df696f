"""Products, inverses and Cayley transforms by kernels: the same bits in any company, anywhere.

With S = A − Aᵀ and M = (1 + S)⁻¹, the rotation (1 + S)⁻¹ (1 − S) is 2 M − 1, and a gradient G by it
is −2 Mᵀ G Mᵀ by S. M is computed in float64.
"""

from typing import Any

import torch
from torch import Tensor

from rnn_exp.networks.kernel.memory import flat, row_length, rows_of, widened
from rnn_exp.networks.kernel.products import add_products, invert
from rnn_exp.shapes import Float

__all__ = ["KernelMatrices"]

_STRETCH = 1024  # columns of the left matrix whose part in a product is one sum
Square = Float[Tensor, "run hidden hidden"]


class KernelMatrices:
    """Computes with matrices as `networks.matrices.TorchMatrices` does."""

    def product(
        self, left: Float[Tensor, "run m k"], right: Float[Tensor, "run k n"]
    ) -> Float[Tensor, "run m n"]:
        """Return the product of two matrices of every run."""
        (R, M, K), N = left.shape, right.shape[-1]
        made = left.new_zeros(R, M, row_length(N, left.dtype))
        spare = left.new_empty(M + 1, made.shape[-1])
        spare[M] = 0
        rows = rows_of(right.unsqueeze(0), whole_vectors=True)
        of_right, sizes = (rows.flat, rows.run, rows.row), (R, M, K, made.shape[-1], _STRETCH)
        add_products(flat(made), flat(spare), _left(left), of_right, sizes)
        return made[..., :N]

    def cayley(self, A: Square) -> Square:
        """Return the rotation of A."""
        return (2 * _inverse(A) - torch.eye(A.shape[-1], dtype=torch.float64)).to(A.dtype)

    def before_cayley(self, A: Square, of_Q: Square) -> Square:
        """Return the gradient by A from that by its rotation."""
        inverse = _inverse(A).to(A.dtype).mT
        of_S = self.product(inverse, self.product(of_Q, inverse))
        return 2 * (of_S.mT - of_S)


def _left(values: Float[Tensor, "run m k"]) -> tuple[Any, int, int, int]:
    """Return a matrix whose rows or columns lie side by side."""
    if values.mT.is_contiguous():
        return flat(values.mT), values.stride(0), 1, values.stride(2)
    own = values.contiguous()
    return flat(own), own.stride(0), own.stride(1), 1


def _inverse(A: Square) -> Float[Tensor, "run hidden hidden"]:
    """Return (1 + A − Aᵀ)⁻¹ in float64."""
    own = A.double()
    made = widened(own - own.mT + torch.eye(A.shape[-1], dtype=torch.float64))
    invert(flat(made), tuple(made.shape))
    return made[..., : A.shape[-1]]
