"""The read-out by kernels: a run has the same bits in any company, and on any processor."""

import itertools

import numpy as np
import torch
from torch import Tensor

from rnn_exp.networks.kernel.losses import cross_entropy, squared_error
from rnn_exp.networks.kernel.memory import Rows, handed, row_length, rows_of, side_by_side
from rnn_exp.networks.kernel.products import (
    add_to_weights,
    read_rows,
    read_squared,
    states_of_rows,
)
from rnn_exp.networks.readout import LossOf, Reading, differentiated
from rnn_exp.shapes import Float, Shaped

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
        _, self._outputs, hidden = weight.shape
        self._dtype = weight.dtype
        self._row, self._lanes = row_length(hidden, weight.dtype), row_length(1, weight.dtype)
        self._found: tuple[Tensor, Tensor] | None = None

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
        (R, outputs, _), own = self._weight.shape, of_y.contiguous()
        if self._found is None:
            shapes = (R, outputs, self._row), (R, outputs, self._lanes)
            self._found = own.new_zeros(shapes[0]), own.new_zeros(shapes[1])
        states = self._whole_rows(h)
        spare = own.new_empty((outputs + 2) * self._row)
        given = handed(self._dtype, *self._found, own, states.values, spare)
        distances = own.stride(0), states.run, states.row
        sizes = R, own.shape[1], outputs, self._row, self._lanes
        add_to_weights(*given, distances, sizes)

    def losses(
        self, y: Float[Tensor, "run answer batch out"], loss_of: LossOf
    ) -> Float[Tensor, " run"]:
        """Return each run's loss."""
        found = self._written_out(y, loss_of)
        return loss_of(y) if found is None else found[0]

    def differentiated(
        self, y: Float[Tensor, "run answer batch out"], loss_of: LossOf
    ) -> tuple[Float[Tensor, " run"], Float[Tensor, "run row out"]]:
        """Return each run's loss, and its gradient by the outputs; by a kernel, if it is known."""
        found = self._written_out(y, loss_of)
        return differentiated(y, loss_of) if found is None else found

    def _written_out(
        self, y: Float[Tensor, "run answer batch out"], loss_of: LossOf
    ) -> tuple[Float[Tensor, " run"], Float[Tensor, "run row out"]] | None:
        """Return what `differentiated` does; None: it is another loss, or its targets are odd."""
        squares, classes = _targets(loss_of, "squared_from"), _targets(loss_of, "classes_from")
        if squares is not None and self._fits(squares, y.shape):
            return self.of_squares(y.contiguous(), squares.contiguous())
        if classes is not None and classes.dtype is torch.int64 and classes.shape == y.shape[:3]:
            return self.of_classes(y.contiguous(), classes.contiguous())
        return None

    def _fits(self, targets: Tensor, shape: torch.Size) -> bool:
        """Say whether targets are those of one output; torch may stretch others."""
        return targets.dtype is self._dtype and shape[-1] == 1 and targets.shape == shape[:3]

    def of_squares(
        self, y: Float[Tensor, "run answer batch 1"], targets: Float[Tensor, "run answer batch"]
    ) -> tuple[Float[Tensor, " run"], Float[Tensor, "run row 1"]]:
        """Return each run's mean squared error and its gradient by the one output.

        Args:
            y: the outputs.
            targets: what they are to be.
        """
        R, rows = len(y), y[0].numel()
        loss, of_y = y.new_empty(R), y.new_empty(R, rows, 1)
        squared_error(*handed(self._dtype, y, of_y, targets, loss), (R, rows))
        return loss, of_y

    def of_classes(
        self, y: Float[Tensor, "run answer batch out"], targets: Shaped[Tensor, "run answer batch"]
    ) -> tuple[Float[Tensor, " run"], Float[Tensor, "run row out"]] | None:
        """Return each run's mean cross-entropy and its gradient by the outputs.

        Args:
            y: the outputs.
            targets: the right classes.

        Returns:
            Both; None: a target is no class.
        """
        R, answers, B, classes = y.shape
        loss, of_y = y.new_empty(R), y.new_empty(R, answers * B, classes)
        row = np.empty(row_length(classes, torch.float64))
        given, sizes = (targets.view(-1).numpy(), row), (R, answers * B, classes)
        is_done = cross_entropy(*handed(self._dtype, y, of_y, loss), given, sizes)
        return (loss, of_y) if is_done else None

    def at_once(
        self, states: Float[Tensor, "run answer batch hidden"], loss_of: LossOf
    ) -> Reading | None:
        """Do all that `readout.read` does for a mean squared error; None: it is another loss."""
        targets, shape = _targets(loss_of, "squared_from"), (*states.shape[:3], self._outputs)
        if targets is None or not self._fits(targets, torch.Size(shape)):
            return None
        return self.squared(states, targets)

    def squared(
        self,
        states: Float[Tensor, "run answer batch hidden"],
        targets: Float[Tensor, "run answer batch"],
    ) -> Reading:
        """Read states out and differentiate the mean square of what the outputs are off.

        Args:
            states: as `readout.states_read` returns them.
            targets: what the one output is to be.
        """
        (R, answers, B, H), row, lanes = states.shape, self._row, self._lanes
        rows, own, wanted = answers * B, self._whole_rows(self.rows(states)), targets.contiguous()
        spare = own.values.new_empty(
            max(R * rows * lanes + (H + rows + 1) * lanes, (rows + 3) * row)
        )
        # Of these, one behind the other: ∂L/∂h, y, ∂L/∂y, L, ∂L/∂C, ∂L/∂c.
        sizes = (R * rows * row, R * rows, R * rows, R, R * row, R * lanes)
        of_h, y, of_y, loss, of_C, of_c, end = itertools.accumulate(sizes, initial=0)
        made = spare.new_empty(end)
        made[of_C:] = 0  # ∂L/∂C and ∂L/∂c are added to
        read = own.values, self._weight, self._bias, wanted, spare
        like, (start, *given) = handed(self._dtype, made, *read)
        size = made.element_size()
        places = [start + size * one for one in (y, of_y, loss, of_h, of_C, of_c)]
        distances = own.run, self._of_run, self._of_bias, own.row
        read_squared(like, (*places, *given), distances, (R, rows, H, 1, row, lanes))
        return Reading(
            made.as_strided((R, answers, B, 1), (rows, B, 1, 1), y),
            made.as_strided((R,), (1,), loss).clone(),  # it is kept; the rest would be with it
            made.as_strided((R, 1, H), (row, row, 1), of_C),
            made.as_strided((R, 1), (lanes, 1), of_c),
            made.as_strided((R, answers, B, H), (rows * row, B * row, row, 1), of_h),
        )

    def of_weights(self) -> tuple[Float[Tensor, "run out hidden"], Float[Tensor, "run out"]]:
        """Return the gradients of C and c, when `add` has had all rows.

        Raises:
            ValueError: if it had none.
        """
        if self._found is None:
            raise ValueError("no rows were read, so there is no gradient of the read-out")
        of_weight, of_bias = self._found
        return of_weight[..., : self._weight.shape[-1]], of_bias[..., 0]

    def _whole_rows(self, h: Float[Tensor, "run row hidden"]) -> Rows:
        return rows_of(h.unsqueeze(0), whole_vectors=True)


def _targets(loss_of: LossOf, which: str) -> Tensor | None:
    """Return the targets of a loss, if it is of a kind; None: it is not, or does not say so."""
    found = getattr(loss_of, which, None)
    return None if found is None else found()
