"""One unit: the cliff of its loss, and the biases at which its state jumps.

Both are claims on x_t = σ(w x_{t-1} + b) of Pascanu, Mikolov & Bengio 2013, fig. 6.
"""

import dataclasses

import torch
from torch import Tensor

from rnn_exp.reproduction.claims import DataclassMeasure, same_when_quick
from rnn_exp.reproduction.goals import Above, Near
from rnn_exp.theory.one_unit import loss_surface

__all__ = ["CLAIMS", "Cliff", "SaddleNode"]

_POINTS = 101  # of a grid over the bracket, which narrows it a hundred times


@dataclasses.dataclass(frozen=True)
class SaddleNode(DataclassMeasure):
    """Bias at which x_0 = 0 and x_0 = 1 begin to settle apart, by iterating x = σ(w x + b).

    Args:
        outside: a bias with one stable state.
        inside: a bias with two.
        weight: w.
        T: how many iterations are taken for settled.
        narrowed: how often the bracket between the two is narrowed.
    """

    outside: float
    inside: float = -2.5
    weight: float = 5.0
    T: int = 4000
    narrowed: int = 3

    def __call__(self) -> list[float]:
        """Return the bias; the saddle-node's formula is not used.

        Raises:
            ValueError: if the two states are as far apart at both ends of the bracket.
        """
        outside, inside = self.outside, self.inside
        for _ in range(self.narrowed):
            bias = torch.linspace(outside, inside, _POINTS, dtype=torch.float64)
            first = int(self._settles_apart(bias).int().argmax())
            if not first:
                raise ValueError(f"no jump between b = {outside:g} and {inside:g}")
            outside, inside = float(bias[first - 1]), float(bias[first])
        return [0.5 * (outside + inside)]

    def _settles_apart(self, bias: Tensor) -> Tensor:
        """Return whether x_T from x_0 = 1 is above x_T from x_0 = 0, at every bias."""
        low, high = (
            loss_surface(torch.tensor([self.weight]), bias, T=self.T, initial=x0, target=0.0)
            .loss[0]
            .sqrt()
            for x0 in (0.0, 1.0)
        )
        return high - low > 0.1


@dataclasses.dataclass(frozen=True)
class Cliff(DataclassMeasure):
    """Largest over median gradient of E = (x_50 − 0.7)² over w in [4.5, 6.5], b in [−3, −2].

    Args:
        points: how many values of w and of b.
        T: the number of time steps.
    """

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


CLAIMS = (
    *(
        same_when_quick(
            "cliff",
            f"w=5: the {which} saddle-node",
            "x (1 − x) w = 1 (Strogatz 1994, §3.1)",
            Near(value, 1e-4),
            SaddleNode(outside),
        )
        for which, value, outside in (("lower", -2.65561, -2.8), ("upper", -2.34439, -2.2))
    ),
    same_when_quick(
        "cliff",
        "the loss has a wall",
        "Pascanu, Mikolov & Bengio 2013, §2.3, fig. 6",
        Above(1e4),
        Cliff(),
    ),
)
