"""The first value that is not finite is found where it was made, also by who does not stop."""

import math

import pytest
import torch
from torch import nn

from rnn_exp import NonFiniteError, record_gradients
from tests.probe.test_stepped import Loop


class Broken(nn.Module):
    """Two modules; one reads what the other has made."""

    def __init__(self, **more):
        super().__init__()
        self.first = nn.GRU(3, 4)
        self.second = nn.LSTM(4, 5, 2, **more)

    def forward(self, x, break_at=None):
        h = self.first(x)[0]
        if break_at is not None:
            h = h.clone()
            h[break_at - 1] = math.nan
        return self.second(h)[0]


def found_by(stops, model, run, steps_of=()):
    """Return where the first bad value is: by the error, or as it stands in the recording."""
    with record_gradients(model, stop_on_nonfinite=stops, steps_of=steps_of) as recording:
        if stops:
            with pytest.raises(NonFiniteError) as error:
                run()
            assert error.value.found == recording.first_bad
            assert str(recording.first_bad) in str(error.value)
        else:
            run()
    return recording.first_bad


def moved(model):
    with torch.no_grad():
        for weight in model.parameters():
            weight -= 0.01 * weight.grad
    model.zero_grad()


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("more", [{}, {"bidirectional": True}, {"dropout": 0.3}])
def test_a_state_is_named_by_module_layer_direction_time_and_update(stops, more):
    model, x = Broken(**more), torch.randn(6, 2, 3)

    def run():
        for update in range(3):
            model(x, break_at=4 if update == 2 else None).sum().backward()
            moved(model)

    bad = found_by(stops, model, run)
    assert (bad.update, bad.call, bad.module) == (2, 0, "second")
    assert (bad.layer, bad.direction, bad.time, bad.is_forward) == (0, 0, 4, True)
    assert "second, layer 0, time step 4: a state" in str(bad)


@pytest.mark.parametrize("stops", [True, False])
def test_of_modules_that_hand_it_on_it_is_the_one_that_was_called_first(stops):
    model, x = Broken(), torch.randn(6, 2, 3)
    x[2] = math.nan
    bad = found_by(stops, model, lambda: model(x).sum().backward())
    assert (bad.module, bad.layer, bad.time, bad.is_forward) == ("first", 0, 3, True)


@pytest.mark.parametrize("stops", [True, False])
def test_a_weight_that_is_not_finite_is_seen_in_the_layer_and_direction_that_has_it(stops):
    model, x = nn.LSTM(3, 4, 3, bidirectional=True), torch.randn(5, 2, 3)
    with torch.no_grad():
        model.weight_ih_l1_reverse[0, 0] = math.nan
    bad = found_by(stops, model, lambda: model(x)[0].sum().backward())
    assert (bad.module, bad.layer, bad.direction, bad.time) == ("", 1, 1, 5)
    assert "the model, layer 1, reading backwards, time step 5" in str(bad)


@pytest.mark.parametrize("stops", [True, False])
def test_a_gradient_is_named_where_it_comes_in(stops):
    model, x = Broken(), torch.randn(6, 2, 3)

    def run():
        model(x).sum().backward()
        moved(model)
        model(x)
        outputs = model(x)
        (outputs[4] * math.inf).sum().backward()

    bad = found_by(stops, model, run)
    assert (bad.update, bad.call, bad.module) == (1, 1, "second")
    assert (bad.layer, bad.time, bad.is_forward) == (1, 5, False)
    assert "gradient" in str(bad)


def test_training_is_stopped_before_the_optimiser_moves_a_weight():
    model, x = Broken(), torch.randn(6, 2, 3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    before = [weight.detach().clone() for weight in model.parameters()]

    def run():
        (model(x) * math.inf).sum().backward()
        optimizer.step()

    with (
        record_gradients(model, stop_on_nonfinite=True, optimizer=optimizer) as recording,
        pytest.raises(NonFiniteError),
    ):
        run()
    assert all(map(torch.equal, before, model.parameters()))
    assert len(recording.to_frame()) == 18  # of both modules


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("is_forward", [True, False])
def test_of_a_cell_it_is_the_call(stops, is_forward):
    model = Loop("lstm")

    def spoil(t, state):
        return (state[0] * math.nan, state[1]) if t == 4 else state

    def run():
        model(T=2)[-1].sum().backward()
        if is_forward:
            model(T=5, between=spoil)[-1].sum().backward()
        else:
            (model(T=5)[2] * math.inf).sum().backward()

    bad = found_by(stops, model, run, steps_of=["cell"])
    assert (bad.update, bad.call, bad.module) == (0, 1, "cell")
    assert (bad.time, bad.is_forward) == (4 if is_forward else 3, is_forward)


def test_a_stopping_recording_looks_at_every_update():
    model, x = nn.GRU(3, 4), torch.randn(4, 2, 3)
    with record_gradients(model, every=100, stop_on_nonfinite=True) as recording:
        for _ in range(3):
            model(x)[0].sum().backward()
            moved(model)
        with pytest.raises(NonFiniteError, match="update 3"):
            model(x * math.nan)
    assert recording.to_frame()["update"].unique().tolist() == [0, 1, 2]


def with_bad_weights(stops):
    """Return a recording of three updates; in the last NaN is in the read-out's gradient."""
    model = nn.ModuleDict({"rnn": nn.GRU(3, 4), "out": nn.Linear(4, 2)})
    weights = [*model.parameters()]
    used = torch.optim.SGD(weights, lr=0.1)
    with record_gradients(model, optimizer=used, stop_on_nonfinite=stops) as recording:
        for update in range(3):
            used.zero_grad()
            model["out"](model["rnn"](torch.randn(5, 2, 3))[0][-1]).sum().backward()
            if update == 2:
                model["out"].weight.grad[0, 0] = math.nan
            if stops and update == 2:
                before = [weight.detach().clone() for weight in weights]
                with pytest.raises(NonFiniteError):
                    used.step()
                assert all(map(torch.equal, before, weights))
            else:
                used.step()
    return recording


@pytest.mark.parametrize("stops", [True, False])
def test_a_gradient_of_the_weights_that_is_not_finite_is_found_before_its_step(stops):
    recording = with_bad_weights(stops)
    assert str(recording.first_bad) == "update 2: the gradient of the weights is not finite"
    assert "first value that is not finite: update 2" in repr(recording)


@pytest.mark.parametrize("stops", [True, False])
def test_a_weight_without_a_gradient_is_none_that_is_not_finite(stops):
    model, other = nn.GRU(3, 4), nn.Linear(2, 2)
    used = torch.optim.SGD(other.parameters(), 0.1)
    with record_gradients(model, optimizer=used, stop_on_nonfinite=stops) as recording:
        model(torch.randn(5, 2, 3))[0].sum().backward()
        used.step()
    assert recording.first_bad is None


@pytest.mark.parametrize("stops", [True, False])
def test_of_a_closure_the_gradient_of_the_weights_is_found_too(stops):
    model = nn.GRU(3, 4)
    used = torch.optim.SGD(model.parameters(), 0.1)

    def closure():
        model(torch.randn(5, 2, 3))[0].sum().backward()
        return torch.tensor(0.0)

    model.bias_ih_l0.register_hook(lambda gradient: gradient * math.nan)

    def run():
        used.step(closure)

    with record_gradients(model, optimizer=used, stop_on_nonfinite=stops) as recording:
        if stops:
            with pytest.raises(NonFiniteError, match="update 0: the gradient of the weights"):
                run()
        else:
            run()
    assert recording.first_bad.call is None


def test_where_not_all_updates_are_recorded_the_first_value_is_the_first_of_these():
    model, x = nn.GRU(3, 4), torch.randn(4, 2, 3)
    with record_gradients(model, every=2) as recording:
        for update in range(4):
            spoilt = x * math.nan if update in (1, 2) else x
            model(spoilt)[0].sum().backward()
            with torch.no_grad():
                for weight in model.parameters():
                    weight += 1e-3
    assert recording.first_bad.update == 2
    assert str(recording.first_bad).endswith("the first among the recorded updates (one in 2)")


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("kind", ["fused", "cell"])
def test_of_accumulated_calls_a_gradient_comes_before_the_states_of_the_next_call(stops, kind):
    model = nn.GRU(3, 4) if kind == "fused" else Loop("gru")

    def call(factor=1.0):
        if kind == "fused":
            return model(factor * torch.randn(5, 2, 3))[0]
        return torch.stack(model(T=5, between=lambda t, h: h * factor))

    def run():
        call().sum().backward()
        (call()[-1] * math.inf).sum().backward()
        call(math.nan).sum().backward()

    bad = found_by(stops, model, run, () if kind == "fused" else ["cell"])
    assert (bad.call, bad.time, bad.is_forward) == (1, 5, False)
    assert ("cell" if kind == "cell" else "the model") + ", call 1 (from 0), layer 0" in str(bad)


@pytest.mark.parametrize("stops", [True, False])
def test_of_a_cell_and_a_module_behind_it_the_one_that_the_gradient_reached_first_is_named(stops):
    model = nn.ModuleDict({"loop": Loop("gru"), "top": nn.GRU(4, 4)})

    def run():
        states = torch.stack(model["loop"](T=3))
        (model["top"](states)[0][1] * math.inf).sum().backward()

    bad = found_by(stops, model, run, ["loop.cell"])
    assert (bad.module, bad.time, bad.is_forward) == ("top", 2, False)


def test_a_program_that_leaves_out_a_bad_batch_is_stopped_by_the_next_bad_one_alone():
    model, x = nn.GRU(3, 4), torch.randn(4, 2, 3)
    with record_gradients(model, stop_on_nonfinite=True) as recording:
        with pytest.raises(NonFiniteError):
            model(x * math.nan)
        model(x)[0].sum().backward()
        with pytest.raises(NonFiniteError):
            (model(x)[0] * math.inf).sum().backward()
    assert recording.first_bad.is_forward
