"""Planning: which runs make a chunk, in what order, and how many processes are worth starting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_exp.networks.network import Network
from rnn_exp.tasks import Adding
from rnn_exp.training.planning import chunks, processes_for, seconds
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training


def many(count, **settings):
    return [Run(seed=seed, **settings) for seed in range(count)]


@pytest.mark.parametrize(
    ("members", "processes", "sizes"),
    [
        (32, 1, [32]),
        (33, 1, [17, 16]),
        (96, 1, [32, 32, 32]),
        (96, 2, [24, 24, 24, 24]),
        (18, 2, [9, 9]),
        (15, 2, [15]),
        (64, 4, [16] * 4),
        (10, 4, [10]),
    ],
)
def test_chunks_fit_the_cache_and_every_process_gets_as_many(members, processes, sizes):
    assert [len(chunk) for chunk in chunks(many(members), processes=processes)] == sizes


@given(
    st.lists(
        st.tuples(
            st.sampled_from([5, 9]),
            st.sampled_from(["tanh", "relu"]),
            st.integers(0, 50),
            st.integers(0, 2),
        ),
        unique=True,
        max_size=60,
    ),
    st.integers(1, 4),
)
def test_every_run_is_in_one_chunk_with_its_like(picks, processes):
    made = {Run(Adding(T), Network(phi), seed=seed): updates for T, phi, seed, updates in picks}

    found = chunks(made, made, processes)

    assert sorted(map(repr, (run for chunk in found for run in chunk))) == sorted(map(repr, made))
    for chunk in found:
        assert len({(run.task, run.network, run.training, made[run]) for run in chunk}) == 1
        assert len(chunk) <= 32


def test_the_chunk_with_most_work_comes_first():
    runs = [*many(3, task=Adding(10)), *many(3, task=Adding(200)), *many(3, task=Adding(50))]

    assert [chunk[0].task.length for chunk in chunks(runs)] == [200, 50, 10]


def test_work_grows_with_everything_that_makes_an_update_longer():
    base = seconds(Run())
    larger = [
        Run(Adding(60)),
        Run(network=Network(hidden_size=200)),
        Run(network=Network(num_layers=2)),
        Run(training=Training(600)),
        Run(training=Training(batch_size=32)),
    ]

    assert all(1.5 * base < seconds(run) < 4.5 * base for run in larger)


def test_processes_are_started_only_where_there_is_work_for_them():
    assert processes_for(many(4), cores=8) == 1
    assert 1 < processes_for(many(100, task=Adding(60)), cores=64) < 64
    assert processes_for(many(2000, task=Adding(100)), cores=8) == 8
    assert processes_for([], cores=8) == 1


def test_on_a_gpu_one_process_has_the_whole_sweep_in_one_chunk():
    runs = many(100, task=Adding(100))
    for run in runs:
        object.__setattr__(run, "device", "cuda")  # which may not be here

    assert processes_for(runs, cores=8) == 1
    assert processes_for(runs * 1000, cores=8) == 1
