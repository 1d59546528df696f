"""Cells whose two passes, and what is recorded of them, are kernels; the rest is inherited.

Which networks have kernels is told in `schema`; nothing is compiled before the first pass.
"""

import dataclasses
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from torch import Tensor

from rnn_exp.networks.cells.elman import Elman
from rnn_exp.networks.cells.gru import GRU, Kept
from rnn_exp.networks.cells.lstm import LSTM
from rnn_exp.networks.cells.recorded import Measured, Measures
from rnn_exp.networks.cells.skip import Skip
from rnn_exp.networks.cells.values import Adjoint, LayerWeights, Totals, Trace
from rnn_exp.schema import ACTIVATION_CODES
from rnn_exp.shapes import Float

if TYPE_CHECKING:
    from rnn_exp.networks.cells.base import Cell
    from rnn_exp.networks.kernel.passes import Passes

__all__ = ["KernelElman", "KernelGRU", "KernelLSTM", "KernelSkip", "kernel_cell"]


class _ByKernels(Measures):
    """The passes of a cell as kernels, with the arguments that `Cell` gives them."""

    @abstractmethod
    def _passes(self) -> "Passes":
        """Return the passes, which import numba."""

    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None = None,
    ) -> Trace:
        """Return the states h_1…h_T."""
        return self._passes().forward(x, weights, initial, before)

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
        return self._passes().adjoint(direct, trace, x, weights, with_inputs, later)

    def measured(self, trace: Trace, totals: Totals) -> Measured:
        """Return what is recorded of a layer's passes."""
        from rnn_exp.networks.kernel import recording

        cell: Any = self
        return recording.measured(self._passes(), cell, trace, totals)

    def log10_norms(
        self, values: Float[Tensor, "time run batch hidden"]
    ) -> Float[Tensor, "time run"]:
        """Return log10 of the norms over batch and units, in float64."""
        from rnn_exp.networks.kernel import recording

        return recording.log10_norms(values)


@dataclasses.dataclass(frozen=True)
class KernelElman(_ByKernels, Elman):
    """`Elman` by kernels."""

    def _passes(self) -> "Passes":
        from rnn_exp.networks.kernel.passes import ElmanPasses

        return ElmanPasses(ACTIVATION_CODES[self.activation.name])


@dataclasses.dataclass(frozen=True)
class KernelSkip(_ByKernels, Skip):
    """`Skip` by kernels."""

    def _passes(self) -> "Passes":
        from rnn_exp.networks.kernel.passes import ElmanPasses

        return ElmanPasses(ACTIVATION_CODES[self.activation.name], self.keep, self.add)


@dataclasses.dataclass(frozen=True)
class KernelLSTM(_ByKernels, LSTM):
    """`LSTM` by kernels; of the last gate the candidate itself is kept."""

    def _passes(self) -> "Passes":
        from rnn_exp.networks.kernel.gated import LSTMPasses

        return LSTMPasses()

    def _candidate(self, last: Float[Tensor, "*any hidden"]) -> Float[Tensor, "*any hidden"]:
        """Return g, which is what is kept."""
        return last


@dataclasses.dataclass(frozen=True)
class KernelGRU(_ByKernels, GRU):
    """`GRU` by kernels; one tensor is kept, with n, r, z and m."""

    def _passes(self) -> "Passes":
        from rnn_exp.networks.kernel.gated import GRUPasses

        return GRUPasses()

    def _kept(self, trace: Trace) -> Kept:
        [gates] = trace.kept
        return Kept(gates[..., 1:3, :], gates[..., 3, :], gates[..., 0, :])


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
    if isinstance(cell, GRU):
        return KernelGRU()
    raise ValueError(f"{cell} has no kernel")
