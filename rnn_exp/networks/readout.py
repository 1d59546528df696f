r"""The read-out y = C h + c, and the gradient of a loss of y by C, c and the states that were read.

Autograd sees the loss alone, and only where its gradient is not written out: ∂L/∂C = Σ (∂L/∂y) hᵀ
and ∂L/∂h = Cᵀ ∂L/∂y are two products, whether one time step is read or all of them. They are those
of kernels where the passes are, else torch's.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from rnn_exp.networks.cells.layout import flatten_time_batch, with_ones
from rnn_exp.networks.network import Network
from rnn_exp.shapes import Float, Shaped

__all__ = [
    "LossOf",
    "Objective",
    "Reader",
    "Reading",
    "TorchReader",
    "at_ends",
    "differentiated",
    "onto_time",
    "read",
    "reader_of",
    "states_read",
]

LossOf = Callable[[Tensor], Tensor]
"""The loss of each run as a function of the outputs (run, answer, batch, output).

It may have a function ``and_slope`` that returns the loss and its gradient, or None: autograd is to
find it; and ``squared_from`` and ``classes_from``, which return the targets (run, answer, batch) of
a mean squared error and of a mean cross-entropy, or None: it is another loss.
"""


class Objective(NamedTuple):
    """What is asked of a network: answers at which time steps, and the loss of these.

    The last ``answers`` steps are read. Where sequences are of several lengths there is one answer,
    at the end of each, and no sequence is shorter than ``shortest``.
    """

    loss_of: LossOf
    answers: int = 1
    ends: Shaped[Tensor, "run batch"] | None = None
    shortest: int = 0

    def first(self, T: int) -> int:
        """Return after how many of T time steps the first one comes that may have a loss."""
        # It is the task that decides, not these sequences: company must not matter.
        return T - self.answers if self.ends is None else self.shortest - 1


class Reading(NamedTuple):
    """Outputs, each run's loss, and the loss's gradient by C, c and the states that were read."""

    outputs: Float[Tensor, "run answer batch output"]
    loss: Float[Tensor, " run"]
    weight: Float[Tensor, "run output hidden"]
    bias: Float[Tensor, "run output"]
    states: Float[Tensor, "run answer batch hidden"]


def states_read(
    states: Float[Tensor, "time run batch hidden"],
    answers: int,
    ends: Shaped[Tensor, "run batch"] | None = None,
) -> Float[Tensor, "run answer batch hidden"]:
    """Return the states from which the answers are read: of the last steps, or one at each end."""
    T, R, B, H = states.shape
    if ends is None:
        return flatten_time_batch(states[T - answers :]).view(R, answers, B, H)
    return at_ends(states, ends, 0, states.new_zeros(R, B, H)).unsqueeze(1)


def at_ends(
    states: Float[Tensor, "time run batch hidden"],
    ends: Shaped[Tensor, "run batch"],
    start: int,
    found: Float[Tensor, "run batch hidden"],
) -> Float[Tensor, "run batch hidden"]:
    """Put the states at the ends of sequences in their places, and return all of these.

    Args:
        states: of the time steps from start + 1 on.
        ends: the last time step of each sequence.
        start: the sequences that end up to it, or after these steps, keep what is in their places.
        found: the places.
    """
    run, sequence, step = _ending(ends, start, start + len(states))
    found[run, sequence] = states[step, run, sequence]
    return found


def _ending(
    ends: Shaped[Tensor, "run batch"], start: int, stop: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the run, the place and the last step of the sequences that end in some time steps."""
    run, sequence = ((start < ends) & (ends <= stop)).nonzero(as_tuple=True)
    return run, sequence, ends[run, sequence] - 1 - start


def onto_time(
    gradient: Float[Tensor, "run answer batch hidden"],
    objective: Objective,
    T: int,
    start: int,
    stop: int,
) -> Float[Tensor, "some run batch hidden"]:
    """Put a gradient by the states that were read back on the time axis: the direct gradient.

    Args:
        gradient: by the states that were read.
        objective: which these are.
        T: time steps of the sequence.
        start: the gradient is wanted of time steps start + 1 … stop, all of which may have a loss.
        stop: the last of them.
    """
    if objective.ends is None:
        first = objective.first(T)
        return gradient[:, start - first : stop - first].transpose(0, 1)
    answer = gradient[:, 0]
    direct = answer.new_zeros(stop - start, *answer.shape)
    run, sequence, step = _ending(objective.ends, start, stop)
    direct[step, run, sequence] = answer[run, sequence]
    return direct


@runtime_checkable
class Reader(Protocol):
    """The read-out of many runs, and what is computed with it from rows of states."""

    def rows(
        self, states: Float[Tensor, "run answer batch hidden"]
    ) -> Float[Tensor, "run row more"]:
        """Return states as the rows that the other methods take."""
        ...

    def outputs(self, h: Float[Tensor, "run row more"]) -> Float[Tensor, "run row out"]:
        """Return the outputs of rows of states."""
        ...

    def losses(
        self, y: Float[Tensor, "run answer batch out"], loss_of: LossOf
    ) -> Float[Tensor, " run"]:
        """Return each run's loss."""
        ...

    def differentiated(
        self, y: Float[Tensor, "run answer batch out"], loss_of: LossOf
    ) -> tuple[Float[Tensor, " run"], Float[Tensor, "run row out"]]:
        """Return each run's loss, and its gradient by the outputs (`differentiated`)."""
        ...

    def of_states(self, of_y: Float[Tensor, "run row out"]) -> Float[Tensor, "run row hidden"]:
        """Return the gradient by the states, from that by the outputs."""
        ...

    def add(self, of_y: Float[Tensor, "run row out"], h: Float[Tensor, "run row more"]) -> None:
        """Add what some rows give to the gradients of C and c."""
        ...

    def of_weights(self) -> tuple[Float[Tensor, "run out hidden"], Float[Tensor, "run out"]]:
        """Return the gradients of C and c, when `add` has had all rows."""
        ...

    def at_once(
        self, states: Float[Tensor, "run answer batch hidden"], loss_of: LossOf
    ) -> Reading | None:
        """Do all that `read` does, where there is a shorter way for a loss; None: there is none."""
        ...


def reader_of(
    network: Network, weight: Float[Tensor, "run output hidden"], bias: Float[Tensor, "run output"]
) -> Reader:
    """Return what reads a network's states: by kernels, where its passes are kernels.

    Args:
        network: what the network is.
        weight: C, in the network's precision, or any.
        bias: c.
    """
    if network.by_kernels and weight.dtype == network.torch_dtype:
        from rnn_exp.networks.kernel.reader import KernelReader

        return KernelReader(weight, bias)
    return TorchReader(weight, bias)


class TorchReader:
    """The read-out as one matrix, by torch's products.

    The bias is the weight of a unit that is always 1. A read-out of one output is computed as one
    of two: matrix–vector products round differently for one run than for many.

    Args:
        weight: C.
        bias: c.
    """

    def __init__(
        self, weight: Float[Tensor, "run output hidden"], bias: Float[Tensor, "run output"]
    ) -> None:
        self._outputs = weight.shape[1]
        self._spare = max(0, 2 - self._outputs)
        joined = torch.cat([weight, bias.unsqueeze(-1)], dim=-1)
        self._matrix = torch.nn.functional.pad(joined, (0, 0, 0, self._spare))
        self._of_matrix: Tensor | None = None

    def rows(
        self, states: Float[Tensor, "run answer batch hidden"]
    ) -> Float[Tensor, "run row hidden_and_one"]:
        """Return states `with_ones`."""
        return with_ones(states.flatten(1, 2))

    def outputs(self, h: Float[Tensor, "run row hidden_and_one"]) -> Float[Tensor, "run row out"]:
        """Return the outputs of rows of states."""
        return torch.bmm(h, self._matrix.transpose(1, 2))[..., : self._outputs].contiguous()

    def losses(
        self, y: Float[Tensor, "run answer batch out"], loss_of: LossOf
    ) -> Float[Tensor, " run"]:
        """Return each run's loss."""
        return loss_of(y)

    def differentiated(
        self, y: Float[Tensor, "run answer batch out"], loss_of: LossOf
    ) -> tuple[Float[Tensor, " run"], Float[Tensor, "run row out"]]:
        """Return each run's loss, and its gradient by the outputs."""
        return differentiated(y, loss_of)

    def of_states(self, of_y: Float[Tensor, "run row out"]) -> Float[Tensor, "run row hidden"]:
        """Return the gradient by the states, from that by the outputs."""
        return torch.bmm(self._padded(of_y), self._matrix)[..., :-1]

    def add(
        self, of_y: Float[Tensor, "run row out"], h: Float[Tensor, "run row hidden_and_one"]
    ) -> None:
        """Add what some rows give to the gradients of C and c."""
        left = self._padded(of_y).transpose(1, 2)
        if self._of_matrix is None:
            self._of_matrix = torch.bmm(left, h)
        else:
            self._of_matrix.baddbmm_(left, h)

    def of_weights(self) -> tuple[Float[Tensor, "run out hidden"], Float[Tensor, "run out"]]:
        """Return the gradients of C and c, when `add` has had all rows.

        Raises:
            ValueError: if it had none.
        """
        if self._of_matrix is None:
            raise ValueError("no rows were read, so there is no gradient of the read-out")
        own = self._of_matrix[:, : self._outputs]
        return own[..., :-1], own[..., -1]

    def at_once(self, states: Float[Tensor, "run answer batch hidden"], loss_of: LossOf) -> None:
        """Return None: there is no shorter way."""
        del states, loss_of

    def _padded(self, of_y: Float[Tensor, "run row out"]) -> Float[Tensor, "run row padded"]:
        return torch.nn.functional.pad(of_y, (0, self._spare))


def differentiated(
    y: Float[Tensor, "run answer batch out"], loss_of: LossOf
) -> tuple[Float[Tensor, " run"], Float[Tensor, "run row out"]]:
    """Return each run's loss, and its gradient by the outputs, a row an answer and sequence."""
    written_out = getattr(loss_of, "and_slope", None)
    with torch.inference_mode(mode=False), torch.enable_grad():
        # A loss of a user's may do with the outputs what it can with any tensor.
        y = y.clone() if y.is_inference() else y
        found = None if written_out is None else written_out(y)
        if found is not None:
            return found[0], found[1].flatten(1, 2)
        y = y.requires_grad_()
        loss = loss_of(y)
        # The loss of a run depends on its own outputs alone: the sum's gradient has that of each.
        # To give ones in the place of a sum is the same, but lets torch import sympy, half a
        # second.
        (of_y,) = torch.autograd.grad(loss.sum(), y)
    return loss.detach(), of_y.flatten(1, 2)


def read(
    states: Float[Tensor, "run answer batch hidden"], reader: Reader, loss_of: LossOf
) -> Reading:
    """Read states out, take the loss of the outputs, and differentiate it.

    Args:
        states: as `states_read` returns them.
        reader: of the network; it has read nothing before.
        loss_of: the loss of the outputs.
    """
    found = reader.at_once(states, loss_of)
    if found is not None:
        return found
    h = reader.rows(states)
    y = reader.outputs(h).view(*states.shape[:3], -1)
    loss, of_y = reader.differentiated(y, loss_of)
    reader.add(of_y, h)
    of_states = reader.of_states(of_y).reshape(states.shape)
    return Reading(y.detach(), loss, *reader.of_weights(), of_states)
