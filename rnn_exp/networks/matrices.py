r"""What is computed with a few square matrices of every run: by torch, or by kernels.

The Cayley transform of a matrix A is the rotation

    Q = (1 + S)⁻¹ (1 − S),    S = A − Aᵀ.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from rnn_exp.schema import KERNEL
from rnn_exp.shapes import Float

__all__ = ["Matrices", "TorchMatrices", "matrices_of"]

Square = Float[Tensor, "run hidden hidden"]


@runtime_checkable
class Matrices(Protocol):
    """Products, and Cayley transforms with the way back through them."""

    def product(
        self, left: Float[Tensor, "run m k"], right: Float[Tensor, "run k n"]
    ) -> Float[Tensor, "run m n"]:
        """Return the product of two matrices of every run."""
        ...

    def cayley(self, A: Square) -> Square:
        """Return Q."""
        ...

    def before_cayley(self, A: Square, of_Q: Square) -> Square:
        """Return the gradient by A from that by Q."""
        ...


class TorchMatrices:
    """By MKL and LAPACK."""

    def product(
        self, left: Float[Tensor, "run m k"], right: Float[Tensor, "run k n"]
    ) -> Float[Tensor, "run m n"]:
        """Return the product of two matrices of every run."""
        return torch.bmm(left, right)

    def cayley(self, A: Square) -> Square:
        """Return Q."""
        one = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
        S = A - A.mT
        # 1 + S is singular only where S is so large that the 1 is rounded off: no number, no error.
        return torch.linalg.solve_ex(one + S, one - S).result

    def before_cayley(self, A: Square, of_Q: Square) -> Square:
        """Return the gradient by A from that by Q, by autograd."""
        with torch.enable_grad():
            own = A.detach().requires_grad_()
            (found,) = torch.autograd.grad(self.cayley(own), own, of_Q)
        return found


def matrices_of(engine: str) -> Matrices:
    """Return what computes with matrices for an engine: kernels, where it is they.

    Args:
        engine: the word of ``network.engine``.
    """
    if engine == KERNEL.engine:
        from rnn_exp.networks.kernel.matrices import KernelMatrices

        return KernelMatrices()
    return TorchMatrices()
