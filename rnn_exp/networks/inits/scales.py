"""Weight scales: the recurrent weights before training, by their gain."""

import dataclasses
import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from rnn_exp.fields import SettingError, number
from rnn_exp.networks.cells import CellKind
from rnn_exp.networks.inits.init import (
    PLAIN,
    Init,
    Shapes,
    normal,
    radius,
    torch_default,
    with_recurrent,
)
from rnn_exp.networks.network import Network, Refusal
from rnn_exp.shapes import Float

__all__ = [
    "Critical",
    "Gaussian",
    "Identity",
    "Orthogonal",
    "SpectralRadius",
    "TorchDefault",
    "Uniform",
]


@dataclasses.dataclass(frozen=True)
class TorchDefault(Init):
    """torch.nn.RNN's own default: every weight and bias U(−1/√n, 1/√n), which is gain 1/√3."""

    name: ClassVar[str] = "torch"
    needs_matrix: ClassVar[bool] = False

    def mean_field_gain(self, W: Float[Tensor, "n n"]) -> float:
        """Return the gain g for which W has variance g²/n: 1/√3."""
        del W
        return 1 / math.sqrt(3)

    def draw(self, shapes: Shapes, seed: int, cell: CellKind = PLAIN) -> dict[str, Tensor]:
        """Draw all parameters, bit for bit as torch's modules do."""
        del cell
        return torch_default(shapes, seed)


@dataclasses.dataclass(frozen=True)
class Gaussian(Init):
    """W_hh ~ N(0, g²/n); W_ih as torch's default times ``input_scale``; biases 0.

    Args:
        gain: g, the standard deviation of the entries of W_hh, times √n.
        input_scale: what torch's default of W_ih is multiplied by.

    Raises:
        SettingError: for a gain or a scale below 0.
    """

    gain: float = number(0.8, least=0)
    input_scale: float = number(1.0, least=0, short="input")
    name: ClassVar[str] = "gaussian"

    def mean_field_gain(self, W: Float[Tensor, "n n"]) -> float | None:
        """Return the gain g for which W has variance g²/n; None where W is not random."""
        del W
        return self.gain

    def recurrent(self, n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
        """Return W_hh."""
        return normal(n, draw) * (self.gain / math.sqrt(n))

    def draw(self, shapes: Shapes, seed: int, cell: CellKind = PLAIN) -> dict[str, Tensor]:
        """Draw all parameters; the read-out is torch.nn.Linear's default."""
        del cell
        return with_recurrent(self.recurrent, self.input_scale, shapes, seed)


@dataclasses.dataclass(frozen=True)
class Uniform(Gaussian):
    """W_hh ~ U(−b, b) with b = g √(3/n), so that its variance is g²/n; the rest as `Gaussian`."""

    name: ClassVar[str] = "uniform"

    def recurrent(self, n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
        """Return W_hh."""
        bound = self.gain * math.sqrt(3 / n)
        W = torch.empty(n, n, dtype=torch.float64)
        return W.uniform_(-1, 1, generator=draw) * bound


@dataclasses.dataclass(frozen=True)
class Orthogonal(Gaussian):
    """W_hh = g Q with Q uniform among orthogonal matrices; the rest as `Gaussian`.

    Theory speaks of it as of independent weights of the same variance: ‖Wᵀδ‖ = g ‖δ‖ there is
    exact. Measured over 50 steps with n = 64, 10 seeds, the predicted change is off by .1 ± .1
    decades (tanh .9 under weak inputs), .1 ± .2 (tanh 2), .4 ± .8 (relu 1.4), .4 ± 1.2 (sigmoid 8);
    with Gaussian weights by .9 ± 1.1, .1 ± .4, .4 ± 1.8, .4 ± 1.4.

    Args:
        gain: g, every singular value of W_hh.
    """

    gain: float = number(1.0, least=0)
    name: ClassVar[str] = "orthogonal"
    is_orthogonal: ClassVar[bool] = True

    def recurrent(self, n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
        """Return W_hh: the Q of a Gaussian matrix's QR, signs fixed so that it is uniform."""
        q, r = torch.linalg.qr(normal(n, draw))
        return self.gain * q * r.diagonal().sign()


@dataclasses.dataclass(frozen=True)
class Identity(Gaussian):
    """W_hh = g I (IRNN with relu: Le, Jaitly & Hinton 2015); the rest as `Gaussian`.

    Args:
        gain: g, the weight of every unit on itself.
    """

    gain: float = number(1.0, least=0)
    name: ClassVar[str] = "identity"
    is_orthogonal: ClassVar[bool] = True

    def mean_field_gain(self, W: Float[Tensor, "n n"]) -> float | None:
        """Return None: the mean field speaks of random matrices."""
        del W
        return None

    def recurrent(self, n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
        """Return W_hh; nothing is drawn."""
        del draw
        return self.gain * torch.eye(n, dtype=torch.float64)


@dataclasses.dataclass(frozen=True)
class SpectralRadius(Gaussian):
    """W_hh Gaussian, scaled so that its largest eigenvalue has modulus ``gain``, exactly.

    Args:
        gain: the spectral radius of W_hh.
    """

    gain: float = number(1.0, least=0)
    name: ClassVar[str] = "spectral_radius"

    def mean_field_gain(self, W: Float[Tensor, "n n"]) -> float:
        """Return the gain that the drawn matrix has: below its radius, the more the smaller n."""
        return float(W.double().std()) * math.sqrt(W.shape[-1])

    def recurrent(self, n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
        """Return W_hh."""
        W = normal(n, draw)
        return W * (self.gain / radius(W))


@dataclasses.dataclass(frozen=True)
class Critical(Gaussian):
    """W_hh ~ N(0, g²/n), g = ``gain`` times the critical gain under the drive of the run's inputs.

    With gain 1 theory says that the gradient of the first state is as large as that of the last:
    the mean of wide networks, around which one of a few units scatters by decades. What drives each
    time step is measured on the run's task, layer by layer (`initial_weights`); `draw` gives g = 1.

    Args:
        gain: the multiple of the critical gain.
    """

    gain: float = number(1.0, least=0)
    name: ClassVar[str] = "critical"

    def refusals(self, network: Network, output_size: int) -> Iterator[Refusal]:
        """Yield for which networks no critical gain is known."""
        del output_size
        if network.kind.no_edge is not None:
            given = f"network.cell={network.cell}"
            yield "init", self.name, f"another init with {given}: {network.kind.no_edge}"
        if network.hidden_size == 1:
            reason = "more than 1 with init=critical: theory is that of many units"
            yield "network.hidden_size", 1, reason

    def mean_field_gain(self, W: Float[Tensor, "n n"]) -> float:
        """Return the gain that the drawn matrix has: it depends on the task's inputs."""
        return float(W.double().std()) * math.sqrt(len(W))

    @property
    def critical_scale(self) -> float:
        """The gain: a multiple of the critical one."""
        return self.gain

    def drive_error(self, why: str) -> SettingError:
        """Return the refusal of inputs so strong that no critical gain is known for them."""
        allowed = f"less, with init=critical: {why}"
        return SettingError("init.input_scale", self.input_scale, allowed)

    def recurrent(self, n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
        """Return W_hh with g = 1, to be scaled."""
        return normal(n, draw) / math.sqrt(n)
