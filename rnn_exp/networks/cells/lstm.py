r"""The LSTM, and its adjoint.

Forward:   i, f, o = σ(V x_t + W h_{t-1} + b),   g = tanh(V x_t + W h_{t-1} + b)
           c_t = f c_{t-1} + i g,   h_t = o tanh c_t
Adjoint:   ∂L/∂h_t = d_t + Wᵀ δ_{t+1}
           ∂L/∂c_t = ∂L/∂h_t o (1 − tanh² c_t) + f_{t+1} ∂L/∂c_{t+1}
           δ_i = ∂c g σ'_i,   δ_f = ∂c c_{t-1} σ'_f,   δ_g = ∂c i (1 − g²),   δ_o = ∂h tanh c_t σ'_o

Both total gradients are the recursion's own intermediates. All factors of δ but ∂c and ∂h are known
beforehand and computed for a chunk of time at once, and f lies beside them: four operations a
time step are left.
(Hochreiter & Schmidhuber 1997; the forget gate of Gers, Schmidhuber & Cummins 2000.)

Inside, the gates are in the order o, i, f, g: those of σ lie side by side, and so do those that
read ∂c. Parameters and what is returned are in torch's order i, f, g, o.
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
    input_projection,
    onto_previous,
    time_chunks,
    with_ones,
)
from rnn_exp.shapes import Float

__all__ = ["LSTM", "LSTM_KIND", "TORCHS_ORDER", "Kept", "inside", "ordered"]

_INSIDE, TORCHS_ORDER = (3, 0, 1, 2), (1, 2, 3, 0)


class Kept(NamedTuple):
    """What the adjoint needs beside the states; of the last gate what the candidate comes from."""

    gates: Float[Tensor, "time run batch 4 hidden"]
    c: Float[Tensor, "time run batch hidden"]
    c_before: Float[Tensor, "time run batch hidden"]
    tanh_c: Float[Tensor, "time run batch hidden"]

    @property
    def o(self) -> Float[Tensor, "time run batch hidden"]:
        """The output gate."""
        return self.gates[..., 0, :]


@dataclasses.dataclass(frozen=True)
class LSTM:
    """torch's LSTM; c_0 = 0."""

    @torch.inference_mode()
    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None = None,
    ) -> Trace:
        """Return the states h_1…h_T."""
        T, R, B, _ = x.shape
        H = weights.weight_hh.shape[-1]
        V, W = inside(weights)
        WT = _doubled(W).transpose(1, 2)
        states, _ = allocate_states(T, initial, padded=False)
        c_0 = torch.zeros_like(initial) if before is None else Kept(*before.kept).c[-1]
        cells, _ = allocate_states(T, c_0, padded=False)
        gates, block = allocate_steps(T, (R, B, 4 * H), like=x)
        tanh_c = x.new_empty(T, R, B, H)
        input_projection(with_ones(x), _doubled(V), gates)
        o, i, f, g = (gates[..., gate * H : (gate + 1) * H].unbind() for gate in range(4))
        ahead = states[1:].unbind(), cells[1:].unbind(), tanh_c.unbind()
        h, c = states[0], cells[0]
        for u, numbers, o_t, i_t, f_t, g_t, h_next, c_next, squashed in zip(
            gates.unbind(), block.unbind(), o, i, f, g, *ahead, strict=True
        ):
            u.baddbmm_(h, WT)
            numbers.sigmoid_()
            torch.mul(f_t, c, out=c_next).addcmul_(i_t, g_t, value=2).sub_(i_t)
            torch.tanh(c_next, out=squashed)
            torch.mul(o_t, squashed, out=h_next)
            h, c = h_next, c_next
        kept = Kept(gates.view(T, R, B, 4, H), cells[1:], cells[:-1], tanh_c)
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
        """Return ∂L/∂h_t and ∂L/∂c_t of every step and the gradients of the parameters."""
        T, R, B, H = trace.states.shape
        kept = Kept(*trace.kept)
        V, W = inside(weights)
        total, known = allocate_total(direct, trace.states)
        memory = torch.empty_like(total)
        of_W, of_V = torch.zeros_like(W), V.new_zeros(R, V.shape[-1], 4 * H)
        of_inputs = x.new_empty(x.shape) if with_inputs else None
        x1, passed = with_ones(x), later or (W.new_zeros(R, B, 4 * H), W.new_zeros(R, B, 1, H))
        for chunk in reversed(time_chunks(T, B, H)):
            own = Kept(*(part[chunk] for part in kept))
            delta = self._factors(own, trace.states[chunk])
            onto_c = torch.addcmul(own.o, trace.states[chunk], own.tanh_c, value=-1)
            known_here = known - chunk.start
            passed = _step_back(total[chunk], memory[chunk], delta, onto_c, passed, W, known_here)
            by_run = flatten_time_batch(delta)[..., : 4 * H]
            of_W.baddbmm_(by_run.transpose(1, 2), flatten_time_batch(trace.previous_states[chunk]))
            of_V.baddbmm_(flatten_time_batch(x1[chunk]).transpose(1, 2), by_run)
            if of_inputs is not None:
                of_inputs[chunk] = input_gradient(by_run, V[..., :-1], B)
        of_V = ordered(of_V.transpose(1, 2), TORCHS_ORDER)
        bias = of_V[..., -1]
        gradients = LayerWeights(of_V[..., :-1], ordered(of_W, TORCHS_ORDER), bias, bias)
        return Adjoint(total, memory, gradients, of_inputs, tuple(part.clone() for part in passed))

    @torch.inference_mode()
    def step_back(
        self,
        total: Float[Tensor, "time run batch hidden"],
        carried: Float[Tensor, "time run batch hidden"] | None,
        trace: Trace,
        weights: LayerWeights,
        with_inputs: bool,
    ) -> StepBack:
        """Return Wᵀ δ_t, f_t ∂L/∂c_t, ∂L/∂c_t itself and Vᵀ δ_t."""
        if carried is None:
            raise ValueError("an LSTM hands back ∂L/∂c_t as well")
        kept, B = Kept(*trace.kept), total.shape[2]
        onto_c = torch.addcmul(kept.o, trace.states, kept.tanh_c, value=-1)
        memory = torch.addcmul(carried, total, onto_c)
        delta = self._scaled_factors(trace, total, memory)
        by_run = flatten_time_batch(delta[..., TORCHS_ORDER, :].flatten(-2))
        of_inputs = input_gradient(by_run, weights.weight_ih, B) if with_inputs else None
        before = onto_previous(by_run, weights.weight_hh, B)
        return StepBack(before, delta[..., 4, :], memory, of_inputs)

    @torch.inference_mode()
    def deltas(self, trace: Trace, adjoint: Totals) -> Float[Tensor, "time run batch gates_hidden"]:
        """Return ∂L/∂(W h_{t-1} + b), in torch's order of gates."""
        if adjoint.memory is None:
            raise ValueError("the adjoint is of another cell: an LSTM's has ∂L/∂c_t")
        delta = self._scaled_factors(trace, adjoint.total, adjoint.memory)
        return delta[..., TORCHS_ORDER, :].flatten(-2)

    def saturation(self, trace: Trace) -> Float[Tensor, "time run"]:
        """Return the mean of φ' over batch, units and gates."""
        gates, B, H = Kept(*trace.kept).gates, *trace.states.shape[-2:]
        sigmoids, g = gates[..., :3, :], self._candidate(gates[..., 3, :])
        of_sigmoids = (sigmoids * (1 - sigmoids)).flatten(-2)
        return (of_sigmoids.sum((-2, -1)) + (1 - g * g).sum((-2, -1))) / (4 * H * B)

    @torch.inference_mode()
    def jacobian(self, trace: Trace) -> Jacobian:
        """Return how ∂L/∂c goes back: f is kept, and i, f and g reach c_{t-1} by h_{t-1}.

        On that way it is multiplied by o (1 − tanh² c) of step t − 1. What ∂L/∂h_t hands on by the
        output gate is left out: it is smaller by a factor of about tanh c_t.
        """
        kept = Kept(*trace.kept)
        _, of_i, of_f, of_g, f = self._factors(kept, trace.states).chunk(5, dim=-1)
        outer = torch.addcmul(kept.o, trace.states, kept.tanh_c, value=-1)
        return Jacobian(f, (of_i, of_f, of_g, None), outer)

    def step_bound(self, largest_singular_value: float) -> None:
        """Return None: the gates multiply the gradient by what the inputs make of them."""
        del largest_singular_value

    def _candidate(self, last: Float[Tensor, "*any hidden"]) -> Float[Tensor, "*any hidden"]:
        """Return g from what is kept of the last gate: tanh u = 2 σ(2u) − 1."""
        return torch.add(last.new_full((), -1.0), last, alpha=2)

    def _factors(
        self, kept: Kept, h: Float[Tensor, "time run batch hidden"]
    ) -> Float[Tensor, "time run batch factors_hidden"]:
        """Return what ∂h (first block) and ∂c (the others) are multiplied by, laid out run by run.

        The blocks are those of δ_o, δ_i, δ_f, δ_g, and f itself, for what ∂c hands on to the step
        before. σ' = σ − σ², so that what σ' is multiplied by goes in once: h = o tanh c for o.
        """
        result = allocate_by_run(h, 5 * h.shape[-1])
        (o, i, f, last), of_c = kept.gates.unbind(-2), result.chunk(5, dim=-1)
        g = self._candidate(last)
        ig, fc = i * g, f * kept.c_before
        torch.addcmul(h, o, h, value=-1, out=of_c[0])
        torch.addcmul(ig, i, ig, value=-1, out=of_c[1])
        torch.addcmul(fc, f, fc, value=-1, out=of_c[2])
        torch.addcmul(i, ig, g, value=-1, out=of_c[3])
        of_c[4].copy_(f)
        return result

    def _scaled_factors(
        self, trace: Trace, total: Tensor, memory: Tensor
    ) -> Float[Tensor, "time run batch 5 hidden"]:
        """Return δ_o, δ_i, δ_f, δ_g, and f_t ∂L/∂c_t."""
        shape = trace.states.shape
        delta = self._factors(Kept(*trace.kept), trace.states).view(*shape[:-1], 5, shape[-1])
        delta[..., 1:, :] *= memory.unsqueeze(-2)
        delta[..., 0, :] *= total
        return delta


def _build(activation: Activation, leak: float | None) -> LSTM:
    del activation, leak
    return LSTM()


# Torch's blocks are i, f, g, o; g is the candidate.
LSTM_KIND = CellKind(
    "lstm",
    _build,
    gates=4,
    candidate=2,
    forget_gate=1,
    input_gate=0,
    only_activation="tanh",
    has_memory=True,
    kept=6,
    torch_module="LSTM",
)


def ordered(
    blocks: Float[Tensor, "run gates_hidden *any"], order: tuple[int, ...]
) -> Float[Tensor, "run gates_hidden *any"]:
    """Put the gates' blocks of rows into another order."""
    return torch.cat([blocks.chunk(len(order), dim=1)[gate] for gate in order], dim=1)


def inside(
    weights: LayerWeights,
) -> tuple[
    Float[Tensor, "run gates_hidden inputs_and_one"], Float[Tensor, "run gates_hidden hidden"]
]:
    """Return V with the bias as its last column, and W, gates in the inner order."""
    V = weights.input_weights_with_bias()
    return ordered(V, _INSIDE), ordered(weights.weight_hh, _INSIDE)


def _doubled(blocks: Float[Tensor, "run gates_hidden k"]) -> Float[Tensor, "run gates_hidden k"]:
    """Double the rows of g (the last): tanh u = 2 σ(2u) − 1, and one σ serves all gates."""
    H = blocks.shape[1] // 4
    result = blocks.clone()
    result[:, 3 * H :] *= 2
    return result


def _step_back(
    total: Tensor,
    memory: Tensor,
    delta: Tensor,
    onto_c: Tensor,
    later: tuple[Tensor, ...],
    W: Tensor,
    known: int,
) -> tuple[Tensor, ...]:
    """Go back through a chunk of time in place: d_t becomes ∂L/∂h_t, and the factors become δ_t.

    ``later`` is δ_{t+1} and f_{t+1} ∂L/∂c_{t+1}; returns those of the first step. From index
    ``known`` on, total holds d_t; before it d_t = 0 and total holds nothing yet.
    """
    H = total.shape[-1]
    split = delta.view(*total.shape[:-1], 5, H)
    steps = zip(
        range(len(total)),
        total.unbind(),
        total.unsqueeze(-2).unbind(),
        memory.unsqueeze(-2).unbind(),
        onto_c.unsqueeze(-2).unbind(),
        split[..., :1, :].unbind(),
        split[..., 1:, :].unbind(),
        split[..., 4:, :].unbind(),
        delta[..., : 4 * H].unbind(),
        strict=True,
    )
    d, carried = later
    for t, g, g_wide, c, through, by_h, by_c, passed_back, whole in reversed(list(steps)):
        if t >= known:
            g.baddbmm_(d, W)
        else:
            torch.bmm(d, W, out=g)
        torch.addcmul(carried, g_wide, through, out=c)
        by_h.mul_(g_wide)
        by_c.mul_(c)
        d, carried = whole, passed_back
    return d, carried
