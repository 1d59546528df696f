"""The oracle of programs with models of their own: each fused module runs as a Python loop.

A loop has the weights of the module itself, so that the program trains as it did, and every state
is kept by retain_grad.
"""

import contextlib

import torch
from torch import nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence

from tests.probe.unrolled import Step, Unrolled, columns, rms_of_norms, step

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


class Loop(nn.Module):
    """A fused module, one step and one sequence at a time; dropout draws as in the module."""

    def __init__(self, module, keep):
        super().__init__()
        self.module, self.keep = module, keep

    def forward(self, x, hx=None):
        m = self.module
        sequences = sequences_of(x, m.batch_first)
        initial = of_sequences(hx, m, len(sequences))
        inputs, steps, ends = sequences, [{} for _ in sequences], []
        for layer in range(m.num_layers):
            directions = range(1 + m.bidirectional)
            for direction in directions:
                place, w = layer * len(directions) + direction, weights_of(m, layer, direction)
                for one, read, own in zip(initial(place), inputs, steps, strict=True):
                    own[layer, direction] = run(m.mode, read.flip(0) if direction else read, one, w)
                ends.append([own[layer, direction][-1] for own in steps])
            inputs = [outputs_of(own, layer, directions) for own in steps]
            if m.dropout and m.training and layer < m.num_layers - 1:
                inputs = list(dropout(torch.stack(inputs, dim=1), m.dropout).unbind(dim=1))
        self.keep([Unrolled(None, None, None, own) for own in steps])
        return result(x, inputs, ends, m)


def sequences_of(x, batch_first):
    """Return each sequence, (time, input)."""
    if isinstance(x, PackedSequence):
        padded, lengths = pad_packed_sequence(x)
        return [one[:T] for one, T in zip(padded.unbind(1), lengths, strict=True)]
    return x.unbind(0 if batch_first else 1)


def of_sequences(hx, module, B):
    """Return a function of the place of a layer that gives h and c of each sequence."""
    if hx is None:
        return lambda _: [(torch.zeros(module.hidden_size),) * 2] * B
    h, c = hx if isinstance(hx, tuple) else (hx, hx)
    return lambda place: list(zip(h[place], c[place], strict=True))


def weights_of(module, layer, direction):
    end = f"_l{layer}" + ("_reverse" if direction else "")
    return {name: getattr(module, name + end) for name in WEIGHTS if hasattr(module, name + end)}


def run(mode, inputs, state, weights):
    (h, c), steps = state, []
    for x_t in inputs:
        W = weights["weight_hh"] * 1
        h, c, slopes = step(mode, x_t, h, c, {**weights, "weight_hh": W})
        seen = h * 1
        kept = (h, seen, c, W) if mode == "LSTM" else (h, seen, W)
        for each in kept:
            each.retain_grad()
        steps.append(Step(h, seen, c if mode == "LSTM" else None, W, slopes))
    return steps


def outputs_of(steps, layer, directions):
    parts = [[each.seen for each in steps[layer, d]][:: -1 if d else 1] for d in directions]
    return torch.stack([torch.cat(each) for each in zip(*parts, strict=True)])


def result(x, outputs, ends, module):
    h_n = torch.stack([torch.stack([each.seen for each in end]) for end in ends])
    if module.mode == "LSTM":
        h_n = (h_n, torch.stack([torch.stack([each.c for each in end]) for end in ends]))
    if isinstance(x, PackedSequence):
        return pack_sequence(outputs, enforce_sorted=False), h_n
    return torch.stack(outputs, dim=0 if module.batch_first else 1), h_n


class Kept(nn.Module):
    """A module whose output is kept by retain_grad."""

    def __init__(self, module, keep):
        super().__init__()
        self.module, self.keep = module, keep

    def forward(self, *args):
        state = self.module(*args)
        state.retain_grad()
        self.keep(state)
        return state


class Oracle:
    """Stands in for a recording: the calls of each module by update."""

    def __init__(self):
        self.update, self.loops, self.steps, self.cuts = 0, {}, {}, ()

    def clipping(self):
        return {}

    def profiles(self, module, update):
        """Return the columns of the only call of a fused module in an update."""
        [call] = self.loops[module, update]
        return columns(call, is_mean=True)

    def totals(self, module, update):
        """Return log10 of the norm at each call of a module that is called once a step."""
        kept = self.steps[module, update]
        return [rms_of_norms(list(state.grad), len(state)) for state in kept]


@contextlib.contextmanager
def oracle(model, *, optimizer, steps_of=(), every=1):
    """What `record_gradients` is for a program, with loops in place of fused modules."""
    del every  # all updates are kept
    found = Oracle()

    def keep_in(kept, name):
        return lambda what: kept.setdefault((name, found.update), []).append(what)

    def end_update(*_):
        found.update += 1

    for name, module in list(model.named_modules()):
        where, _, last = name.rpartition(".")
        if isinstance(module, nn.RNNBase):
            setattr(model.get_submodule(where), last, Loop(module, keep_in(found.loops, name)))
        elif name in steps_of:
            setattr(model.get_submodule(where), last, Kept(module, keep_in(found.steps, name)))
    optimizer.register_step_post_hook(end_update)
    yield found
