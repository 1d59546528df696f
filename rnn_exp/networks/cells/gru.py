r"""The GRU as torch has it, and its adjoint.

Forward:   r, z = σ(V x_t + W h_{t-1} + b),   m = W_n h_{t-1} + b'_n,
           n = tanh(V_n x_t + b_n + r m)
           h_t = (1 − z) n + z h_{t-1}
Adjoint:   ∂L/∂h_t = d_t + Wᵀ δ_{t+1} + z_{t+1} ∂L/∂h_{t+1}
           δ_n = ∂h (1 − z)(1 − n²),   δ_m = r δ_n,   δ_r = m r(1 − r) δ_n
           δ_z = ∂h (h_{t-1} − n) z(1 − z)

Every δ is ∂L/∂h_t times something known beforehand, computed for a chunk of time at once: three
operations a time step are left. (Cho et al. 2014; r multiplies after W_n, as in cuDNN.)
"""

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells.activations import Activation
from rnn_exp.networks.cells.base import (
    Adjoint,
    CellKind,
    Jacobian,
    LayerWeights,
    StepBack,
    Totals,
    Trace,
)
from rnn_exp.networks.cells.layout import (
    allocate_by_run,
    allocate_states,
    allocate_steps,
    allocate_total,
    flatten_time_batch,
    input_gradient,
    onto_previous,
    split_bias,
    time_chunks,
    with_ones,
)
from rnn_exp.shapes import Float

__all__ = ["GRU", "GRU_KIND", "Kept"]


class Kept(NamedTuple):
    """The gates r and z, the hidden part m of the candidate, and the candidate n."""

    gates: Float[Tensor, "time run batch 2 hidden"]
    m: Float[Tensor, "time run batch hidden"]
    n: Float[Tensor, "time run batch hidden"]

    @property
    def z(self) -> Float[Tensor, "time run batch hidden"]:
        """The gate that keeps the state."""
        return self.gates[..., 1, :]


@dataclasses.dataclass(frozen=True)
class GRU:
    """torch's GRU."""

    @torch.inference_mode()
    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None = None,
    ) -> Trace:
        """Return the states h_1…h_T."""
        del before
        (T, R, B, _), H = x.shape, weights.weight_hh.shape[-1]
        states, _ = allocate_states(T, initial, padded=False)
        gates, block = allocate_steps(T, (R, B, 2 * H), like=x)
        m, n = x.new_empty(T, R, B, H), x.new_empty(T, R, B, H)
        VT, x = _with_bias(weights).transpose(1, 2), with_ones(x)
        for chunk in time_chunks(T, B, 3 * H):
            projected = (
                torch.bmm(flatten_time_batch(x[chunk]), VT).view(R, -1, B, 3 * H).transpose(0, 1)
            )
            gates[chunk], n[chunk] = projected[..., : 2 * H], projected[..., 2 * H :]
        m[:] = weights.bias_hh[:, 2 * H :].unsqueeze(1)
        WT = weights.weight_hh.transpose(1, 2)
        of_gates, of_m = WT[..., : 2 * H], WT[..., 2 * H :]
        h, z = states[0], gates[..., H:].unbind()
        ahead = gates.unbind(), block.unbind(), gates[..., :H].unbind(), z, m.unbind(), n.unbind()
        for u, numbers, r_t, z_t, m_t, n_t, h_next in zip(*ahead, states[1:].unbind(), strict=True):
            u.baddbmm_(h, of_gates)
            numbers.sigmoid_()
            m_t.baddbmm_(h, of_m)
            n_t.addcmul_(r_t, m_t).tanh_()
            torch.sub(h, n_t, out=h_next).mul_(z_t).add_(n_t)
            h = h_next
        return Trace(states[1:], states[:-1], Kept(gates.view(T, R, B, 2, H), m, n))

    @torch.inference_mode()
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
        """Return ∂L/∂h_t of every step and the gradients of the parameters."""
        (T, R, B, H), W = trace.states.shape, weights.weight_hh
        total, known = allocate_total(direct, trace.states)
        of_hidden = W.new_zeros(R, H + 1, 3 * H)
        of_projection = W.new_zeros(R, x.shape[-1] + 1, 3 * H)
        of_inputs = x.new_empty(x.shape) if with_inputs else None
        x1, before1 = with_ones(x), with_ones(trace.previous_states)
        passed = later or (W.new_zeros(R, B, 3 * H), torch.zeros_like(total[0]))
        for chunk in reversed(time_chunks(T, B, H)):
            kept = Kept(*(part[chunk] for part in self._kept(trace)))
            deltas, of_n = _factors(kept, trace.previous_states[chunk])
            passed = _step_back(total[chunk], deltas, kept, passed, W, known - chunk.start)
            of_n *= total[chunk]
            by_run = flatten_time_batch(deltas)
            of_hidden.baddbmm_(flatten_time_batch(before1[chunk]).transpose(1, 2), by_run)
            by_input = torch.cat([by_run[..., : 2 * H], flatten_time_batch(of_n)], dim=-1)
            of_projection.baddbmm_(flatten_time_batch(x1[chunk]).transpose(1, 2), by_input)
            if of_inputs is not None:
                of_inputs[chunk] = input_gradient(by_input, weights.weight_ih, B)
        (of_V, of_b), (of_W, of_b_hidden) = split_bias(of_projection), split_bias(of_hidden)
        gradients = LayerWeights(of_V, of_W, of_b, of_b_hidden)
        delta, carried = passed
        return Adjoint(total, None, gradients, of_inputs, (delta.clone(), carried))

    @torch.inference_mode()
    def step_back(
        self,
        total: Float[Tensor, "time run batch hidden"],
        carried: Float[Tensor, "time run batch hidden"] | None,
        trace: Trace,
        weights: LayerWeights,
        with_inputs: bool,
    ) -> StepBack:
        """Return Wᵀ δ_t + z_t ∂L/∂h_t and the gradient of the inputs."""
        del carried
        kept, B, H = self._kept(trace), total.shape[2], total.shape[-1]
        factors, of_n = _factors(kept, trace.previous_states)
        by_run = flatten_time_batch(factors * total.repeat(1, 1, 1, 3))
        before = onto_previous(by_run, weights.weight_hh, B).addcmul(kept.z, total)
        if not with_inputs:
            return StepBack(before, None, None, None)
        by_input = torch.cat([by_run[..., : 2 * H], flatten_time_batch(of_n * total)], dim=-1)
        return StepBack(before, None, None, input_gradient(by_input, weights.weight_ih, B))

    @torch.inference_mode()
    def deltas(self, trace: Trace, adjoint: Totals) -> Float[Tensor, "time run batch gates_hidden"]:
        """Return ∂L/∂(W h_{t-1} + b'), in torch's order r, z, n."""
        factors, _ = _factors(self._kept(trace), trace.previous_states)
        return factors * adjoint.total.repeat(1, 1, 1, 3)

    def saturation(self, trace: Trace) -> Float[Tensor, "time run"]:
        """Return the mean of φ' over batch, units and gates."""
        kept = self._kept(trace)
        slopes = (kept.gates * (1 - kept.gates)).flatten(-2).mean((-2, -1)) * 2
        return (slopes + (1 - kept.n * kept.n).mean((-2, -1))) / 3

    @torch.inference_mode()
    def jacobian(self, trace: Trace) -> Jacobian:
        """Return J_t = diag(z) + Σ diag(factor) W over r, z and n: the factors of the adjoint."""
        factors, _ = _factors(self._kept(trace), trace.previous_states)
        return Jacobian(self._kept(trace).z, factors.chunk(3, dim=-1))

    def step_bound(self, largest_singular_value: float) -> None:
        """Return None: the gates multiply the gradient by what the inputs make of them."""
        del largest_singular_value

    def _kept(self, trace: Trace) -> Kept:
        """Return what a trace has kept."""
        return Kept(*trace.kept)


def _build(activation: Activation, leak: float | None) -> GRU:
    del activation, leak
    return GRU()


# Torch's blocks are r, z, n; z = 1 keeps the old state.
GRU_KIND = CellKind(
    "gru",
    _build,
    gates=3,
    candidate=2,
    forget_gate=1,
    kept=4,
    only_activation="tanh",
    torch_module="GRU",
)


def _with_bias(weights: LayerWeights) -> Float[Tensor, "run gates_hidden inputs_and_one"]:
    """Return V with, as its last column, all biases that are added to V x (of r and z: both)."""
    H = weights.weight_hh.shape[-1]
    bias = weights.bias_ih.clone()
    bias[:, : 2 * H] += weights.bias_hh[:, : 2 * H]
    return torch.cat([weights.weight_ih, bias.unsqueeze(-1)], dim=-1)


def _factors(
    kept: Kept, before: Float[Tensor, "time run batch hidden"]
) -> tuple[Float[Tensor, "time run batch gates_hidden"], Float[Tensor, "time run batch hidden"]]:
    """Return δ_r, δ_z, δ_m over ∂h, in memory run by run, and δ_n over ∂h."""
    (r, z), m, n = kept.gates.unbind(-2), kept.m, kept.n
    result = allocate_by_run(n, 3 * n.shape[-1])
    of_r, of_z, of_m = result.chunk(3, dim=-1)
    slope = torch.addcmul(n.new_ones(()), n, n, value=-1)
    of_n = torch.addcmul(slope, z, slope, value=-1)
    torch.mul(r, of_n, out=of_m)
    rm = of_m * m
    torch.addcmul(rm, r, rm, value=-1, out=of_r)
    onto_z = torch.sub(before, n).mul_(z)
    torch.addcmul(onto_z, z, onto_z, value=-1, out=of_z)
    return result, of_n


def _step_back(
    total: Tensor, deltas: Tensor, kept: Kept, later: tuple[Tensor, ...], W: Tensor, known: int
) -> tuple[Tensor, ...]:
    """Go back through a chunk of time in place: d_t becomes ∂L/∂h_t, and the factors become δ_t.

    ``later`` is δ_{t+1} and z_{t+1} ∂L/∂h_{t+1}; returns those of the first step. From index
    ``known`` on, total holds d_t; before it d_t = 0 and total holds nothing yet.
    """
    H = total.shape[-1]
    thirds = deltas.view(*total.shape[:-1], 3, H).unbind()
    steps = zip(
        range(len(total)),
        total.unbind(),
        total.unsqueeze(-2).unbind(),
        thirds,
        deltas.unbind(),
        kept.z.unbind(),
        strict=True,
    )
    delta, carried = later
    for t, g, wide, third, whole, z in reversed(list(steps)):
        if t >= known:
            g.baddbmm_(delta, W).add_(carried)
        else:
            torch.baddbmm(carried, delta, W, out=g)
        third.mul_(wide)
        delta, carried = whole, g * z
    return delta, carried
