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

import dataclasses
from collections.abc import Sequence

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
    cache_blocks,
    flatten_time_batch,
    input_gradient,
    onto_previous,
    split_bias,
    time_chunks,
    with_ones,
)
from rnn_exp.shapes import Float

__all__ = ["PLAIN_KIND", "Elman", "adjoint", "forward"]


@dataclasses.dataclass(frozen=True)
class Elman:
    """The plain recurrence h_t = φ(u_t), one gate: φ' comes from the state, or from u_t."""

    activation: Activation

    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None = None,
    ) -> Trace:
        """Return the states h_1…h_T."""
        del before
        return forward(x, weights, initial, self.activation)

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
        return adjoint(
            direct, trace, x, weights, self.activation, with_inputs=with_inputs, later=later
        )

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
        by_run = flatten_time_batch(self._slopes(trace).mul_(total))
        V, W, B = weights.weight_ih, weights.weight_hh, total.shape[2]
        of_inputs = input_gradient(by_run, V, B) if with_inputs else None
        return StepBack(onto_previous(by_run, W, B), None, None, of_inputs)

    def deltas(self, trace: Trace, adjoint: Totals) -> Float[Tensor, "time run batch hidden"]:
        """Return δ_t = φ'(u_t) ⊙ g_t."""
        return self._slopes(trace).mul_(adjoint.total)

    def saturation(self, trace: Trace) -> Float[Tensor, "time run"]:
        """Return the mean of φ' over batch and units."""
        return self._slopes(trace).mean(dim=(-2, -1))

    def jacobian(self, trace: Trace) -> Jacobian:
        """Return J_t = diag(φ'(u_t)) W: nothing is kept."""
        keep = trace.states.new_zeros(()).expand_as(trace.states)
        return Jacobian(keep, (self._slopes(trace),))

    def step_bound(self, largest_singular_value: float) -> float:
        """Return γ σ_max(W), γ = sup φ' (Pascanu, Mikolov & Bengio 2013, §2.1)."""
        return self.activation.largest_slope * largest_singular_value

    def _slopes(self, trace: Trace) -> Float[Tensor, "time run batch hidden"]:
        return self.activation.slopes(_source(trace, self.activation))


def _build(activation: Activation, leak: float | None) -> Elman:
    del leak
    return Elman(activation)


PLAIN_KIND = CellKind("rnn", _build, kept_with_input=1, is_plain=True, torch_module="RNN")


@torch.inference_mode()
def forward(
    x: Float[Tensor, "time run batch input"],
    weights: LayerWeights,
    initial: Float[Tensor, "run batch hidden"],
    activation: Activation,
) -> Trace:
    r"""Return the states h_1…h_T: h_t = φ(W h_{t-1} + V x_t + b).

    One GEMM brings a chunk of inputs in; then two operations a time step: a
    GEMM adds into what the inputs give, and φ overwrites it.
    """
    T, R, B, _ = x.shape
    H = weights.weight_hh.shape[-1]
    VT = weights.input_weights_with_bias().transpose(1, 2)
    WT = weights.weight_hh.transpose(1, 2)
    states, block = allocate_states(T, initial, padded=activation.rounds_tails)
    inputs, input_block = states[1:], block[1:]
    if activation.needs_input:
        inputs, input_block = allocate_steps(
            T, (R, B, H), like=states, padded=activation.rounds_tails
        )
    h, x = states[0], with_ones(x)
    for chunk in time_chunks(T, B, H):
        projected = torch.bmm(flatten_time_batch(x[chunk]), VT).view(R, -1, B, H).transpose(0, 1)
        inputs[chunk] = projected
        ahead = states[1:][chunk].unbind()
        if activation.needs_input:
            own = inputs[chunk].unbind(), input_block[chunk].unbind(), block[1:][chunk].unbind()
            h = _keep_inputs(h, WT, activation, ahead, *own)
            continue
        numbers = block[1:][chunk].unbind() if activation.rounds_tails else ahead
        for h_next, all_numbers in zip(ahead, numbers, strict=True):
            h_next.baddbmm_(h, WT)
            activation.apply_(all_numbers)
            h = h_next
    return Trace(states[1:], states[:-1], (inputs,) if activation.needs_input else ())


def _keep_inputs(
    h: Tensor,
    WT: Tensor,
    activation: Activation,
    ahead: Sequence[Tensor],
    inputs: Sequence[Tensor],
    input_numbers: Sequence[Tensor],
    numbers: Sequence[Tensor],
) -> Tensor:
    """Go through a chunk of time where u is wanted later; return the last state.

    ``input_numbers`` and ``numbers`` are the blocks that the u and the states lie in.
    """
    steps = zip(ahead, inputs, input_numbers, numbers, strict=True)
    for h_next, u, before, after in steps:
        u.baddbmm_(h, WT)
        activation.apply_(after.copy_(before))
        h = h_next
    return h


def _source(trace: Trace, activation: Activation) -> Float[Tensor, "time run batch hidden"]:
    """Return what φ' is computed from."""
    return trace.kept[0] if activation.needs_input else trace.states


@torch.inference_mode()
def adjoint(
    direct: Float[Tensor, "last run batch hidden"],
    states: Trace,
    x: Float[Tensor, "time run batch input"],
    weights: LayerWeights,
    activation: Activation,
    *,
    with_inputs: bool = False,
    later: tuple[Tensor, ...] = (),
) -> Adjoint:
    r"""Return the total gradient g_t of every step and the gradients of the parameters.

    g_t = d_t + Wᵀ δ_{t+1} and δ_t = φ'(h_t) ⊙ g_t, two operations a time step; the gradients of
    the parameters are a few large GEMMs, not T small ones. ``direct`` holds d_t of the *last*
    steps, as many as it has; before them d_t = 0 (a loss at the last step alone gives one).
    Between pieces of time δ is handed on.
    """
    V, W = weights.weight_ih, weights.weight_hh
    T, R, B, H = states.states.shape
    total, known = allocate_total(direct, states.states)
    of_x, of_W = V.new_zeros(R, V.shape[-1] + 1, H), torch.zeros_like(W)
    of_inputs = x.new_empty(x.shape) if with_inputs else None
    x1, (passed,) = with_ones(x), later or (torch.zeros_like(total[0]),)
    for chunk in reversed(time_chunks(T, B, H)):
        delta = _slopes(_source(states, activation)[chunk], activation)
        passed = _step_back(total[chunk], delta, passed, W, known=known - chunk.start)
        by_run = flatten_time_batch(delta)  # a view: delta lies run by run
        of_W.baddbmm_(by_run.transpose(1, 2), flatten_time_batch(states.previous_states[chunk]))
        of_x.baddbmm_(flatten_time_batch(x1[chunk]).transpose(1, 2), by_run)
        if of_inputs is not None:
            of_inputs[chunk] = input_gradient(by_run, V, B)
    of_V, of_b = split_bias(of_x)
    gradients = LayerWeights(of_V, of_W, of_b, of_b)
    return Adjoint(total, None, gradients, of_inputs, (passed.clone(),))


def _slopes(source: Tensor, activation: Activation) -> Tensor:
    """Return φ' of all steps, in memory run by run: the large GEMMs then need no copy of δ."""
    slopes = allocate_by_run(source, source.shape[-1])
    for part, slope in zip(cache_blocks(source), cache_blocks(slopes), strict=True):
        slope.copy_(activation.slopes(part))
    return slopes


def _step_back(total: Tensor, delta: Tensor, later: Tensor, W: Tensor, known: int) -> Tensor:
    """Go back through a chunk of time, in place: d_t becomes g_t, φ'_t becomes δ_t.

    From index ``known`` on, total holds d_t; before it d_t = 0 and total holds nothing yet.
    Returns the δ of the first step.
    """
    times = range(len(total) - 1, -1, -1)
    for t, g, d in zip(times, reversed(total.unbind()), reversed(delta.unbind()), strict=True):
        if t >= known:
            g.baddbmm_(later, W)
        else:
            torch.bmm(later, W, out=g)
        later = d.mul_(g)
    return later
