"""A recording changes nothing: training is the same to the bit, and afterwards it is gone."""

import copy
import functools
import gc
import io
import pickle
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrizations
from torch.optim.optimizer import _global_optimizer_post_hooks as optimizer_hooks
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from rnn_exp import RecorderError, RecordingWarning, record_gradients
from rnn_exp.probe.replay import Call

ROOT = Path(__file__).parents[2]


class Tagger(nn.Module):
    """A small model with all that draws random numbers or keeps a state."""

    def __init__(self, kind=nn.LSTM, **more):
        super().__init__()
        self.embedding = nn.Embedding(9, 5)
        self.norm = nn.BatchNorm1d(5)
        self.rnn = kind(5, 6, 2, dropout=0.2, batch_first=True, **more)
        self.out = nn.Sequential(nn.Dropout(0.1), nn.Linear(6, 3))

    def read(self, x):
        return self.rnn(self.norm(self.embedding(x).mT).mT)[0]

    def forward(self, x):
        return self.out(self.read(x)[:, -1])


def batch():
    return torch.randint(0, 9, (4, 7)), torch.randint(0, 3, (4,))


def step(model, optimizer):
    x, y = batch()
    loss = cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return [loss]


def accumulated(model, optimizer):
    losses = []
    optimizer.zero_grad()
    for _ in range(3):
        x, y = batch()
        losses.append(cross_entropy(model(x), y) / 3)
        losses[-1].backward()
    optimizer.step()
    return losses


def clipped(model, optimizer):
    x, y = batch()
    loss = cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
    return [loss]


def checkpointed(model, optimizer):
    x, y = batch()
    states = checkpoint(model.read, x, use_reentrant=False)
    loss = cross_entropy(model.out(states[:, -1]), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return [loss]


def two_passes(model, optimizer):
    x, y = batch()
    logits = model(x)
    losses = [cross_entropy(logits, y), logits.square().mean()]
    optimizer.zero_grad()
    losses[0].backward(retain_graph=True)
    losses[1].backward()
    optimizer.step()
    return losses


def by_grad(model, optimizer):
    x, y = batch()
    loss = cross_entropy(model(x), y)
    weights = list(model.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimizer.step()
    return [loss]


def by_hand(model, _):
    x, y = batch()
    loss = cross_entropy(model(x), y)
    model.zero_grad()
    loss.backward()
    for weight in model.parameters():
        weight.data.add_(weight.grad.data, alpha=-0.1)
    return [loss]


def in_backward(model, _):
    """The optimiser moves each weight as soon as its gradient is there."""
    if not any(weight._post_accumulate_grad_hooks for weight in model.parameters()):
        for weight in model.parameters():
            weight.register_post_accumulate_grad_hook(moved_at_once)
    x, y = batch()
    loss = cross_entropy(model(x), y)
    loss.backward()
    return [loss]


def moved_at_once(weight):
    with torch.no_grad():
        weight -= 0.1 * weight.grad
    weight.grad = None


def with_evaluation(model, optimizer):
    losses = step(model, optimizer)
    model.eval()
    with torch.no_grad():
        losses.append(model(batch()[0]).sum())
    model.train()
    return losses


WAYS = [
    step,
    accumulated,
    clipped,
    checkpointed,
    two_passes,
    by_grad,
    by_hand,
    in_backward,
    with_evaluation,
]


def trained(way, record=None, make=torch.optim.Adam, updates=4, model=Tagger):
    """Return all that training leaves, and the recording."""
    torch.manual_seed(3)
    model = model()
    optimizer = make(model.parameters(), 0.05)
    losses, recording = [], None
    if record is None:
        for _ in range(updates):
            losses += way(model, optimizer)
    else:
        with record(model, optimizer) as recording:
            for _ in range(updates):
                losses += way(model, optimizer)
    left = {
        "losses": [loss.detach() for loss in losses],
        "weights": list(model.state_dict().values()),
        "gradients": [weight.grad for weight in model.parameters() if weight.grad is not None],
        "optimizer": [
            value
            for own in optimizer.state.values()
            for each in own.values()
            for value in (each if isinstance(each, list) else [each])
            if value is not None
        ],
        "generator": [torch.get_rng_state()],
    }
    return left, recording


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name, values in left.items():
        assert len(values) == len(right[name]), name
        for one, other in zip(values, right[name], strict=True):
            assert torch.equal(torch.as_tensor(one), torch.as_tensor(other)), name


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_training_is_the_same_to_the_bit(way):
    plain, _ = trained(way)
    every, seen = trained(way, lambda model, _: record_gradients(model))
    assert_same(plain, every)
    assert sorted(seen.to_frame()["update"].unique()) == [0, 1, 2, 3]
    if way not in (by_hand, in_backward):
        some, rarely = trained(
            way, lambda model, optimizer: record_gradients(model, optimizer=optimizer, every=2)
        )
        assert_same(plain, some)
        frame = seen.to_frame()
        frame = frame[frame["update"].isin([0, 2])].reset_index(drop=True)
        assert frame.equals(rarely.to_frame())
        assert rarely.updates["update"].tolist() == [0, 2]


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU])
def test_so_are_the_other_modules_and_optimisers(kind):
    def make(weights, rate):
        return torch.optim.SGD(weights, rate, momentum=0.9, nesterov=True)

    def model():
        return Tagger(kind)

    plain, _ = trained(step, make=make, model=model)
    seen, _ = trained(step, lambda each, _: record_gradients(each), make, model=model)
    assert_same(plain, seen)


def test_what_is_recorded_under_checkpoint_is_what_is_recorded_without():
    _, plain = trained(step, lambda model, _: record_gradients(model), updates=1)
    _, kept = trained(checkpointed, lambda model, _: record_gradients(model), updates=1)
    assert plain.to_frame().equals(kept.to_frame())


def test_a_reentrant_checkpoint_hides_its_graph_and_is_refused_by_name():
    model = Tagger()
    x, _ = batch()
    with record_gradients(model):
        start = model.norm(model.embedding(x).mT).mT
        states = checkpoint(lambda each: model.rnn(each)[0], start, use_reentrant=True)
        with pytest.raises(RecorderError, match=r"rnn \(LSTM\).*use_reentrant=False"):
            states.sum().backward()
        model(x).sum().backward()  # a call without it in the same update is no reason to be silent
        states = checkpoint(lambda each: model.rnn(each)[0], start, use_reentrant=True)
        with pytest.raises(RecorderError, match="use_reentrant"):
            states.sum().backward()
    assert_gone(model)


def test_a_graph_of_gradients_is_refused_for_it_would_be_counted_twice():
    model = nn.LSTM(3, 4)
    cell = nn.ModuleDict({"cell": nn.RNNCell(3, 4)})
    x = torch.randn(5, 2, 3, requires_grad=True)
    with pytest.raises(RecorderError, match=r"LSTM.*create_graph"), record_gradients(model):
        torch.autograd.grad(model(x)[0].sum(), x, create_graph=True)
    with (
        pytest.raises(RecorderError, match=r"cell \(RNNCell\).*create_graph"),
        record_gradients(cell, steps_of=["cell"]),
    ):
        torch.autograd.grad(cell["cell"](x[0]).sum(), x, create_graph=True)
    assert_gone(model)


def test_lbfgs_calls_its_closure_several_times_in_one_update():
    def closure_of(model, optimizer):
        x, y = batch()
        losses = []

        def closure():
            optimizer.zero_grad()
            losses.append(cross_entropy(model(x), y))
            losses[-1].backward()
            return losses[-1]

        optimizer.step(closure)
        return losses

    def make(weights, rate):
        return torch.optim.LBFGS(weights, rate, max_iter=3)

    plain, _ = trained(closure_of, make=make, updates=2)
    seen, recording = trained(
        closure_of,
        lambda model, optimizer: record_gradients(model, optimizer=optimizer),
        make,
        updates=2,
    )
    assert_same(plain, seen)
    frame = recording.to_frame()
    assert frame["update"].unique().tolist() == [0, 1]
    assert frame["call"].max() >= 2
    assert recording.updates["clipped"].isna().all()  # nobody can see into a closure
    assert recording.updates["grad_norm"].notna().all()
    assert recording.clipping()["binds_at_start"] is None


def test_of_two_optimisers_the_one_that_is_given_ends_updates():
    model = nn.ModuleList([nn.GRU(3, 4), nn.GRU(3, 4)])
    first, second = (torch.optim.SGD(each.parameters(), 0.1) for each in model)
    with record_gradients(model, optimizer=second) as recording:
        for _ in range(2):
            for _ in range(3):
                model[0](torch.randn(5, 2, 3))[0].mean().backward()
                first.step()
            model[1](torch.randn(5, 2, 3))[0].mean().backward()
            second.step()
    frame = recording.to_frame()
    calls = frame.groupby(["update", "module"])["call"].unique().map(list).to_dict()
    assert calls == {(0, "0"): [0, 1, 2], (0, "1"): [0], (1, "0"): [0, 1, 2], (1, "1"): [0]}


def test_weights_that_are_replaced_or_moved_behind_the_back_of_torch_end_an_update():
    model, x = nn.GRU(3, 4), torch.randn(5, 2, 3)
    with record_gradients(model) as recording:
        for number in range(5):
            model(x)[0].sum().backward()
            model(x)[0].sum().backward()  # the same update: gradients are accumulated
            if number < 2:
                model.weight_hh_l0.data.mul_(0.5)
                model.bias_hh_l0.data.add_(0.5)
            else:
                state = {name: value + 1 for name, value in model.state_dict().items()}
                model.load_state_dict(state, assign=True)
    calls = recording.to_frame().groupby("update")["call"].nunique()
    assert calls.to_dict() == {0: 2, 1: 2, 2: 2, 3: 2, 4: 2}


class Deep(nn.Module):
    """A GRU in front of many layers, so many that not each of their weights can be looked at."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 4)
        self.layers = nn.Sequential(*(nn.Linear(4, 4) for _ in range(20)))

    def forward(self, x):
        return self.layers(self.gru(x)[0])


def moved_by_hand(weights):
    with torch.no_grad():
        for weight in weights:
            weight -= 0.1 * weight.grad


STEPS = {
    "SGD": lambda weights: torch.optim.SGD(weights, 0.1).step,
    "fused Adam": lambda weights: torch.optim.Adam(weights, 0.1, fused=True).step,
    "foreach Adam": lambda weights: torch.optim.Adam(weights, 0.1, foreach=True).step,
    "by hand": lambda weights: functools.partial(moved_by_hand, weights),
}


@pytest.mark.parametrize("way", STEPS)
@pytest.mark.parametrize("layer", [2, 7, 11])
def test_an_update_that_moves_one_layer_of_many_ends(way, layer):
    model = Deep()
    step = STEPS[way](list(model.layers[layer].parameters()))
    with record_gradients(model) as recording:
        for _ in range(3):
            for _ in range(2):  # gradients are added up
                model(torch.randn(5, 2, 3)).square().mean().backward()
            step()
    calls = recording.to_frame().groupby("update")["call"].nunique()
    assert calls.to_dict() == {0: 2, 1: 2, 2: 2}


@pytest.mark.parametrize("way", STEPS)
def test_weights_that_are_trained_only_from_some_update_on_end_updates_too(way):
    model = Deep().requires_grad_(False)
    with record_gradients(model) as recording:
        model.requires_grad_(True)
        step = STEPS[way](list(model.layers[3].parameters()))
        for _ in range(3):
            model(torch.randn(5, 2, 3)).square().mean().backward()
            step()
    assert recording.to_frame()["update"].unique().tolist() == [0, 1, 2]


def test_steps_of_others_and_weights_that_are_not_trained_end_no_update():
    model, other, average = Deep(), nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False)
    model.average = average
    optimizer = torch.optim.SGD(other.parameters(), 0.1)
    idle = torch.optim.SGD(model.layers.parameters(), 0.1)
    with record_gradients(model) as recording:
        for _ in range(3):
            idle.step()  # there is no gradient yet
            other(torch.ones(2)).sum().backward()
            optimizer.step()
            average.weight.mul_(0.9)
            model.gru(torch.randn(5, 2, 3))[0].mean().backward()
    assert recording.to_frame()["update"].unique().tolist() == [0]
    assert not optimizer_hooks


def test_two_recordings_of_one_model_see_the_same():
    model = nn.GRU(3, 4, 2, dropout=0.5)
    with record_gradients(model) as outer, record_gradients(model) as inner:
        model(torch.randn(5, 2, 3))[0].mean().backward()
    assert outer.to_frame().equals(inner.to_frame())
    assert len(outer.to_frame()) == 10
    assert_gone(model)


def test_a_model_can_be_copied_and_saved_meanwhile_and_a_copy_is_not_recorded():
    model = Tagger()
    with record_gradients(model) as recording:
        x, _ = batch()
        model(x).sum().backward()
        twin = copy.deepcopy(model)
        again = pickle.loads(pickle.dumps(model))
        torch.save(model, io.BytesIO())
        torch.save(model.state_dict(), io.BytesIO())
        twin(x).sum().backward()
        again(x).sum().backward()
    assert recording.to_frame()["call"].unique().tolist() == [0]


def assert_gone(model, optimizer=None):
    """No hook is left anywhere."""
    everywhere = torch.nn.modules.module
    for name in ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks"):
        assert not getattr(everywhere, name)
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
    for weight in model.parameters():
        assert not weight._backward_hooks
    if optimizer is not None:
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks


@pytest.mark.parametrize("fails", [False, True])
def test_afterwards_no_hook_is_left_also_if_training_fails(fails):
    model = Tagger()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    try:
        with record_gradients(model, optimizer=optimizer) as recording:
            step(model, optimizer)
            outputs = model.read(batch()[0])
            if fails:
                raise KeyError("of the program itself")
    except KeyError:
        assert fails
    assert_gone(model, optimizer)
    assert recording.to_frame()["update"].unique().tolist() == [0]
    before = recording.to_frame()
    outputs.sum().backward()  # of a call that was seen, after the end
    step(model, optimizer)
    assert recording.to_frame().equals(before)


class Kept(torch.autograd.Function):
    """The identity; says whether its graph is still there."""

    alive = None

    @staticmethod
    def forward(ctx, x):
        ctx.kept = Thing()
        Kept.alive = weakref.ref(ctx.kept)
        return x * 1

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Thing:
    pass


@pytest.mark.parametrize("steps_of", [[], ["cell"]])
def test_afterwards_no_graph_is_kept_and_none_of_a_call_that_is_dropped_meanwhile(steps_of):
    module = nn.LSTMCell(3, 4) if steps_of else nn.LSTM(3, 4, 2)
    model = nn.ModuleDict({"cell": module})
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def forward():
        x = Kept.apply(torch.randn(5, 2, 3, requires_grad=True))
        if not steps_of:
            return module(x)[0].sum()
        return module(x[1], module(x[0]))[0].sum()

    with record_gradients(model, steps_of=steps_of):
        forward().backward()
        optimizer.step()
        gone = Kept.alive
        forward()
        assert gone() is None
        if not steps_of:
            assert Kept.alive() is None  # at once, and not when Python looks for cycles
            assert not any(type(each) is Call for each in gc.get_objects())
        loss = forward()
        last = Kept.alive
    del loss
    gc.collect()
    assert last() is None


def test_parametrized_weights_are_those_that_are_used():
    torch.manual_seed(1)
    model = nn.GRU(3, 4, dtype=torch.float64)
    parametrizations.orthogonal(model, "weight_hh_l0")
    parametrizations.weight_norm(model, "weight_ih_l0")
    plain = nn.GRU(3, 4, dtype=torch.float64)
    with torch.no_grad():
        for name in plain._flat_weights_names:
            getattr(plain, name).copy_(getattr(model, name))
    x, frames = torch.randn(5, 2, 3, dtype=torch.float64), []
    for each in (model, plain):
        with record_gradients(each) as recording:
            each(x)[0][-1].square().mean().backward()
        frames.append(recording.to_frame())
    for name in ("log10_total", "log10_contribution", "saturation"):
        torch.testing.assert_close(*(torch.tensor(frame[name].to_numpy()) for frame in frames))


def test_weights_of_a_functional_call_are_those_that_are_used():
    model = nn.Sequential(nn.LSTM(3, 4))
    other = {name: 3 * weight.detach() for name, weight in model.named_parameters()}
    weights = {name: weight.requires_grad_() for name, weight in other.items()}
    x = torch.randn(5, 2, 3)
    with record_gradients(model) as recording:
        torch.func.functional_call(model, weights, (x,))[0].sum().backward()
    model.load_state_dict(other)
    with record_gradients(model) as wanted:
        model(x)[0].sum().backward()
    assert recording.to_frame().equals(wanted.to_frame())


def test_a_frozen_module_is_recorded_where_gradients_pass_through_it_and_named_where_not():
    model = nn.Sequential(nn.Linear(3, 3), nn.GRU(3, 4))
    model[1].requires_grad_(False)
    x = torch.randn(5, 2, 3)
    with record_gradients(model) as recording:
        given = model[0](x)
        output = model[1](given)[0]
        given.mul_(0)  # torch keeps no input of a frozen module
        output.sum().backward()
    model[0].requires_grad_(False)
    frame = recording.to_frame()
    assert len(frame) == 5
    with (
        pytest.warns(RecordingWarning, match=r"no call of 1 \(GRU\).*frozen"),
        record_gradients(model),
    ):
        model(x)
    free = nn.Sequential(*copy.deepcopy(model)).requires_grad_(True)
    with record_gradients(free) as wanted:
        free(x)[0].sum().backward()
    assert frame["log10_total"].equals(wanted.to_frame()["log10_total"])


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x):
        h = x.new_zeros(x.shape[1], 4)
        for x_t in x:
            h = self.cell(x_t, h)
        return h


def test_a_module_to_which_no_gradient_came_is_named():
    model = nn.ModuleList([nn.GRU(3, 4), nn.GRU(3, 4)])
    recording = record_gradients(model)

    def run():
        with recording:
            first, second = (each(torch.randn(5, 2, 3))[0].sum() for each in model)
            first.backward()
            assert second.requires_grad

    with pytest.warns(RecordingWarning, match=r"no gradient came to 1 \(GRU\): was there"):
        run()
    assert set(recording.to_frame()["module"]) == {"0"}


COMPILED = """
import contextlib
import warnings

import torch
from torch import nn

from rnn_exp import RecordingWarning, record_gradients
from tests.probe.test_changes_nothing import Loop, Tagger, batch, step


def trained(compiles, records):
    torch.manual_seed(3)
    model = Tagger()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    called = torch.compile(model, backend="aot_eager") if compiles else model
    recording = record_gradients(model, steps_of=["out"])
    with recording if records else contextlib.nullcontext():
        for _ in range(3):
            step(called, optimizer)
    return list(model.parameters()), recording.to_frame()


warnings.simplefilter("ignore")
plain, _ = trained(True, False)
seen, frame = trained(True, True)
print(all(map(torch.equal, plain, seen)))
frame = frame[frame["module"] == "rnn"].reset_index(drop=True)
_, wanted = trained(False, True)
apart = frame["log10_total"] - wanted[wanted["module"] == "rnn"].reset_index()["log10_total"]
print(apart.abs().max() < 1e-5, len(frame))  # what is compiled rounds in its own way
model, x = Loop(), torch.randn(5, 2, 3)
compiled = torch.compile(model, backend="eager", fullgraph=True)
with warnings.catch_warnings(record=True) as said, record_gradients(
    model, steps_of=["cell"]
) as recording:
    warnings.simplefilter("always")
    compiled(x).sum().backward()
said = [str(each.message) for each in said if each.category is RecordingWarning]
print(len(recording.to_frame()), ["not what torch.compile returned" in each for each in said])


@torch.compile(backend="eager")
def whole(x):
    model(x)[0].sum().backward()


model = nn.Sequential(nn.Linear(3, 3), nn.GRU(3, 4))
with record_gradients(model) as recording:
    whole(x)
print(len(recording.to_frame()))
"""


@pytest.mark.slow
def test_in_a_compiled_model_what_python_runs_is_recorded_and_of_the_rest_it_is_said():
    """In a process of its own: while testing, functions are wrapped, which torch would compile."""
    done = subprocess.run(
        [sys.executable, "-c", COMPILED], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.split("\n")[:4] == ["True", "True 42", "0 [True]", "5"]


def test_a_checkpoint_that_keeps_some_products_keeps_its_own_alone():
    def policy(_, operation, *args, **kwargs):
        products = (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)
        return (
            CheckpointPolicy.MUST_SAVE
            if operation in products
            else (CheckpointPolicy.PREFER_RECOMPUTE)
        )

    def loss_of(model, x, steps_of=()):
        contexts = functools.partial(create_selective_checkpoint_contexts, policy, True)
        return checkpoint(model, x, use_reentrant=False, context_fn=contexts).square().sum()

    for model in (nn.Sequential(nn.RNN(3, 4, 2), First(), nn.Linear(4, 2), nn.Tanh()), Loop()):
        x, found = torch.randn(5, 2, 3), []
        for is_recorded in (False, True):
            model.zero_grad()
            steps_of = ["cell"] if isinstance(model, Loop) else []
            if is_recorded:
                with record_gradients(model, steps_of=steps_of) as recording:
                    loss_of(model, x).backward()
            else:
                loss_of(model, x).backward()
            found.append([weight.grad.clone() for weight in model.parameters()])
        assert all(map(torch.equal, *found))
        assert not recording.to_frame().empty


class First(nn.Module):
    def forward(self, result):
        return result[0]


def test_sparse_gradients_of_an_embedding_have_a_norm():
    model = nn.Sequential(nn.Embedding(9, 3, sparse=True), nn.GRU(3, 4))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with record_gradients(model, optimizer=optimizer) as recording:
        model(torch.tensor([[1, 1], [2, 1]]))[0].sum().backward()
        whole = torch.cat([weight.grad.to_dense().flatten() for weight in model.parameters()])
        optimizer.step()
    assert recording.updates["grad_norm"].item() == pytest.approx(whole.norm().item())
