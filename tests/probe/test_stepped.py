"""Modules that are called once a time step: autograd's own gradients, and where a chain is cut."""

import collections
import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from rnn_exp import NonFiniteError, RecorderError, RecordingWarning, record_gradients


class Custom(nn.Module):
    """A cell of one's own that returns its state, its memory and something else."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(7, 4)

    def forward(self, x, state):
        h, c = state
        c = 0.9 * c + self.linear(torch.cat([x, h], -1)).tanh()
        return c.sin(), c


class Block(nn.Module):
    """A block with a residual that is added in place."""

    def __init__(self):
        super().__init__()
        self.inside = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)

    def forward(self, h):
        return self.inside(h)


CELLS = {
    "rnn": lambda: nn.RNNCell(3, 4),
    "gru": lambda: nn.GRUCell(3, 4),
    "lstm": lambda: nn.LSTMCell(3, 4),
    "custom": Custom,
    "block": lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True),
}


class Loop(nn.Module):
    """Calls its cell T times; ``between`` changes a state between two calls."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.cell = kind, CELLS[kind]()

    def start(self, B):
        if self.kind == "block":
            return torch.randn(B, 3, 4)
        h = torch.zeros(B, 4)
        return (h, h.clone()) if self.kind in ("lstm", "custom") else h

    def forward(self, T=6, B=2, between=lambda t, state: state, keep=lambda parts: parts):
        state, outputs = self.start(B), []
        for t in range(1, T + 1):
            state = between(t, state)
            x = () if self.kind == "block" else (torch.randn(B, 3),)
            state = self.cell(*x, state)
            parts = state if isinstance(state, tuple) else (state,)
            keep(parts)
            outputs.append(parts[0])
        return outputs


def retained(kept):
    def keep(parts):
        for each in parts:
            if each.requires_grad:
                each.retain_grad()
        kept.append(parts)

    return keep


def rms(gradients, factor):
    """Return log10 of the root mean square over the batch of each sequence's own norm."""
    if gradients is None:
        return -math.inf
    squares = [factor**2 * each.double().square().sum().item() for each in gradients]
    mean = sum(squares) / len(squares)
    return 0.5 * math.log10(mean) if mean else -math.inf


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", CELLS)
def test_of_every_call_it_is_the_gradient_that_retain_grad_has(kind, reduction):
    model, kept = Loop(kind), []
    with record_gradients(model, steps_of=["cell"], reduction=reduction) as recording:
        outputs = model(keep=retained(kept))
        (outputs[-1].square().sum() + outputs[2].sum()).backward()
    frame, factor = recording.to_frame(), 2 if reduction == "mean" else 1
    for place, name in enumerate(("log10_total", "log10_memory")[: len(kept[0])]):
        wanted = [rms(parts[place].grad, factor) for parts in kept]
        np.testing.assert_allclose(frame[name], wanted, atol=1e-6)
    sizes = [parts[0].square().mean().sqrt().item() for parts in kept]
    np.testing.assert_allclose(frame["state_rms"], sizes, rtol=1e-5)
    assert frame["time"].tolist() == [1, 2, 3, 4, 5, 6]
    assert frame["lag"].tolist() == [5, 4, 3, 2, 1, 0]
    assert set(frame["status"]) == {"ok"}
    assert recording.cuts.empty
    assert "log10_memory" in frame or len(kept[0]) == 1


def without_gradient(parts):
    with torch.no_grad():
        return [each * 1 for each in parts]


CUTS = {
    "detach": lambda parts: [each.detach() for each in parts],
    "no_grad": without_gradient,
    "copy": lambda parts: [torch.tensor(each.tolist()) for each in parts],
    "data": lambda parts: [each.data for each in parts],
    "numpy": lambda parts: [torch.from_numpy(each.detach().numpy().copy()) for each in parts],
}
PASSES = {
    "dtype": lambda parts: [each.to(torch.float64).to(torch.float32) for each in parts],
    "clone": lambda parts: [each.clone() for each in parts],
    "in place": lambda parts: [each.add_(1) for each in parts],
    "scaled": lambda parts: [0.5 * each + 0.5 * each.detach() for each in parts],
    "stacked": lambda parts: [torch.stack([each, each])[0] for each in parts],
}


def at(call, change):
    def between(t, state):
        if t != call:
            return state
        parts = state if isinstance(state, tuple) else (state,)
        parts = tuple(change(parts))
        return parts if isinstance(state, tuple) else parts[0]

    return between


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("name", CUTS)
def test_a_chain_that_is_cut_is_two_and_it_is_said_at_which_call(kind, name):
    model = Loop(kind)
    with record_gradients(model, steps_of=["cell"]) as recording:
        model(between=at(4, CUTS[name]))[-1].square().sum().backward()
    [cut] = recording.cuts.to_dict("records")
    assert (cut["update"], cut["module"], cut["call"]) == (0, "cell", 3)
    assert "does not depend on the call before" in cut["why"]
    frame = recording.to_frame()
    assert frame["call"].tolist() == [0, 0, 0, 1, 1, 1]
    assert frame["time"].tolist() == [1, 2, 3, 1, 2, 3]
    assert frame["status"].tolist() == ["cut_off"] * 3 + ["ok"] * 3


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("name", PASSES)
def test_what_passes_gradients_on_is_no_cut(kind, name):
    if name == "in place" and kind != "block":
        pytest.skip("torch itself refuses to change a state that a cell needs again")
    model = Loop(kind)
    with record_gradients(model, steps_of=["cell"]) as recording:
        model(between=at(4, PASSES[name]))[-1].square().sum().backward()
    assert recording.cuts.empty
    assert recording.to_frame()["time"].tolist() == [1, 2, 3, 4, 5, 6]


class Residual(nn.Module):
    """A weight-tied block whose output the residual is added to in place."""

    def __init__(self):
        super().__init__()
        self.block = nn.Linear(4, 4)

    def forward(self, h, kept):
        for _ in range(5):
            new = self.block(h)
            kept.append(new * 1)
            new += h
            h = new
        return h


def test_a_residual_that_is_added_in_place_leaves_what_the_block_returned():
    model, kept = Residual(), []
    with record_gradients(model, steps_of=["block"]) as recording:
        model(torch.randn(3, 4), kept).square().sum().backward()
    frame = recording.to_frame()
    sizes = [each.square().mean().sqrt().item() for each in kept]
    np.testing.assert_allclose(frame["state_rms"], sizes, rtol=1e-5)
    assert recording.cuts.empty
    assert len(frame) == 5


def test_a_call_under_no_grad_is_named_as_such():
    model = Loop("gru")

    def between(t, state):
        torch.set_grad_enabled(t != 3)
        return state

    with record_gradients(model, steps_of=["cell"]) as recording:
        model(between=between)[-1].sum().backward()
    assert recording.cuts["call"].tolist() == [2, 3]
    assert "no_grad" in recording.cuts["why"][0]
    assert "the call before it has no graph" in recording.cuts["why"][1]


def test_several_sequences_of_an_update_are_each_a_chain():
    model = Loop("lstm")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with record_gradients(model, steps_of=["cell"]) as recording:
        for _ in range(2):
            optimizer.zero_grad()
            for T in (3, 5):  # a backward pass for each: nothing is cut
                model(T=T)[-1].sum().backward()
            optimizer.step()
    frame = recording.to_frame()
    assert frame.groupby(["update", "call"])["time"].max().tolist() == [3, 5, 3, 5]
    assert recording.cuts.empty
    assert set(frame["status"]) == {"ok"}


def test_two_sequences_of_one_loss_are_told_apart_from_one_that_is_cut_by_their_words():
    model = Loop("gru")
    with record_gradients(model, steps_of=["cell"]) as recording:
        (model(T=3)[-1].sum() + model(T=2)[-1].sum()).backward()
    [cut] = recording.cuts.to_dict("records")
    assert cut["call"] == 3
    assert "a new sequence" in cut["why"]
    assert set(recording.to_frame()["status"]) == {"ok"}


def test_calls_that_nobody_differentiates_leave_nothing():
    model = Loop("gru")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with record_gradients(model, steps_of=["cell"]) as recording:
        model(T=3)[-1].sum().backward()
        optimizer.step()
        with torch.no_grad():
            model(T=9)
        model(T=4)[-1].sum().backward()
    assert recording.to_frame().groupby("update")["time"].max().tolist() == [3, 4]
    assert recording.cuts.empty


def test_a_call_of_a_test_is_no_cut_also_where_the_last_call_has_no_gradient():
    model = Loop("gru")
    with record_gradients(model, steps_of=["cell"]) as recording:
        model(T=6)[2].sum().backward()
        with torch.no_grad():
            model(T=9)
        model(T=2)[-1].sum().backward()
    assert recording.cuts.empty
    assert recording.to_frame().groupby("call")["time"].max().tolist() == [6, 2]


def test_a_chain_goes_on_through_a_backward_pass_that_keeps_its_graph():
    model, kept = Loop("gru"), []
    with record_gradients(model, steps_of=["cell"]) as recording:

        def keep(parts):
            retained(kept)(parts)
            if len(kept) == 3:
                parts[0].sum().backward(retain_graph=True)

        model(T=6, keep=keep)[-1].square().sum().backward()
    frame = recording.to_frame()
    assert frame["time"].tolist() == [1, 2, 3, 4, 5, 6]
    wanted = [rms(parts[0].grad, 2) for parts in kept]
    np.testing.assert_allclose(frame["log10_total"], wanted, atol=1e-6)
    assert recording.cuts.empty


def test_an_optimiser_tells_the_norm_of_a_gradient_that_a_cell_alone_has():
    model = Loop("rnn")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with record_gradients(model, steps_of=["cell"], optimizer=optimizer) as recording:
        model()[-1].sum().backward()
        whole = torch.cat([weight.grad.flatten() for weight in model.parameters()]).norm().item()
        nn.utils.clip_grad_norm_(model.parameters(), whole / 2)
        optimizer.step()
        optimizer.zero_grad()
        model()[-1].sum().backward()
        optimizer.step()
    updates = recording.updates
    assert updates["grad_norm"][0] == pytest.approx(whole, rel=1e-5)
    assert updates["clipped"].tolist() == [True, False]
    assert updates["update_norm"][0] == pytest.approx(0.1 * whole / 2, rel=1e-4)


def test_where_one_kernel_makes_both_states_the_memory_is_left_out():
    """What goes from c_t to h_t inside it is in no gradient that autograd hands out."""

    class Fused(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return x.tanh(), x * 1

        @staticmethod
        def backward(_, of_h, of_c):
            return of_h + of_c

    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

        def forward(self, h):
            return Fused.apply(self.weight * h)

    model, h = nn.ModuleDict({"cell": Cell()}), torch.ones(2, 4)
    with record_gradients(model, steps_of=["cell"]) as recording:
        for _ in range(3):
            h, _ = model["cell"](h)
        h.sum().backward()
    assert "log10_memory" not in recording.to_frame()
    assert len(recording.to_frame()) == 3


def test_what_is_printed_says_that_there_are_cuts():
    loop = Loop("gru")
    with record_gradients(loop, steps_of=["cell"]) as recording:
        loop(between=lambda t, state: state.detach() if t in (3, 5) else state)[-1].sum().backward()
    assert "the gradient is cut at 2 calls: `cuts` has where and why" in str(recording)
    with record_gradients(loop, steps_of=["cell"]) as recording:
        loop()[-1].sum().backward()
    assert "cut" not in str(recording)


@dataclasses.dataclass
class Said:
    scores: torch.Tensor
    state: torch.Tensor
    extra: None = None


Pair = collections.namedtuple("Pair", ["scores", "state"])


class Decoder(nn.Module):
    """Attends to what an encoder found; returns scores and its state, in the way of somebody."""

    def __init__(self, pack, memory=False):
        super().__init__()
        self.pack = pack
        self.cell = (nn.LSTMCell if memory else nn.GRUCell)(7, 4, dtype=torch.float64)
        self.readout = nn.Linear(4, 4, dtype=torch.float64)  # scores are of the state's shape

    def forward(self, x, state, found):
        h = state[0] if isinstance(state, tuple) else state
        context = (found @ h.unsqueeze(-1)).softmax(1).mT @ found
        state = self.cell(torch.cat([x, context.squeeze(1)], -1), state)
        h = state[0] if isinstance(state, tuple) else state
        return self.pack(self.readout(h), state, found)


PACKED = {
    "tuple": (lambda scores, state, _: (scores, state), lambda out: out),
    "list": (lambda scores, state, _: [scores, [None, state]], lambda out: (out[0], out[1][1])),
    "dict": (lambda scores, state, _: {"s": scores, "h": state}, lambda out: (out["s"], out["h"])),
    "named": (lambda scores, state, _: Pair(scores, state), lambda out: out),
    "dataclass": (lambda s, state, _: Said(s, state), lambda out: (out.scores, out.state)),
    "handed on": (lambda s, state, found: (found, s, state), lambda out: out[1:]),
    "state first": (lambda s, state, _: (state, s), lambda out: out[::-1]),
}


def decoded(packed, memory=False, steps_of=("decoder",), T=5, feed=None):
    """Return the recording of a decoder and autograd's own gradients of its states."""
    pack, take = PACKED[packed]
    model, kept = nn.ModuleDict({"decoder": Decoder(pack, memory)}), []
    found, state = 1 * torch.randn(2, 3, 4).double().requires_grad_(), torch.zeros(2, 4).double()
    state, x = (state, state) if memory else state, torch.zeros(2, 3).double()
    with record_gradients(model, steps_of=steps_of) as recording:
        for _ in range(T):
            scores, state = take(model["decoder"](x, state, found))
            retained(kept)((*(state if memory else (state,)), scores))
            x = scores[:, :3] if feed else torch.randn(2, 3).double()
        scores.square().mean().backward()
    return recording, kept


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("packed", PACKED)
def test_the_state_is_what_reaches_the_next_call_wherever_it_is_among_the_outputs(packed, memory):
    recording, kept = decoded(packed, memory)
    assert recording.cuts.empty
    frame = recording.to_frame()
    assert frame["time"].tolist() == [1, 2, 3, 4, 5]
    for place, name in enumerate(("log10_total", "log10_memory")[: 1 + memory]):
        wanted = [rms(parts[place].grad, 2) for parts in kept]
        np.testing.assert_allclose(frame[name], wanted, atol=1e-9)
    sizes = [parts[0].square().mean().sqrt().item() for parts in kept]
    np.testing.assert_allclose(frame["state_rms"], sizes, rtol=1e-9)


@pytest.mark.parametrize(("packed", "place"), [("tuple", 1), ("dict", "h"), ("list", "1.1")])
def test_where_scores_are_fed_back_as_well_the_place_of_the_state_can_be_said(packed, place):
    first, kept = decoded(packed, feed=True)
    wanted = [[rms(parts[number].grad, 2) for parts in kept] for number in (0, 1)]
    # Both reach the next call, and the first of them is taken ...
    total = first.to_frame()[["log10_total", "log10_memory"]]
    np.testing.assert_allclose(total.T, wanted[::-1], atol=1e-9)
    # ... with the second as its memory, as both are of one shape.
    said, kept = decoded(packed, feed=True, steps_of={"decoder": place})
    wanted = [rms(parts[0].grad, 2) for parts in kept]
    np.testing.assert_allclose(said.to_frame()["log10_total"], wanted, atol=1e-9)
    assert "log10_memory" not in said.to_frame()


def test_a_place_that_leads_to_a_pair_is_both_and_one_that_is_not_there_is_refused():
    recording, kept = decoded("tuple", memory=True, steps_of={"decoder": 1})
    wanted = [rms(parts[1].grad, 2) for parts in kept]
    np.testing.assert_allclose(recording.to_frame()["log10_memory"], wanted, atol=1e-9)
    with pytest.raises(RecorderError, match=r"no tensor there; it returns '0', '1\.0' and '1\.1'"):
        decoded("tuple", memory=True, steps_of={"decoder": "2"})


def test_of_a_state_that_is_kept_inside_it_is_said_what_was_looked_at():
    class Inside(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.h = nn.GRUCell(3, 4), None
            self.readout = nn.Linear(4, 2)

        def forward(self, x):
            self.h = self.cell(x, self.h)
            return self.readout(self.h), self.h.sum()

    model = nn.ModuleDict({"block": Inside()})
    with record_gradients(model, steps_of=["block"]) as recording:
        sum(model["block"](torch.randn(2, 3))[0].sum() for _ in range(3)).backward()
    assert recording.cuts["call"].tolist() == [1, 2]
    assert "('0' and '1')" in recording.cuts["why"][0]
    assert "kept inside" in recording.cuts["why"][0]


def test_scores_that_are_not_finite_are_no_bad_state():
    model = nn.ModuleDict({"decoder": Decoder(lambda scores, state, _: (scores - math.inf, state))})
    found = torch.randn(2, 3, 4).double()

    def run(state):
        with record_gradients(model, steps_of=["decoder"], stop_on_nonfinite=True) as recording:
            for _ in range(3):
                _, state = model["decoder"](torch.randn(2, 3).double(), state, found)
            state.sum().backward()
        return recording

    assert run(torch.zeros(2, 4).double()).first_bad is None
    with pytest.raises(NonFiniteError, match="time step 1: a state"):
        run(torch.full((2, 4), math.nan).double())


def test_where_more_reaches_the_next_call_than_is_recorded_it_is_said_how_to_choose():
    def three(packed):
        model, h = nn.ModuleDict({"block": Decoder(packed)}), torch.zeros(2, 4).double()
        found = torch.randn(2, 3, 4).double()
        with record_gradients(model, steps_of=["block"]) as recording:
            for _ in range(3):
                more, h, *_ = model["block"](found[:, 0, :3], h, found)
                found = found + more[:, :1].unsqueeze(1)
            h.sum().backward()
        return recording

    with pytest.warns(RecordingWarning, match=r"block \(Decoder\).*'0' and '1'.*of '0'.*steps_of"):
        three(lambda scores, h, found: (scores[:, :2], h, found))


def test_loops_side_by_side_are_each_a_chain():
    model, states = nn.ModuleDict({"cell": nn.GRUCell(3, 4)}), [torch.zeros(2, 4)] * 2
    kept = []
    with record_gradients(model, steps_of=["cell"]) as recording:
        for _ in range(3):
            states = [model["cell"](torch.randn(2, 3), state) for state in states]
            retained(kept)(states)
        sum(state.square().sum() for state in states).backward()
    frame = recording.to_frame()
    assert frame["time"].tolist() == [1, 2, 3, 1, 2, 3]
    wanted = [rms(parts[number].grad, 2) for number in (0, 1) for parts in kept]
    np.testing.assert_allclose(frame["log10_total"], wanted, atol=1e-6)
    assert recording.cuts["call"].tolist() == [1]  # of one loss: where the second one begins


def test_calls_of_different_batches_have_each_its_own_mean():
    cell, x = nn.RNNCell(3, 4), torch.randn(2, 3)
    with record_gradients(cell, steps_of=[""]) as recording:
        first = cell(x)
        second = cell(x[:1], first[:1])
        first.retain_grad()
        second.retain_grad()
        (second.square().sum() + first.square().mean()).backward()
    wanted = [math.log10(each.grad.norm() * math.sqrt(len(each))) for each in (first, second)]
    np.testing.assert_allclose(recording.to_frame()["log10_total"], wanted, atol=1e-6)
