"""The read-out by kernels: a run has the same bits in any company, and on any processor."""

from typing import Any

from torch import Tensor

from rnn_exp.networks.kernel.memory import flat, row_length, rows_of, widened
from rnn_exp.networks.kernel.products import add_products
from rnn_exp.shapes import Float

__all__ = ["KernelReader"]

_STRETCH = 1024  # rows whose part in ∂L/∂C is one sum; blocks of rows are whole numbers of these


class KernelReader:
    """Reads rows of states, as `networks.readout.Reader` does.

    Args:
        weight: C.
        bias: c.
    """

    def __init__(
        self, weight: Float[Tensor, "run output hidden"], bias: Float[Tensor, "run output"]
    ) -> None:
        self._weight, self._bias, self._sizes = weight, bias, tuple(weight.shape)
        R, outputs, hidden = weight.shape
        self._of_weight, self._of_bias = (
            weight.new_zeros(R, outputs, row_length(size, weight.dtype)) for size in (hidden, 1)
        )

    def rows(
        self, states: Float[Tensor, "run answer batch hidden"]
    ) -> Float[Tensor, "run row hidden"]:
        """Return states as the rows that are read."""
        return states.flatten(1, 2)

    def outputs(self, h: Float[Tensor, "run row hidden"]) -> Float[Tensor, "run row out"]:
        """Return the outputs of rows of states."""
        (_, outputs, H), own = self._sizes, rows_of(h.unsqueeze(0))
        C = widened(self._weight.transpose(1, 2))
        made = widened(self._bias.unsqueeze(1)).expand(-1, h.shape[1], -1).contiguous()
        _add_products(made, (own.flat, own.run, own.row, 1), _matrix(C), H)
        return made[..., :outputs].contiguous()

    def of_states(self, of_y: Float[Tensor, "run row out"]) -> Float[Tensor, "run row hidden"]:
        """Return the gradient by the states, from that by the outputs."""
        (_, outputs, H), C = self._sizes, widened(self._weight)
        made = of_y.new_zeros(*of_y.shape[:2], C.shape[-1])
        _add_products(made, _by_row(of_y), _matrix(C), outputs)
        return made[..., :H]

    def add(self, of_y: Float[Tensor, "run row out"], h: Float[Tensor, "run row hidden"]) -> None:
        """Add what some rows give to the gradients of C and c.

        Args:
            of_y: the loss's gradient by the outputs.
            h: the rows.
        """
        left, own = _by_column(of_y), rows_of(h.unsqueeze(0), whole_vectors=True)
        ones = of_y.new_ones(self._of_bias.shape[-1])
        _add_products(self._of_weight, left, (own.flat, own.run, own.row), of_y.shape[1])
        _add_products(self._of_bias, left, (flat(ones), 0, 0), of_y.shape[1])

    def of_weights(self) -> tuple[Float[Tensor, "run out hidden"], Float[Tensor, "run out"]]:
        """Return the gradients of C and c, when `add` has had all rows."""
        return self._of_weight[..., : self._sizes[-1]], self._of_bias[..., 0]


_Left = tuple[Any, int, int, int]
"""An array, and the numbers from one run, one row and one column to the next."""
_Right = tuple[Any, int, int]
"""An array, and the numbers from one run and one row to the next."""


def _add_products(C: Float[Tensor, "run m n"], left: _Left, right: _Right, K: int) -> None:
    """Add to C the product of a matrix of K columns and one of K rows."""
    R, M, N = C.shape
    spare = C.new_zeros(M + 1, N)
    add_products(flat(C), flat(spare), left, right, (R, M, K, N, _STRETCH))


def _matrix(values: Float[Tensor, "run rows row"]) -> _Right:
    """Return a matrix whose rows are whole vectors."""
    return flat(values), values.stride(0), values.shape[2]


def _by_row(of_y: Float[Tensor, "run row out"]) -> _Left:
    """Return a gradient by outputs as a matrix with a row a row."""
    own = of_y.contiguous()
    return flat(own), own.stride(0), own.shape[2], 1


def _by_column(of_y: Float[Tensor, "run row out"]) -> _Left:
    """Return it as a matrix with a row an output."""
    array, by_run, by_row, _ = _by_row(of_y)
    return array, by_run, 1, by_row
