"""Help made from the code: every column, every setting, and the values a shell completes."""

import dataclasses
import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from rnn_exp import schema
from rnn_exp._hydra.help import choices, completions, help_lines, settings_lines
from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.networks.inits import INITS
from rnn_exp.networks.network import CELLS
from rnn_exp.storage.run_json import NUMBERS
from rnn_exp.tasks import TASKS
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.run import Run
from tests._hydra.test_app import files, start
from tests.task_files import example, needs


def without(modules, *words, **environment):
    """What the command prints in a process of its own, which must not have imported these."""
    program = (
        "import sys; from rnn_exp.app import main; sys.argv[0] = 'rnn-exp'; main()\n"
        f"print(sorted({set(modules)!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    assert done.stderr == "[]\n"
    return done.stdout.splitlines()


def test_columns_prints_the_schema_without_torch_or_hydra():
    assert without(["torch", "hydra", "pandas"], "--columns") == list(schema.column_lines())


def test_the_version_is_ours_and_needs_neither_torch_nor_hydra():
    [line] = without(["torch", "hydra", "pandas"], "--version")

    assert line.startswith(f"rnn-exp {version('rnn-exp')} (torch 2.")
    assert f", hydra {version('hydra-core')}, python 3." in line


def test_settings_are_printed_and_nothing_is_written(tmp_path):
    ended = start(tmp_path, "--settings")

    assert ended.code == 0
    assert ended.err == ""
    assert ended.out.splitlines() == list(settings_lines())
    assert files(tmp_path) == {}


@pytest.mark.parametrize("task", TASKS)
def test_every_setting_of_a_run_is_listed_with_its_default(task):
    run = Run(task=example(task))
    rows = [line.split() for line in settings_lines() if line.startswith("  ")]

    given = {f"task.{key}" for key in ("sha256", "length", *needs(task))}
    for key, value in run.settings().items():
        if key not in ("task", "init", *given):
            text = "null" if value is None else str(value).lower()
            assert any(row[:2] == [key, text] for row in rows), key


def test_every_task_and_every_init_has_a_part_with_its_settings():
    lines = list(settings_lines())

    for group, registry in (("task", TASKS), ("init", INITS)):
        for name, kind in registry.items():
            [title] = [line for line in lines if line.startswith(f"{group}={name}: ")]
            own = lines[lines.index(title) + 1 :]
            own = own[: own.index("")]
            listed = [line.split()[0] for line in own if line.startswith(f"  {group}.")]
            assert listed == [f"{group}.{field.name}" for field in dataclasses.fields(kind)]


def test_a_setting_says_what_is_allowed_and_what_it_means():
    text = " ".join(" ".join(settings_lines()).split())

    assert f"network.activation tanh one of {', '.join(ACTIVATIONS)} " in text
    assert "objective final_loss one of lags, " in text
    assert "tracking none one of none, tensorboard " in text
    assert (
        "training.clip_norm null a number above 0 or null the gradient of a run is scaled" in text
    )
    assert "``" not in text
    assert max(map(len, settings_lines())) <= 100


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("network.activation", ACTIVATIONS),
        ("network.cell", CELLS),
        ("training.optimizer", OPTIMIZERS),
        ("hydra.launcher.backend", ["processes", "dask", "ray"]),
        ("objective", NUMBERS),
        ("tracking", ["none", "tensorboard"]),
        ("training.updates", None),
        ("seed", None),
        ("network.colour", None),
        ("nothing.at_all", None),
    ],
)
def test_a_key_has_the_choices_of_its_field(key, options):
    assert choices(key) == (None if options is None else list(options))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rnn-exp training.optimizer=", list(OPTIMIZERS)),
        ("rnn-exp training.optimizer=s", ["sgd"]),
        ("rnn-exp training.optimizer=nothing", []),
        ("rnn-exp -m seed=1 training.optimizer=sgd,a", ["sgd,adam"]),
    ],
)
def test_values_of_a_choice_are_completed(line, expected):
    assert completions(line) == [f"training.optimizer={option}" for option in expected]


def test_a_setting_of_a_task_is_completed_for_the_task_that_is_chosen():
    first = completions("rnn-exp task=adding task.convention=")

    assert first == completions("rnn-exp task.convention=")
    assert "task.convention=pascanu" in first
    assert completions("rnn-exp task=copy task.convention=") is None
    assert completions("rnn-exp +init.variant=sig") == ["+init.variant=sigmoid"]


@pytest.mark.parametrize(
    "line", ["", "rnn-exp", "rnn-exp net", "rnn-exp task=", "rnn-exp training.optimizer=sgd "]
)
def test_what_is_no_choice_is_left_to_hydra(line):
    assert completions(line) is None


def test_no_other_command_line_is_answered():
    for words in ([], ["--help"], ["seed=1"], ["-sc", "install=bash"], ["-m", "query=1"]):
        assert help_lines(words) is None


@pytest.mark.parametrize("option", ["-sc", "--shell-completion"])
@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_every_shell_that_asks_gets_the_choices(monkeypatch, shell, option):
    monkeypatch.setenv("COMP_LINE", "rnn-exp network.activation=")

    assert help_lines([option, f"query={shell}"]) == [
        f"network.activation={name}" for name in ACTIVATIONS
    ]


def test_choices_are_completed_without_hydra():
    printed = without(["hydra"], "-sc", "query=bash", COMP_LINE="rnn-exp network.cell=")

    assert printed == [f"network.cell={name}" for name in CELLS]


def test_groups_are_completed_by_hydra_without_torch():
    [printed] = without(["torch"], "-sc", "query=bash", COMP_LINE="rnn-exp init=")

    assert printed.split() == sorted(f"init={name}" for name in INITS)


def test_a_reader_that_has_enough_ends_the_list_quietly():
    done = subprocess.run(
        f"{sys.executable} -m rnn_exp --columns | true",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""
