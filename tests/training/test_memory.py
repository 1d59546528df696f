"""What runs need of memory: the estimate beside what they take, refusals, chunks that fit."""

import contextlib
import multiprocessing
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnn_exp.networks import CELLS, INITS, Network
from rnn_exp.sweeps import process
from rnn_exp.tasks import TASKS, Adding
from rnn_exp.training.experiment import Chunk
from rnn_exp.training.memory import (
    Memory,
    NotEnoughMemory,
    allocation_failure,
    most_runs,
    needed,
    refuse_too_large,
)
from rnn_exp.training.planning import chunks, processes_for, stages
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests.dose import FULL
from tests.networks.test_step import TWINS

GB = 1000**3


def there(together: int) -> Memory:
    return Memory(together, together, "what there is")


def test_a_run_that_is_too_large_is_refused_with_its_large_settings_and_both_numbers():
    run = Run(network=Network(hidden_size=16000))
    with pytest.raises(NotEnoughMemory) as caught:
        refuse_too_large([Run(), run, Run(network=Network(hidden_size=15000))], there(2 * GB))

    words = (
        rf"network\.hidden_size=16000 needs about \d+ GB of memory, there are about 2 GB "
        rf"\(what there is\): {run.name}; 1 more of the runs need too much"
    )
    assert caught.match(words)
    assert "\n" not in str(caught.value)
    refuse_too_large([Run()], there(2 * GB))
    refuse_too_large([run], None)


@pytest.mark.parametrize(
    ("run", "names"),
    [
        (Run(Adding(2**31 - 1)), ["task.length"]),
        (Run(network=Network(hidden_size=2**31 - 1)), ["network.hidden_size"]),
        (Run(network=Network(num_layers=10**9)), ["network.num_layers"]),
        (Run(training=Training(batch_size=2**31 - 1)), ["training.batch_size"]),
    ],
)
def test_no_size_is_so_absurd_that_it_has_no_line(run, names):
    with pytest.raises(
        NotEnoughMemory, match=r"needs (more than a million|about [\d,]+) GB of memory"
    ) as caught:
        refuse_too_large([run], there(2 * GB))
    assert all(f"{name}=" in str(caught.value) for name in names)


@pytest.mark.parametrize(("has_gpu", "is_refused"), [(False, True), (True, False)])
def test_device_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch, has_gpu, is_refused):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    run = Run(network=Network(hidden_size=1_000_000), device="auto")

    with pytest.raises(NotEnoughMemory) if is_refused else contextlib.nullcontext():
        refuse_too_large([run], there(2 * GB))


def test_what_an_allocator_says_becomes_one_line_and_nothing_else_does():
    said = RuntimeError(
        "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)"
    )
    line = allocation_failure(said, Run(network=Network(hidden_size=16000)), there(2 * GB))
    assert line is not None
    assert line.startswith("memory could not be had: network.hidden_size=16000 needs about ")
    assert line.endswith(" GB, there are about 2 GB now")
    assert allocation_failure(MemoryError(), Run(), None) is not None
    assert allocation_failure(RuntimeError("no convergence"), Run(), there(GB)) is None


@given(
    st.integers(1, 3000),
    st.integers(1, 500),
    st.integers(1, 70),
    st.integers(3, 40).map(lambda n: n * GB // 10),
)
def test_as_many_runs_are_together_as_fit_and_never_fewer(hidden, length, count, memory):
    run = Run(Adding(length + 1), Network(hidden_size=hidden))
    most = most_runs(run, memory, count)
    assert 1 <= most <= count
    assert most == 1 or needed(run, most) <= memory
    assert most == count or needed(run, most + 1) > memory


def test_chunks_are_as_small_as_memory_asks_for():
    runs = [Run(network=Network(hidden_size=600), seed=seed) for seed in range(32)]
    free, tight = chunks(runs), chunks(runs, memory=needed(runs[0], 5))
    assert [len(chunk) for chunk in free] == [32]
    assert [len(chunk) for chunk in tight] == [5] * 6 + [2]
    assert {run for chunk in tight for run in chunk} == set(runs)
    assert [len(chunk) for chunk in chunks(runs, memory=1)] == [1] * 32


def test_what_needs_much_memory_trains_last_and_alone():
    sizes = (9000, 10, 2000, 4000)
    runs = [Run(network=Network(hidden_size=size)) for size in sizes]
    memory = there(needed(runs[0]))

    for processes in (1, 2, 3):
        found = stages(chunks(runs, processes=processes), processes, memory)
        order = [chunk[0].network.hidden_size for _, together in found for chunk in together]
        assert order[-1] == 9000
        assert found[-1] == (1, [[runs[0]]])
        assert all(
            count * needed(one[0]) <= memory.together for count, some in found for one in some
        )
    assert stages(chunks(runs), 2, None) == [(2, chunks(runs))]


def test_no_more_processes_are_started_than_have_memory():
    runs = [Run(Adding(100), seed=seed) for seed in range(2000)]
    assert processes_for(runs, 8) == 8
    assert processes_for(runs, 8, there(3 * needed(runs[0]))) == 3
    assert processes_for(runs, 8, there(1)) == 1


# What a chunk really takes. Half of the configurations are slow, and all of them need /proc.
CONFIGS = {
    "many": ({}, 32),
    "wide": ({"network": {"hidden_size": 512}}, 8),
    "long": ({"task": {"length": 1000}}, 4),
    "lstm": ({"task": {"length": 400}, "network": {"cell": "lstm"}}, 8),
    "gru": ({"task": {"length": 400}, "network": {"cell": "gru"}}, 8),
    "leaky": ({"task": {"length": 600}, "network": {"cell": "leaky", "leak": 0.5}}, 8),
    "normed": ({"task": {"length": 600}, "network": {"cell": "normed"}}, 8),
    "gelu": ({"task": {"length": 600}, "network": {"activation": "gelu"}}, 8),
    "gelu-leaky": (
        {
            "task": {"length": 600},
            "network": {"activation": "gelu", "cell": "leaky", "leak": 0.5},
        },
        8,
    ),
    "step": (
        {
            "task": {"length": 1000},
            "network": {"cell": "rnn_twin", "hidden_size": 16},
            "training": {"batch_size": 256},
        },
        4,
    ),
    "step-lstm": ({"task": {"length": 400}, "network": {"cell": "lstm_twin"}}, 8),
    "layers": ({"task": {"length": 500}, "network": {"num_layers": 3}}, 4),
    "batch": (  # training loses norms, so the pass without a floor is made
        {"task": {"length": 300}, "training": {"batch_size": 256}, "init": {"gain": 0.5}},
        2,
    ),
    "float64": ({"task": {"length": 600}, "network": {"dtype": "float64"}}, 4),
    "torch": (
        {
            "task": {"length": 400},
            "network": {"engine": "torch", "cell": "lstm"},
            "training": {"batch_size": 128},
        },
        1,
    ),
    "copy": ({"task": {"name": "copy", "length": 400}}, 8),
    "every": ({"task": {"length": 400}, "training": {"loss_at": "every"}}, 8),
    "adam": ({"network": {"hidden_size": 1500}, "training": {"optimizer": "adam"}}, 1),
    "orthogonal": (
        {
            "network": {"hidden_size": 800, "parametrization": "orthogonal"},
            "init": {"name": "orthogonal"},
        },
        2,
    ),
    "omega": ({"task": {"length": 300}, "training": {"omega": 1.0}}, 16),
    "truncated": (
        {
            "task": {"length": 40_000},
            "network": {"hidden_size": 64},
            "training": {"truncate_every": 500, "truncate_back": 500},
        },
        2,
    ),
}
QUICK = ("many", "long")
SOME = list(CONFIGS) if FULL else list(dict.fromkeys([*QUICK, *list(CONFIGS)[::4]]))
STEP_CELLS = {kind.name: kind for kind in TWINS.values()}


def run_of(settings, seed):
    given = {group: dict(values) for group, values in settings.items()}
    task, init = given.get("task", {}), given.get("init", {})
    return Run(
        TASKS[task.pop("name", "adding")](**task),
        Network(**given.get("network", {})),
        INITS[init.pop("name", "gaussian")](**init),
        Training(updates=2, **given.get("training", {})),
        Recording(every=1),
        seed=seed,
    )


def _status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def _train(settings, count, pipe):
    """Train a chunk in a process of its own, and say how large that was at most."""
    process.settle()
    process.use_one_thread()
    CELLS._things |= STEP_CELLS
    for _ in Chunk([run_of(settings, seed) for seed in range(count)]).train():
        pass
    pipe.send(_status("VmHWM"))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SOME],
)
def test_a_chunk_takes_about_what_is_estimated(name, monkeypatch):
    monkeypatch.setattr(CELLS, "_things", CELLS._things | STEP_CELLS)
    settings, count = CONFIGS[name]
    context = multiprocessing.get_context("spawn")
    here, there_ = context.Pipe()
    trainer = context.Process(target=_train, args=(settings, count, there_))
    trainer.start()
    there_.close()
    taken = here.recv()
    trainer.join()

    estimate = needed(run_of(settings, 0), count)
    print(f"{name}: {estimate / 1e6:.0f} MB estimated, {taken / 1e6:.0f} taken")
    assert 0.8 < estimate / taken < 1.5
