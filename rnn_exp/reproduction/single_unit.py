"""H5: the cliff of one unit, and the biases at which its state jumps."""

import dataclasses

import torch
from torch import Tensor

from rnn_exp.reproduction.claims import Above, Near, PlainMeasure, cheap
from rnn_exp.theory.one_unit import loss_surface

__all__ = ["CLAIMS", "Cliff", "Jump"]

_POINTS = 101  # of a grid over the bracket, which narrows it a hundred times


@dataclasses.dataclass(frozen=True)
class Jump(PlainMeasure):
    """Bias at which x_0 = 0 and x_0 = 1 begin to settle apart, by iterating x = σ(w x + b)."""

    outside: float
    inside: float = -2.5
    weight: float = 5.0
    T: int = 4000
    narrowed: int = 3

    def __call__(self) -> list[float]:
        """Return the bias; the saddle-node's formula is not used."""
        outside, inside = self.outside, self.inside
        for _ in range(self.narrowed):
            bias = torch.linspace(outside, inside, _POINTS, dtype=torch.float64)
            first = int(self._parts(bias).int().argmax())
            if not first:
                raise ValueError(f"no jump between b = {outside:g} and {inside:g}")
            outside, inside = float(bias[first - 1]), float(bias[first])
        return [0.5 * (outside + inside)]

    def _parts(self, bias: Tensor) -> Tensor:
        low, high = (
            loss_surface(torch.tensor([self.weight]), bias, T=self.T, initial=x0, target=0.0)
            .loss[0]
            .sqrt()
            for x0 in (0.0, 1.0)
        )
        return high - low > 0.1


@dataclasses.dataclass(frozen=True)
class Cliff(PlainMeasure):
    """Largest over median gradient of E = (x_50 − 0.7)² over w in [4.5, 6.5], b in [−3, −2]."""

    points: int = 401
    T: int = 50

    def __call__(self) -> list[float]:
        """Return the ratio over the grid."""
        w, b = (
            torch.linspace(*ends, self.points, dtype=torch.float64)
            for ends in ((4.5, 6.5), (-3.0, -2.0))
        )
        steepness = loss_surface(w, b, T=self.T).gradient_norm
        return [float(steepness.max() / steepness.median())]


_SOURCE = "Pascanu, Mikolov & Bengio 2013, fig. 6"
CLAIMS = (
    *(
        cheap(
            "H5",
            f"w=5: the {which} saddle-node",
            "x (1 − x) w = 1 (Strogatz 1994, §3.1)",
            Near(value, 1e-4),
            Jump(outside),
        )
        for which, value, outside in (("lower", -2.65561, -2.8), ("upper", -2.34439, -2.2))
    ),
    cheap("H5", "the loss has a wall", _SOURCE, Above(1e4), Cliff()),
)
