"""Grids in Python: runs from settings by name, the very runs of the command line."""

import dataclasses
import itertools
import re
import shlex

import numpy as np
import pytest

from rnn_exp.fields import SettingError, number
from rnn_exp.networks.inits import Gaussian
from rnn_exp.tasks import TASKS, TemporalOrder
from rnn_exp.training import keys
from rnn_exp.training.grids import _given, grid, one
from rnn_exp.training.keys import groups, key_of, names_of
from rnn_exp.training.run import Run
from tests.task_files import needs


def refused(call, *arguments, **named):
    with pytest.raises(SettingError) as error:
        call(*arguments, **named)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_grid_is_every_combination_the_last_setting_fastest():
    runs = grid(
        task="temporal_order",
        length=[10, 30],
        gain=(0.5, 1),
        activation=["tanh", "sigmoid"],
        seed=range(3),
    )

    found = [(r.task.length, r.init.gain, r.network.activation, r.seed) for r in runs]
    assert found == [*itertools.product((10, 30), (0.5, 1), ("tanh", "sigmoid"), range(3))]
    assert {type(run.task) for run in runs} == {TemporalOrder}


def test_every_way_to_write_a_setting_gives_the_same_run():
    expected = [Run(init=Gaussian(0.5), seed=2)]

    assert grid(gain=0.5, seed=2) == expected
    assert grid(init__gain=0.5, seed=2) == expected
    assert grid({"init.gain": 0.5}, seed=2) == expected
    assert grid({"init.gain": np.float64(0.5)}, seed=np.arange(2, 3)) == expected
    assert grid(init="gaussian", gain=[0.5], seed=iter([2])) == expected


def test_what_is_not_given_is_as_it_is_for_the_command_line():
    assert grid() == [Run()]
    plain = [name for name in TASKS if not needs(name)]  # the others need a file
    assert [one(task=name) for name in plain] == [Run(TASKS[name]()) for name in plain]


@pytest.mark.parametrize("run", [Run(TemporalOrder(20), init=Gaussian(1.5), seed=3), Run()])
def test_a_grid_of_the_words_of_a_runs_command_is_that_run(run):
    words = dict(word.split("=") for word in shlex.split(run.command)[1:])
    typed = {key: float(word) if "." in word else word for key, word in words.items()}
    typed |= {key: int(word) for key, word in words.items() if word.isdecimal()}
    assert grid(typed) == [run]


def test_every_setting_has_one_key_that_its_last_name_means_or_is_refused_with_all_of_them():
    every = [
        (f"{group}.{name}", name)
        for group, kinds in groups().items()
        for kind in kinds.values()
        for name in names_of(kind)
    ]
    for key, last in every:
        of_this_name = {other for other, name in every if name == last}
        if len(of_this_name) > 1:  # those of evaluation are asked for in full
            of_this_name -= {f"evaluation.{last}"}
        assert key_of(key, 1) == key_of(key.replace(".", "__"), 1) == key
        if len(of_this_name) == 1:
            assert {key_of(last, 1)} == of_this_name
        else:
            said = refused(key_of, last, 1)
            assert all(other.replace(".", "__") in said for other in of_this_name)


def test_the_settings_of_evaluation_are_asked_for_in_full_where_another_has_their_name():
    assert key_of("length", 10) == "task.length"
    assert key_of("every", 5) == "recording.every"
    assert key_of("evaluation__length", 10) == "evaluation.length"
    assert key_of("sequences", 10) == "evaluation.sequences"


def test_a_name_that_several_settings_have_is_refused_with_their_keys(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class WithGain:
        """A group that has a gain as well."""

        gain: float = number(1.0)

    found = groups()
    monkeypatch.setattr(keys, "groups", lambda: {**found, "readout": {"": WithGain}})

    said = refused(key_of, "gain", 2)
    assert "allowed is the name of a setting (did you mean init__gain or readout__gain?); " in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"lenght": 10},
            r"lenght=10 is not .* \(did you mean length\?\); rnn-exp --settings lists",
        ),
        ({"init.gian": 1}, r"init.gian=1 .* \(did you mean init\.gain\?\)"),
        ({"clip": 1}, r"clip=1 .* \(did you mean clip_norm or clip_value\?\)"),
        ({"T": [10, 20]}, r"T=\[10, 20\] .* \(did you mean length\?\)"),
        ({"evry": 1}, r"\(did you mean every\?\)"),
        ({"qqqq": 1}, "qqqq=1 .* the name of a setting; rnn-exp --settings lists all"),
        ({"init": "torch", "gain": 1}, "init.gain=1 .* nothing with init=torch, .* has no gain"),
        ({"init": ["gaussian", "torch"], "gain": 1}, "nothing with init=torch"),
        ({"task": "latsh"}, r"task.name=latsh .* one of .*\(did you mean latch\?\)"),
        ({"task": ["adding", TemporalOrder(20)]}, "task.name=TemporalOrder.* one of "),
        ({"length": []}, r"task.length=\[\] is not possible: allowed is at least one value"),
        ({"gain": {1, 2}}, "init.gain=.* a list: a set has no order"),
        ({"length": 30, "task__length": 40}, "task__length=40 .* task.length once"),
        ({"seed": [0, -1]}, "seed=-1 .* whole number"),
        ({"cell": "gru", "parametrization": "orthogonal", "init": "orthogonal"}, "gru"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(settings, said):
    assert re.search(said, refused(grid, settings))


def test_tags_are_one_value():
    [run] = grid(tags=["paper", "fig2"], note="first")
    assert (run.tags, run.note) == (("paper", "fig2"), "first")


def test_one_run_has_one_value_for_each_setting():
    assert one(gain=[2], tags=["a", "b"]) == Run(init=Gaussian(2.0))
    assert "length=[1, 2] is not possible: allowed is one value" in refused(one, length=[1, 2])


def test_settings_that_are_no_dictionary_are_refused():
    with pytest.raises(SettingError, match="allowed is a dictionary such as"):
        _given("decay", {})
