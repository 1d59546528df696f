r"""A recurrence with layer norm in the cell, and its adjoint.

Forward:   a_t = W h_{t-1} + V x_t,   n_t = (a_t − μ_t) / σ_t,   h_t = φ(n_t + b)
           μ_t and σ_t² = variance + 1e-5 are those of the units of one sequence at one time
Adjoint:   e_t = φ' ⊙ g_t,   δ_t = (e_t − ⟨e_t⟩ − n_t ⟨e_t n_t⟩) / σ_t,   g_{t-1} = d_{t-1} + Wᵀ δ_t

(Ba, Kiros & Hinton 2016, eq. 4, without their gain: the scale of W then does not matter at all.)
Both biases are added after the norm.
"""

import dataclasses

import torch
from torch import Tensor

from rnn_exp.networks.cells.activations import Activation
from rnn_exp.networks.cells.base import (
    Adjoint,
    CellKind,
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
)
from rnn_exp.shapes import Float

__all__ = ["NORMED_KIND", "Normed"]

_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class Normed:
    """h_t = φ(norm(W h_{t-1} + V x_t) + b)."""

    activation: Activation

    @torch.inference_mode()
    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None = None,
    ) -> Trace:
        """Return the states h_1…h_T; n_t and 1/σ_t are kept, and n_t + b where φ' needs it."""
        del before
        (T, R, B, _), H = x.shape, weights.weight_hh.shape[-1]
        bias = (weights.bias_ih + weights.bias_hh).unsqueeze(1)
        WT = weights.weight_hh.transpose(1, 2)
        padded = self.activation.rounds_tails
        states, block = allocate_states(T, initial, padded=padded)
        inputs, input_block = states[1:], block[1:]
        if self.activation.needs_input:
            inputs, input_block = allocate_steps(T, (R, B, H), like=x, padded=padded)
        normed, scales = x.new_empty(T, R, B, H), x.new_empty(T, R, B, 1)
        means, squares = torch.empty_like(scales[0]), torch.empty_like(normed[0])
        input_projection(x, weights.weight_ih, normed)
        h = states[0]
        ahead = states[1:].unbind(), block[1:].unbind(), inputs.unbind(), input_block.unbind()
        steps = zip(normed.unbind(), scales.unbind(), *ahead, strict=True)
        for n, scale, h_next, numbers, u, input_numbers in steps:
            n.baddbmm_(h, WT)
            n -= torch.mean(n, dim=-1, keepdim=True, out=means)
            torch.mean(torch.mul(n, n, out=squares), dim=-1, keepdim=True, out=scale)
            n *= scale.add_(_EPSILON).rsqrt_()
            torch.add(n, bias, out=u)
            if self.activation.needs_input:
                numbers.copy_(input_numbers)
            self.activation.apply_(numbers)
            h = h_next
        kept = (normed, scales, inputs) if self.activation.needs_input else (normed, scales)
        return Trace(states[1:], states[:-1], kept)

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
        T, R, B, H = trace.states.shape
        normed, scales, *_ = trace.kept
        total, known = allocate_total(direct, trace.states)
        total[:known] = 0
        delta = allocate_by_run(total, H)
        errors = self._slopes(trace)
        (passed,) = later or (torch.zeros_like(total[0]),)
        room = torch.empty_like(scales[0]), torch.empty_like(total[0])
        steps = (each.unbind() for each in (total, errors, normed, scales, delta))
        for g, e, n, scale, own in reversed(list(zip(*steps, strict=True))):
            e *= g.baddbmm_(passed, W)
            passed = _through_norm(e, n, scale, own, room)
        by_run = flatten_time_batch(delta)
        of_W = torch.bmm(by_run.transpose(1, 2), flatten_time_batch(trace.previous_states))
        of_V = torch.bmm(by_run.transpose(1, 2), flatten_time_batch(x))
        # A sum as part of a GEMM: sums along a strided axis round differently in company.
        ones = errors.new_ones(R, 2, T * B)
        of_b = torch.bmm(ones, flatten_time_batch(errors))[:, 0]
        gradients = LayerWeights(of_V, of_W, of_b, of_b)
        of_inputs = input_gradient(by_run, V, B) if with_inputs else None
        return Adjoint(total, None, gradients, of_inputs, (passed.clone(),))

    @torch.inference_mode()
    def step_back(
        self,
        total: Float[Tensor, "time run batch hidden"],
        carried: Float[Tensor, "time run batch hidden"] | None,
        trace: Trace,
        weights: LayerWeights,
        with_inputs: bool,
    ) -> StepBack:
        """Return Wᵀ δ_t and Vᵀ δ_t."""
        del carried
        errors = self._slopes(trace).mul_(total)
        by_run, B = flatten_time_batch(_deltas(errors, trace)), total.shape[2]
        of_inputs = input_gradient(by_run, weights.weight_ih, B) if with_inputs else None
        return StepBack(onto_previous(by_run, weights.weight_hh, B), None, None, of_inputs)

    @torch.inference_mode()
    def deltas(self, trace: Trace, adjoint: Totals) -> Float[Tensor, "time run batch hidden"]:
        """Return ∂L/∂(W h_{t-1}), which has no part of the biases here."""
        return _deltas(self._slopes(trace).mul_(adjoint.total), trace)

    def saturation(self, trace: Trace) -> Float[Tensor, "time run"]:
        """Return the mean of φ' over batch and units."""
        return self._slopes(trace).mean(dim=(-2, -1))

    def jacobian(self, trace: Trace) -> None:
        """Return None: a step back mixes all units once more, by their mean and their variance."""
        del trace

    def _slopes(self, trace: Trace) -> Float[Tensor, "time run batch hidden"]:
        needs_input = self.activation.needs_input
        return self.activation.slopes(trace.kept[2] if needs_input else trace.states)

    def step_bound(self, largest_singular_value: float) -> None:
        """Return None: the norm of a step depends on the scale that layer norm takes out."""
        del largest_singular_value


def _build(activation: Activation, leak: float | None) -> Normed:
    del leak
    return Normed(activation)


NORMED_KIND = CellKind(
    "normed",
    _build,
    kept=1,
    kept_with_input=2,
    no_edge="layer norm takes the gain out of its gradient",
)


def _deltas(e: Tensor, trace: Trace) -> Tensor:
    """Return δ of e = ∂L/∂n of all time steps of a trace."""
    n, scales = trace.kept[:2]
    room = torch.empty_like(scales), torch.empty_like(e)
    return _through_norm(e, n, scales, torch.empty_like(e), room)


def _through_norm(
    e: Tensor, n: Tensor, scale: Tensor, into: Tensor, room: tuple[Tensor, Tensor]
) -> Tensor:
    """Put δ of e = ∂L/∂n into a tensor, and return that; the room is for means and products."""
    means, products = room
    torch.sub(e, torch.mean(e, dim=-1, keepdim=True, out=means), out=into)
    torch.mean(torch.mul(e, n, out=products), dim=-1, keepdim=True, out=means)
    return into.sub_(torch.mul(n, means, out=products)).mul_(scale)
