r"""A recurrence with a connection that skips φ: leaky and residual updates, and the adjoint.

Forward:   h_t = k h_{t-1} + a φ(u_t),          u_t = W h_{t-1} + V x_t + b
Adjoint:   g_t = d_t + Wᵀ δ_{t+1} + k g_{t+1},   δ_t = a φ'(u_t) ⊙ g_t

k = 1 − α, a = α is the leaky integrator (Jaeger et al. 2007, eq. 2); k = 1, a = α a residual step
(He et al. 2016), which keeps the gradient as it is but for what W adds.
"""

import dataclasses

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
    input_projection,
    onto_previous,
    split_bias,
    with_ones,
)
from rnn_exp.shapes import Float

__all__ = ["LEAKY_KIND", "RESIDUAL_KIND", "Skip"]


@dataclasses.dataclass(frozen=True)
class Skip:
    """h_t = ``keep`` h_{t-1} + ``add`` φ(u_t)."""

    activation: Activation
    keep: float
    add: float

    @torch.inference_mode()
    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None = None,
    ) -> Trace:
        """Return the states h_1…h_T; φ(u_t) is kept, or u_t where φ' needs it."""
        del before
        (T, R, B, _), H = x.shape, weights.weight_hh.shape[-1]
        WT = weights.weight_hh.transpose(1, 2)
        needs_input, padded = self.activation.needs_input, self.activation.rounds_tails
        states, _ = allocate_states(T, initial, padded=False)
        values, block = allocate_steps(T, (R, B, H), like=x, padded=padded)
        input_projection(with_ones(x), weights.input_weights_with_bias(), values)
        h = states[0]
        (spare,), spare_block = allocate_steps(1, (R, B, H), like=x, padded=padded)
        steps = values.unbind(), block.unbind(), states[1:].unbind()
        for value, numbers, h_next in zip(*steps, strict=True):
            value.baddbmm_(h, WT)
            if needs_input:
                self.activation.apply_(spare_block[0].copy_(numbers))
                torch.mul(h, self.keep, out=h_next).add_(spare, alpha=self.add)
            else:
                self.activation.apply_(numbers)
                torch.mul(h, self.keep, out=h_next).add_(value, alpha=self.add)
            h = h_next
        return Trace(states[1:], states[:-1], (values,))

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
        """Return the total gradient of every step and the gradients of the parameters."""
        V, W = weights.weight_ih, weights.weight_hh
        (values,) = trace.kept
        total, known = allocate_total(direct, trace.states)
        total[:known] = 0
        delta = allocate_by_run(values, values.shape[-1])
        torch.mul(self.activation.slopes(values), self.add, out=delta)
        passed, ahead = later or (torch.zeros_like(total[0]), torch.zeros_like(total[0]))
        for g, d in zip(reversed(total.unbind()), reversed(delta.unbind()), strict=True):
            g.baddbmm_(passed, W).add_(ahead, alpha=self.keep)
            passed, ahead = d.mul_(g), g
        by_run = flatten_time_batch(delta)
        of_W = torch.bmm(by_run.transpose(1, 2), flatten_time_batch(trace.previous_states))
        of_x = torch.bmm(flatten_time_batch(with_ones(x)).transpose(1, 2), by_run)
        of_V, of_b = split_bias(of_x)
        gradients = LayerWeights(of_V, of_W, of_b, of_b)
        of_inputs = input_gradient(by_run, V, x.shape[2]) if with_inputs else None
        return Adjoint(total, None, gradients, of_inputs, (passed.clone(), ahead.clone()))

    @torch.inference_mode()
    def step_back(
        self,
        total: Float[Tensor, "time run batch hidden"],
        carried: Float[Tensor, "time run batch hidden"] | None,
        trace: Trace,
        weights: LayerWeights,
        with_inputs: bool,
    ) -> StepBack:
        """Return Wᵀ δ_t + k g_t and Vᵀ δ_t."""
        del carried
        delta = self.activation.slopes(trace.kept[0]).mul_(total).mul_(self.add)
        by_run, B = flatten_time_batch(delta), total.shape[2]
        before = onto_previous(by_run, weights.weight_hh, B).add(total, alpha=self.keep)
        of_inputs = input_gradient(by_run, weights.weight_ih, B) if with_inputs else None
        return StepBack(before, None, None, of_inputs)

    @torch.inference_mode()
    def deltas(self, trace: Trace, adjoint: Totals) -> Float[Tensor, "time run batch hidden"]:
        """Return δ_t = a φ'(u_t) ⊙ g_t."""
        return self.activation.slopes(trace.kept[0]).mul_(adjoint.total).mul_(self.add)

    def saturation(self, trace: Trace) -> Float[Tensor, "time run"]:
        """Return the mean of φ' over batch and units."""
        return self.activation.slopes(trace.kept[0]).mean(dim=(-2, -1))

    def jacobian(self, trace: Trace) -> Jacobian:
        """Return J_t = k + a diag(φ'(u_t)) W."""
        keep = trace.states.new_full((), self.keep).expand_as(trace.states)
        return Jacobian(keep, (self.activation.slopes(trace.kept[0]).mul_(self.add),))

    def step_bound(self, largest_singular_value: float) -> float:
        """Return k + a γ σ_max(W), γ = sup φ'."""
        return self.keep + self.add * (self.activation.largest_slope * largest_singular_value)


def _leaky(activation: Activation, leak: float | None) -> Skip:
    return Skip(activation, 1 - _given(leak), _given(leak))


def _residual(activation: Activation, leak: float | None) -> Skip:
    return Skip(activation, 1.0, _given(leak))


def _given(leak: float | None) -> float:
    if leak is None:
        raise ValueError("a leaky or residual cell has a leak: the step α")
    return leak


LEAKY_KIND = CellKind("leaky", _leaky, kept=1, kept_with_input=1, has_leak=True)
RESIDUAL_KIND = CellKind(
    "residual",
    _residual,
    kept=1,
    kept_with_input=1,
    has_leak=True,
    no_edge="its gradient grows at every gain",
)
