"""Help made from the code: every column, every setting, and the values a shell completes."""

import dataclasses
import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest
import yaml

from rnn_exp import schema
from rnn_exp._hydra.described import LAUNCHER, sections
from rnn_exp._hydra.help import (
    catalogue,
    choices,
    completions,
    help_lines,
    plain_help,
    settings_lines,
)
from rnn_exp._hydra.quick import CATALOGUE, SETTINGS, help_text, quick_lines, words_of_keys
from rnn_exp.fields import SettingError, as_typed
from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.networks.inits import INITS
from rnn_exp.networks.network import CELLS
from rnn_exp.program import conf_folder
from rnn_exp.storage.run_json import NUMBERS
from rnn_exp.tasks import TASKS
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording
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
    for key, value in (run.settings() | {"network.engine": "auto"}).items():
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
    for words in ([], ["--help", "seed=1"], ["seed=1"], ["-sc", "install=bash"], ["-m", "query=1"]):
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


def test_groups_are_completed_with_every_init():
    assert quick_lines(QUERY, "rnn-exp init=") == sorted(f"init={name}" for name in INITS)


def test_a_reader_that_has_enough_ends_the_list_quietly():
    done = subprocess.run(
        f"{sys.executable} -m rnn_exp --columns | true",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""


QUERY = ["-sc", "query=bash"]
LINES = [
    "rnn-exp ",
    "rnn-exp ta",
    "rnn-exp task=co",
    "rnn-exp task=copy task.",
    "rnn-exp -m seed=1 network.",
    "rnn-exp nothing",
]


def test_the_words_that_complete_at_once_are_those_of_the_registries():
    assert json.loads(CATALOGUE.read_text()) == catalogue(), "python scripts/help_files.py"
    for key in catalogue():
        assert words_of_keys(key) == choices(key)
    for task in TASKS:
        typed = [f"task={task}"]
        assert words_of_keys("task.convention", typed) == choices("task.convention", typed)


HELP = ["--help"]
RECORDING = [field.name for field in dataclasses.fields(Recording)]


def test_what_help_says_of_settings_is_what_the_dataclasses_say():
    assert SETTINGS.read_text("utf-8") == plain_help(), "python scripts/help_files.py"


def test_help_shows_the_meaning_of_every_setting_and_what_is_allowed():
    shown = " ".join(" ".join(quick_lines(HELP, "")).split())
    every = [each for section in sections() for each in section.settings]

    assert [each.key for each in every if not each.meaning] == []
    assert [each.key for each in every if not each.allowed] == ["device", "task.length"]
    asked = {*Run().settings(), "objective", "use", f"{LAUNCHER}.backend"} - {"task", "init"}
    for each in every:
        if each.key in asked and f" {each.key}={each.default} {each.meaning}" in shown:
            is_long = len(each.options) > 12
            assert is_long or not each.allowed or f"{each.meaning} [{each.allowed}]" in shown
            asked.remove(each.key)
    assert asked == set()
    assert "objective=final_loss what a job returns" in shown
    assert "[one of 34 words: rnn-exp --settings objective]" in shown


def test_help_fits_a_terminal_as_it_opens():
    lines = quick_lines(HELP, "")

    assert max(map(len, lines)) <= 80
    assert all("``" not in line for line in lines)


def test_the_settings_of_workers_are_those_of_the_launcher():
    [workers] = [section for section in sections() if section.title == LAUNCHER]
    file = conf_folder() / "hydra" / "launcher" / "rnn_exp.yaml"
    own = yaml.safe_load(file.read_text("utf-8"))

    assert {each.key.removeprefix(f"{LAUNCHER}."): each.default for each in workers.settings} == {
        key: as_typed(value) for key, value in own.items() if key != "_target_"
    }


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["omega"], ["training.omega"]),
        (["training.omega"], ["training.omega"]),
        (["training.omega=2"], ["training.omega"]),
        (["task=copy"], ["task.length", "task.symbols", "task.values"]),
        (["recording", "seed"], [f"recording.{name}" for name in RECORDING] + ["seed"]),
    ],
)
def test_some_settings_alone_are_shown(words, keys):
    lines = help_lines(["--settings", *words])
    shown = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]

    assert shown == keys


def test_a_setting_that_there_is_not_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(SettingError, match=r"did you mean learning_rate\?"):
        help_lines(["--settings", "lerning_rate"])
    ended = start(tmp_path, "--settings", "omga")
    assert ended.code == 1
    assert ended.err.endswith("(did you mean omega?)\n")


@pytest.mark.parametrize(
    ("word", "meant"),
    [("copy", "task=copy: "), ("lstm", "  network.cell "), ("decay", "  study ")],
)
def test_a_choice_without_its_group_shows_the_settings_of_it_or_that_can_be_it(word, meant):
    lines = help_lines(["--settings", word])
    assert any(line.startswith(meant) for line in lines)
    with pytest.raises(SettingError, match=rf"\(did you mean {word}\?\)"):
        help_lines(["--settings", word[:2] + word[1] + word[2:]])


@pytest.mark.parametrize("words", [["--help", "omega"], ["omega", "-h"], ["-h", "copy", "omega"]])
def test_help_on_a_word_shows_what_settings_shows_of_it(words):
    asked = [word for word in words if not word.startswith("-")]
    assert help_lines(words) == help_lines(["--settings", *asked])


@pytest.mark.parametrize("word", ["", "=", "=copy"])
def test_no_word_is_not_the_settings_without_a_group(word):
    with pytest.raises(SettingError, match="allowed is a setting, a group or a choice"):
        help_lines(["--settings", word])


def test_completion_is_what_hydra_says_and_import_neither_hydra_nor_torch():
    program = f"""
import contextlib, io, os, sys
from rnn_exp import app

def said(*words, line=""):
    os.environ["COMP_LINE"], sys.argv[1:], out = line, words, io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        app.main()
    return out.getvalue().split()

said("--help")
quick = [said(*{QUERY}, line=line) for line in {LINES}]
print([name for name in ("torch", "hydra", "omegaconf", "numpy", "pandas") if name in sys.modules])
os.environ["RNN_EXP_PLUGINS"] = "1"
import rnn_exp._hydra.quick
rnn_exp._hydra.quick.quick_lines = lambda words, line: None
for mine, line in zip(quick, {LINES}, strict=True):
    its = said(*{QUERY}, line=line)
    print(bool(mine or "nothing" in line) and mine == its or (line, mine, its))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", *["True"] * len(LINES)], done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "rnn-exp use=[mine.py] task=",
        "rnn-exp study=decay task.",
        "rnn-exp --config-dir own study=",
        "rnn-exp hydra.laun",
        "rnn-exp task=adding,co",
        "rnn-exp task=mine task.",
        "rnn-exp 'hydra.sweeper.params={",
    ],
)
def test_what_files_of_users_or_hydra_have_a_part_in_is_left_to_hydra(line):
    assert quick_lines(QUERY, line) is None


def test_where_packages_bring_parts_of_their_own_nothing_is_answered_at_once(monkeypatch):
    monkeypatch.setattr("rnn_exp._hydra.quick.installed", lambda: ["something"])
    assert quick_lines(HELP, "") is None
    assert help_lines(HELP) == help_text(plain_help())
    monkeypatch.setenv("RNN_EXP_PLUGINS", "0")
    assert quick_lines(HELP, "") == help_text(plain_help())
