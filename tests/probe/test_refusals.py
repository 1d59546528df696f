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
from rnn_exp.figures import CannotDraw


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


def in_loop(cell, steps_of):
    model, h = nn.ModuleDict({"cell": cell}), torch.zeros(2, 6)
    with record_gradients(model, steps_of=steps_of):
        for _ in range(3):
            h = model["cell"](torch.zeros(2, 3), h)


def under_transform(model):
    def loss(weights):
        result = torch.func.functional_call(model, weights, (torch.zeros(5, 2, 3),))
        return result[0].sum()

    with record_gradients(model):
        torch.func.grad(loss)(dict(model.named_parameters()))


unchecked = inspect.unwrap(record_gradients)  # these tests check types before anything is called
unchecked_state = inspect.unwrap(GradientRecording.load_state_dict)

REFUSED = {
    "nothing": (
        lambda: record_gradients(nn.RNNCell(3, 6)),
        "there is no nn.RNN.*in steps_of; what can be named is the model itself: steps_of=''$",
    ),
    "no steps": (
        lambda: record_gradients(nn.Sequential(nn.Linear(3, 4))),
        "there is no nn.RNN, nn.GRU or nn.LSTM.*named is '0', or the model itself: steps_of=''",
    ),
    "unknown": (
        lambda: record_gradients(nn.Sequential(nn.GRU(3, 4)), steps_of=["cell"]),
        r"steps_of='cell': the model has no such module; .* 0 \(GRU\) is found without being named",
    ),
    "unknown in a cell": (
        lambda: record_gradients(nn.RNNCell(3, 6), steps_of=["cell"]),
        "steps_of='cell': the model has no such module; what can be named is the model itself",
    ),
    "a bare module as a step": (
        lambda: record_gradients(nn.LSTM(3, 6), steps_of=["lstm"]),
        r"no such module; the model \(LSTM\) is found without being named; leave steps_of out",
    ),
    "a place in one tensor": (
        lambda: in_loop(nn.RNNCell(3, 6), {"cell": 1}),
        r"steps_of={'cell': 1}: cell \(RNNCell\) returns one tensor.* write steps_of=\['cell'\]",
    ),
    "a word for live": (
        lambda: unchecked(nn.GRU(3, 4), live="yes"),
        "live='yes' is not possible: allowed is True or False",
    ),
    "a word for stop": (
        lambda: unchecked(nn.GRU(3, 4), stop_on_nonfinite="x"),
        "stop_on_nonfinite='x' is not possible: allowed is True or False",
    ),
    "a number for stop": (
        lambda: unchecked(nn.GRU(3, 4), stop_on_nonfinite=1),
        "stop_on_nonfinite='?1'? is not possible: allowed is True or False",
    ),
    "a reduction": (
        lambda: unchecked(nn.GRU(3, 4), reduction=["mean"]),
        r"reduction=\['mean'\] is not possible: allowed is 'mean' or 'sum'",
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


def test_a_recording_that_was_never_entered_says_so_however_it_is_asked(tmp_path):
    model = nn.GRU(3, 4)
    recording = record_gradients(model)
    model(torch.randn(5, 2, 3))[0].sum().backward()
    for text in (str(recording), recording._repr_html_()):
        assert "this recording was never entered, so nothing was recorded: put" in text
    asked = {
        "to_frame": recording.to_frame,
        "updates": lambda: recording.updates,
        "cuts": lambda: recording.cuts,
        "first_bad": lambda: recording.first_bad,
        "summary": recording.summary,
        "line": recording.line,
        "clipping": recording.clipping,
        "report": lambda: recording.report(tmp_path / "a.html"),
        "state_dict": recording.state_dict,
        "next_update": recording.next_update,
    }
    for ask in asked.values():
        with pytest.warns(RecordingWarning, match="never entered"):
            ask()
    with pytest.warns(RecordingWarning, match="never entered"), pytest.raises(CannotDraw):
        recording.figure()


def test_a_recording_that_was_entered_says_nothing_of_that():
    model = nn.GRU(3, 4)
    with record_gradients(model) as recording:
        assert "never entered" not in str(recording)
        model(torch.randn(5, 2, 3))[0].sum().backward()
    assert len(recording.to_frame()) == 5  # warnings are errors here
    assert "never entered" not in str(recording) + recording._repr_html_()


def test_a_state_can_be_looked_at_and_the_text_says_that_nothing_came_after_it():
    model = nn.GRU(3, 4)
    with record_gradients(model) as first:
        model(torch.randn(5, 2, 3))[0].sum().backward()
    later = record_gradients(model)
    later.load_state_dict(first.state_dict())
    assert len(later.to_frame()) == 5
    assert "never entered, so nothing was recorded since load_state_dict" in str(later)


def test_a_backward_pass_after_the_block_is_told_to_be_inside_it():
    model = nn.GRU(3, 4)

    def run():
        with record_gradients(model):
            loss = model(torch.randn(5, 2, 3))[0].sum()
        loss.backward()

    with pytest.warns(RecordingWarning, match="was there a backward pass inside the `with` block"):
        run()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/proc/x", r"^path=/proc/x: rows cannot go there \(No such file"),
        ("a.txt", r"^path=.*a.txt: rows cannot go there \(it is a file\)"),
        ("a.txt/rows", r"^path=.*rows: rows cannot go there \(Not a directory\)"),
        (".", r"^path=.*: there is a.txt and part-1.parquet in it; rows need a folder that is new"),
    ],
)
def test_a_path_to_which_no_rows_can_go_is_refused_with_its_name(tmp_path, path, message):
    (tmp_path / "a.txt").write_text("mine")
    (tmp_path / "part-1.parquet").write_text("mine")
    with (
        pytest.raises(RecorderError, match=message) as refused,
        record_gradients(nn.GRU(3, 4), path=tmp_path / path),
    ):
        pass
    assert "\n" not in str(refused.value)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.txt", "part-1.parquet"]


def test_a_path_in_the_home_is_written_and_read_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model, x = nn.GRU(3, 4), torch.ones(2, 1, 3)
    with record_gradients(model, path="~/rows") as recording:
        model(x)[0].sum().backward()
    assert len(recording.to_frame()) == 2
    assert (tmp_path / "rows").is_dir()
    assert not (tmp_path / "~").exists()


def test_of_many_files_in_the_folder_of_rows_some_are_named_and_hidden_ones_do_no_harm(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / ".hidden").touch()
    with record_gradients(model := nn.GRU(3, 4), path=tmp_path / "rows"):
        model(torch.randn(5, 2, 3))[0].sum().backward()
    for number in range(9):
        (tmp_path / f"{number}").touch()
    with (
        pytest.raises(RecorderError, match="there is 0, 1, 2 and 7 more in it"),
        record_gradients(nn.GRU(3, 4), path=tmp_path),
    ):
        pass


@pytest.mark.parametrize("has_path", [False, True])
def test_a_state_whose_rows_are_not_in_the_folder_is_refused(tmp_path, has_path):
    model = nn.GRU(3, 4)
    with record_gradients(model, path=tmp_path / "rows") as first:
        model(torch.randn(5, 2, 3))[0].sum().backward()
    other = record_gradients(model, path=tmp_path / "other" if has_path else None)
    with pytest.raises(RecorderError, match=r"the state has 1 part on disk, and path=.* does not"):
        other.load_state_dict(first.state_dict())
