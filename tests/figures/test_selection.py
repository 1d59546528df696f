"""Which runs a figure shows: every setting that was swept has a place while there is room."""

import itertools

import pandas as pd
import pytest

from rnn_exp.figures.parts.selection import select_runs
from rnn_exp.figures.parts.starts import distinct_at_start, same_at_start


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
        f"units {units}" for units in (32, 64, 128)
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
        "tanh, layers 1",
        "tanh, layers 3",
        "sigmoid, layers 1",
        "sigmoid, layers 3",
    ]


def test_recipes_that_differ_in_two_settings_at_once_are_all_shown() -> None:
    pairs = runs_of(network__cell=["rnn", "gru", "lstm", "lstm"], seed_of=[0])
    init = ["torch"] * 6 + ["chrono"] * 2
    selected = select_runs(pairs.drop(columns="seed_of").assign(init=init))
    assert selected.left_out == ()
    assert set(selected.runs["activation"]) == {"rnn cell", "gru cell", "lstm cell"}
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


def test_series_of_several_folders_are_in_the_order_of_their_numbers_whichever_comes_first() -> (
    None
):
    rates = runs_of(training__learning_rate=[0.1, 0.01], network__num_layers=[1], init__gain=[1.0])
    deep = runs_of(training__learning_rate=[0.03], network__num_layers=[10, 2], init__gain=[1.0])
    deep = deep.assign(run="deep " + deep["run"])

    found = [
        select_runs(pd.concat(both, ignore_index=True)).runs[["activation", "series"]]
        for both in ([rates, deep], [deep, rates])
    ]
    for shown in found:
        assert list(shown["activation"].unique()) == ["layers 1", "layers 2", "layers 10"]
        assert list(shown["series"].unique()) == [
            "learning rate 0.01",
            "learning rate 0.1",
            "learning rate 0.03",
        ]


def test_names_with_numbers_are_in_the_order_of_the_numbers() -> None:
    plain = runs_of(init=["torch", "chrono"], init__gain=[float("nan")])
    scaled = runs_of(init=["gaussian"], init__gain=[16.0, 2.0, 0.5])
    both = pd.concat([plain, scaled.assign(run="scaled " + scaled["run"])], ignore_index=True)

    assert list(select_runs(both).runs["series"].unique()) == [
        "chrono init",
        "gaussian init, g = 0.5",
        "gaussian init, g = 2",
        "gaussian init, g = 16",
        "torch init",
    ]


def test_a_cell_without_an_activation_is_called_by_its_own_name() -> None:
    runs = runs_of(network__cell=["rnn", "mine"], network__activation=["tanh"], init__gain=[1.0])
    runs = runs.assign(largest_slope=runs["network.cell"].map({"rnn": 1.0}))

    shown = select_runs(runs[runs["network.cell"] == "mine"]).runs

    assert set(shown["activation"]) == {"mine"}
    assert set(select_runs(runs).runs["activation"]) == {"tanh", "mine"}


def test_each_panel_shows_gains_that_are_spread_over_its_own() -> None:
    small: list[object] = [0.1, 0.2, 0.3, 0.4, 0.5]
    large: list[object] = [1.0, 2.0, 3.0, 4.0, 5.0]
    parts = [
        runs_of(network__activation=[name], init__gain=gains).assign(panel=name)
        for name, gains in (("tanh", small), ("sigmoid", large))
    ]
    both = pd.concat([part.assign(run=part.pop("panel") + part["run"]) for part in parts])
    selected = select_runs(both.reset_index(drop=True), series=3)

    shown = selected.runs.groupby("activation", sort=False)["value"].unique()
    assert {name: list(values) for name, values in shown.items()} == {
        "tanh": [0.1, 0.3, 0.5],
        "sigmoid": [1.0, 3.0, 5.0],
    }
    assert selected.left_out == (
        "Left out to keep the figure readable: with tanh g = 0.2 and g = 0.4; with sigmoid g = 2 "
        "and g = 4.",
    )


def with_rates(runs: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The same runs; their numbers at update 0 depend on these columns and the seed alone."""
    place = runs.groupby([*by, "seed"]).ngroup()
    return runs.assign(decay_rate=0.5 + 0.1 * place, log10_change=-1.0 - place)


def test_a_setting_of_training_that_changes_nothing_at_update_0_is_drawn_once_there() -> None:
    runs = runs_of(training__learning_rate=RATES, init__gain=[0.5, 1.0])
    distinct, gone = distinct_at_start(with_rates(runs, ["init.gain"]))

    assert gone == ("learning rate",)
    assert len(distinct) == 4
    assert set(select_runs(distinct).runs["series"]) == {"g = 0.5", "g = 1"}
    assert same_at_start(gone) == (
        "What is drawn, of update 0, does not depend on learning rate: one run stands for all "
        "values.",
    )


def test_a_setting_that_changes_update_0_or_is_never_alone_stays() -> None:
    runs = runs_of(training__batch_size=[8, 16], network__hidden_size=[4, 8])
    changed, gone = distinct_at_start(with_rates(runs, ["training.batch_size"]))
    assert (len(changed), gone) == (len(runs), ())

    paired = runs_of(training__learning_rate=[0.1], init__gain=[0.5])
    other = runs_of(training__learning_rate=[0.2], init__gain=[1.0]).assign(run=["a", "b"])
    both = with_rates(pd.concat([paired, other], ignore_index=True), [])
    assert distinct_at_start(both)[1] == ()
    assert same_at_start(()) == ()
