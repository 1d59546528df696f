"""Cells whose two passes are kernels; all else is inherited from the cells in torch.

Which networks have kernels is told in `schema`; nothing is compiled before the first pass.
"""

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rnn_exp.networks.cells.elman import Elman
from rnn_exp.networks.cells.lstm import LSTM, Kept
from rnn_exp.networks.cells.skip import Skip
from rnn_exp.networks.cells.values import Adjoint, LayerWeights, Trace
from rnn_exp.schema import ACTIVATION_CODES
from rnn_exp.shapes import Float

if TYPE_CHECKING:
    from rnn_exp.networks.cells.base import Cell

__all__ = ["KernelElman", "KernelLSTM", "KernelSkip", "kernel_cell", "kernels_of"]


@dataclasses.dataclass(frozen=True)
class KernelElman(Elman):
    """`Elman` by kernels."""

    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None = None,
    ) -> Trace:
        """Return the states h_1…h_T."""
        del before
        from rnn_exp.networks.kernel import passes

        code = ACTIVATION_CODES[self.activation.name]
        states, _ = passes.forward(x, weights, initial, code, None)
        return Trace(states[1:], states[:-1])

    def adjoint(
        self,
        direct: Float[Tensor, "last run batch hidden"],
        trace: Trace,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        *,
        with_inputs: bool = False,
        later: tuple[Tensor, ...] = (),
    ) -> Adjoint:
        """Return the total gradient of every step and the gradients of the parameters."""
        from rnn_exp.networks.kernel import passes

        code = ACTIVATION_CODES[self.activation.name]
        found = passes.adjoint(direct, trace, x, weights, code, None, with_inputs, later)
        return found._replace(earlier=found.earlier[:1])


@dataclasses.dataclass(frozen=True)
class KernelSkip(Skip):
    """`Skip` by kernels."""

    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None = None,
    ) -> Trace:
        """Return the states h_1…h_T; φ(u_t) is kept."""
        del before
        from rnn_exp.networks.kernel import passes

        code = ACTIVATION_CODES[self.activation.name]
        states, values = passes.forward(x, weights, initial, code, self)
        return Trace(states[1:], states[:-1], (values,))

    def adjoint(
        self,
        direct: Float[Tensor, "last run batch hidden"],
        trace: Trace,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        *,
        with_inputs: bool = False,
        later: tuple[Tensor, ...] = (),
    ) -> Adjoint:
        """Return the total gradient of every step and the gradients of the parameters."""
        from rnn_exp.networks.kernel import passes

        code = ACTIVATION_CODES[self.activation.name]
        return passes.adjoint(direct, trace, x, weights, code, self, with_inputs, later)


@dataclasses.dataclass(frozen=True)
class KernelLSTM(LSTM):
    """`LSTM` by kernels; of the last gate the candidate itself is kept."""

    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None = None,
    ) -> Trace:
        """Return the states h_1…h_T."""
        from rnn_exp.networks.kernel import passes

        c_0 = torch.zeros_like(initial) if before is None else Kept(*before.kept).c[-1]
        states, kept = passes.lstm_forward(x, weights, initial, c_0)
        return Trace(states[1:], states[:-1], kept)

    def adjoint(
        self,
        direct: Float[Tensor, "last run batch hidden"],
        trace: Trace,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        *,
        with_inputs: bool = False,
        later: tuple[Tensor, ...] = (),
    ) -> Adjoint:
        """Return ∂L/∂h_t and ∂L/∂c_t of every step and the gradients of the parameters."""
        from rnn_exp.networks.kernel import passes

        return passes.lstm_adjoint(direct, trace, x, weights, with_inputs, later)

    def _candidate(self, last: Float[Tensor, "*any hidden"]) -> Float[Tensor, "*any hidden"]:
        """Return g, which is what is kept."""
        return last


def kernels_of(cell: str) -> str:
    """Return which kernels a cell of `KERNEL_CELLS` takes: those of ``rnn`` or of ``lstm``."""
    return "lstm" if cell == "lstm" else "rnn"


def kernel_cell(cell: "Cell") -> "Cell":
    """Return the cell that computes as another does, by kernels.

    Raises:
        ValueError: if there is none.
    """
    if isinstance(cell, Elman):
        return KernelElman(cell.activation)
    if isinstance(cell, Skip):
        return KernelSkip(cell.activation, cell.keep, cell.add)
    if isinstance(cell, LSTM):
        return KernelLSTM()
    raise ValueError(f"{cell} has no kernel")
