"""Refusals: one plain line for whatever Hydra, YAML or the system raises, and nothing written."""

import pytest
from omegaconf import OmegaConf

from rnn_exp import fields
from rnn_exp._hydra.command_line import in_hydras_order, quoted
from rnn_exp._hydra.hydra_settings import refuse_folder
from rnn_exp.fields import SettingError
from rnn_exp.networks import ACTIVATIONS, CELLS, INITS
from rnn_exp.networks.network import DTYPES
from rnn_exp.tasks import TASKS
from rnn_exp.training import keys
from rnn_exp.training.optimizers import OPTIMIZERS
from tests._hydra.test_composition import CONF
from tests.in_process import command

HEAD = "# @package _global_\n"

WORDS = {
    # slips of the form
    ("--task.length=10",): "--task.length=10: a setting has no dashes; write task.length=10",
    ("--task.length", "10"): "--task.length: a setting has no dashes; write task.length=10",
    ("--lenght=10",): "write lenght=10 (did you mean task.length=10?)",
    ("task.length", "100"): "task.length: write task.length=100",
    ("T=10",): "(did you mean task.length=10?)",
    ("length=10",): "(did you mean task.length=10?)",
    ("lr=0.1",): "(did you mean training.learning_rate=0.1?)",
    ("hidden=8",): "(did you mean network.hidden_size=8?)",
    ("clip=1",): "(did you mean training.clip_norm=1 or training.clip_value=1?)",
    ("study", "decay"): "study: write study=decay",
    ("help",): "help: write --help",
    ("init",): "init: write init=NAME; rnn-exp --help init shows what there is",
    ("--columns", "loss"): "--columns=loss is not possible: allowed is no other word",
    ("--version", "loss"): "--version=loss is not possible: allowed is no other word",
    ("decay",): "decay: did you mean study=decay?",
    ("seed", "=", "3"): "seed: write seed=3, without spaces",
    ("seed=", "3"): "seed=: write seed=3, without spaces",
    ("seed:3",): "seed:3: write seed=3",
    ("task.length=10,20",): "task.length=10,20: several values are a sweep, which needs -m",
    ("task.length=range(3,5)",): "several values are a sweep, which needs -m",
    ("hydra.run.dir=梯度",): "'hydra.run.dir=\"梯度\"'",
    ("-m", "init.gain=linspace(0,1,5)"): "there is no linspace; several values are",
    # a function whose arguments are wrong: quotes would not help
    **{
        (*sweep, f"seed={word}"): f"seed={word} is not possible: allowed is {mend}"
        for word, mend in {
            "range(a)": "range(stop), range(start,stop) or range(start,stop,step) of numbers",
            "range()": "range(stop), ",
            "range(3,)": "range(stop), ",
            "range(1,2,3,4)": "range(stop), ",
            "range(1": "range(stop), ",
            "logspace(a,b,c)": "logspace(first,last,count)",
            "interval(a,b)": "interval(low,high) of two numbers",
            "choice()": "the values themselves",
            "glob(1,2)": "glob(pattern)",
            "int(a)": "the number itself",
        }.items()
        for sweep in ((), ("-m",))
    },
    ("note=range(a)",): "the quotes quoted for the shell: 'note=\"range(a)\"'",
    ("seed=range(1:3)",): "seed=range(1:3): write seed=range(1,3)",
    ("seed=interval(0,1)",): "an interval is for a search: rnn-exp -m hydra/sweeper=optuna",
    ("-m", "seed=interval(0,1)"): "an interval is for hydra/sweeper=optuna",
    ("-m", "seed=shuffle()"): "allowed is the values themselves in it: shuffle(1,2,3)",
    ("-m", "task=sort()"): "allowed is the values themselves in it: sort(3,1,2)",
    ("-m", "seed=glob(*)"): "allowed is glob(pattern) for what has names to choose from",
    ("-m", "seed=range(-0.5)"): "at least one number from start to stop",
    ("-m", "seed=1,,2"): "a value is missing between commas; write seed=1,2",
    ("network=gru", "network.hidden_size=8"): "(did you mean network.cell=gru?)",
    ("page=x",): "page=x is not possible: allowed is a group of settings\n",
    ("task=5",): "task=5 is not possible: allowed is one of adding,",
    ("study=null",): "study=null is not possible: allowed is one of adding,",
    ("task.name=latch",): "task.name=latch: write task=latch\n",
    ("task=temporal_order", "task.name=latch"): "task.name=latch: write task=latch\n",
    ("-m", "init.name=torch,identity"): "write init=torch,identity\n",
    ("task.name=latsh",): "(did you mean latch?)",
    # options
    ("--package", "task"): "--package task: that is for --cfg",
    ("--nope",): "there is no option --nope",
    ("--config-dri", "x"): "(did you mean --config-dir?)",
    ("--cfg", "nope"): "choose from 'job', 'hydra', 'all'",
    ("--config-dir",): "expected one argument",
    ("--config-dir", "nowhere"): "--config-dir nowhere: there is no such folder",
    ("--config-name=nope",): "--config-name nope: there is no such file",
    ("--experimental-rerun", "x"): "a run is made again by the command in its run.json",
    # values that cannot be
    ("init.name=[1]",): "init.name=[1] is not possible",
    ("network.dtype=bfloat16",): "allowed is one of float32, float64\n",
    ("task.length=9223372036854775808",): "and of at most 2147483647",
    ("network.hidden_size=1000000000000",): "and of at most 2147483647",
    ("seed=" + 5000 * "9",): "a number of more than 4300 digits",
    ("training.clip_value=1e39",): "at most 3.403e+38 with network.dtype=float32",
    ("network.initial_state=1e39",): "at most 3.403e+38 with network.dtype=float32",
    ("init=critical", "init.input_scale=1e6"): "allowed is less, with init=critical",
    ("seed=" + 300 * "[" + 300 * "]",): "nested too deeply",
    ("network.activation='a\nb'",): "network.activation=a b is not possible",
    ("network.activation='\x1b[31m'",): "network.activation=\\x1b[31m is not possible",
    ("network.activation=" + 200_000 * "x",): "letters; at most 100000",
    ("hydra.run.dir=" + 300 * "x",): "File name too long",
    ("hydra.run.dir=null",): "hydra.run.dir=null is not possible",
    (
        "hydra.run.dir=/dev/null/x",
    ): "allowed is a folder that can be made and read (/dev/null/x: Not",
    (
        "-m",
        "hydra.sweep.dir=/dev/null/x",
        "seed=0,1",
    ): "hydra.sweep.dir=/dev/null/x is not possible: allowed is a folder",
    ("-m", "page.figures=[decya]", "seed=0,1"): "(did you mean decay?)",
    ("-m", "page.answer=[decya]", "seed=0,1"): "(did you mean decay?)",
    ("page.figures=[decya]",): "(did you mean decay?)",
    ("page.answer=[decya]",): "(did you mean decay?)",
    (
        "hydra.launcher.processes=0",
    ): "hydra.launcher.processes=0 is not possible: allowed is a whole",
    ("task.length=10 init.gain=2",): "settings are separate words: task.length=10 init.gain=2\n",
    ("-m", "seed=0,1 task=copy"): "settings are separate words: seed=0,1 task=copy\n",
    ("hydra.run.dir=my runs/a=1 b=2",): "the quotes quoted for the shell: 'hydra.run.dir=",
    ("note=with (init.gain=2",): "the quotes quoted for the shell: 'note=",
    (
        "-m",
        "page.question=a,b",
        "seed=0,1",
    ): "page.question=a,b is not possible: allowed is one for",
    ("-m", "page.question=${seed}", "seed=0,1"): "page.question",
    # what would be passed over
    ("-m", "hydra.mode=RUN", "seed=0,1"): "hydra.mode=RUN: -m asks for a sweep",
    ("--run", "hydra.mode=MULTIRUN"): "hydra.mode=MULTIRUN: --run asks for one run",
    ("--run", "study=decay"): "hydra.mode=RUN is not possible: allowed is MULTIRUN, since there is",
    ("study=decay", "study=phase"): "study is typed twice: study=decay and study=phase; leave one",
    # what is typed twice
    (
        "task.length=20,30",
        "task.length=10",
    ): "task.length is typed twice: task.length=20,30 and task.length=10; "
    "write task.length=20,30,10 with -m, or leave one out\n",
    ("-m", "seed=0", "seed=1,2"): "write seed=0,1,2 with -m, or leave one out\n",
    ("seed=0", "+seed=0"): "seed is typed twice: seed=0 and +seed=0; leave one out\n",
    ("seed=0", "seed=1", "++seed=2"): "seed is typed 3 times: ",
    ("task=adding", "task=latch"): "write task=adding,latch with -m, or leave one out\n",
    ("init={gain: 2}", "init.gain=3"): "init.gain is typed twice: init={gain: 2} and init.gain=3",
    ("use=[a.py]", "use=[b.py]"): "write use=[a.py,b.py], or leave one out\n",
    ("note=a", "note=b"): "note is typed twice: note=a and note=b; leave one out\n",
    ("hydra.run.dir=a", "hydra.run.dir=b"): "hydra.run.dir is typed twice",
    ("-cd", ".", "--config-dir=."): "--config-dir is typed twice; leave one out\n",
    (
        "-m",
        "hydra.sweeper.paired=[{task: {length: 10}}]",
        "task.length=10",
    ): "task.length is typed twice, in hydra.sweeper.paired and as task.length=10; leave one out\n",
    ("-m", "hydra.sweeper.paired=[{seed: 1, seed: 2}]"): "a dictionary, which has seed twice\n",
    ("init={gain: 1, gain: 2}",): "a dictionary, which has gain twice\n",
    (
        "-m",
        "hydra.sweeper.params={task: {length: 5}, task.length: 9}",
    ): "allowed is each key once: task.length is there twice\n",
    # what would be left out
    **{
        (word, *beside): f"{word}: a setting cannot be left out; without a word it has its default"
        for word in ("~task.length", "~init.gain", "~seed", "~study", "~task.length=10")
        for beside in ((), ("task.length=10",))
    },
    ("~init",): "~init: a group of settings cannot be left out",
    ("~nix",): "~nix: there is no such setting, and none can be left out\n",
    **{
        (f"~{key}",): f", or write {key}=null\n"
        for key in ("training.clip_norm", "note", "use", "page.question", "evaluation.every")
    },
    # what is not closed
    ('note="unclosed',): 'note="unclosed: the " is not closed; write \'note="unclosed"\'\n',
    ("note='unclosed",): "note='unclosed: the ' is not closed; write 'note=\"unclosed\"'\n",
    ("tags=[a",): "tags=[a: the [ is not closed; write 'tags=[a]'\n",
    ("init={gain: [1",): "the [ is not closed; write 'init={gain: [1]}'\n",
    ("init.gain=logspace(1,5",): "powers of ten from -300 to 300; the ( is not closed\n",
    # one text that looks like several values
    ("note=a,b",): "a text with a comma is quoted, and its quotes once more: 'note=\"a,b\"'\n",
    ("tags=a,b",): "tags=a,b: several words are a list: 'tags=[a,b]'\n",
    ("hydra.run.dir=a,b",): "once more: 'hydra.run.dir=\"a,b\"'\n",
    # an objective that the run cannot have
    **{
        (*sweep, "objective=final_test_loss"): "allowed is this with evaluation.every=…, a multiple"
        for sweep in ((), ("-m", "seed=0,1"))
    },
    ("objective=final_test_error",): "evaluation.every=…",
    ("objective=decay_rate_h",): "allowed is this with network.cell=lstm",
    (
        "-m",
        "objective=log10_change_h",
        "network.cell=lstm,gru",
    ): "allowed is this with network.cell",
    ("-m", "objective=final_test_loss", "evaluation.every=10,null"): "evaluation.every=…",
    # folders
    ("--config-path", "foo"): "--config-path foo: there is no such folder; a folder with studies",
    ("--config-path", "."): "--config-path .: write its whole path, --config-path /",
    ("--config-dir", ".", "study=scale"): "; there is no study/scale.yaml\n",
    ("+foo=1",): "+foo=1: there is no such setting; allowed is one of device, evaluation, init, ",
    ("foo=1",): "foo=1: there is no such setting; allowed is one of device, evaluation, init, ",
    ("hydra.launcher.processes=2",): "allowed is this for sweeps alone (-m); a single run trains",
    (
        "study=decay.yaml",
    ): "study=decay.yaml is not possible: allowed is a name without a path: study=",
    ("study=../study/decay",): "allowed is a name without a path: study=decay\n",
    ("study=decay", "hydra.sweeper.params={}"): "allowed is null, which takes the grid away",
    ("-m", "hydra.sweeper.paired=[{use: [x.py]}]"): "use=[…] outside of its grid",
    ("-m", "hydra.sweeper.paired=[{seed: range(3)}]"): 'in quotes: {seed: "range(3)"}',
    ("hydra.searchpath=[nowhere]",): "hydra.searchpath=file://nowhere is not possible: allowed is",
    ("+hydra.nope=1",): "hydra.nope=1 is not possible: allowed is one of hydra.",
    ("+hydra.job.nope=1",): "(did you mean hydra.job.name?)",
    (
        "-m",
        "hydra.launcher.address=tcp://h:1",
        "seed=0,1",
    ): "allowed is null with backend=processes",
    (
        "-m",
        "+hydra.launcher.nope=1",
    ): "hydra.launcher.nope=1 is not possible: ",
}


@pytest.mark.parametrize("words", WORDS, ids=lambda words: " ".join(words)[:40].encode())
def test_a_command_line_is_refused_in_one_line_that_says_what_to_write(tmp_path, words):
    ended = command(tmp_path, *words)

    assert ended.is_refusal, ended
    assert ended.err.startswith("rnn-exp: ")
    assert WORDS[words] in ended.err


# Without a command: one that is not refused would write there.
@pytest.mark.parametrize("folder", ["/", "/tmp/..", ".", "${oc.env:HOME}"])
def test_the_root_and_the_home_of_a_user_are_no_folders_of_results(tmp_path, monkeypatch, folder):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingError, match=r"^hydra\.sweep\.dir=.* allowed is a folder of its own"):
        refuse_folder("hydra.sweep.dir", OmegaConf.create({"dir": folder}))

    for below in ("results", "${oc.env:HOME}/results", "/results", "${rnn_exp.run_name:}"):
        refuse_folder("hydra.sweep.dir", OmegaConf.create({"dir": below}))


FILES = {
    HEAD + "training:\n\tupdates: 3\n": "line 3, column 1: found character '\\t' that cannot start",
    HEAD + "training:\n  updates: 3\n  updates: 4\n": "line 4, column 3: found duplicate key",
    HEAD + "a: b: c\n": "my/study/mine.yaml, line 2, column 5: mapping values are not allowed",
    HEAD + "seed: 012\n": "line 2, column 7: 012 is 10 to YAML; write 10, or '012'",
    HEAD + "training: {updates: 1:30}\n": "1:30 is 90 to YAML; write 90, or '1:30'",
    HEAD + "seed: *nope\n": "line 2, column 7: found undefined alias 'nope'",
    HEAD + "seed: \0\n": "my/study/mine.yaml: a sign that YAML does not allow",
    HEAD + "seed: \udcff\n": "my/study/mine.yaml is not UTF-8",
    HEAD + "seed: " + 3000 * "[": "nested too deeply",
    HEAD + "seed: ${nope}\n": "seed: Interpolation key 'nope' not found",
    HEAD + "defaults:\n  - task: nope\n": "Could not find 'study/task/nope'",
}


@pytest.mark.parametrize("text", FILES, ids=range(len(FILES)))
def test_a_study_file_is_refused_in_one_line_that_says_where(tmp_path, text):
    file = tmp_path / "my" / "study" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode("utf-8", "surrogateescape"))

    ended = command(tmp_path, "study=mine", "--config-dir", "my")

    assert ended.is_refusal, ended
    assert FILES[text] in ended.err


def test_a_run_of_any_primary_file_is_checked_before_anything_is_written(tmp_path):
    (tmp_path / "mine.yaml").write_text("task:\n  length: 12\n")

    ended = command(tmp_path, "--config-dir", ".", "--config-name", "mine")

    assert ended.is_refusal, ended
    assert "task.name=null is not possible: allowed is one of" in ended.err


def test_a_dictionary_that_is_typed_wins_over_the_study(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "mine.yaml").write_text(f"{HEAD}task: {{length: 12}}\n")

    ended = command(tmp_path, "--config-dir", ".", "study=mine", "task={length: 13}")

    assert ended.code == 0, ended
    assert "adding-T13-" in ended.out


@pytest.mark.parametrize(
    "words",
    [
        ["a=1", "-m", "b=2"],
        ["-m", "a=1", "b=2"],
        ["a=1", "b=2", "-m"],
    ],
)
def test_options_may_stand_anywhere(words):
    assert in_hydras_order(words, CONF) == ["a=1", "b=2", "-m"]


def test_an_option_keeps_its_value_wherever_it_stands(tmp_path):
    words = ["study=x", "--config-dir", str(tmp_path), "seed=3", "--config-name=n", "-m"]

    assert in_hydras_order(words, CONF) == [
        *("study=x", "seed=3", "--config-dir", str(tmp_path), "--config-name=n", "-m")
    ]


def test_help_beside_several_values_is_shown(tmp_path):
    for words in (("-m", "--help", "seed=0,1"), ("task=copy,latch", "-h", "--multirun")):
        ended = command(tmp_path, *words)
        assert ended.code in (0, None), ended
        assert ended.out.startswith("rnn-exp trains recurrent networks")


@pytest.mark.parametrize("sweep", [(), ("-m",)])
@pytest.mark.parametrize(
    ("word", "hint"),
    {
        "task=echo": "(echo.py is here: add use=[echo.py])",
        "init=echo": "(echo.py is here: add use=[echo.py])",
        "network.cell=echo": "(echo.py is here: add use=[echo.py])",
        "training.echo=0.1": "(echo.py is here: add use=[echo.py])",
        "study=mine": "(study/mine.yaml is here: add --config-dir .)",
    }.items(),
)
def test_a_name_whose_file_is_in_the_current_folder_is_refused_with_the_word_that_brings_it(
    tmp_path, sweep, word, hint
):
    assert "is here" not in command(tmp_path, *sweep, word).err
    (tmp_path / "study").mkdir()
    for file in ("echo.py", "study/mine.yaml"):
        (tmp_path / file).touch()

    ended = command(tmp_path, *sweep, word)

    assert ended.code == 1
    assert ended.err.endswith(f"{hint}\n")
    if "use=" in hint:  # it is used, and has nothing of this name
        assert "is here" not in command(tmp_path, *sweep, "use=[echo.py]", word).err


def test_a_quoted_word_is_what_was_meant(tmp_path):
    import shlex

    [word] = shlex.split(quoted("hydra.run.dir=my runs/梯度") or "")

    ended = command(tmp_path, word)

    assert ended.code == 0
    assert "my runs/梯度" in ended.left


OPTIONS = [ACTIVATIONS, CELLS, INITS, DTYPES, TASKS, OPTIMIZERS]


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_a_slip_in_any_registered_name_is_seen(options):
    """A letter twice, and two letters in the wrong order, of every name of five letters or more."""
    for name in options:
        for place in range(1, len(name) - 1) if len(name) > 4 else ():
            a, b = name[place], name[place + 1]
            doubled = name[:place] + a + name[place:]
            swapped = name[:place] + b + a + name[place + 2 :]
            for slip in {doubled, swapped} - {*options}:
                if not (a + b).isalpha():
                    continue
                assert fields.suggestion(slip, options) == f" (did you mean {name}?)"


@pytest.mark.parametrize("word", ["bfloat16", "float16", "half", "selu", "celu", "nadam"])
def test_the_name_of_another_thing_is_no_slip(word):
    assert [fields.suggestion(word, options) for options in OPTIONS] == ["" for _ in OPTIONS]


def test_other_names_are_those_of_settings_that_there_are():
    names = {key.rpartition(".")[2] for key in keys.keys_like("length")}

    assert names == {"length"}
    for name, others in keys._OTHER_NAMES.items():
        for other in others:
            assert [key.rpartition(".")[2] for key in keys.keys_like(other)] == [name]


def test_the_traceback_is_shown_to_who_asks_for_it(tmp_path, monkeypatch):
    from rnn_exp._hydra import refusals

    monkeypatch.setattr(refusals.program, "leave", lambda name, why: (_ for _ in ()).throw(Left))
    printed: list[BaseException] = []
    monkeypatch.setattr(refusals.traceback, "print_exception", printed.append)
    token = refusals.WITH_TRACEBACK.set(True)
    error = ValueError("no")
    try:
        with pytest.raises(Left):
            refusals.refuse(error)
    finally:
        refusals.WITH_TRACEBACK.reset(token)

    assert printed == [error]


class Left(Exception):  # noqa: N818 - raised in the place of SystemExit
    """The command has been left."""
