r"""The recurrence h_t = φ(W h_{t-1} + V x_t + b) over (time, run, batch, hidden), and its adjoint.

Forward, for t = 1…T:    u_t = W h_{t-1} + V x_t + b,      h_t = φ(u_t)
Adjoint, for t = T…1:    g_t = d_t + Wᵀ δ_{t+1},           δ_t = φ'(u_t) ⊙ g_t

Here d_t is the *direct* part of ∂L/∂h_t (what reaches the loss other than through h_{t+1}), and
g_t is the exact **total** gradient ∂L/∂h_t. The adjoint needs every g_t on its way to the
parameters, so recording them costs nothing:
∂L/∂W = Σ_t δ_t h_{t-1}ᵀ, ∂L/∂V = Σ_t δ_t x_tᵀ, ∂L/∂b = Σ_t δ_t, ∂L/∂x_t = Vᵀ δ_t.
(Rumelhart, Hinton & Williams 1986; Pascanu, Mikolov & Bengio 2013, eqs. 3–5.)

``output.retain_grad()`` on a fused ``torch.nn.RNN`` shows d_t, not g_t, and says nothing.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.activations import Activation
from rnn_exp.shapes import Float

__all__ = ["Adjoint", "LayerWeights", "States", "adjoint", "forward"]

# Elementwise kernels treat the last few numbers of a block by another code path than the rest
# (for the sigmoid: with other rounding). Blocks that are a multiple of two vector registers long
# have no such tail, so a run's bits do not depend on the runs beside it.
_VECTOR = 32

# Time steps are worked through in stretches of about this many numbers a run, so that what the
# large GEMMs re-read is still in the cache. It must not depend on the number of runs: the order
# of summation over time decides the bits.
_STRETCH = 32768

# Numbers that fit the second-level cache together with what is computed from them.
_CACHEFUL = 65536


class LayerWeights(NamedTuple):
    """The parameters of one recurrent layer, for every run: V, W and the two biases of torch."""

    weight_ih: Float[Tensor, "run hidden input"]
    weight_hh: Float[Tensor, "run hidden hidden"]
    bias_ih: Float[Tensor, "run hidden"]
    bias_hh: Float[Tensor, "run hidden"]


class States(NamedTuple):
    """h_1…h_T, and the same moved back by one step: h_0…h_{T-1} (one memory)."""

    now: Float[Tensor, "time run batch hidden"]
    before: Float[Tensor, "time run batch hidden"]


class Adjoint(NamedTuple):
    """What the adjoint pass yields: the total gradient and the gradients of the parameters."""

    total: Float[Tensor, "time run batch hidden"]
    weight_ih: Float[Tensor, "run hidden input"]
    weight_hh: Float[Tensor, "run hidden hidden"]
    bias: Float[Tensor, "run hidden"]
    inputs: Float[Tensor, "time run batch input"] | None
    initial: Float[Tensor, "run batch hidden"]


def _rows(x: Tensor) -> Tensor:
    """Lay (time, run, batch, k) out as (run, time·batch, k): one matrix a run, one GEMM in all."""
    return x.transpose(0, 1).reshape(x.shape[1], -1, x.shape[3])


def _with_ones(x: Tensor) -> Tensor:
    """Append a column of ones, so that the bias and its gradient belong to the input's GEMM."""
    return torch.nn.functional.pad(x, (0, 1), value=1.0)


def _stretches(T: int, B: int, H: int) -> list[slice]:
    length = max(1, _STRETCH // (B * H))
    return [slice(start, min(start + length, T)) for start in range(0, T, length)]


def _slopes(states: Tensor, activation: Activation) -> Tensor:
    """Return φ' at the states, a cacheful at a time (each number on its own: no bit changes)."""
    slopes = torch.empty_like(states, memory_format=torch.contiguous_format)
    steps = max(1, _CACHEFUL // states[0].numel())
    for h, slope in zip(torch.split(states, steps), torch.split(slopes, steps), strict=True):
        slope.copy_(activation.slope(h))
    return slopes


def _allocate(T: int, initial: Tensor, *, padded: bool) -> tuple[Tensor, Tensor]:
    """Return states h_0…h_T, h_0 filled in, and the contiguous (time, number) block they are in."""
    size = initial.numel()
    whole = -(-size // _VECTOR) * _VECTOR if padded else size
    block = initial.new_empty(T + 1, whole)
    block[:, size:] = 0
    states = block[:, :size].view(T + 1, *initial.shape)
    states[0] = initial
    return states, block


@torch.inference_mode()
def forward(
    x: Float[Tensor, "time run batch input"],
    weights: LayerWeights,
    initial: Float[Tensor, "run batch hidden"],
    activation: Activation,
) -> States:
    r"""Return the states h_1…h_T: h_t = φ(W h_{t-1} + V x_t + b).

    One GEMM brings a stretch of inputs in; then two operations a time step: a GEMM adds into the
    drive, and φ overwrites it.
    """
    T, R, B, _ = x.shape
    H = weights.weight_hh.shape[-1]
    bias = (weights.bias_ih + weights.bias_hh).unsqueeze(-1)
    VT = torch.cat([weights.weight_ih, bias], dim=-1).transpose(1, 2)
    WT = weights.weight_hh.transpose(1, 2)
    states, block = _allocate(T, initial, padded=activation.rounds_tails)
    h, x = states[0], _with_ones(x)
    for now in _stretches(T, B, H):
        drive = torch.bmm(_rows(x[now]), VT).view(R, -1, B, H).transpose(0, 1)
        states[1:][now] = drive
        ahead = states[1:][now].unbind()
        numbers = block[1:][now].unbind() if activation.rounds_tails else ahead
        for h_next, all_numbers in zip(ahead, numbers, strict=True):
            h_next.baddbmm_(h, WT)
            activation.apply_(all_numbers)
            h = h_next
    return States(states[1:], states[:-1])


@torch.inference_mode()
def adjoint(
    direct: Float[Tensor, "last run batch hidden"],
    states: States,
    x: Float[Tensor, "time run batch input"],
    weights: LayerWeights,
    activation: Activation,
    *,
    inputs_wanted: bool = False,
) -> Adjoint:
    r"""Return the total gradient g_t of every step and the gradients of the parameters.

    g_t = d_t + Wᵀ δ_{t+1} and δ_t = φ'(h_t) ⊙ g_t, two operations a time step; the gradients of
    the parameters are a few large GEMMs, not T small ones. ``direct`` holds d_t of the *last*
    steps, as many as it has; before them d_t = 0 (a loss at the last step alone gives one).
    """
    V, W = weights.weight_ih, weights.weight_hh
    T, R, B, H = states.now.shape
    total = torch.empty_like(states.now, memory_format=torch.contiguous_format)
    first_direct = T - len(direct)
    total[first_direct:] = direct
    of_x, of_W = V.new_zeros(R, V.shape[-1] + 1, H), torch.zeros_like(W)
    of_inputs = x.new_empty(x.shape) if inputs_wanted else None
    x = _with_ones(x)
    # One column more than there are inputs: with a single one the product would be
    # matrix–vector, which rounds differently for one run than for many.
    V1 = torch.nn.functional.pad(V, (0, 1))
    later = torch.zeros_like(total[0])
    for now in reversed(_stretches(T, B, H)):
        delta = _slopes(states.now[now], activation)
        times = range(now.stop - 1, now.start - 1, -1)
        for t, g, d in zip(
            times, reversed(total[now].unbind()), reversed(delta.unbind()), strict=True
        ):
            if t >= first_direct:
                g.baddbmm_(later, W)
            else:
                torch.bmm(later, W, out=g)
            later = d.mul_(g)
        rows = _rows(delta)
        of_W.baddbmm_(rows.transpose(1, 2), _rows(states.before[now]))
        of_x.baddbmm_(_rows(x[now]).transpose(1, 2), rows)
        if of_inputs is not None:
            of_x_t = torch.bmm(rows, V1).view(R, -1, B, V1.shape[-1])
            of_inputs[now] = of_x_t[..., :-1].transpose(0, 1)
    of_V, of_b = of_x[:, :-1].transpose(1, 2), of_x[:, -1]
    return Adjoint(total, of_V, of_W, of_b, of_inputs, initial=torch.bmm(later, W))
