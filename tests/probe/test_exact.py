"""What is recorded of nn.RNN, nn.GRU and nn.LSTM is exact: the oracle unrolls every sequence."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from rnn_exp import record_gradients
from tests.probe import calls
from tests.probe.calls import Form
from tests.probe.unrolled import columns

DIRECTIONS = ("forward", "backward")


def recorded(form, module, sequences, initial):
    with record_gradients(module, reduction=form.reduction) as recording:
        calls.loss_of_call(form, *calls.call(form, module, sequences, initial)).backward()
    return recording.to_frame()


def expected(form, module, sequences, initial, masks=None):
    unrolled = calls.through_oracle(module, sequences, initial, masks)
    calls.loss_of_oracle(form, unrolled).backward()
    return columns(unrolled, form.reduction == "mean")


def compare(frame, wanted, apart=1e-9):
    """Every column of every row; where nothing is there to be lost, the status says so."""
    assert len(frame) == sum(len(each["log10_total"]) for each in wanted.values())
    for (layer, direction), own in wanted.items():
        rows = frame[(frame["layer"] == layer) & (frame["direction"] == DIRECTIONS[direction])]
        T = len(own["log10_total"])
        assert rows["lag"].tolist() == list(range(T - 1, -1, -1))
        times = range(T, 0, -1) if direction else range(1, T + 1)
        assert rows["time"].tolist() == list(times)
        for name, values in own.items():
            np.testing.assert_allclose(
                rows[name].to_numpy(dtype=float), values, rtol=0, atol=apart, err_msg=name
            )
        zeros = [value == -math.inf for value in own["log10_total"]]
        assert (rows["status"] == np.where(zeros, "zero", "ok")).all()


@settings(max_examples=60)
@given(calls.forms())
def test_every_column_of_every_form_of_a_call_is_that_of_the_module_one_step_at_a_time(form):
    module = calls.module_of(form)
    sequences, initial = calls.sequences_of(form), calls.initial_of(form, module)
    frame = recorded(form, module, sequences, initial)
    compare(frame, expected(form, module, sequences, initial))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", calls.KINDS)
def test_layers_that_are_computed_again_are_the_call_to_the_bit(kind, batch_first, dtype):
    """torch rounds a product in another way where it knows that no gradient is wanted of it."""
    form = Form(kind, 2, batch_first=batch_first, dtype=dtype, hx="positional", lengths=(5, 5, 5))
    module, sequences = calls.module_of(form), calls.sequences_of(form)
    initial = calls.initial_of(form, module)
    for trains, reads, starts in ((True, False, False), (False, True, False), (True, True, True)):
        module.requires_grad_(trains)
        x = [each.clone().requires_grad_(reads) for each in sequences]
        own = tuple(each.clone().requires_grad_(starts) for each in initial)
        assert len(recorded(form, module, x, own)) == 10  # what is not the call is refused


@settings(max_examples=20)
@given(calls.forms(dtype=torch.float32))
def test_in_single_precision_where_torch_has_other_kernels_it_is_the_same_to_that_precision(form):
    module = calls.module_of(form)
    sequences, initial = calls.sequences_of(form), calls.initial_of(form, module)
    frame = recorded(form, module, sequences, initial)
    compare(frame, expected(form, module, sequences, initial), apart=1e-3)


def test_the_contributions_of_all_time_steps_add_up_to_the_gradient_of_the_recurrent_weights():
    """One step back at a time: the loss of step t alone reaches back, so that the sum is known."""
    form = Form("lstm", layers=2, bidirectional=True, lengths=(5, 2, 3), layout="packed")
    module = calls.module_of(form)
    sequences, initial = calls.sequences_of(form), ()
    unrolled = calls.through_oracle(module, sequences, initial)
    calls.loss_of_oracle(form, unrolled).backward()
    frame = recorded(form, module, sequences, initial)
    compare(frame, columns(unrolled, is_mean=True))
    for (layer, direction), name in {(0, 0): "l0", (1, 0): "l1", (1, 1): "l1_reverse"}.items():
        steps = [step for one in unrolled for step in one.steps[layer, direction]]
        total = sum(step.W.grad for step in steps)
        torch.testing.assert_close(total, getattr(module, f"weight_hh_{name}").grad)


def test_one_time_step_that_alone_contributes_has_the_norm_of_the_whole_gradient():
    module = nn.GRU(3, 4, batch_first=True, dtype=torch.float64)
    x, h_0 = torch.randn(2, 1, 3, dtype=torch.float64), torch.randn(1, 2, 4, dtype=torch.float64)
    with record_gradients(module) as recording:
        module(x, h_0)[0].square().mean().backward()
    [found] = recording.to_frame()["log10_contribution"]
    assert found == pytest.approx(math.log10(module.weight_hh_l0.grad.norm().item()), abs=1e-9)


@settings(max_examples=10)
@given(calls.forms(layout="padded", hx="positional", training=True), calls.st.booleans())
def test_calls_that_hand_on_their_states_are_one_chain_and_cut_ones_are_several(form, is_cut):
    """A stateful model with truncated windows: two calls in one update, with a graph or without.

    What is one chain is in test_loops; in two directions the calls stay by themselves.
    """
    form = form if is_cut else dataclasses.replace(form, bidirectional=True)
    module = calls.module_of(form)
    first, second = calls.sequences_of(form), calls.sequences_of(form)
    initial = calls.initial_of(form, module)
    with record_gradients(module, reduction=form.reduction) as recording:
        one = calls.call(form, module, first, initial)
        handed = tuple(each.detach() if is_cut else each for each in one[1])
        two = calls.call(form, module, second, handed)
        (calls.loss_of_call(form, *one) + calls.loss_of_call(form, *two)).backward()
    unrolled = [calls.through_oracle(module, first, initial)]
    handed = tuple(
        torch.stack([getattr(each, name) for each in unrolled[0]], dim=1)
        for name in ("h_n", "c_n")[: len(initial)]
    )
    handed = tuple(each.detach() if is_cut else each for each in handed)
    unrolled.append(calls.through_oracle(module, second, handed))
    sum(calls.loss_of_oracle(form, each) for each in unrolled).backward()
    frame = recording.to_frame()
    for number, own in enumerate(unrolled):
        compare(frame[frame["call"] == number], columns(own, form.reduction == "mean"))


class Two(nn.Module):
    """An encoder and a decoder that begins with its state."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.GRU(3, 4, dtype=torch.float64)
        self.parts = nn.ModuleDict({"decoder": nn.GRU(3, 4, dtype=torch.float64)})

    def forward(self, x, y):
        return self.parts["decoder"](y, self.encoder(x)[1])[0]


def test_several_modules_of_a_model_are_recorded_each_by_its_name_and_with_its_own_calls():
    model, form = Two(), Form("gru", lengths=(4, 4))
    x, y = calls.sequences_of(form), calls.sequences_of(form)
    with record_gradients(model) as recording:
        for _ in range(2):
            outputs = model(torch.stack(x, 1), torch.stack(y, 1)).unbind(1)
            calls.loss_of(form, outputs, outputs, None).backward()
    encoders = calls.through_oracle(model.encoder, x, ())
    handed = torch.stack([each.h_n for each in encoders], dim=1)
    decoders = calls.through_oracle(model.parts["decoder"], y, (handed,))
    calls.loss_of_oracle(form, decoders).backward()
    frame = recording.to_frame()
    assert set(frame["module"]) == {"encoder", "parts.decoder"}
    for name, own in {"encoder": encoders, "parts.decoder": decoders}.items():
        rows = frame[frame["module"] == name]
        assert set(rows["call"]) == {0, 1}
        for call in (0, 1):
            compare(rows[rows["call"] == call], columns(own, is_mean=True))


def test_a_batch_that_is_split_over_calls_is_lower_by_the_number_of_calls_alone():
    """The batch is that of one call, as the documentation has it."""
    model, x = nn.LSTM(3, 5).double(), torch.randn(9, 8, 3, dtype=torch.float64)
    frames = []
    for parts in (1, 4):
        with record_gradients(model) as recording:
            returned = torch.cat([model(each)[0] for each in x.chunk(parts, 1)], 1)
            returned[-1].square().mean().backward()
        frame = recording.to_frame()
        norms = 10 ** (2 * frame["log10_total"])
        frames.append(norms.groupby(frame["time"]).mean().to_numpy() ** 0.5)
    np.testing.assert_allclose(frames[1] * 4, frames[0], rtol=1e-12)


def test_backward_passes_of_one_call_add_up():
    form = Form("lstm", layers=2)
    module, sequences = calls.module_of(form), calls.sequences_of(form)
    with record_gradients(module) as recording:
        outputs, ends = calls.call(form, module, sequences, ())
        calls.loss_of_call(form, outputs, ends).backward(retain_graph=True)
        calls.loss_of_call(dataclasses.replace(form, losses=("c_n",)), outputs, ends).backward()
    unrolled = calls.through_oracle(module, sequences, ())
    both = dataclasses.replace(form, losses=("output", "c_n"))
    calls.loss_of_oracle(both, unrolled).backward()
    compare(recording.to_frame(), columns(unrolled, is_mean=True))


def test_what_comes_after_a_call_may_change_its_output_in_place():
    form = Form("gru", layers=2)
    module, sequences = calls.module_of(form), calls.sequences_of(form)
    with record_gradients(module) as recording:
        outputs, _ = module(torch.stack(sequences, 1))
        outputs += 1
        outputs.mul_(2)
        calls.loss_of(form, outputs.unbind(1), outputs, None).backward()
    unrolled = calls.through_oracle(module, sequences, ())
    moved = [2 * (each.output + 1) for each in unrolled]
    calls.loss_of(form, moved, moved, None).backward()
    compare(recording.to_frame(), columns(unrolled, is_mean=True))


@pytest.mark.parametrize("kind", calls.KINDS)
@pytest.mark.parametrize("layout", ["padded", "unbatched", "packed"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_dropout_between_layers_is_exact_for_its_masks_are_drawn_again(kind, layout, batch_first):
    lengths = {"unbatched": (5,), "packed": (2, 4, 3)}.get(layout, (4, 4))
    form = Form(kind, 3, batch_first=batch_first, lengths=lengths, layout=layout)
    module = calls.module_of(form, dropout=0.4)
    sequences = calls.sequences_of(form)
    before = torch.get_rng_state()
    masks = masks_of(form, module, sequences)
    torch.set_rng_state(before)
    module(torch.stack([sequences[0]]))  # what is drawn without a recording ...
    torch.set_rng_state(before)
    frame = recorded(form, module, sequences, ())
    after = torch.get_rng_state()
    compare(frame, expected(form, module, sequences, (), masks))
    torch.set_rng_state(before)
    calls.call(form, module, sequences, ())
    assert torch.equal(torch.get_rng_state(), after)  # ... and with one leave the generator alike


def masks_of(form, module, sequences):
    """Return masks[layer][sequence]: layers as modules of their own with dropout in between."""
    x, masks = sequences, []
    start = torch.get_rng_state()
    wanted, _ = calls.call(form, module, sequences, ())
    torch.set_rng_state(start)
    for number in range(module.num_layers):
        one = type(module)(
            x[0].shape[1], 4, batch_first=form.batch_first, dtype=form.dtype, **kind_of(module)
        )
        own = {f"{name}_l0": weight for name, weight in of_layer(module, number)}
        one.load_state_dict(own)
        torch.set_rng_state(start)
        x, _ = calls.call(form, one, x, ())
        if number < module.num_layers - 1:
            laid_out = lay_out(form, x)
            mask = torch.dropout(torch.ones_like(laid_out), module.dropout, True)
            start = torch.get_rng_state()
            masks.append(taken_apart(form, mask, x))
            x = [each * own for each, own in zip(x, masks[-1], strict=True)]
    for found, output in zip(x, wanted, strict=True):
        torch.testing.assert_close(found, output)
    return masks


def kind_of(module):
    return {"nonlinearity": module.nonlinearity} if isinstance(module, nn.RNN) else {}


def of_layer(module, number):
    return [
        (name.removesuffix(f"_l{number}"), weight.detach())
        for name, weight in module.named_parameters()
        if name.endswith(f"_l{number}")
    ]


def lay_out(form, outputs):
    """Return outputs as torch has them where it drops: time first, or of packed sequences data."""
    if form.is_packed:
        return torch.nn.utils.rnn.pack_sequence(outputs, enforce_sorted=False).data
    return torch.stack(outputs, dim=1)


def taken_apart(form, values, outputs):
    if not form.is_packed:
        return values.unbind(1)
    packed = torch.nn.utils.rnn.pack_sequence(outputs, enforce_sorted=False)._replace(data=values)
    return torch.nn.utils.rnn.unpack_sequence(packed)
