"""What cannot be recorded is refused in one line that names it, before training."""

import inspect

import pytest
import torch
from torch import nn

from rnn_exp import (
    GradientRecording,
    RecorderError,
    RecordingWarning,
    SettingError,
    TensorBoard,
    record_gradients,
)


class Own(nn.LSTM):
    def forward(self, x):
        return super().forward(x)[0]


def on_several():
    model = nn.DataParallel(nn.GRU(3, 4))
    model.device_ids = [0, 1]
    return model


def patched():
    model = nn.GRU(3, 4)
    model.forward = lambda x: x
    return model


def in_half(model):
    with record_gradients(model):
        model(torch.zeros(5, 2, 3, dtype=torch.float16))


def under_transform(model):
    def loss(weights):
        result = torch.func.functional_call(model, weights, (torch.zeros(5, 2, 3),))
        return result[0].sum()

    with record_gradients(model):
        torch.func.grad(loss)(dict(model.named_parameters()))


unchecked = inspect.unwrap(record_gradients)  # these tests check types before anything is called
unchecked_state = inspect.unwrap(GradientRecording.load_state_dict)

REFUSED = {
    "nothing": (lambda: record_gradients(nn.Linear(3, 4)), "there is no nn.RNN.*modules are: none"),
    "no steps": (
        lambda: record_gradients(nn.Sequential(nn.Linear(3, 4))),
        "there is no nn.RNN, nn.GRU or nn.LSTM.*modules are: 0",
    ),
    "unknown": (
        lambda: record_gradients(nn.Sequential(nn.GRU(3, 4)), steps_of=["cell"]),
        "steps_of='cell': the model has no such module; it has '0'",
    ),
    "fused": (
        lambda: record_gradients(nn.Sequential(nn.GRU(3, 4)), steps_of="0"),
        "steps_of='0': a nn.GRU computes all time steps in one call",
    ),
    "own forward": (
        lambda: record_gradients(nn.Sequential(Own(3, 4))),
        r"0 \(Own\) cannot be recorded: its forward is not that of nn.LSTM",
    ),
    "patched": (
        lambda: record_gradients(patched()),
        r"the model \(GRU\) cannot be recorded: its forward is not that of nn.GRU",
    ),
    "several GPUs": (
        lambda: record_gradients(on_several()),
        r"DataParallel\) cannot be recorded: it calls copies of its module on 2 GPUs",
    ),
    "float16": (
        lambda: in_half(nn.RNN(3, 4).half()),
        r"the model \(RNN\) cannot be recorded in float16",
    ),
    "torch.func": (
        lambda: under_transform(nn.GRU(3, 4)),
        r"the model \(GRU\) cannot be recorded in a transform of torch.func",
    ),
    "a method": (
        lambda: unchecked(nn.GRU(3, 4).forward),
        "model: the function forward came.*torch.nn.Module: give the model, not a method of it",
    ),
    "a function": (
        lambda: unchecked(lambda x: x),
        "model: the function <lambda> came, and what is allowed is a module",
    ),
    "a class": (
        lambda: unchecked(nn.LSTM),
        "model: the class LSTM came.*: make one of it first",
    ),
    "a list": (
        lambda: unchecked([nn.GRU(3, 4)]),
        "model: a value of type list came.*: put several into an nn.ModuleList",
    ),
    "an optimizer": (
        lambda: unchecked(torch.optim.SGD([torch.zeros(1)], 0.1)),
        "model: a value of type SGD came.*: the model comes first, then optimizer=",
    ),
    "none": (lambda: unchecked(None), "model: None came"),
    "a schedule": (
        lambda: unchecked(nn.GRU(3, 4), optimizer=[torch.optim.SGD([torch.zeros(1)], 0.1)]),
        "optimizer: a value of type list came, and what is allowed is one torch.optim.Optimizer",
    ),
    "a scale": (
        lambda: unchecked(nn.GRU(3, 4), scaler=65536.0),
        "scaler: a value of type float came, and what is allowed is a torch.amp.GradScaler",
    ),
    "a module as a step": (
        lambda: unchecked(nn.Sequential(nn.GRUCell(3, 4)), steps_of=nn.GRUCell(3, 4)),
        "steps_of: a GRUCell came, and what is allowed are names of modules",
    ),
    "modules as steps": (
        lambda: unchecked(nn.Sequential(nn.GRUCell(3, 4)), steps_of=[nn.GRUCell(3, 4)]),
        "steps_of: a GRUCell came",
    ),
    "a place": (
        lambda: unchecked(nn.Sequential(nn.GRUCell(3, 4)), steps_of={"0": 1.5}),
        "steps_of=.'0': ….: a float came, and what is allowed is the place of the state",
    ),
    "a number as a path": (lambda: unchecked(nn.GRU(3, 4), path=5), "path=5 is not possible"),
    "no path": (lambda: record_gradients(nn.GRU(3, 4), path=""), "path= is not possible.*folder"),
    "bytes": (lambda: unchecked(nn.GRU(3, 4), path=b"rows"), "path=.*rows.* is not possible"),
    "a class of trackers": (
        lambda: unchecked(nn.GRU(3, 4), tracker=TensorBoard),
        "tracker=the class TensorBoard is not possible: allowed is an object with log",
    ),
    "no state": (
        lambda: record_gradients(nn.GRU(3, 4)).load_state_dict({}),
        "load_state_dict: a mapping without update, parts, rows, updates, cuts, bad came",
    ),
    "a list as a state": (
        lambda: unchecked_state(record_gradients(nn.GRU(3, 4)), [1]),
        r"load_state_dict: a list came, and what is allowed is what state_dict\(\)",
    ),
    "every": (lambda: record_gradients(nn.GRU(3, 4), every=0), "every.*0.*whole number from 1"),
    "every word": (lambda: record_gradients(nn.GRU(3, 4), every=True), "every.*whole number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_line(name):
    make, said = REFUSED[name]
    with pytest.raises((RecorderError, SettingError), match=said) as error:
        make()
    assert "\n" not in str(error.value)


def test_one_gpu_of_data_parallel_calls_the_module_itself():
    model = nn.DataParallel(nn.GRU(3, 4))
    with record_gradients(model) as recording:
        model(torch.randn(5, 2, 3))[0].sum().backward()
    assert set(recording.to_frame()["module"]) == {"module"}


def test_a_step_that_returns_no_tensor_is_refused_by_name():
    class Odd(nn.Module):
        def forward(self, x):
            return {"h": str(x)}

    model = nn.ModuleDict({"cell": Odd()})
    with (
        pytest.raises(RecorderError, match=r"cell \(Odd\) cannot be recorded: it returns a dict"),
        record_gradients(model, steps_of=["cell"]),
    ):
        model["cell"](torch.zeros(2, requires_grad=True))


def test_a_recording_is_opened_once_at_a_time():
    recording = record_gradients(nn.GRU(3, 4))
    with (
        pytest.raises(RecorderError, match="open already"),
        recording,
        recording,
    ):
        pass


def test_weights_that_move_within_a_backward_pass_are_refused():
    model, x = nn.GRU(3, 4), torch.randn(5, 2, 3)

    def moves(_):
        with torch.no_grad():
            model.weight_hh_l0.mul_(2)

    x.requires_grad_().register_hook(moves)
    with (
        pytest.raises(RecorderError, match="its weights have moved before the backward pass"),
        record_gradients(model),
    ):
        model(x)[0].sum().backward()


def test_a_batch_of_no_sequences_leaves_no_row_and_a_warning_says_why():
    model = nn.GRU(3, 4)
    with (
        pytest.warns(RecordingWarning, match=r"nothing could be recorded of .*a batch without seq"),
        record_gradients(model) as recording,
    ):
        model(torch.zeros(5, 0, 3))[0].sum().backward()
    assert recording.to_frame().empty


@pytest.mark.parametrize("updates", [1, 3])
def test_an_optimizer_that_makes_no_step_is_warned_of(updates):
    model = nn.RNN(2, 3)
    other, training = (torch.optim.SGD(model.parameters(), 0.1) for _ in range(2))

    def train():
        with record_gradients(model, optimizer=other):
            for _ in range(updates):
                model(torch.randn(4, 1, 2))[0].sum().backward()
                training.step()

    with pytest.warns(RecordingWarning, match="made no step"):
        train()
