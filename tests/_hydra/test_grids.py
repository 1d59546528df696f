"""What a command line and a study file ask for is what would run; or it is refused, with the mend.

The tests go as far as the plan of a sweep, in this process: nothing is trained, nothing written.
"""

import functools
import itertools
import re
import sys
from pathlib import Path
from typing import NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hypothesis import HealthCheck, assume, given, settings
from omegaconf import OmegaConf

import rnn_exp
from rnn_exp._hydra.composition import Composer, HydraFiles
from rnn_exp._hydra.grammar import Parser, values_of
from rnn_exp._hydra.grids import jobs_of, jobs_of_sweeper
from rnn_exp._hydra.hydra_settings import check_run, check_sweep
from rnn_exp._hydra.job import register_resolvers, run_from_config
from rnn_exp._hydra.loader import StudyHydra
from rnn_exp._hydra.plan import PlannedJob, _refuse_shared_folders, plan
from rnn_exp._hydra.refusals import line_of
from rnn_exp._hydra.study_files import FileSource
from rnn_exp.fields import as_typed
from rnn_exp.storage.objective import Objective
from rnn_exp.training.run import Run
from tests.dose import dose

CONF = Path(rnn_exp.__file__).parents[1] / "conf"
HEADER = "# @package _global_\n"
SMALL = "task: {length: 12}\ntraining: {updates: 2}\n"
GRID = "hydra: {sweeper: {params: {seed: '0,1'}}}\n"
MINE = "my/study/mine.yaml"


class Planned(NamedTuple):
    """What a command line would do: the runs, their folders, and the files beside the first."""

    mode: RunMode
    runs: list[Run]
    folders: list[str]
    files: set[str]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder of the test's own, with Hydra as the command line has it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(rnn_exp.__file__).parent / "_hydra")])
    Path("my").mkdir()
    yield
    GlobalHydra.instance().clear()


def study(text: str | bytes, name: str = MINE) -> None:
    """Write a file that is chosen with ``study=mine``."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())


def planned(*words: str) -> Planned:
    """Do what the command line does with these words, up to the plan."""
    search = create_config_search_path(str(CONF))
    anchor = SearchPathQuery(provider="schema", path=None)
    search.prepend("command-line", f"file://{Path('my').absolute()}", anchor)
    GlobalHydra.instance().clear()
    register_resolvers()  # the name of a sweep's folder is that of the first sweep of a process
    hydra = StudyHydra.create_main_hydra2("rnn_exp", search)
    typed = [word for word in words if word != "-m"]
    mode = hydra.get_mode("config", typed)
    if "-m" in words or mode == RunMode.MULTIRUN:
        config = hydra.compose_config("config", typed, RunMode.MULTIRUN)
        check_sweep(config)
        loader = hydra.config_loader
        composer = Composer(loader, config)
        said = OmegaConf.to_container(config.hydra.overrides, resolve=False)
        jobs = jobs_of_sweeper(said["task"], config.hydra.sweeper, loader, said["hydra"])
        found = plan(composer, jobs)
        files = set(HydraFiles().of(composer.compose(jobs[0], 0)))
        return Planned(
            RunMode.MULTIRUN, [it.run for it in found], [str(it.folder) for it in found], files
        )
    config = hydra.compose_config("config", typed, RunMode.RUN)
    check_run(config)
    return Planned(RunMode.RUN, [run_from_config(config)], [config.hydra.run.dir], set())


def refused(*words: str) -> str:
    """The line in which these words are refused; nothing has been written."""
    before = sorted(Path().rglob("*"))
    with pytest.raises(Exception) as error:  # noqa: PT011 - whatever becomes a line
        planned(*words)
    line = line_of(error.value)
    assert "\n" not in line
    assert sorted(Path().rglob("*")) == before
    return line


def test_a_composition_reads_each_file_once(monkeypatch):
    read, load = [], FileSource.load_config

    def told(source, config_path):
        read.append(config_path)
        return load(source, config_path)

    monkeypatch.setattr(FileSource, "load_config", told)
    search = create_config_search_path(str(CONF))
    register_resolvers()
    hydra = StudyHydra.create_main_hydra2("rnn_exp", search)
    for seed in (1, 2):  # and the next one reads it anew: it may have been changed
        read.clear()
        hydra.compose_config("config", ["study=decay", f"seed={seed}"], RunMode.MULTIRUN)

        assert {"config", "study/decay", "task/temporal_order"} <= set(read)
        assert len(read) == len(set(read))


def values(found: Planned, key: str) -> list[object]:
    """The values of a setting in all runs."""
    return [run.settings().get(key) for run in found.runs]


NOT_IN_EFFECT = {
    "no first line": (SMALL, ["study=mine", MINE, "'# @package _global_'"]),
    "first line too late": ("# mine\n" + HEADER + SMALL, [MINE, "'# @package _global_'"]),
    "another package": ("# @package training\n" + SMALL, [MINE, "'# @package _global_'"]),
    "empty": ("", [MINE, "is empty"]),
    "nothing but the first line": (HEADER, [MINE, "is empty"]),
    "a list": (HEADER + "- 1\n", [MINE, "is a list"]),
    "a list without first line": ("- 1\n", [MINE, "is a list"]),
    "a word": (HEADER + "hello\n", [MINE, "hello=null", "task, tracking, training"]),
    "a misspelt section": (HEADER + "trainning: {updates: 1}\n", [MINE, "did you mean training?"]),
    "a misspelt setting": (
        HEADER + "training: {update: 1}\n",
        [MINE, "training.update=1", "did you mean training.updates?"],
    ),
    "keys with dots": (HEADER + "task.length: 10\n", [MINE, "task: {length: 10}"]),
    "overwritten by what it builds on": (
        HEADER + "defaults: [_self_, decay]\ntraining: {updates: 2}\n",
        [MINE, "training.updates is 2", "and is 300 in what would run"],
    ),
    "an unknown setting of the sweeper": (
        HEADER + "hydra: {sweeper: {parms: {seed: '0,1'}}}\n",
        ["hydra.sweeper.parms", "did you mean hydra.sweeper.params?"],
    ),
    "an unknown setting of the launcher": (
        HEADER + "hydra: {sweeper: {params: {seed: 0}}, launcher: {proceses: 3}}\n",
        ["hydra.launcher.proceses=3", "did you mean hydra.launcher.processes?"],
    ),
    "what Hydra finds out itself": (
        HEADER + "hydra: {runtime: {cwd: /tmp}}\n",
        [MINE, "hydra.runtime.cwd"],
    ),
    "a comma within braces": (
        HEADER + "hydra: {sweeper: {paired: [{init.gain: 0.5,1}]}}\n",
        ["hydra.sweeper.paired=", "[0.5, 1]"],
    ),
    "a study within a study's grid": (
        HEADER + "hydra: {sweeper: {params: {study: 'decay,phase'}}}\n",
        ["hydra.sweeper.params.study"],
    ),
    "a folder for a single run in a sweep": (
        HEADER + "hydra: {run: {dir: here}, sweeper: {params: {seed: '0,1'}}}\n",
        ["hydra.run.dir=here", "use hydra.sweep.dir"],
    ),
}


@pytest.mark.parametrize("case", NOT_IN_EFFECT)
def test_a_study_file_that_would_not_take_effect_is_refused_with_its_name(case):
    text, told = NOT_IN_EFFECT[case]
    study(text)

    line = refused("study=mine")

    assert [words for words in told if words not in line] == []


@pytest.mark.parametrize(
    ("name", "choice"),
    [("study/decay", "study=decay"), ("task/adding", "task=adding"), ("config", "seed=1")],
)
def test_a_file_that_a_built_in_one_of_its_name_hides_is_refused(name, choice):
    study(HEADER + SMALL, f"my/{name}.yaml")

    assert f"my/{name}.yaml would not be used" in refused(choice)


def test_a_copy_of_a_built_in_file_hides_nothing():
    study((CONF / "study" / "decay.yaml").read_text(), "my/study/decay.yaml")

    assert len(planned("study=decay").runs) == 180


@pytest.mark.parametrize("grid", [GRID, "hydra: {sweeper: {paired: [{seed: [0, 1]}]}}\n"])
@pytest.mark.parametrize(
    ("mode", "words"), [("", ()), ("", ("init.gain=1,2",)), ("mode: RUN, ", ("-m",))]
)
def test_a_study_with_a_grid_sweeps_whatever_its_mode(grid, mode, words):
    study(HEADER + SMALL + grid.replace("hydra: {", f"hydra: {{{mode}"))

    found = planned("study=mine", *words)

    assert found.mode == RunMode.MULTIRUN
    assert sorted(set(values(found, "seed"))) == [0, 1]
    assert set(values(found, "training.updates")) == {2}


def test_a_single_run_of_a_study_with_a_grid_is_refused_or_asked_for_by_name():
    study(HEADER + SMALL + GRID)

    assert "one run: hydra.sweeper.params=null" in refused("study=mine", "hydra.mode=RUN")
    found = planned("study=mine", "hydra.mode=RUN", "hydra.sweeper.params=null")
    assert found.mode == RunMode.RUN
    assert found.runs[0].task.length == 12


def test_a_study_file_may_begin_with_a_byte_order_mark():
    study(b"\xef\xbb\xbf" + (HEADER + SMALL + GRID).encode())

    found = planned("study=mine")

    assert values(found, "task.length") == [12, 12]
    assert values(found, "seed") == [0, 1]


def test_a_study_file_that_is_no_text_is_refused_with_its_name():
    study((HEADER + SMALL).encode("utf-16"))

    assert "mine.yaml is not UTF-8" in refused("study=mine")


def test_the_command_line_wins_over_a_study_and_the_rest_of_it_stays():
    study(HEADER + SMALL + "network: {cell: gru, hidden_size: 8}\n" + GRID)

    found = planned("study=mine", "task.length=14", "network={hidden_size: 4}")

    assert values(found, "task.length") == [14, 14]
    assert values(found, "network.hidden_size") == [4, 4]
    assert values(found, "network.cell") == ["gru", "gru"]


def test_a_study_that_builds_on_another_one_is_that_one_with_its_own_values():
    study(
        HEADER
        + "defaults: [decay, _self_]\ntraining: {updates: 2}\n"
        + "hydra: {sweeper: {params: {init.gain: 1, task.length: 10, seed: 0}}}\n"
    )

    found = planned("study=mine")

    assert values(found, "training.updates") == [2, 2]
    assert values(found, "network.activation") == ["tanh", "sigmoid"]
    assert values(found, "training.optimizer") == ["adam", "adam"]


@pytest.mark.parametrize("words", [("-m",), ()])
@pytest.mark.parametrize("typed", ["study=decay,lyapunov", "study=[decay,lyapunov]"])
def test_several_studies_at_once_are_refused_with_a_command_for_each(words, typed):
    line = refused(*words, typed)

    assert "rnn-exp study=decay && rnn-exp study=lyapunov" in line


def test_sweeps_with_different_grids_have_different_folders():
    grids = ["hydra.sweeper.params={seed: 0}", "hydra.sweeper.paired=[{seed: 1}]", "seed=0,1"]

    folders = {Path(planned("-m", grid).folders[0]).parent for grid in grids}

    assert len(folders) == 3


def test_a_setting_that_names_a_jobs_number_is_each_jobs_own():
    assert values(planned("-m", "task.length=10,12", "seed=${hydra.job.num}"), "seed") == [0, 1]


def test_a_study_in_a_folder_of_the_search_path_is_checked_as_well():
    study(HEADER + SMALL + GRID, "other/study/mine.yaml")
    study(HEADER + SMALL + GRID, "other/study/two.yaml")
    path = f"hydra.searchpath=[{Path('other').absolute()}]"

    assert values(planned("study=mine", path), "seed") == [0, 1]
    assert "one study" in refused("-m", "study=mine,two", path)


def test_studies_without_a_grid_are_choices_of_a_sweep():
    study(HEADER + "seed: 3\n", "my/study/a.yaml")
    study(HEADER + "seed: 4\n", "my/study/b.yaml")

    assert values(planned("-m", "study=a,b"), "seed") == [3, 4]


def test_lists_sections_null_and_interpolations_are_values_of_a_grid():
    study(
        HEADER
        + """hydra:
  sweeper:
    params:
      init.gain: [0.5, 1.0]
      network: {cell: "rnn,gru"}
      training.clip_norm: null
      task.length: [10, 12]
      training.batch_size: ${task.length}
"""
    )

    found = planned("study=mine")

    assert len(found.runs) == 8
    assert set(values(found, "init.gain")) == {0.5, 1}
    assert set(values(found, "network.cell")) == {"rnn", "gru"}
    assert set(values(found, "training.clip_norm")) == {None}
    assert values(found, "training.batch_size") == values(found, "task.length")


UNION = [
    ("torch", None, 0),
    ("torch", None, 1),
    ("gaussian", 0.5, 0),
    ("gaussian", 0.5, 1),
    ("gaussian", 1, 0),
    ("gaussian", 1, 1),
]


def triples(found: Planned) -> list[tuple[object, ...]]:
    keys = ("init", "init.gain", "seed")
    return list(zip(*(values(found, key) for key in keys), strict=True))


def test_a_union_of_grids_in_a_study_file_and_each_run_of_it_once():
    study(
        HEADER
        + """hydra:
  sweeper:
    params: {seed: "0,1"}
    paired:
      - init: torch
      - init: gaussian
        init.gain: 0.5,1
      - {init: gaussian, init.gain: [1]}
"""
    )

    assert triples(planned("study=mine")) == UNION


@pytest.mark.parametrize("words", [("-m",), ()])
def test_a_union_of_grids_on_the_command_line(words):
    union = "hydra.sweeper.paired=[{init: torch}, {init: gaussian, init.gain: [0.5, 1]}]"

    assert triples(planned("-m", union, "seed=0,1")) == UNION
    assert len(planned(*words, union).runs) == 3


def test_the_study_in_the_page_about_studies_is_what_the_page_says():
    page = CONF.parent / "docs" / "how-to" / "study.md"
    [text] = re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.S)
    study(text)

    found = planned("study=mine")

    assert len(found.runs) == 42
    assert set(triples(found)) == {
        (init, gain, seed)
        for init, gains in {
            "torch": [None],
            "gaussian": [0.5, 1, 2],
            "orthogonal": [0.5, 1, 2],
        }.items()
        for gain in gains
        for seed in range(3)
    }


def test_what_a_grid_of_a_union_says_wins_over_the_common_grid_there_alone():
    paired = [{"init.gain": 5, "seed": [1, 2]}, {"task.length": 10}]

    jobs = jobs_of([], {"seed": 0, "init.gain": 1}, paired)

    assert jobs == [
        ["init.gain=5", "seed=1"],
        ["init.gain=5", "seed=2"],
        ["task.length=10", "seed=0", "init.gain=1"],
    ]


def test_settings_that_only_the_swept_choices_have_are_accepted():
    found = planned("-m", "task=copy,memorization", "task.values=4", "init=identity", "seed=0,1")

    assert values(found, "task.values") == [4, 4, 4, 4]
    assert values(found, "init") == ["identity"] * 4


def test_settings_that_only_the_choices_of_a_study_have_are_accepted():
    study(HEADER + "hydra: {sweeper: {paired: [{task: copy}, {task: memorization}]}}\n")

    assert values(planned("study=mine", "task.values=4"), "task.values") == [4, 4]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("task=copy,adding", "task.values=4"),
            "task=adding has no task.values; instead of both write "
            "'hydra.sweeper.paired=[{task: copy, task.values: 4}, {task: adding}]'",
        ),
        (
            ("init=torch,gaussian", "init.gain=0.5,1"),
            "init=torch has no init.gain; instead of both write "
            "'hydra.sweeper.paired=[{init: torch}, {init: gaussian, init.gain: [0.5, 1]}]'",
        ),
        (("init=torch,gaussian", "init.gian=3"), "did you mean init.gain?"),
        (("study=decay", "init=torch"), "init=torch has no init.gain"),
        (("task=copy,adding", "network.cels=4"), "did you mean network.cell?"),
    ],
)
def test_the_choice_that_lacks_a_setting_is_named_with_what_to_write(words, told):
    assert told in refused("-m", *words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("hydra.sweeper.paired=[{seed: 3}]", "seed=0,1"),
            "seed is typed twice, in hydra.sweeper.paired and as seed=0,1; leave",
        ),
        (
            ("hydra.sweeper.params={seed: 3}", "seed=0,1"),
            "seed is typed twice, in hydra.sweeper.params and as seed=0,1; leave",
        ),
        (
            ("hydra.sweeper.paired=[{seed: 3}]", "hydra.sweeper.params={seed: 1}"),
            "not in all of hydra.sweeper.paired as well: write seed in one of them",
        ),
        (("objective=final_loss,final_error",), "objective=final_loss,final_error is not possible"),
    ],
)
def test_what_one_command_says_twice_is_refused(words, told):
    assert told in refused("-m", *words)


@pytest.mark.parametrize("words", [("tags=[a,b]",), ("-m", "tags=[a,b]", "seed=0,1"), ("tags=[]",)])
def test_tags_are_a_list_on_the_command_line(words):
    tags = ("a", "b") if "[a,b]" in "".join(words) else ()
    assert all(run.tags == tags for run in planned(*words).runs)


def test_what_is_offered_for_a_missing_setting_is_what_was_meant():
    line = refused("-m", "init=torch,gaussian", "init.gain=0.5,1", "seed=0,1")

    word = line.partition("instead of both write '")[2].rstrip("'")

    assert triples(planned("-m", word, "seed=0,1")) == UNION


NUMBERS = st.integers(-9999, 9999)


@given(start=NUMBERS, count=st.integers(1, 40), step=NUMBERS.filter(bool), power=st.integers(0, 6))
@settings(max_examples=dose(20, 100))
def test_a_range_has_the_decimals_that_are_typed(start, count, step, power):
    """Whole numbers divided by a power of ten, which is what decimals are."""
    wanted = [(start + i * step) / 10**power for i in range(count)]
    typed = [number / 10**power for number in (start, start + count * step, step)]
    [word] = Parser().parse_overrides([f"init.gain=range({','.join(map(repr, typed))})"])

    assert [float(value) for value in values_of(word)] == wanted


def test_ranges_stay_decimals_within_other_functions():
    [ordered] = Parser().parse_overrides(["init.gain=sort(range(0.9,0.2,-0.1))"])

    assert values_of(ordered) == ["0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]
    assert values(planned("-m", "init.gain=range(0.2,0.5,0.1)"), "init.gain") == [0.2, 0.3, 0.4]


@given(st.integers(-20, 20), st.integers(-20, 20), st.integers(2, 30))
def test_logspace_is_that_of_numpy_and_its_ends_are_exact(first, last, count):
    [word] = Parser().parse_overrides([f"init.gain=logspace({first},{last},{count})"])

    found = [float(value) for value in values_of(word)]

    np.testing.assert_allclose(found, np.logspace(first, last, count), rtol=1e-13)
    assert (found[0], found[-1]) == (float(f"1e{first}"), float(f"1e{last}"))


def test_whole_powers_of_ten_can_be_lengths():
    assert values(planned("-m", "task.length=logspace(1,3,3)"), "task.length") == [10, 100, 1000]


REFUSED = {
    ("init.gain=[0.5,1]",): "init.gain=0.5,1",
    ("-m", "init.gain=[0.5,1]"): "init.gain=0.5,1",
    ("init=[torch,gaussian]",): "init=torch,gaussian",
    ("-m", "seed=range(0)"): "seed=range(0) is not possible",
    ("-m", "seed=range(1,2,0)"): "at least one number",
    ("-m", "seed=float(range(2,1))"): "at least one number",
    ("-m", "init.gain=range(0,inf)"): "finite numbers",
    ("-m", "init.gain=logspace(0,1)"): "logspace(first,last,count)",
    ("-m", "init.gain=logspace(0,400,3)"): "logspace(first,last,count)",
    ("-m", "task=glob(nope*)"): "a pattern that fits one of adding, copy",
    ("-m", "task.length=glob(*)"): "task.length=glob(*) is not possible",
    ("-m", "init.gain=interval(0,1)"): "hydra/sweeper=optuna",
    ("-m", "seed=range(1000)", "init.gain=range(1000)"): "1,000,000 runs",
    ("-m", "seed=range(100000000000)"): "100000000000",
    ("-m", "network.activation=tanh,relu", "hydra.sweep.dir=s/${network.activation}"): (
        "use hydra.sweep.subdir"
    ),
    ("-m", "seed=0,1", "hydra.sweep.dir=s/${hydra.job.num}"): "use hydra.sweep.subdir",
    ("-m", "seed=0,1", "hydra.sweep.dir=s/${rnn_exp.run_name:}"): "use hydra.sweep.subdir",
    ("-m", "seed=0,1", "hydra.sweep.dir="): "the path of a folder",
    ("-m", "seed=0,1", "hydra.sweep.subdir=/absolute/${seed}"): "a path below hydra.sweep.dir",
    ("-m", "seed=0,1", "hydra.sweep.subdir=."): "a path below hydra.sweep.dir",
    ("-m", "seed=0,1", "hydra.sweep.subdir=../${seed}"): "a path below hydra.sweep.dir",
    ("-m", "seed=0,1", "hydra.sweep.subdir=.progress/${seed}"): "a path below hydra.sweep.dir",
    ("-m", "seed=0,1", "hydra.run.dir=here"): "use hydra.sweep.dir",
    ("hydra.sweep.dir=here",): "use hydra.run.dir",
    ("hydra.sweep.subdir=here",): "use hydra.run.dir",
    ("hydra.launcher.address=tcp",): "a single run trains in this process",
    ("hydra.launcher.backend=dask",): "a single run trains in this process",
    ("hydra.sweeper.max_batch_size=3",): "a single run trains in this process",
    ("hydra.launcher=null",): "hydra/launcher=rnn_exp",
    ("-m", "seed=0,1", "hydra.launcher=null"): "hydra/launcher=rnn_exp",
    ("-m", "seed=0,1", "hydra.sweeper=null"): "hydra/sweeper=rnn_exp",
    ("-m", "seed=0,1", "hydra.sweeper.max_batch_size=0"): "at least 1 or null",
    ("-m", "seed=0,1", "hydra.sweeper.max_batch_size=x"): "at least 1 or null",
    ("-m", "hydra.sweeper.paired=5"): "hydra.sweeper.paired=5 is not possible: allowed is a list",
    ("-m", "hydra.sweeper.paired=abc"): "hydra.sweeper.paired=abc is not possible",
    ("-m", "hydra.sweeper.paired=[]"): "hydra.sweeper.paired=[] is not possible",
    ("-m", "hydra.sweeper.paired=[{seed: [[1]]}]"): "seed=[[1]] is not possible",
    ("-m", "hydra.sweeper.params=abc"): "hydra.sweeper.params=abc is not possible",
    ("hydra.sweeper.params={seed: []}",): "seed=[] is not possible",
    ("-m", "seed=0,1", "hydra.job.chdir=true"): "hydra/launcher=basic",
    ("-m", "seed=0,1", "hydra.job.env_copy=[PATH]"): "hydra.job.env_copy=",
    ("-m", "seed=0,1", "hydra.job.num=5"): "hydra.job.num=5",
    ("-m", "seed=0,1", "hydra.job.override_dirname=x"): "hydra.job.override_dirname=x",
    ("-m", "seed=0,1", "hydra.overrides.task=[seed]"): "hydra.overrides.task",
    ("-m", "seed=0,1", "hydra.runtime.cwd=x"): "hydra.runtime.cwd=x is not possible",
    ("-m", "seed=0,1", "hydra.output_subdir=/absolute"): "a path within a run's folder",
    ("hydra.output_subdir=/absolute",): "a path within a run's folder",
    ("hydra.output_subdir=../beside",): "a path within a run's folder",
    ("hydra.output_subdir=unfinished",): "not one that the run itself uses",
    ("-m", "seed=0,1", "hydra.output_subdir=unfinished/own"): "not one that the run itself uses",
    ("hydra.output_subdir=aside-3",): "not one that the run itself uses",
    ("hydra.output_subdir=report",): "not one that the run itself uses",
    ("hydra.output_subdir=run.json",): "not one that the run itself uses",
    ("-m", "seed=0,1", "hydra.sweep.subdir=report/${seed}"): "a name of this package's own",
    ("-m", "seed=0,1", "hydra.sweep.subdir=a/report/${seed}"): "a name of this package's own",
    ("-m", "seed=0,1", "hydra.sweep.subdir=unfinished/${seed}"): "a name of this package's own",
    ("-m", "seed=0,1", "hydra.sweep.subdir=aside-1/${seed}"): "a name of this package's own",
    ("-m", "seed=0,1", "hydra.sweep.subdir=a/.b/${seed}"): "a folder that is hidden",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_would_be_passed_over_is_refused_by_name(words):
    assert REFUSED[words] in refused(*words)


def test_a_folder_within_that_of_another_run_is_refused():
    runs = [Run(), Run(seed=1)]
    folders = [Path("s/a"), Path("s/a/b")]
    jobs = [
        PlannedJob(number, [], run, folder, False, Objective())
        for number, (run, folder) in enumerate(zip(runs, folders, strict=True))
    ]

    with pytest.raises(FileExistsError, match="the folder s/a/b, which lies in that of adding-"):
        _refuse_shared_folders(jobs)


def test_a_grid_given_on_the_command_line_sweeps_without_m():
    assert values(planned("hydra.sweeper.params={seed: [0, 1]}"), "seed") == [0, 1]
    assert values(planned("hydra.sweeper.params={seed: '0,1'}"), "seed") == [0, 1]


def test_a_folder_with_a_setting_that_all_runs_share_is_obeyed():
    found = planned(
        "-m", "seed=0,1", "hydra.sweep.dir=s/${task.name}", "hydra.sweep.subdir=${seed}"
    )

    assert found.folders == ["s/adding/0", "s/adding/1"]


@pytest.mark.parametrize(
    ("word", "files"),
    [
        ("hydra.output_subdir=null", set()),
        (
            "hydra.output_subdir=conf/own",
            {f"conf/own/{it}.yaml" for it in ("config", "hydra", "overrides")},
        ),
    ],
)
def test_the_folder_of_hydras_files_is_obeyed_in_a_sweep(word, files):
    assert planned("-m", "seed=0,1", word).files == files


VALUES = {
    "task.length": st.integers(10, 10**9),
    "init.gain": st.floats(0, 1e300),
    "network.activation": st.sampled_from(["tanh", "sigmoid", "relu"]),
    "training.learning_rate": st.floats(1e-300, 1e38),
    "training.clip_norm": st.none() | st.floats(1e-3, 1e3),
    "training.stop_when_solved": st.booleans(),
    "seed": st.integers(0, 2**80),
}
LISTS = {key: st.lists(it, min_size=1, max_size=2, unique=True) for key, it in VALUES.items()}
GRIDS = st.fixed_dictionaries({}, optional=LISTS)


@given(typed=GRIDS, params=GRIDS, paired=st.lists(GRIDS, max_size=2))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_that_is_written_is_found_in_a_run_and_no_other(typed, params, paired):
    assume(not paired or all(any(key not in it for it in paired) for key in params.keys() - typed))
    words = [f"{key}={','.join(map(as_typed, it))}" for key, it in typed.items()]
    written = {
        frozenset(zip(grid, combination, strict=True))
        for grid in ({**params, **pair, **typed} for pair in paired or [{}])
        for combination in itertools.product(*grid.values())
    }

    found = plan(composer(), jobs_of(words, params, paired or None))

    assert len(found) == len(written)
    assert written == {
        frozenset(
            (key, job.run.settings()[key]) for key in (it.partition("=")[0] for it in job.overrides)
        )
        for job in found
    }


@functools.cache
def composer() -> Composer:
    """What composes the jobs of a sweep without a study."""
    register_resolvers()
    search = create_config_search_path(str(CONF))
    hydra = StudyHydra.create_main_hydra2("rnn_exp", search)
    return Composer(hydra.config_loader, hydra.compose_config("config", [], RunMode.MULTIRUN))
