"""The read-out by kernels: a run has the same bits in any company, and on any processor."""

from torch import Tensor

from rnn_exp.networks.kernel.memory import handed, row_length, rows_of, side_by_side
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
        self._row, lanes = row_length(hidden, weight.dtype), row_length(1, weight.dtype)
        self._found = weight.new_zeros(R, outputs, self._row), weight.new_zeros(R, outputs, lanes)

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
        read_rows(*handed(self._dtype, *given), distances, sizes)
        return y[..., :outputs].contiguous()

    def of_states(self, of_y: Float[Tensor, "run row out"]) -> Float[Tensor, "run row hidden"]:
        """Return the gradient by the states, from that by the outputs."""
        (R, outputs, H), rows, own = self._weight.shape, of_y.shape[1], of_y.contiguous()
        made = own.new_empty(R, rows, self._row)
        spare = own.new_empty((outputs + rows + 1) * self._row)
        given = handed(self._dtype, made, own, self._weight, spare)
        distances, sizes = (own.stride(0), self._of_run), (R, rows, H, outputs, self._row)
        states_of_rows(*given, distances, sizes)
        return made[..., :H]

    def add(self, of_y: Float[Tensor, "run row out"], h: Float[Tensor, "run row hidden"]) -> None:
        """Add what some rows give to the gradients of C and c.

        Args:
            of_y: the loss's gradient by the outputs.
            h: the rows.
        """
        (R, outputs, lanes), own = self._found[1].shape, of_y.contiguous()
        states = rows_of(h.unsqueeze(0), whole_vectors=True)
        spare = own.new_empty((outputs + 2) * self._row)
        given = handed(self._dtype, *self._found, own, states.values, spare)
        distances = own.stride(0), states.run, states.row
        sizes = R, own.shape[1], outputs, self._row, lanes
        add_to_weights(*given, distances, sizes)

    def of_weights(self) -> tuple[Float[Tensor, "run out hidden"], Float[Tensor, "run out"]]:
        """Return the gradients of C and c, when `add` has had all rows."""
        of_weight, of_bias = self._found
        return of_weight[..., : self._weight.shape[-1]], of_bias[..., 0]
