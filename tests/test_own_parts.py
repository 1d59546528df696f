"""Own parts: a file that is used, what it registers, and the identity that it gives to runs."""

import json
import linecache
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import rnn_exp as rx
from rnn_exp._hydra.help import help_lines
from rnn_exp.fields import SettingError
from rnn_exp.networks import ACTIVATIONS, CELLS, Network
from rnn_exp.registry import Registry, Source, SourceError, SourceText, use
from rnn_exp.registry.loading import load_plugins
from rnn_exp.tasks import TASKS
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.run import Run, run_from
from rnn_exp.training.settings import Training
from tests._hydra.test_app import start
from tests.using import forget_used_files

TASK = '''"""Tell the sign of the first input."""

import dataclasses
import math
from typing import ClassVar

import torch

import rnn_exp as rx
from rnn_exp.fields import check, number, whole
from rnn_exp.tasks.task import Batch, Classification


@rx.register
@dataclasses.dataclass(frozen=True)
class FirstSign(Classification):
    """Tell the sign of the first input.

    Args:
        length: L, in time steps.
        noise: standard deviation of all others.
    """

    length: int = whole(20, least=2)
    noise: float = number(1.0, least=0)

    name: ClassVar[str] = "first_sign"
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 2
    chance_loss: ClassVar[float] = math.log(2)
    chance_error: ClassVar[float] = 0.5

    def __post_init__(self):
        check(self)

    def draw(self, batch_size, generator):
        x = torch.randn(self.length, batch_size, 1, generator=generator) * self.noise
        signs = torch.randint(0, 2, (batch_size,), generator=generator)
        x[0, :, 0] = 2.0 * signs - 1
        cues = torch.ones(1, batch_size, dtype=torch.int64)
        return Batch(x, signs.unsqueeze(0), cues, self.length)
'''
WORDS = ("use=[mine.py]", "task=first_sign", "task.length=8", "network.hidden_size=4")
SHORT_3 = Training(updates=3)
SHORT = (*WORDS, "training.updates=2")


PARTS = '''"""A cell with a setting of its own, and a penalty."""

import dataclasses
from typing import ClassVar

import torch

import rnn_exp as rx
from rnn_exp.fields import check, number
from rnn_exp.networks import CellKind
from rnn_exp.networks.cells import Elman, Skip
from rnn_exp.training.own_penalties import OwnPenalty


@dataclasses.dataclass(frozen=True)
class Slow:
    """A leaky unit whose step is a setting of its own.

    Args:
        pace: its step.
    """

    pace: float = number(0.5, above=0)

    def __post_init__(self):
        check(self)


rx.register(CellKind("slow", lambda phi, own: Skip(phi, 1 - own.pace, own.pace), options=Slow))


@rx.register
@dataclasses.dataclass(frozen=True)
class Distance(OwnPenalty):
    """The squared distance of W from an orthogonal matrix.

    Args:
        distance: its weight.
    """

    distance: float = number(0.0, least=0)
    power: float = number(1.0)

    name: ClassVar[str] = "distance"

    @property
    def weight(self):
        return self.distance

    def value(self, weight_hh):
        missed = weight_hh.mT @ weight_hh - torch.eye(weight_hh.shape[-1], dtype=weight_hh.dtype)
        return missed.square().sum((-1, -2)) ** self.power
'''
SLOW = ("use=[parts.py]", "network.cell=slow", "network.hidden_size=4", "training.updates=2")


@pytest.fixture
def parts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "parts.py"
    path.write_text(PARTS)
    return path


@pytest.fixture(autouse=True)
def forgotten():
    """Take off what a test's files have registered."""
    yield
    forget_used_files()


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.py"
    path.write_text(TASK)
    return path


def refusal(folder: Path, *words: str) -> str:
    """The one line in which a command is refused."""
    ended = start(folder, *words)
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    return ended.err


def run_json(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.rglob("run.json"))]


def test_a_file_brings_a_task_that_is_trained_as_any_other(mine, tmp_path):
    ended = start(tmp_path, *SHORT)

    assert (ended.code, ended.err) == (0, "")
    [said] = run_json(tmp_path)
    assert said["status"] == "finished"
    assert said["settings"]["task.noise"] == 1.0
    assert said["command"].startswith("rnn-exp 'use=[mine.py]' task=first_sign ")
    [source] = said["sources"]
    assert source == f"task=first_sign mine.py {rx.use(mine).sha256}"
    assert rx.load(tmp_path / "outputs").runs["sources"].tolist() == [source]


def test_without_the_file_its_word_is_unknown_and_results_are_read_without_running_it(
    mine, tmp_path
):
    start(tmp_path, *SHORT)
    mine.write_text("raise SystemExit('this file was run')")

    assert len(rx.load(tmp_path / "outputs").runs) == 1
    ended = start(tmp_path, *SHORT[1:])
    assert ended.code == 1
    assert ended.err.startswith("rnn-exp: task=first_sign is not there: allowed is one of ")


def test_the_same_bytes_come_from_processes_beside_this_one(mine, tmp_path):
    grid = ("-m", *SHORT, "seed=0,1,2,3", "task.noise=0.5,1", "training.batch_size=2,3")
    one = start(tmp_path, *grid, "hydra.sweep.dir=one")
    two = start(tmp_path, *grid, "hydra.sweep.dir=two", "hydra.launcher.processes=2")

    assert (one.code, two.code) == (0, 0)
    runs = sorted((tmp_path / "one").glob("first*"))
    assert len(runs) == 16
    for run in runs:
        twin = tmp_path / "two" / run.name
        for name in ("gradients.parquet", "updates.parquet", "weights.safetensors"):
            assert (run / name).read_bytes() == (twin / name).read_bytes()


def test_a_changed_file_makes_another_run_and_the_same_file_elsewhere_the_same(mine, tmp_path):
    first = start(tmp_path, *SHORT)
    again = start(tmp_path, *SHORT)
    mine.write_text(TASK + "\n# more\n")
    changed = start(tmp_path, *SHORT)

    assert "already there" not in first.out
    assert "already there" in again.out
    assert "already there" not in changed.out
    assert len({said["digest"] for said in run_json(tmp_path)}) == 2


def test_a_study_names_its_file_beside_it(mine, tmp_path):
    (tmp_path / "my/study").mkdir(parents=True)
    mine.rename(tmp_path / "my/mine.py")
    (tmp_path / "my/study/signs.yaml").write_text(
        "# @package _global_\n# Does the sign stay?\ndefaults:\n  - override /task: first_sign\n"
        "use: [mine.py]\ntask: {length: 8}\ntraining: {updates: 2}\n"
        "hydra: {sweeper: {params: {seed: '0,1'}}}\n"
    )
    ended = start(tmp_path, "--config-dir", "my", "study=signs")

    assert (ended.code, ended.err.count("Traceback")) == (0, 0)
    assert {said["settings"]["task"] for said in run_json(tmp_path)} == {"first_sign"}
    assert run_json(tmp_path)[0]["command"].startswith("rnn-exp 'use=[my/mine.py]' ")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            b"import math\n# caf\xe9\n",
            "line 2 has the byte 0xe9, which is not utf-8: save",
        ),
        ("import math\n".encode("utf-16"), "line 1 has the byte 0xff, which is not utf-8"),
        (
            b"# -*- coding: ascii -*-\n\nx = 'caf\xc3\xa9'\n",
            "line 3 has the byte 0xc3",
        ),
        (b"# -*- coding: nope -*-\n", "in its first line; unknown encoding: nope"),
        (b"import math\n\0\n", "zero bytes are no text"),
    ],
)
def test_a_file_that_is_no_text_is_refused_by_its_line(tmp_path, content, why):
    (tmp_path / "text.py").write_bytes(content)
    with pytest.raises(SourceError, match=why) as refused:
        use(tmp_path / "text.py")
    assert "\n" not in str(refused.value)


def test_a_file_may_say_its_encoding(tmp_path):
    for name, content in {
        "latin_text.py": "# -*- coding: latin-1 -*-\nword = 'café'\n".encode("latin-1"),
        "marked_text.py": "word = 'café'\n".encode("utf-8-sig"),
    }.items():
        (tmp_path / name).write_bytes(content)
        use(tmp_path / name)
        assert sys.modules.pop(f"rnn_exp_use_{name[:-3]}").word == "café"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("use=[none.py]",), "use=none.py is not possible: allowed is the path of a Python file"),
        (("use=mine.txt",), "use=mine.txt is not possible: allowed is the path of a Python file"),
        (("use=[[mine.py]]",), "allowed is a list of Python files"),
        (("-m", "use=mine.py,other.py"), "allowed is a list of Python files"),
        (
            ("use=broken.py",),
            "use=broken.py is not possible: allowed is a file that runs without an error; line 2: ",
        ),
        (("use=slip.py",), "without an error; line 1: SyntaxError"),
        (("use=leaves.py",), "without an error; line 1: SystemExit: 3"),
        (("use=taken.py",), "register=adding is not possible: allowed is a name of its own"),
        (("use=[mine.py]", "task=first_sign", "task.nois=1"), "did you mean task.noise?"),
        (("use=[mine.py]", "task=first_sign", "task.length=1"), "of at least 2"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line_and_nothing_is_written(
    mine, tmp_path, words, why
):
    (tmp_path / "broken.py").write_text("import math\nmath.nope\n")
    (tmp_path / "slip.py").write_text("def f(:\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "taken.py").write_text(TASK.replace('"first_sign"', '"adding"'))
    before = sorted(tmp_path.rglob("*"))

    assert why in refusal(tmp_path, *words)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_settings_of_an_own_task_are_listed_and_completed(mine, tmp_path):
    ended = start(tmp_path, "--settings", "use=[mine.py]")

    assert "task=first_sign: Tell the sign of the first input." in ended.out
    assert "standard deviation of all others" in ended.out


def test_a_file_that_fails_leaves_the_registries_as_they_were(mine):
    before = dict(TASKS)
    mine.write_text(TASK + "\nraise ValueError('at the end')\n")

    with pytest.raises(SourceError, match=r"line 4\d: ValueError: at the end"):
        use("mine.py")

    assert dict(TASKS) == before


def test_a_file_that_is_used_again_replaces_what_it_registered(mine):
    first = use("mine.py")
    kind = TASKS["first_sign"]
    assert use("mine.py") == first
    assert TASKS["first_sign"] is kind

    mine.write_text(TASK.replace('"first_sign"', '"sign"'))
    second = use("mine.py")

    assert "first_sign" not in TASKS
    assert TASKS.source_of("sign") == second != first


def test_a_run_reaches_a_process_that_has_not_used_the_file(mine):
    use("mine.py")
    run = Run(task=TASKS["first_sign"](8))
    function, (texts, config, digest) = run.__reduce__()
    for remove in sys.modules.pop("rnn_exp_use_mine").__dict__["__rnn_exp_loading__"].remove:
        remove()
    assert "first_sign" not in TASKS

    arrived = function(texts, config, digest)

    assert arrived.digest == run.digest
    assert arrived.task.name == "first_sign"


def test_a_worker_that_has_another_text_of_the_file_refuses(mine):
    use("mine.py")
    [text] = Run(task=TASKS["first_sign"](8)).__reduce__()[1][0]
    other = SourceText(Source("mine.py", "0" * 64, path="mine.py"), b"x = 1\n")

    text.load()
    with pytest.raises(SourceError, match=r"a worker has mine.py .*start the workers anew"):
        other.load()


def test_what_is_registered_directly_has_a_source_as_well(monkeypatch):
    words = Registry("word")

    class Mine:
        name = "mine"

    words.register(Mine)

    assert words.source_of("mine") is not None
    assert words.source_of("mine").name == Path(__file__).name


def test_a_class_that_is_registered_nowhere_is_part_of_the_digest(mine):
    use("mine.py")
    own = TASKS["first_sign"]
    TASKS._remove("first_sign", TASKS.source_of("first_sign"))

    assert [source.name for source in Run(task=own(8)).sources.values()] == ["mine.py"]


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        (object(), "something whose name is a word"),
        (type("T", (), {"name": "two words"}), "something whose name is a word"),
        (type("T", (), {"name": "thing"}), "allowed is one of task, init, activation, cell, "),
    ],
)
def test_what_is_no_part_of_a_run_is_refused(thing, why):
    with pytest.raises(SettingError, match=why):
        rx.register(thing)


def test_packages_are_not_looked_for_where_they_are_turned_off(monkeypatch):
    monkeypatch.setenv("RNN_EXP_PLUGINS", "0")
    monkeypatch.setattr("rnn_exp.registry.packages.entry_points", lambda **_: 1 / 0)

    load_plugins.__wrapped__()


@pytest.mark.parametrize("finder", ["importlib.metadata", "importlib_metadata"])
def test_a_package_registers_and_one_that_cannot_be_imported_is_one_line(
    tmp_path, monkeypatch, finder
):
    pytest.importorskip(finder)  # the second, which dask imports, replaces the first's classes
    package = tmp_path / f"acme_{finder.count(chr(46))}"  # Python imports a package once
    package.mkdir()
    (package / "__init__.py").write_text(
        "import rnn_exp as rx\nfrom rnn_exp.networks import Activation\nimport torch\n"
        "rx.register(Activation('cube', lambda u: u**3))\n"
    )
    info = tmp_path / "acme_rnn-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rnn\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[rnn_exp]\nacme = {package.name}\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    load_plugins.__wrapped__()
    try:
        source = ACTIVATIONS.source_of("cube")
        assert (source.name, source.version) == ("acme-rnn", "1.2")
    finally:
        ACTIVATIONS._restore("cube", None, None)
    (info / "entry_points.txt").write_text(f"[rnn_exp]\nacme = {package.name}.nothing\n")
    with pytest.raises(SourceError, match=r"plugin=acme-rnn is not possible: .*ModuleNotFound"):
        load_plugins.__wrapped__()


def test_a_run_from_plain_values_may_have_an_own_task(mine):
    use("mine.py")
    config = {"task": {"name": "first_sign", "length": 5, "noise": 2}, "init": {"name": "torch"}}
    rest = {"network": {}, "training": {}, "recording": {}, "seed": 0, "device": "cpu"}

    run = run_from(config | rest)

    assert run.settings()["task.noise"] == 2.0
    assert run.name.startswith("first_sign-T5-")
    assert "-noise2-" in run.name


def test_the_settings_of_an_own_cell_are_those_of_the_network(parts, tmp_path):
    half = start(tmp_path, *SLOW)
    other = start(tmp_path, *SLOW, "network.pace=0.25")
    grid = start(tmp_path, "-m", *SLOW, "network.pace=0.5,0.25")

    assert (half.code, other.code, grid.code) == (0, 0, 0), grid.err
    said = [one["settings"]["network.pace"] for one in run_json(tmp_path)]
    assert sorted(said) == [0.25, 0.25, 0.5, 0.5]
    assert len({one["digest"] for one in run_json(tmp_path)}) == 2
    assert "network.pace=0.25" in other.out or "pace0.25" in other.out


def test_an_own_cell_like_one_of_the_package_gives_the_same_numbers(parts):
    use("parts.py")
    own = Run(network=Network(cell="slow", hidden_size=4, more={"pace": 0.25}), training=SHORT_3)
    same = Run(
        network=Network(cell="leaky", hidden_size=4, leak=0.25, engine="scan"), training=SHORT_3
    )

    mine, theirs = train_runs([own])[0], train_runs([same])[0]

    assert np.array_equal(mine.gradients["log10_total"], theirs.gradients["log10_total"])


def test_an_own_penalty_is_that_of_the_package_where_they_are_the_same(parts):
    use("parts.py")
    network = Network(hidden_size=4, dtype="float64", num_layers=2)
    own = Run(network=network, training=Training(4, more={"distance": 0.1}))
    same = Run(network=network, training=Training(4, orthogonality=0.1))

    mine, theirs = train_runs([own])[0], train_runs([same])[0]

    for name, weight in theirs.weights.items():
        assert mine.weights[name] == pytest.approx(weight, rel=1e-12, abs=1e-14)
    assert "-distance0.1-" in own.name
    assert list(own.sources) == ["penalty=distance"]
    assert "training.distance=0.1" in own.command


def test_a_penalty_that_is_not_in_use_is_no_part_of_a_run(parts):
    before = Run(training=SHORT_3).digest
    use("parts.py")

    assert Run(training=SHORT_3).digest == before
    assert "training.distance" not in Run(training=SHORT_3).settings()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("network.pace=1",), "network.pace=1 is not possible: allowed is null: it is no setting"),
        (("network.cell=slow", "network.pace=0"), "network.pace=0 is not possible: allowed is a n"),
        (("training.power=2",), "training.power=2 is not possible: allowed is 1.0: it has no eff"),
        (("training.distence=2",), "did you mean training.distance?"),
        (("training.distance=2", "network.cell=gru"), "network.cell=gru is not possible: allowed"),
    ],
)
def test_settings_of_own_parts_that_have_no_effect_are_refused(parts, tmp_path, words, why):
    assert why in refusal(tmp_path, "use=[parts.py]", *words)


def test_the_settings_of_own_cells_and_penalties_are_listed(parts, tmp_path):
    ended = start(tmp_path, "--settings", "use=[parts.py]")

    assert "network, cell=slow: A leaky unit whose step is a setting of its own." in ended.out
    assert "training, distance: The squared distance" in ended.out


def test_a_setting_with_the_name_of_another_is_refused(parts):
    parts.write_text(PARTS.replace("pace", "leak"))

    with pytest.raises(SourceError, match=r"line 29: .*another name: .* setting network.leak"):
        use("parts.py")


def typed(text, name="cell_of_a_notebook"):
    """Run what somebody typed into a notebook; return its names."""
    file = f"<{name}-{len(linecache.cache)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names = {"__name__": "__main__"}
    exec(compile(text, file, "exec"), names)
    return names


CELL = """
import torch
import rnn_exp as rx
from rnn_exp.networks import step_cell

SCALE = 1.0

def inside(u):
    return torch.sin(u)

def step(x, state, weights):
    (h,) = state
    u = x @ weights["weight_ih"].mT + h @ weights["weight_hh"].mT
    return (SCALE * inside(u),)

rx.register(step_cell("typed", step))
"""


@pytest.fixture
def untyped():
    yield
    for registry in (CELLS, ACTIVATIONS):
        registry._remove("typed", registry.source_of("typed"))


@pytest.mark.parametrize(
    ("before", "after"),
    [("torch.sin", "torch.cos"), ("SCALE = 1.0", "SCALE = 2.0"), ("(h,) = state", "h, = state")],
)
def test_what_was_typed_differently_in_a_notebook_is_another_run(untyped, before, after):
    typed(CELL)
    first = Run(network=Network(cell="typed", hidden_size=4), training=SHORT_3)
    typed(CELL)  # the cell of the notebook is run again
    again = Run(network=Network(cell="typed", hidden_size=4), training=SHORT_3)
    typed(CELL.replace(before, after))
    other = Run(network=Network(cell="typed", hidden_size=4), training=SHORT_3)

    assert first.digest == again.digest != other.digest
    assert list(first.sources) == ["network.cell=typed"]


def test_an_activation_of_torch_can_be_registered_as_it_is(untyped):
    text = "import torch, rnn_exp as rx\nfrom rnn_exp.networks import Activation\n"
    typed(text + "rx.register(Activation('typed', torch.sin))\n")
    first = Run(network=Network("typed", 4), training=SHORT_3).digest
    typed(text + "rx.register(Activation('typed', torch.cos))\n")

    assert Run(network=Network("typed", 4), training=SHORT_3).digest != first


def test_the_settings_of_own_parts_are_those_of_grids_as_well(parts):
    use("parts.py")

    [run] = rx.grid({"training.distance": 0.1}, cell="slow", pace=0.25)

    assert run.settings()["training.distance"] == 0.1
    assert run.settings()["network.pace"] == 0.25


def test_two_penalties_with_one_setting_are_refused(parts):
    parts.write_text(PARTS + PARTS[PARTS.index("@rx.register") :].replace('"distance"', '"two"'))

    with pytest.raises(SourceError, match=r"another name: there is a setting training.distance"):
        use("parts.py")


def test_a_run_of_own_parts_and_a_file_finds_the_file_from_another_folder(
    parts, tmp_path, monkeypatch
):
    use("parts.py")
    lines = "\n".join(f"{place},{place % 7}" for place in range(60))
    (tmp_path / "data.csv").write_text(f"day,level\n{lines}\n")
    series = TASKS["series"](file="data.csv", column="level", length=5)
    run = Run(series, Network(cell="slow", hidden_size=4), training=SHORT_3)
    function, arguments = run.__reduce__()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert function(*arguments).digest == run.digest


def test_a_task_that_asks_python_to_exit_has_failed(mine, tmp_path):
    before = "        x = torch.randn"
    # Not where it is tried, with few sequences, but where it trains.
    leaves = "        if batch_size > 3:\n            raise SystemExit(0)\n"
    mine.write_text(TASK.replace(before, f"{leaves}{before}"))

    ended = start(tmp_path, *SHORT)

    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "its code asked Python to exit (0)" in ended.err
    assert [said["status"] for said in run_json(tmp_path)] == ["failed"]


@pytest.mark.parametrize("field", ["zed: int = 3", "zed: tuple = (1, 2)"])
def test_a_field_that_does_not_say_what_it_accepts_is_refused(mine, tmp_path, field):
    mine.write_text(TASK.replace("    noise: float", f"    {field}\n    noise: float"))

    ended = start(tmp_path, *SHORT)

    assert ended.code == 1
    assert "line 14: " in ended.err
    assert "zed does not" in ended.err
    assert list(tmp_path.iterdir()) == [mine]


@pytest.mark.parametrize(
    ("draws", "named"),
    [
        ("torch.randn(())", "torch's global generator"),
        ("__import__('numpy').random.randn()", "numpy.random"),
        ("__import__('random').random()", "random"),
        ("torch.randn((), generator=generator)", None),
    ],
)
def test_an_own_task_that_draws_from_another_generator_is_refused(mine, draws, named):
    mine.write_text(
        TASK.replace("x[0, :, 0] = 2.0", f"x[1] += float({draws})\n        x[0, :, 0] = 2.0")
    )
    use("mine.py")
    run = Run(task=TASKS["first_sign"](8), network=Network(hidden_size=4), training=SHORT_3)

    with torch.random.fork_rng():
        if named is None:
            assert train_runs([run])[0].status == "finished"
            return
        with pytest.raises(
            ValueError, match=rf"^task=first_sign draws .* from {named}, so"
        ) as said:
            train_runs([run])

    assert "\n" not in str(said.value)


def test_runs_without_own_parts_are_not_watched(monkeypatch):
    monkeypatch.setattr("rnn_exp.randomness._shared_states", lambda: 1 / 0)

    assert train_runs([Run(network=Network(hidden_size=4), training=SHORT_3)])[0].status


CLIPS = '''"""Two optimisers with settings of their own."""

import dataclasses

import torch

import rnn_exp as rx
from rnn_exp.fields import choice, number
from rnn_exp.training.optimizers import Optimizer


@dataclasses.dataclass(frozen=True)
class Signs:
    """Steps of one size.

    Args:
        cut: of what size.
        way: of which numbers.
    """

    cut: float = number(0.5, above=0)
    way: str = choice("all", ["all", "large"])


@dataclasses.dataclass(frozen=True)
class Cuts:
    """Steps of at most one size.

    Args:
        cut: of what size.
    """

    cut: float = number(2.0, above=0)


def signs(flat, gradient, memory, rate, own):
    flat -= rate * own.cut * gradient.sign()


def cuts(flat, gradient, memory, rate, own, layout):
    for view in layout.views(gradient).values():
        view.clamp_(-own.cut, own.cut)
    flat -= rate * gradient


rx.register(Optimizer("signs", signs, options=Signs))
rx.register(Optimizer("cuts", cuts, options=Cuts))
'''
SIGNS = ("use=[clips.py]", "training.optimizer=signs", *SHORT[2:])


@pytest.fixture
def clips(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "clips.py"
    path.write_text(CLIPS)
    return path


def test_the_settings_of_an_own_optimiser_are_those_of_the_training(clips, tmp_path):
    ended = start(tmp_path, "-m", *SIGNS, "training.cut=0.25,0.5")

    assert (ended.code, ended.err.count("Traceback")) == (0, 0)
    said = {one["settings"]["training.cut"]: one for one in run_json(tmp_path)}
    assert sorted(said) == [0.25, 0.5]
    assert len({one["digest"] for one in said.values()}) == 2
    assert "training.cut=0.25" in said[0.25]["command"]
    assert "training.cut" not in said[0.5]["command"]
    runs = rx.load(tmp_path / "outputs").runs
    assert sorted(runs["training.cut"]) == [0.25, 0.5]
    assert any("-cut0.25-" in name for name in runs["run"])


def test_a_setting_that_two_optimisers_share_has_the_default_of_the_one_that_is_chosen(clips):
    use("clips.py")
    signs, cuts = (Run(training=Training(3, optimizer=name)) for name in ("signs", "cuts"))
    other = Run(training=Training(3, optimizer="signs", more={"cut": 2}))

    assert signs.settings()["training.cut"] == 0.5
    assert cuts.settings()["training.cut"] == 2.0
    assert "cut" not in signs.name + cuts.name.replace("cuts", "")
    assert "training.cut=2.0" in other.command
    assert "-cut2-" in other.name


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("training.cut=1",), "training.cut=1 is not possible: allowed is null with optimizer=sgd"),
        (("training.optimizer=signs", "training.cut=0"), "allowed is a number above 0"),
        (("training.optimizer=cuts", "training.way=large"), "it is a setting of signs"),
        (("training.optimizer=signs", "training.way=lrge"), "(did you mean large?)"),
        (("training.optimizer=signs", "training.cutt=1"), "did you mean training.cut?"),
    ],
)
def test_settings_of_own_optimisers_that_cannot_be_are_refused(clips, tmp_path, words, why):
    assert why in refusal(tmp_path, "use=[clips.py]", *words)
    assert list(tmp_path.iterdir()) == [clips]


def test_the_settings_of_own_optimisers_are_listed_and_their_words_completed(clips, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "rnn-exp use=[clips.py] training.optimizer=signs training.way=")

    assert help_lines(["-sc", "query=bash"]) == ["training.way=all", "training.way=large"]
    said = "\n".join(help_lines(["--settings", "use=[clips.py]"]))
    assert "training, optimizer=signs: Steps of one size." in said
    assert "training.cut" in said
    assert "of at most one size" in said


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("cut: float = number(2.0, above=0)", "momentum: float = number(2.0)", "training.momentum"),
        (
            "rate, own, layout",
            "rate, layout",
            "options and an argument own of its step go together",
        ),
        ("cut: float = number(2.0, above=0)", "cut: float = 2.0", "cut does not"),
    ],
)
def test_an_optimiser_whose_settings_cannot_be_is_refused(clips, before, after, why):
    clips.write_text(CLIPS.replace(before, after))

    with pytest.raises(SourceError, match=why):
        use("clips.py")

    assert "signs" not in OPTIMIZERS
