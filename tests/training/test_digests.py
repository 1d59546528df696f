"""A digest that was given stays: settings that are added later leave it alone at their default."""

import dataclasses
import json

import pytest

from rnn_exp.networks import INITS, Network
from rnn_exp.schema import ADDED_SETTINGS, KERNEL, OF_TASKS
from rnn_exp.storage.loading import load
from rnn_exp.storage.places import RunFolders
from rnn_exp.storage.writing import is_done, write
from rnn_exp.tasks import TASKS, Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.origins import defaults_of
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests.sealing import write_sealed


def before(network=Network(), **parts):  # noqa: B008
    """A run as version 0.1.0 has it: its cells are in torch."""
    return Run(network=dataclasses.replace(network, engine="scan"), **parts)


# Computed by version 0.1.0 before the first setting was added to it (commit d7840e8).
GIVEN = [
    (before(task=TASKS["temporal_order"]()), "e5dfcf2da59f3d51"),
    (before(), "8c49fedb5304142b"),
    (before(task=TASKS["multiplication"]()), "242626bccf8d7a51"),
    (before(task=TASKS["permutation"]()), "9912056d01978bcd"),
    (before(task=TASKS["memorization"]()), "24eb000a80c65330"),
    (before(task=TASKS["copy"]()), "68e1d77b9676be43"),
    (before(task=TASKS["latch"]()), "8425c723a0cbc507"),
    (before(task=TASKS["digits"]()), "64449144d31a9dd3"),
    (before(task=TASKS["noise"]()), "65c93185aa6d501a"),
    (before(task=TASKS["hold"]()), "e8f7954cb0b9ef04"),
    (before(network=Network(cell="normed")), "d3cd8ba12145fe75"),
    (before(network=Network(cell="gru")), "071babf7f8a4fa20"),
    (before(network=Network(cell="leaky", leak=0.5)), "e908ea0c35c30ae4"),
    (before(network=Network(cell="lstm"), init=INITS["forget_bias"]()), "d95a116d0f514a34"),
    (before(network=Network(activation="sigmoid")), "5af95de36ab293b4"),
    (before(init=INITS["torch"]()), "421e8667e988838b"),
    (before(init=INITS["pascanu"]()), "fec32d62297a3138"),
    (before(training=Training(optimizer="adam", clip_norm=1, omega=2)), "e7e4ec990bbd18cf"),
    (
        before(
            training=Training(truncate_every=5, truncate_back=10),
            recording=Recording(every=3),
            seed=7,
        ),
        "c0a844207d57f783",
    ),
]


@pytest.mark.parametrize(("run", "digest"), GIVEN, ids=lambda value: getattr(value, "name", ""))
def test_a_run_has_the_digest_that_it_had_before_settings_were_added(run, digest):
    assert run.digest == digest


def test_kernels_and_the_version_of_them_are_part_of_the_digest(monkeypatch):
    assert Run().network.engine == "kernel"
    assert Run().digest != before().digest
    given = Run().digest

    monkeypatch.setattr("rnn_exp.training.run.KERNEL", KERNEL._replace(version=KERNEL.version + 1))

    assert Run().digest != given
    assert before().digest == "8c49fedb5304142b"


def test_every_setting_that_was_added_has_its_default_written_down():
    settings = Run().settings() | {
        f"{group}.{key}": value
        for group, kinds in (("task", TASKS), ("init", INITS))
        for kind in kinds.values()
        for key, value in defaults_of(kind).items()
    }

    assert {key: settings[key] for key in ADDED_SETTINGS} == ADDED_SETTINGS


def test_it_is_written_down_which_tasks_have_a_setting_that_was_added():
    assert {
        key: {
            name for name, kind in TASKS.items() if key.removeprefix("task.") in defaults_of(kind)
        }
        for key in ADDED_SETTINGS
        if key.startswith("task.")
    } == OF_TASKS


def test_runs_of_before_and_after_a_setting_of_a_task_was_added_do_not_differ_in_it(tmp_path):
    for seed in (0, 1):
        run = Run(
            Adding(4), network=Network(hidden_size=4), training=Training(updates=1), seed=seed
        )
        [outcome] = train_runs([run])
        (tmp_path / run.name).mkdir()
        write(tmp_path / run.name, outcome)
    said = json.loads((tmp_path / run.name / "run.json").read_text(encoding="utf-8"))
    for key in OF_TASKS:
        said["settings"].pop(key, None)
    write_sealed(tmp_path / run.name, said)

    results = load(tmp_path)

    assert results.varying == {"seed": [0, 1]}
    assert results.runs["task.lengths"].tolist() == ["batch", "batch"]


def test_a_folder_of_before_a_setting_was_added_is_the_run_with_its_default(tmp_path, monkeypatch):
    run = Run(network=Network(hidden_size=4), training=Training(updates=1))
    [outcome] = train_runs([run])
    (tmp_path / run.name).mkdir()
    write(tmp_path / run.name, outcome)
    added = ADDED_SETTINGS | {"training.hurry": 0.0}
    before = Run.settings

    monkeypatch.setattr("rnn_exp.schema.added.ADDED_SETTINGS", added)
    monkeypatch.setattr(Run, "settings", lambda run: before(run) | {"training.hurry": 0.0})
    later = Run(network=Network(hidden_size=4), training=Training(updates=1))

    assert RunFolders().of(tmp_path, later) == tmp_path / run.name
    assert is_done(tmp_path / run.name, later)
