"""The recorder: hooks in, rows out, one update after the other."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from rnn_exp.probe.bad import BadValue, Findings, NonFiniteError, Profiled
from rnn_exp.probe.doubts import Doubts
from rnn_exp.probe.fused import FusedCalls
from rnn_exp.probe.hooks import Hooks
from rnn_exp.probe.measured import Measured
from rnn_exp.probe.modules import (
    RecorderError,
    called_modules,
    fused_modules,
    names_for_steps,
    refuse_hidden,
)
from rnn_exp.probe.moves import Counter
from rnn_exp.probe.outputs import tensors_with_graph
from rnn_exp.probe.rows import Entry, Rows
from rnn_exp.probe.stepped import SteppedCalls
from rnn_exp.probe.steps import Step
from rnn_exp.probe.torch_names import after_backward, aside, autocast_of, in_backward, in_transform
from rnn_exp.probe.updates import Scale, Steps, Watching

__all__ = ["Recorder"]


class Recorder:
    """Records the modules of a model while it is open.

    Args:
        model: any module.
        watching: what is recorded.
        rows: where rows go as they come; None: they stay in memory.
        steps_of: the names of modules that are called once a time step, with the place of the state
            in what each returns, or None (`modules.paths_of`).
        optimizer: whose steps end updates; None: an update ends when weights have moved.
        scaler: of the loss; it is taken out of all gradients. None: the loss is not scaled.
        ended: is called with the number of every recorded update when it has ended, and with what
            was measured of the optimizer's step.
    """

    def __init__(
        self,
        model: nn.Module,
        watching: Watching,
        *,
        rows: Rows | None = None,
        steps_of: Mapping[str, str | int | None] = MappingProxyType({}),
        optimizer: torch.optim.Optimizer | None = None,
        scaler: torch.amp.GradScaler | None = None,
        ended: Callable[[int, Mapping[str, Any]], None] = lambda *_: None,
    ) -> None:
        fused, stepped = fused_modules(model), called_modules(model, steps_of)
        if not fused and not stepped:
            raise RecorderError(
                "there is no nn.RNN, nn.GRU or nn.LSTM in the model; name the module that is "
                f"called once a time step in steps_of; {names_for_steps(model)}"
            )
        self.watching, self.model, self.names = watching, model, {**fused, **stepped}
        self._stepped_names = stepped
        scale = Scale(scaler)
        self._fused = FusedCalls(fused, watching.is_mean, scale, self._check)
        given = {
            each: place for each, name in stepped.items() if (place := steps_of[name]) is not None
        }
        self._stepped = SteppedCalls(stepped, given, watching.is_mean, scale, self._check_step)
        self._hooks = Hooks(self.names, self._before, self._after)
        self._counter = Counter(model, self.names)
        self._steps = None
        if optimizer is not None:
            add, stops = self._add_weights, watching.stop_on_nonfinite
            self._steps = Steps(optimizer, scale, self._wanted, self._end, add, stops=stops)
        self._ends = self._counter if self._steps is None else self._steps
        self._ended = ended
        self.update, self._was_called = 0, False
        self._doubts = Doubts(model, self.names, self._steps)
        self._findings = Findings(1 if watching.stop_on_nonfinite else watching.every)
        self.rows = Rows(None) if rows is None else rows
        self.updates: list[dict[str, Any]] = []
        self.cuts: list[dict[str, Any]] = []
        self.bad: list[BadValue] = []
        self.is_open = self.was_opened = self.has_gone_on = False

    def open(self) -> None:
        """Begin to record.

        Raises:
            RecorderError: if it records already, or rows cannot go to the folder.
        """
        if self.is_open:
            raise RecorderError("this recording is open already")
        self.rows.begin()
        self.is_open = self.was_opened = True
        self._hooks.open()
        self._ends.open()

    def close(self) -> None:
        """Record no more; rows of the last update are kept, and no hook is left."""
        self._hooks.close()
        self._ends.close()
        self.is_open = False
        if self._was_called:
            self.next_update()
        self.rows.flush()

    def doubts(self) -> Iterator[str]:
        """Yield what was seen of no use: modules without a call or gradient, a still optimizer."""
        yield from self._stepped.choices()
        yield from self._doubts.words(is_bad=bool(self.bad))

    def next_update(self) -> None:
        """End an update: for programs that move weights in a way that cannot be seen."""
        self._end({})

    def state(self) -> dict[str, Any]:
        """Return what a recording needs to go on: plain numbers and lists."""
        self.rows.flush()
        kept = self.rows.to_frame().to_dict("list") if self.rows.in_memory else {}
        return {
            "update": self.update,
            "parts": self.rows.parts,
            "rows": kept,
            "updates": list(self.updates),
            "cuts": list(self.cuts),
            "bad": [dataclasses.asdict(each) for each in self.bad],
        }

    def go_on(self, state: object) -> None:
        """Go on after a state, as if nothing had been.

        Raises:
            RecorderError: for what is no such state, or if the folder lacks rows of it.
        """
        keys = ("update", "parts", "rows", "updates", "cuts", "bad")
        if not isinstance(state, Mapping) or (missing := [key for key in keys if key not in state]):
            came = f"a {type(state).__name__}"
            if isinstance(state, Mapping):
                came = f"a mapping without {', '.join(missing)}"
            raise RecorderError(
                f"load_state_dict: {came} came, and what is allowed is what state_dict() of a "
                "recording returned"
            )
        self.rows.go_on_after(int(state["parts"]))
        self.has_gone_on = True
        self.update, self.updates = int(state["update"]), list(state["updates"])
        self.cuts, self.bad = list(state["cuts"]), [BadValue(**each) for each in state["bad"]]
        if state["rows"]:
            self.rows.add_frame(pd.DataFrame(state["rows"]))

    def _wanted(self) -> bool:
        return self.watching.wanted(self.update)

    def _before(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        del args
        if in_backward() or not torch.is_grad_enabled() or in_transform():
            return
        if self._steps is None and self._counter.has_moved() and self._was_called:
            self.next_update()
        if isinstance(module, nn.RNNBase) and self._wanted():
            self._fused.before(module)

    def _after(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: object
    ) -> None:
        if torch.is_inference_mode_enabled():
            return  # what comes of it can be in no graph
        if in_backward():
            refuse_hidden(self.names[module], module, tensors_with_graph(result))
            return
        if torch.is_grad_enabled():
            self._was_called = True
            if not self._doubts.has_seen(module) and tensors_with_graph(result):
                self._doubts.see(module)
        if self._wanted():
            autocast = autocast_of(module)
            with aside():
                self._keep(module, args, kwargs, result, autocast)

    def _keep(
        self,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: object,
        autocast: torch.dtype | None,
    ) -> None:
        """Keep a call of an update that is recorded; ``autocast``: its precision, None: off."""
        self._doubts.keep(module, tensors_with_graph(result))
        if module in self._stepped_names:
            place = self._findings.place()
            for step in self._stepped.after(module, (args, kwargs), result, place):
                if self.watching.stop_on_nonfinite:
                    self._check_size(module, step)
        elif isinstance(module, nn.RNNBase) and torch.is_grad_enabled():
            place = self._findings.place()
            self._fused.after(module, args, kwargs, result, place, autocast=autocast)
            if self.watching.stop_on_nonfinite:
                for call in self._fused.states(module, args, kwargs, result, autocast=autocast):
                    self._findings.add_state(self.update, call._replace(place=place))
                self._stop()

    def _check(self, measured: Measured) -> None:
        """See whether what a call has received is finite, and take the norm of all gradients."""
        self._note_gradient(measured.call.module)
        self._findings.add_state(self.update, measured.profiled())
        self._findings.add_gradient(self.update, measured.profiled())
        if self.watching.stop_on_nonfinite and self._findings.first is not None:
            after_backward(self._stop)  # behind all that this pass has reached

    def _check_step(self, module: nn.Module, step: Step, gradient: Tensor) -> None:
        """Do the same for a module that is called once a time step."""
        self._note_gradient(module)
        step.received_at = self._findings.now()
        if self.watching.stop_on_nonfinite and not bool(gradient.isfinite().all()):
            name = self.names[module]
            self._findings.add_one_step(self.update, name, step, is_forward=False)
            # When it is called, all others that look at what this pass has reached are in line.
            after_backward(functools.partial(after_backward, self._stop))

    def _note_gradient(self, module: nn.Module) -> None:
        self._doubts.reach(module)
        if self._steps is not None:
            self._steps.ask_for_norm()

    def _check_size(self, module: nn.Module, step: Step) -> None:
        if not all(math.isfinite(float(each.norm)) for each in step.state):
            self._findings.add_one_step(self.update, self.names[module], step, is_forward=True)
            self._stop()

    def _add_weights(self) -> None:
        """Take a gradient of all weights that is not finite."""
        self._findings.add_weights(self.update)
        if self.watching.stop_on_nonfinite:
            self._stop()

    def _stop(self) -> None:
        """Stop at the first value that is not finite, if there is one."""
        if (found := self._findings.first) is not None:
            self._note_bad(found)
            self._findings.clear()  # a program may go on with its next batch
            raise NonFiniteError(found)

    def _end(self, measured: Mapping[str, Any]) -> None:
        """End an update, with what is known of the optimiser's step."""
        number, wanted = self.update, self._wanted()
        with aside():
            cuts, fused, chains = self._fused.cuts(), self._fused.take(), self._stepped.take()
        self.update, self._was_called = number + 1, False
        if not wanted or not (fused or chains):
            return
        calls, why = list(fused), "it begins with the state of a call before, detached from it"
        for name, call in cuts:
            self.cuts.append({"update": number, "module": name, "call": call, "why": why})
        for chain in chains:
            calls.append(Profiled(chain.place, chain.name, chain.number, [chain.profile]))
            self._findings.add_chain(number, calls[-1], chain.steps)
            if chain.why_cut:
                cut = {"update": number, "module": chain.name, "call": chain.first}
                self.cuts.append(cut | {"why": chain.why_cut})
        self.rows.add(
            [
                Entry(number, call.number, call.module, each)
                for call in calls
                for each in call.profiles
            ]
        )
        self._note_bad(self._findings.first)
        self._findings.clear()
        if measured:
            self.updates.append({"update": number, **measured})
        self._ended(number, measured)

    def _note_bad(self, found: BadValue | None) -> None:
        if found is not None and not self.bad:  # all that follows it is not finite as well
            self.bad.append(found)
