"""Fused modules that are called again and again with their own state: one sequence, exactly."""

import contextlib
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rnn_exp import NonFiniteError, record_gradients
from tests.probe import calls
from tests.probe.test_changes_nothing import Kept
from tests.probe.unrolled import columns


def as_it_is(state):
    return state


def scaled(state):
    return tuple(0.5 * each for each in state)


def parts_of(form, steps):
    """Return a form and sequences for each part; the first one may be of several lengths."""
    found = []
    for T in steps:
        lengths = form.lengths if form.is_packed and not found else (T,) * len(form.lengths)
        own = dataclasses.replace(form, lengths=lengths)
        found.append((own, calls.sequences_of(own)))
    return found


def loss_of_loop(module, parts, initial, between):
    """Return the loss of a loop over parts of a sequence, each a call that has a loss."""
    total = 0.0
    for form, sequences in parts:
        outputs, ends = calls.call(form, module, sequences, initial)
        total = total + calls.loss_of_call(form, outputs, ends)
        initial = between(tuple(ends))
    return total


def expected(module, parts, initial, between):
    """Return the columns of the same one step at a time."""
    total, whole = 0.0, []
    for form, sequences in parts:
        unrolled = calls.through_oracle(module, sequences, initial)
        total = total + calls.loss_of_oracle(form, unrolled)
        if not whole:
            whole = [one._replace(steps={key: [] for key in one.steps}) for one in unrolled]
        for one, so_far in zip(unrolled, whole, strict=True):
            for key, steps in one.steps.items():
                so_far.steps[key].extend(steps)
        # The next part begins with h itself; what is read from outside the layer is `seen`.
        last = [[steps[-1] for steps in one.steps.values()] for one in unrolled]
        names = ("h", "c")[: len(initial)]
        initial = between(
            tuple(
                torch.stack([torch.stack([getattr(s, n) for s in one]) for one in last], 1)
                for n in names
            )
        )
    total.backward()
    return columns(whole, parts[0][0].reduction == "mean")


def compare(frame, wanted, apart=1e-9, leave_out=()):
    for (layer, _), own in wanted.items():
        rows, T = frame[frame["layer"] == layer], len(own["log10_total"])
        assert rows["time"].tolist() == list(range(1, T + 1))
        assert rows["lag"].tolist() == list(range(T - 1, -1, -1))
        for name, values in own.items():
            if name not in leave_out:
                np.testing.assert_allclose(
                    rows[name].to_numpy(dtype=float), values, rtol=0, atol=apart, err_msg=name
                )


PARTS = st.lists(st.sampled_from([1, 1, 3]), min_size=2, max_size=4)


@settings(max_examples=10)
@given(calls.forms(bidirectional=False, hx="positional"), PARTS)
def test_calls_that_hand_on_their_state_are_one_sequence_as_one_step_at_a_time_has_it(form, steps):
    module = calls.module_of(form)
    parts, initial = parts_of(form, steps), calls.initial_of(form, module)
    with record_gradients(module, reduction=form.reduction) as recording:
        loss_of_loop(module, parts, initial, as_it_is).backward()
    frame = recording.to_frame()
    assert set(frame["call"]) == {0}
    is_known = form.layout != "unbatched"  # these tests put a batch axis in between
    assert frame["status_direct"].isin(["ok", "zero"]).all() == is_known
    leave_out = [] if is_known else ["log10_direct"]
    compare(frame, expected(module, parts, initial, as_it_is), leave_out=leave_out)


@settings(max_examples=5)
@given(calls.forms(bidirectional=False, hx="keyword"), PARTS)
def test_what_lies_between_two_calls_may_change_the_state_and_then_its_direct_part_is_not_known(
    form, steps
):
    module = calls.module_of(form)
    parts, initial = parts_of(form, steps), calls.initial_of(form, module)
    with record_gradients(module, reduction=form.reduction) as recording:
        loss_of_loop(module, parts, initial, scaled).backward()
    frame = recording.to_frame()
    compare(frame, expected(module, parts, initial, scaled), leave_out=["log10_direct"])
    ends = np.cumsum([max(own.lengths) for own, _ in parts])[:-1]
    assert (frame["log10_direct"].isna() == frame["time"].isin(ends)).all()
    assert (frame["status_direct"].isna() == frame["time"].isin(ends)).all()
    assert recording.summary()["steps_with_loss"].isna().all()


class Decoder(nn.Module):
    """Attention and teacher forcing: a fused module called for one time step, in a loop."""

    def __init__(self, kind=nn.GRU, layers=1):
        super().__init__()
        self.encoder = nn.GRU(3, 4, dtype=torch.float64)
        self.decoder = kind(7, 4, layers, dtype=torch.float64)
        self.readout = nn.Linear(4, 2, dtype=torch.float64)

    def forward(self, x, y, keep=as_it_is):
        outputs, state = self.encoder(x)
        state = state.expand(self.decoder.num_layers, -1, -1).contiguous()
        state = (state, torch.zeros_like(state)) if isinstance(self.decoder, nn.LSTM) else state
        scores = []
        for y_t in y:
            top = (state[0] if isinstance(state, tuple) else state)[-1]
            weights = torch.einsum("tbh,bh->tb", outputs, top).softmax(0)
            context = torch.einsum("tb,tbh->bh", weights, outputs)
            output, state = self.decoder(torch.cat([y_t, context], -1).unsqueeze(0), state)
            keep(state)
            scores.append(self.readout(output[0]))
        return torch.stack(scores)


def retained(found):
    def keep(state):
        for each in state if isinstance(state, tuple) else (state,):
            each.retain_grad()
        found.append(state if isinstance(state, tuple) else (state,))

    return keep


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_of_a_decoder_with_attention_it_is_the_gradient_that_autograd_has_of_each_state(kind):
    model, states = Decoder(kind), []
    x, y = torch.randn(5, 2, 3).double(), torch.randn(6, 2, 3).double()
    with record_gradients(model) as recording:
        model(x, y, retained(states))[-1].square().mean().backward()
    frame = recording.to_frame()
    rows = frame[frame["module"] == "decoder"]
    assert rows["lag"].tolist() == [5, 4, 3, 2, 1, 0]
    # At the last step the readout reads the output, which h_n is a copy of: it has no gradient.
    # What goes from c_t to h_t is in no gradient of c_n.
    wanted = [0.5 * np.log10(2 * h.grad.square().sum().item()) for h, *_ in states[:-1]]
    np.testing.assert_allclose(rows["log10_total"][:-1], wanted, atol=1e-9)
    # Attention reads every state but the last one, the loss the last one.
    assert (rows["status_direct"] == "ok").all()
    [said] = recording.summary().query("module == 'decoder'").to_dict("records")
    assert (said["steps"], said["steps_with_loss"]) == (6, 6)


def test_a_loss_at_the_end_alone_is_the_only_direct_part_to_the_bit():
    module = nn.LSTM(3, 4, 2)  # in float32 too: what comes back is taken off where it is one number
    state, x = None, torch.randn(7, 2, 3)
    with record_gradients(module) as recording:
        for x_t in x:
            output, state = module(x_t.unsqueeze(0), state)
        output.sum().backward()
    top = recording.to_frame().query("layer == 1")
    assert top["status_direct"].tolist() == ["zero"] * 6 + ["ok"]
    assert recording.summary()["steps_with_loss"].iloc[0] == 1


def test_loops_side_by_side_and_one_after_the_other_are_each_a_sequence():
    module = nn.GRU(3, 4)

    def loop(states, T):
        for _ in range(T):
            states = [module(torch.randn(1, 2, 3), state)[1] for state in states]
        return sum(state.sum() for state in states)

    with record_gradients(module) as recording:
        (loop([None, None], 3) + loop([torch.zeros(1, 2, 4)], 2)).backward()
    frame = recording.to_frame()
    assert frame.groupby("call")["time"].max().to_dict() == {0: 3, 1: 3, 6: 2}


def test_where_it_is_not_clear_which_sequence_goes_on_a_new_one_begins():
    module, x = nn.GRU(3, 4), torch.randn(2, 2, 3)
    ragged = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([2, 1]))
    with record_gradients(module) as recording:
        one, two = module(x)[1], module(x)[1]
        both = module(x, one + two)[1]  # of two: 2
        fewer = module(x[:, :1], both[:, :1])[1]  # other sequences: 3
        again = module(ragged, both)[1]  # of several lengths: 4
        (fewer.sum() + again.sum()).backward()
    assert recording.to_frame().groupby("call")["time"].max().tolist() == [2] * 5


def test_of_a_bidirectional_module_each_call_stays_by_itself():
    module = nn.GRU(3, 4, bidirectional=True)
    with record_gradients(module) as recording:
        state = module(torch.randn(2, 2, 3))[1]
        module(torch.randn(2, 2, 3), state)[0].sum().backward()
    assert sorted(set(recording.to_frame()["call"])) == [0, 1]


def test_the_first_bad_value_of_a_loop_is_told_by_its_place_in_the_whole():
    module, x = nn.RNN(3, 4), torch.randn(6, 2, 3)
    x[3] = float("nan")

    def loop():
        state = None
        for x_t in x:
            output, state = module(x_t.unsqueeze(0), state)
        output.sum().backward()

    with record_gradients(module) as recording:
        loop()
    assert (recording.first_bad.time, recording.first_bad.is_forward) == (4, True)
    with pytest.raises(NonFiniteError) as error, record_gradients(module, stop_on_nonfinite=True):
        loop()
    assert error.value.found == recording.first_bad


@pytest.mark.parametrize("name", ["detach", "data"])
def test_a_state_that_was_detached_is_a_cut_and_one_of_a_window_before_is_none(name):
    module = nn.LSTM(3, 4)

    def without(state):
        return tuple(each.data if name == "data" else each.detach() for each in state)

    with record_gradients(module) as recording:
        state = None
        for t in range(1, 6):
            output, state = module(torch.randn(1, 2, 3), state)
            state = without(state) if t == 3 else state
        output.sum().backward()
        for _ in range(2):  # each window has its backward pass
            output, state = module(torch.randn(4, 2, 3), without(state))
            output.sum().backward()
        module(torch.randn(4, 2, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)))[
            0
        ].sum().backward()
    [cut] = recording.cuts.to_dict("records")
    assert (cut["module"], cut["call"]) == ("", 3)
    assert "detached" in cut["why"]
    assert recording.to_frame().groupby("call")["time"].max().to_dict() == {3: 2, 5: 4, 6: 4, 7: 4}


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_training_of_a_decoder_is_the_same_to_the_bit(kind):
    left = []
    for records in (False, True):
        torch.manual_seed(2)
        model = Decoder(kind, 2).float()
        optimizer = torch.optim.Adam(model.parameters(), 0.05)
        with record_gradients(model) if records else contextlib.nullcontext():
            for _ in range(3):
                optimizer.zero_grad()
                model(torch.randn(4, 2, 3), torch.randn(5, 2, 3)).square().mean().backward()
                nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                optimizer.step()
        left.append([*model.parameters(), torch.get_rng_state()])
    assert all(map(torch.equal, *left))


def test_a_loop_that_is_dropped_leaves_no_graph_and_one_that_is_over_no_hook():
    module = nn.GRU(3, 4)

    def loop():
        x = Kept.apply(torch.randn(1, 2, 3, requires_grad=True))
        return module(x, module(x)[1])[0].sum()

    with record_gradients(module) as recording:
        loop().backward()
        loop()
        assert Kept.alive() is None
        loss = loop()
    before = recording.to_frame()
    loss.backward()  # of a call that was seen, after the end
    assert len(before) == 2
    assert recording.to_frame().equals(before)


def test_a_call_that_reads_its_state_as_its_input_too_has_no_direct_part_that_is_known():
    module = nn.GRU(4, 4)
    with record_gradients(module) as recording:
        state = module(torch.randn(1, 2, 4))[1]
        module(state, state)[0].sum().backward()
    assert recording.to_frame()["status_direct"].isna().tolist() == [True, False]
