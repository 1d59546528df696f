r"""One unit, where everything is a number: the chain rule as a product, the cliff of the loss.

x_t = φ(w x_{t-1} + b). Its gradient through n time steps is the product of the course notes,

    D_n = σ'(z_1) w_1 · σ'(z_2) w_2 · … · σ'(z_n) w_n = ∂x_n/∂x_0,

and its loss over (w, b) has the wall of Pascanu, Mikolov & Bengio 2013, fig. 6.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.shapes import Float
from rnn_exp.theory import fixed_points

__all__ = ["Surface", "chain_rule", "loss_surface", "saddle_nodes"]


class Surface(NamedTuple):
    """E = (x_T − target)² over a grid of weights and biases, and its exact gradient.

    Args:
        loss: E.
        grad_w: ∂E/∂w.
        grad_b: ∂E/∂b.
    """

    loss: Float[Tensor, "w b"]
    grad_w: Float[Tensor, "w b"]
    grad_b: Float[Tensor, "w b"]

    @property
    def gradient_norm(self) -> Float[Tensor, "w b"]:
        """√((∂E/∂w)² + (∂E/∂b)²)."""
        return torch.hypot(self.grad_w, self.grad_b)


def chain_rule(
    states: Float[Tensor, " time *unit"], weight: Float[Tensor, "..."], activation: str
) -> Float[Tensor, " time *unit"]:
    r"""Return D_1…D_T, the product of φ'(z_k) w_k for k = 1…n: D_n is ∂h_n/∂h_0.

    For the logistic 0 < φ' ≤ ¼, so |D_n| ≤ (|w|/4)^n: |w| ≤ 4 never explodes and |w| > 4 is
    necessary for exploding, but not sufficient: a saturated unit has φ' ≪ ¼.

    Args:
        states: h_k = φ(z_k), which decides φ'(z_k), for k = 1…T; any number of units.
        weight: one number, one a unit, or one a time step and unit (as in a deep network, where
            w_1 ≠ w_2).
        activation: the name of φ.

    Returns:
        D_n at n = 1…T, of every unit.

    Raises:
        ValueError: for a φ whose slope does not follow from its output.

    Example:
        >>> h = torch.tensor([0.5, 0.5, 0.5], dtype=torch.float64)
        >>> chain_rule(h, torch.tensor(2.0), "sigmoid").tolist()
        [0.5, 0.25, 0.125]
    """
    return torch.cumprod(ACTIVATIONS[activation].from_output(states) * weight, dim=0)


def saddle_nodes(weight: float) -> tuple[float, float]:
    """Return the two biases between which x = σ(w x + b) has two stable fixed points.

    The formula is that of `fixed_points.saddle_nodes`, of one weight. As b crosses such a value,
    the point the unit settles on jumps (Strogatz 1994, §3.1).

    Args:
        weight: w, at least 4.

    Returns:
        The lower bias and the upper one.

    Raises:
        ValueError: for w < 4, where the slope σ' w never reaches 1 (and every b has one fixed
            point), and for an infinite or NaN w.

    Example:
        >>> [round(b, 5) for b in saddle_nodes(5.0)]
        [-2.65561, -2.34439]
    """
    if not fixed_points.CUSP <= weight < math.inf:
        raise ValueError(f"a logistic unit has saddle-nodes for w of at least 4, got {weight}")
    first, second = fixed_points.saddle_nodes(weight)
    return float(first), float(second)


def loss_surface(
    weight: Float[Tensor, " w"],
    bias: Float[Tensor, " b"],
    *,
    T: int = 50,
    initial: float = 0.5,
    target: float = 0.7,
    activation: str = "sigmoid",
) -> Surface:
    r"""Return E = (x_T − target)² and its gradient for every pair of a weight and a bias.

    The derivatives go forward with the state, at all pairs at once and in float64:

        ∂x_t/∂w = φ' (x_{t-1} + w ∂x_{t-1}/∂w),      ∂x_t/∂b = φ' (1 + w ∂x_{t-1}/∂b).

    The defaults are those of Pascanu, Mikolov & Bengio 2013, fig. 6: where the fixed point that
    x_0 = ½ leads to changes, the loss has a wall. It stands on b = −w/2, where x_t stays at the
    unstable fixed point ½ and ∂x_T/∂b = ¼ Σ_{k<T} (w/4)^k, and is about (4/w)^T thick: what a
    grid shows of its height depends on whether a pair lies on that line (100 by 100 pairs over
    w ∈ [4.5, 6.5], b ∈ [−3, −2] miss it, 101 by 101 do not).

    Args:
        weight: the values of w.
        bias: the values of b.
        T: the number of time steps.
        initial: x_0.
        target: what x_T ought to be.
        activation: the name of φ.

    Returns:
        The loss and its two derivatives at every pair.

    Example:
        >>> one = loss_surface(torch.tensor([4.0]), torch.tensor([-2.0]), T=1, target=0.75)
        >>> one.loss.item(), one.grad_b.item()  # x_1 = σ(0) = ½, so ∂E/∂b = 2 (½ − ¾) ¼
        (0.0625, -0.125)
    """
    phi = ACTIVATIONS[activation]
    w, b = torch.meshgrid(weight.double(), bias.double(), indexing="ij")
    x, dx_dw, dx_db = torch.full_like(w, initial), torch.zeros_like(w), torch.zeros_like(w)
    for _ in range(T):
        dx_dw, dx_db = x + w * dx_dw, 1 + w * dx_db
        u = w * x + b
        x = phi(u)
        slope = phi.slopes(u if phi.needs_input else x)
        dx_dw, dx_db = slope * dx_dw, slope * dx_db
    error = x - target
    return Surface(error.square(), 2 * error * dx_dw, 2 * error * dx_db)
