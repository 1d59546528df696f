"""The read-out by kernels: a run has the same bits in any company, and on any processor."""

from torch import Tensor

from rnn_exp.networks.kernel.memory import (
    addresses,
    array_like,
    row_length,
    rows_of,
    side_by_side,
)
from rnn_exp.networks.kernel.products import add_to_weights, read_rows, states_of_rows
from rnn_exp.shapes import Float

__all__ = ["KernelReader"]


class KernelReader:
    """Reads rows of states, as `networks.readout.Reader` does.

    Args:
        weight: C.
        bias: c.
    """

    def __init__(
        self, weight: Float[Tensor, "run output hidden"], bias: Float[Tensor, "run output"]
    ) -> None:
        (self._weight, self._of_run), (self._bias, self._of_bias) = map(
            side_by_side, (weight, bias)
        )
        (R, outputs, hidden), self._dtype = weight.shape, weight.dtype
        self._like = array_like(weight.dtype)
        self._row, self._lanes = row_length(hidden, weight.dtype), row_length(1, weight.dtype)
        self._found = weight.new_zeros(R * outputs * (self._row + self._lanes))

    def rows(
        self, states: Float[Tensor, "run answer batch hidden"]
    ) -> Float[Tensor, "run row hidden"]:
        """Return states as the rows that are read."""
        return states.flatten(1, 2)

    def outputs(self, h: Float[Tensor, "run row hidden"]) -> Float[Tensor, "run row out"]:
        """Return the outputs of rows of states."""
        (R, outputs, H), rows, own = self._weight.shape, h.shape[1], rows_of(h.unsqueeze(0))
        width = row_length(outputs, self._dtype)
        y, spare = h.new_empty(R, rows, width), h.new_empty((H + rows + 1) * width)
        given = y, own.values, self._weight, self._bias, spare
        distances = own.run, self._of_run, self._of_bias, own.row
        sizes = R, rows, H, outputs, width
        read_rows(self._like, addresses(self._dtype, *given), distances, sizes)
        return y[..., :outputs].contiguous()

    def of_states(self, of_y: Float[Tensor, "run row out"]) -> Float[Tensor, "run row hidden"]:
        """Return the gradient by the states, from that by the outputs."""
        (R, outputs, H), rows, own = self._weight.shape, of_y.shape[1], of_y.contiguous()
        made = own.new_empty(R, rows, self._row)
        spare = own.new_empty((outputs + rows + 1) * self._row)
        given = addresses(self._dtype, made, own, self._weight, spare)
        distances, sizes = (own.stride(0), self._of_run), (R, rows, H, outputs, self._row)
        states_of_rows(self._like, given, distances, sizes)
        return made[..., :H]

    def add(self, of_y: Float[Tensor, "run row out"], h: Float[Tensor, "run row hidden"]) -> None:
        """Add what some rows give to the gradients of C and c.

        Args:
            of_y: the loss's gradient by the outputs.
            h: the rows.
        """
        R, outputs, _ = self._weight.shape
        of_y, states = of_y.contiguous(), rows_of(h.unsqueeze(0), whole_vectors=True)
        of_weight = R * outputs * self._row
        spare = self._found.new_empty((outputs + 2) * self._row)
        parts = self._found[:of_weight], self._found[of_weight:], of_y, states.values, spare
        distances = of_y.stride(0), states.run, states.row
        sizes = R, of_y.shape[1], outputs, self._row, self._lanes
        add_to_weights(self._like, addresses(self._dtype, *parts), distances, sizes)

    def of_weights(self) -> tuple[Float[Tensor, "run out hidden"], Float[Tensor, "run out"]]:
        """Return the gradients of C and c, when `add` has had all rows."""
        (R, outputs, H), row, lanes = self._weight.shape, self._row, self._lanes
        of_C = self._found.as_strided((R, outputs, H), (outputs * row, row, 1))
        of_c = self._found.as_strided((R, outputs), (outputs * lanes, lanes), R * outputs * row)
        return of_C, of_c
