"""Which runs a figure shows: every setting that was swept has a place while there is room."""

import itertools

import pandas as pd
import pytest

from rnn_exp.figures.parts.selection import select_runs


def runs_of(**values: list[object]) -> pd.DataFrame:
    """A table of runs: the whole grid of these settings, with two seeds."""
    names = [name.replace("__", ".") for name in values]
    rows = [
        dict(zip(names, chosen, strict=True)) | {"seed": seed, "task.length": 20}
        for chosen in itertools.product(*values.values())
        for seed in (0, 1)
    ]
    frame = pd.DataFrame(rows).assign(status="finished")
    return frame.assign(run=[f"run {number}" for number in range(len(frame))])


RATES: list[object] = [0.001, 0.003, 0.01, 0.03, 0.1]


def test_a_grid_of_five_rates_and_three_sizes_is_shown_whole() -> None:
    selected = select_runs(
        runs_of(network__hidden_size=[128, 32, 64], training__learning_rate=RATES)
    )
    assert selected.left_out == selected.notes == ()
    assert len(selected.runs) == 30
    assert list(selected.runs["activation"].unique()) == [
        f"hidden size {units}" for units in (32, 64, 128)
    ]
    assert list(selected.runs["series"].unique()) == [f"learning rate {rate}" for rate in RATES]


def test_a_setting_beside_activation_and_gain_has_panels_of_its_own() -> None:
    selected = select_runs(
        runs_of(
            network__activation=["tanh", "sigmoid"],
            network__num_layers=[1, 3],
            init__gain=[0.5, 1.5],
        )
    )
    assert selected.left_out == ()
    assert list(selected.runs["activation"].unique()) == [
        "tanh, num layers 1",
        "tanh, num layers 3",
        "sigmoid, num layers 1",
        "sigmoid, num layers 3",
    ]


def test_recipes_that_differ_in_two_settings_at_once_are_all_shown() -> None:
    pairs = runs_of(network__cell=["rnn", "gru", "lstm", "lstm"], seed_of=[0])
    init = ["torch"] * 6 + ["chrono"] * 2
    selected = select_runs(pairs.drop(columns="seed_of").assign(init=init))
    assert selected.left_out == ()
    assert set(selected.runs["activation"]) == {"cell rnn", "cell gru", "cell lstm"}
    assert len(selected.runs) == 8


def test_what_has_no_room_is_held_and_that_is_said() -> None:
    selected = select_runs(
        runs_of(
            training__learning_rate=RATES,
            network__hidden_size=[32, 64, 128],
            training__batch_size=[8, 16],
        )
    )
    assert selected.left_out == ("Only runs with training.batch_size = 8 are shown (not 16).",)
    assert len(selected.runs) == 30


@pytest.mark.parametrize("most", [1, 2, 3])
def test_there_are_never_more_panels_than_a_figure_has_room_for(most: int) -> None:
    table = runs_of(network__hidden_size=[8, 16, 32], init__gain=[0.5, 1.0])
    selected = select_runs(table, panels=most)
    assert selected.runs["activation"].nunique() == (3 if most == 3 else 1)
    assert bool(selected.left_out) == (most < 3)
    assert selected.runs.groupby(["activation", "series"]).size().eq(2).all()
