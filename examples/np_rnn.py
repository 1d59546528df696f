r"""The np-RNN: a positive definite W_hh with one eigenvalue 1, and all others below it.

    W_hh = (A + 1) / λ_max(A + 1),   A = RᵀR / n,   R of independent N(0, 1)

(Talathi & Vartak 2016, "Improving performance of recurrent neural network with relu nonlinearity",
section 3.) With relu the identity of an IRNN keeps the gradient of every unit; here that of one
direction is kept, and the others fade.

    rnn-exp use=[examples/np_rnn.py] init=np_rnn network.activation=relu
    rnn-exp --config-dir examples study=np_rnn
"""

import dataclasses
from typing import ClassVar

import torch

import rnn_exp as rx
from rnn_exp.fields import number
from rnn_exp.networks import CellKind
from rnn_exp.networks.inits.init import PLAIN, Init, Shapes, normal, with_recurrent


@rx.register
@dataclasses.dataclass(frozen=True)
class NormalizedPositive(Init):
    """W_hh positive definite with largest eigenvalue g; biases 0.

    Args:
        gain: g.
        input_scale: factor on torch's default W_ih.
    """

    gain: float = number(1.0, above=0)
    input_scale: float = number(1.0, above=0)

    name: ClassVar[str] = "np_rnn"

    def draw(self, shapes: Shapes, seed: int, cell: CellKind = PLAIN):
        """Draw all parameters."""
        del cell

        def recurrent(n, draw):
            R = normal(n, draw)
            A = R.mT @ R / n + torch.eye(n, dtype=R.dtype)
            return self.gain * A / torch.linalg.eigvalsh(A)[-1]

        return with_recurrent(recurrent, self.input_scale, shapes, seed)
