r"""A cell from its step alone: ``step(x_t, state, weights) -> state`` in plain torch.

The state s_t is h_t, which is read out, and whatever else goes from step to step. Forward the step
is repeated; backward

    ∂L/∂s_t = d_t + (∂s_{t+1}/∂s_t)ᵀ ∂L/∂s_{t+1}

is the step's own vector–Jacobian product, exactly, for every part of the state: the gradient by one
part is taken with the other parts of the same time step held fixed. The gradients of the weights
are those of all time steps together, by autograd, once ∂L/∂s_t is known.

A run has the same bits alone and in company: elementwise operations round the last few numbers of
a block in another way than the rest, so each run has a sequence or more behind its own, in which
these lie; and what is made of weights alone (`StepCell.once`) is made run by run.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.func import vjp

from rnn_exp.networks.cells.base import Adjoint, LayerWeights, StepBack, Totals, Trace
from rnn_exp.networks.cells.company import by_time, chunks, padded, plain, sum_over_time
from rnn_exp.networks.cells.traced import (
    Parts,
    Sizes,
    State,
    StepFunction,
    backward_parts,
    forward_parts,
)
from rnn_exp.shapes import Float

__all__ = ["Once", "StepCell"]

Named = Mapping[str, Tensor]
Once = Callable[[Named], Named]
"""From the named weights to those that the step reads."""

# Gradients of weights, of single time steps, that are held at a time of a run.
_MOST = 1 << 18


@dataclasses.dataclass(frozen=True)
class StepCell:
    """What computes a layer by its step.

    Args:
        step: takes x_t (run, batch, input), the state's parts (run, batch, hidden) and the named
            weights (run, …), and returns the parts of the next state. Sequences and runs must not
            mix.
        parts: of the state; the first one is h. h_0 is the network's initial state, the others
            begin at 0.
        once: what the step reads in the place of the weights, made of them once a pass and run by
            run; None: the weights themselves.
    """

    step: StepFunction
    parts: int = 1
    once: Once | None = None

    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None = None,
    ) -> Trace:
        """Return the states h_1…h_T; the inputs and the other parts of the state are kept."""
        (T, _, B, _), H = x.shape, initial.shape[-1]
        others = [torch.zeros_like(initial)] * (self.parts - 1)
        if before is not None:
            others = [part[-1] for part in before.kept[1::2]]
        with torch.inference_mode():
            state = tuple(padded(part, H) for part in (initial, *others))
            named, wide = self._read(weights), padded(x, H)
            parts = forward_parts(self.step, Sizes.of(named, wide[0], state))
            once = parts.once(list(named.values()))
            room = [part.new_empty(T + 1, *part.shape) for part in state]
            for values, part in zip(room, state, strict=True):
                values[0] = part
            for chunk in chunks(T, B, H):
                states = []
                for own in by_time(parts.ahead(once, [wide[chunk]]), chunk):
                    state = parts.each(*once, *own, *state)
                    states.append(state)
                for values, steps in zip(room, zip(*states, strict=True), strict=True):
                    torch.stack(steps, out=values[1:][chunk])
        h, *others = (values[:, :, :B] for values in room)
        kept = [part for values in others for part in (values[1:], values[:-1])]
        return Trace(h[1:], h[:-1], (x, *kept))

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
        """Return the gradient by every part of the state, and those of the parameters."""
        (T, _, B, H), known = trace.states.shape, len(trace.states) - len(direct)
        gradient = later or tuple(torch.zeros_like(trace.states[0]) for _ in range(self.parts))
        gradient = tuple(padded(part, H, zero=True) for part in gradient)
        named, before = self._read(weights), _before(trace)
        wide = [padded(x, H), *(padded(part, H) for part in before)]
        parts = backward_parts(self.step, Sizes.of(named, wide[0][0], gradient))
        once = parts.once(list(named.values()))
        room = [part.new_empty(T, *part.shape) for part in gradient]
        direct, sums = padded(direct, H, zero=True), [torch.zeros_like(v) for v in named.values()]
        of_inputs = torch.empty_like(x) if with_inputs else None
        for chunk in reversed(chunks(T, B, H)):
            ahead = parts.ahead(once, [part[chunk] for part in wide])
            gradients, left = list[State](), list[State]()
            steps = zip(range(chunk.start, chunk.stop), by_time(ahead, chunk), strict=True)
            for t, own in reversed(list(steps)):
                if t >= known:
                    gradient = (gradient[0] + direct[t - known], *gradient[1:])
                gradients.append(gradient)
                found = parts.each(*once, *own, *gradient)
                gradient = found[: self.parts]
                left.append(found[self.parts :])
            for values, made in zip(room, zip(*gradients[::-1], strict=True), strict=True):
                torch.stack(made, out=values[chunk])
            along = [part[chunk] for part in room]
            for start, of_x in _summed(parts, once, ahead, along, left[::-1], sums):
                if of_inputs is not None:
                    start += chunk.start
                    of_inputs[start : start + len(of_x)] = of_x[:, :, :B]
        total, *others = (values[:, :, :B] for values in room)
        of_weights = self._of_weights(weights, dict(zip(named, sums, strict=True)))
        earlier = tuple(part[:, :B].clone() for part in gradient)
        return Adjoint(total, others[0] if others else None, of_weights, of_inputs, earlier)

    def step_back(
        self,
        total: Float[Tensor, "time run batch hidden"],
        carried: Float[Tensor, "time run batch hidden"] | None,
        trace: Trace,
        weights: LayerWeights,
        with_inputs: bool,
    ) -> StepBack:
        """Return the step's vector–Jacobian products."""
        named = {name: plain(value) for name, value in self._read(weights).items()}
        gradient = [plain(part) for part in (total, carried) if part is not None]
        given = [plain(part) for part in (trace.kept[0], *_before(trace))]
        found = []
        for t in range(len(total)):
            with torch.inference_mode(False):
                pull = vjp(
                    lambda x_t, *parts: tuple(self.step(x_t, parts, named)),
                    *(part[t] for part in given),
                )[1]
                found.append(pull(tuple(part[t] for part in gradient)))
        of_x, of_h, *of_others = (torch.stack(parts) for parts in zip(*found, strict=True))
        handed = of_others[0] if of_others else None
        return StepBack(of_h, handed, carried, of_x if with_inputs else None)

    def deltas(self, trace: Trace, adjoint: Totals) -> Float[Tensor, "time run batch gates_hidden"]:
        """Raise: where weights enter in any way, there is no δ (see `contributions`).

        Raises:
            TypeError: always.
        """
        raise TypeError("a step has no δ: its cell gives the contributions of time steps")

    def contributions(
        self, trace: Trace, totals: Totals, weights: LayerWeights, name: str
    ) -> Float[Tensor, "time run ..."]:
        """Return what each time step adds to the gradient of one of the weights."""
        H, named = trace.states.shape[-1], self._read(weights)
        with torch.inference_mode():
            wide = [padded(part, H) for part in (trace.kept[0], *_before(trace))]
            gradient = [padded(part, H, zero=True) for part in _parts(totals)]
            shapes = Sizes.of(named, wide[0][0], [part[0] for part in gradient])
            parts = backward_parts(self.step, shapes)
            once = parts.once(list(named.values()))
            found = parts.after(once, parts.ahead(once, wide), gradient)
        of_read = dict(zip(named, found, strict=False))
        if self.once is None:
            return of_read[name]
        of_runs = []
        for run in range(len(weights[0])):
            alone = {key: plain(value[run : run + 1]) for key, value in weights.named().items()}
            own = {key: plain(value[:, run : run + 1]) for key, value in of_read.items()}
            with torch.inference_mode(False):
                pull = vjp(self.once, alone)[1]
                of_runs.append(torch.vmap(pull)(own)[0][name])
        return torch.cat(of_runs, dim=1)

    def saturation(self, trace: Trace) -> Float[Tensor, "time run"]:
        """Return NaN: a step does not say what its activations are."""
        return trace.states.new_full(trace.states.shape[:2], torch.nan)

    def jacobian(self, trace: Trace) -> None:
        """Return None: theory has nothing to go by."""
        del trace

    def step_bound(self, largest_singular_value: float) -> None:
        """Return None: no such bound is known."""
        del largest_singular_value

    def _read(self, weights: LayerWeights) -> dict[str, Tensor]:
        """Return what the step reads of all runs, made run by run."""
        named = {name: value.detach() for name, value in weights.named().items()}
        if self.once is None:
            return named
        with torch.no_grad():
            runs = [
                self.once({name: value[run : run + 1] for name, value in named.items()})
                for run in range(len(weights[0]))
            ]
            return {name: torch.cat([one[name] for one in runs]) for name in runs[0]}

    def _of_weights(self, weights: LayerWeights, of_read: Named) -> LayerWeights:
        """Return the gradients by the weights from those by what the step reads."""
        if self.once is None:
            return LayerWeights(*of_read.values(), names=tuple(of_read))
        found = []
        for run in range(len(weights[0])):
            alone = {name: plain(value[run : run + 1]) for name, value in weights.named().items()}
            own = {name: plain(value[run : run + 1]) for name, value in of_read.items()}
            with torch.inference_mode(False):
                pull = vjp(self.once, alone)[1]
                found.append(pull(own)[0])
        named = {name: torch.cat([one[name] for one in found]) for name in weights.names}
        return LayerWeights(*named.values(), names=weights.names)


def _summed(
    parts: Parts,
    once: Sequence[Tensor],
    ahead: Sequence[Tensor],
    along: Sequence[Tensor],
    left: Sequence[State],
    sums: Sequence[Tensor],
) -> Iterator[tuple[int, Tensor]]:
    """Add the gradients of weights to their sums; yield ∂L/∂x_t of so many steps after a first."""
    steps = max(1, _MOST // sum(total[0].numel() for total in sums))
    for start in range(0, len(left), steps):
        some = slice(start, start + steps)
        behind = [torch.stack(values) for values in zip(*left[some], strict=True)]
        own = [values[some] for values in ahead], [values[some] for values in along]
        *of_named, of_x = parts.after(once, *own, behind)
        for total, values in zip(sums, of_named, strict=True):
            total += sum_over_time(values)
        yield start, of_x


def _before(trace: Trace) -> list[Tensor]:
    """Return the parts of the state before each time step.

    After the end of a sequence h is 0; another part that has overflowed there is 0 as well, for
    nothing goes back through it.
    """
    h = trace.previous_states
    found = [h]
    for part in trace.kept[2::2]:
        sane = part.isfinite()
        if bool(sane.all()):
            found.append(part)
        else:
            ended = (h == 0).all(-1, keepdim=True)
            found.append(torch.where(ended & ~sane, 0.0, part))
    return found


def _parts(totals: Totals) -> list[Tensor]:
    return [part for part in (totals.total, totals.memory) if part is not None]
