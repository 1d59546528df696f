"""What programs do around a module: what is recorded is exact all the same, or refused by name."""

import contextlib
import threading

import numpy as np
import pytest
import torch
from torch import distributed, nn
from torch.utils.checkpoint import checkpoint

from rnn_exp import RecorderError, RecordingWarning, record_gradients


class Loop(nn.Module):
    """Calls a fused module, or a cell, once a time step; each call may be a checkpoint."""

    def __init__(self, kind):
        super().__init__()
        self.part = kind(3, 4)

    def forward(self, x, reentrant=None):
        state = x.new_zeros(x.shape[1], 4)
        is_fused = isinstance(self.part, nn.RNNBase)
        state = state.unsqueeze(0) if is_fused else state
        for x_t in x:
            given = x_t.unsqueeze(0) if is_fused else x_t
            if reentrant is None:
                found = self.part(given, state)
            else:
                found = checkpoint(self.part, given, state, use_reentrant=reentrant)
            state = found[1] if is_fused else found
        return state


KINDS = {"fused": nn.GRU, "cell": nn.GRUCell}


def of_kind(name, dtype=torch.float32):
    torch.manual_seed(0)
    model, x = Loop(KINDS[name]).to(dtype), torch.randn(5, 2, 3, dtype=dtype, requires_grad=True)
    return model, ["part"] * (name == "cell"), x


@pytest.mark.parametrize("name", KINDS)
def test_calls_that_are_each_a_checkpoint_are_one_sequence_or_refused_where_it_hides_its_graph(
    name,
):
    frames = []
    for reentrant in (None, False):
        model, steps_of, x = of_kind(name)
        with record_gradients(model, steps_of=steps_of) as recording:
            model(x, reentrant).square().sum().backward()
        frames.append(recording.to_frame())
    assert frames[0]["lag"].tolist() == [4, 3, 2, 1, 0]
    assert frames[0].equals(frames[1])
    with (
        pytest.raises(RecorderError, match=r"part \(GRU.*use_reentrant=False"),
        record_gradients(model, steps_of=steps_of),
    ):
        model(x, True).sum().backward()


@pytest.fixture
def one_process(tmp_path):
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("name", KINDS)
def test_what_is_distributed_is_recorded_as_what_is_not(one_process, name):
    frames = []
    for prefix in ("", "module."):
        model, steps_of, x = of_kind(name)
        wrapped = nn.parallel.DistributedDataParallel(model) if prefix else model
        with record_gradients(wrapped, steps_of=[prefix + each for each in steps_of]) as recording:
            wrapped(x).square().sum().backward()
        frames.append(recording.to_frame())
        assert set(frames[-1]["module"]) == {f"{prefix}part"}
    assert frames[0].drop(columns="module").equals(frames[1].drop(columns="module"))


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@pytest.mark.parametrize("name", KINDS)
def test_an_evaluation_between_forward_and_backward_leaves_nothing(name):
    frames = []
    for evaluates in (False, True):
        model, steps_of, x = of_kind(name)
        with record_gradients(model, steps_of=steps_of) as recording:
            loss = model(x).sum()
            if evaluates:
                with torch.inference_mode():
                    model(x)
            loss.backward()
            if evaluates and name == "cell":
                with torch.no_grad():
                    torch.vmap(model)(torch.randn(3, 5, 2, 3))
        frames.append(recording.to_frame())
        assert recording.cuts.empty
    assert frames[0].equals(frames[1])


def test_a_module_of_two_parents_is_found_by_either_name_and_recorded_once():
    shared = nn.GRUCell(4, 4)
    model = nn.ModuleDict({name: nn.Sequential(shared) for name in ("a", "b")})
    with record_gradients(model, steps_of=["b.0", "a.0"]) as recording:
        h = torch.zeros(2, 4)
        for name in "abab":
            h = model[name][0](torch.randn(2, 4), h)
        h.sum().backward()
    assert recording.to_frame()["time"].tolist() == [1, 2, 3, 4]
    assert set(recording.to_frame()["module"]) == {"b.0"}


NORMED = {
    "weight": nn.utils.weight_norm,
    "spectral": nn.utils.spectral_norm,
    "weight, parametrized": nn.utils.parametrizations.weight_norm,
    "spectral, parametrized": nn.utils.parametrizations.spectral_norm,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("name", NORMED)
def test_a_recurrent_weight_that_is_made_of_others_is_the_one_of_the_call(name):
    left, x = [], torch.randn(5, 2, 3, dtype=torch.float64)
    for records in (False, True):
        torch.manual_seed(1)
        model = nn.LSTM(3, 4, dtype=torch.float64)
        NORMED[name](model, "weight_hh_l0")
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        recording = record_gradients(model)
        with recording if records else contextlib.nullcontext():
            for _ in range(3):
                optimizer.step()
                optimizer.zero_grad()
                model(x)[0][-1].square().sum().backward()
        left.append(list(model.state_dict().values()))
    assert all(map(torch.equal, *left))
    plain = nn.LSTM(3, 4, dtype=torch.float64)
    with torch.no_grad():
        for weight, used in zip(plain._flat_weights, model._flat_weights, strict=True):
            weight.copy_(used)
    with record_gradients(plain) as wanted:
        plain(x)[0][-1].square().sum().backward()
    frame = recording.to_frame().query("update == 2")
    for column in ("log10_total", "log10_contribution"):
        np.testing.assert_allclose(frame[column], wanted.to_frame()[column], atol=1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_a_model_that_changes_its_precision_is_recorded_in_each(name):
    model, steps_of, x = of_kind(name)
    with record_gradients(model, steps_of=steps_of) as recording:
        model(x).sum().backward()
        model.to(torch.float64)
        model(x.double()).sum().backward()
    frame = recording.to_frame()
    assert frame["update"].tolist() == [0] * 5 + [1] * 5
    assert set(frame["status"]) == {"ok"}
    exact, _, _ = of_kind(name, torch.float64)
    with record_gradients(exact, steps_of=steps_of) as wanted:
        exact(x.double()).sum().backward()
    apart = frame["log10_total"][5:].to_numpy() - wanted.to_frame()["log10_total"].to_numpy()
    assert abs(apart).max() < 1e-12


@pytest.mark.parametrize("name", KINDS)
def test_a_module_that_takes_the_place_of_another_is_named_as_one_that_is_not_recorded(name):
    model, steps_of, x = of_kind(name)

    def run():
        with record_gradients(model, steps_of=steps_of):
            model(x).sum().backward()
            model.part = KINDS[name](3, 4)
            model(x).sum().backward()

    with pytest.warns(RecordingWarning, match=r"part \(GRU.*came into the model after"):
        run()


@pytest.mark.parametrize("name", KINDS)
def test_threads_that_use_one_model_have_each_their_own_sequences(name):
    model, steps_of, x = of_kind(name)

    def work():
        for _ in range(3):
            model(x).square().sum().backward()

    with record_gradients(model, steps_of=steps_of) as recording:
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    frame = recording.to_frame()
    assert frame.groupby("call")["time"].max().tolist() == [5] * 9
    one = frame[frame["call"] == 0]["log10_total"].to_numpy()
    assert (frame["log10_total"].to_numpy().reshape(9, 5) == one).all()
    assert recording.cuts.empty


@pytest.mark.parametrize("name", KINDS)
def test_many_gradients_at_once_are_refused_by_name(name):
    model, steps_of, x = of_kind(name)

    def run():
        with record_gradients(model, steps_of=steps_of):
            y = model(x)
            torch.autograd.grad(y, x, torch.ones(3, *y.shape), is_grads_batched=True)

    with pytest.raises(RecorderError, match=r"part \(GRU.*is_grads_batched=True"):
        run()
