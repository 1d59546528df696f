"""Calls of torch's recurrent modules in all their forms, and the same through the oracle."""

import dataclasses

import torch
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.probe.unrolled import unroll

KINDS = {
    "tanh": nn.RNN,
    "relu": nn.RNN,
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}
ENDS = ("output", "h_n", "c_n")


@dataclasses.dataclass(frozen=True)
class Form:
    """How a module is made and called."""

    kind: str = "tanh"
    layers: int = 1
    bidirectional: bool = False
    batch_first: bool = False
    bias: bool = True
    proj: int = 0
    lengths: tuple[int, ...] = (4, 4, 4)
    layout: str = "padded"  # unbatched, packed, sorted
    hx: str = ""  # positional, keyword
    losses: tuple[str, ...] = ("output",)
    last_only: bool = False
    training: bool = True
    reduction: str = "mean"
    dtype: torch.dtype = torch.float64
    seed: int = 0

    @property
    def is_packed(self):
        return self.layout in ("packed", "sorted")


@st.composite
def forms(draw, **fixed):
    kind = draw(st.sampled_from(sorted(KINDS)))
    layout = fixed.get("layout") or draw(
        st.sampled_from(["padded", "unbatched", "packed", "sorted"])
    )
    longest = draw(st.integers(1, 5))
    batch = 1 if layout == "unbatched" else draw(st.integers(1, 3))
    lengths = [longest] * batch
    if layout in ("packed", "sorted"):
        lengths = [draw(st.integers(1, longest)) for _ in range(batch)]
    if layout == "sorted":
        lengths.sort(reverse=True)
    ends = ENDS[: 3 if kind == "lstm" else 2]
    drawn = {
        "kind": kind,
        "layers": draw(st.integers(1, 3)),
        "bidirectional": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "proj": draw(st.sampled_from([0, 2])) if kind == "lstm" else 0,
        "lengths": tuple(lengths),
        "layout": layout,
        "hx": draw(st.sampled_from(["", "positional", "keyword"])),
        "losses": tuple(draw(st.sets(st.sampled_from(ends), min_size=1))),
        "last_only": draw(st.booleans()),
        "training": draw(st.booleans()),
        "reduction": draw(st.sampled_from(["mean", "sum"])),
        "seed": draw(st.integers(0, 9)),
    }
    return Form(**drawn | fixed)


def module_of(form, dropout=0.0):
    torch.manual_seed(form.seed)
    more = {"nonlinearity": form.kind} if KINDS[form.kind] is nn.RNN else {}
    if form.proj:
        more["proj_size"] = form.proj
    module = KINDS[form.kind](
        3,
        4,
        form.layers,
        bidirectional=form.bidirectional,
        batch_first=form.batch_first,
        bias=form.bias,
        dropout=dropout,
        dtype=form.dtype,
        **more,
    )
    return module.train(form.training)


def sequences_of(form):
    """Return x of each sequence, (time, input)."""
    return [torch.randn(length, 3, dtype=form.dtype) for length in form.lengths]


def initial_of(form, module):
    """Return h_0 and c_0 as (part, batch, k); none of either if the form has none."""
    if not form.hx:
        return ()
    parts, B = module.num_layers * (1 + module.bidirectional), len(form.lengths)
    sizes = [module.proj_size or module.hidden_size]
    sizes += [module.hidden_size] * (form.kind == "lstm")
    return tuple(torch.randn(parts, B, size, dtype=form.dtype) for size in sizes)


def call(form, module, sequences, initial):
    """Return outputs of each sequence, and h_n (and c_n) as (part, batch, k)."""
    x = nn.utils.rnn.pad_sequence(sequences, batch_first=form.batch_first)
    if form.layout == "unbatched":
        x = sequences[0]
        initial = tuple(each.squeeze(1) for each in initial)
    if form.is_packed:
        is_sorted = form.layout == "sorted"
        x = pack_padded_sequence(x, torch.tensor(form.lengths), form.batch_first, is_sorted)
    hx = initial if len(initial) == 2 else initial[0] if initial else None
    if form.hx == "keyword":
        output, ends = module(input=x, hx=hx)
    elif form.hx:
        output, ends = module(x, hx)
    else:
        output, ends = module(x)
    ends = ends if isinstance(ends, tuple) else (ends,)
    if form.layout == "unbatched":
        return [output], [each.unsqueeze(1) for each in ends]
    if form.is_packed:
        output = pad_packed_sequence(output, form.batch_first)[0]
    outputs = output.unbind(0 if form.batch_first else 1)
    return [one[:length] for one, length in zip(outputs, form.lengths, strict=True)], list(ends)


def through_oracle(module, sequences, initial, masks=None):
    """Return the same from the oracle, each sequence alone."""
    return [
        unroll(
            module,
            x,
            *(each[:, b] for each in initial),
            masks=None if masks is None else [mask[b] for mask in masks],
        )
        for b, x in enumerate(sequences)
    ]


def loss_of(form, outputs, h_n, c_n):
    """Return the loss of a batch; outputs of each sequence, h_n and c_n of each as (part, k)."""
    total = torch.zeros((), dtype=torch.float64)
    for b, output in enumerate(outputs):
        parts = {"output": output[-1:] if form.last_only else output, "h_n": h_n[b]}
        if c_n is not None:
            parts["c_n"] = c_n[b]
        for name in form.losses:
            value = parts[name].double()
            weight = torch.linspace(-1, 1 + b, value.numel(), dtype=torch.float64).view_as(value)
            total = total + (weight * value + value**2).sum()
    return total / len(outputs) if form.reduction == "mean" else total


def loss_of_call(form, outputs, ends):
    c_n = ends[1].unbind(1) if len(ends) == 2 else None
    return loss_of(form, outputs, ends[0].unbind(1), c_n)


def loss_of_oracle(form, sequences):
    c_n = [one.c_n for one in sequences]
    return loss_of(
        form,
        [one.output for one in sequences],
        [one.h_n for one in sequences],
        None if c_n[0] is None else c_n,
    )
