"""Composition: a sweep's configurations, files and plan are what Hydra's own way gives, sooner."""

import contextlib
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from hypothesis import Phase, given, settings
from omegaconf import OmegaConf, open_dict

from rnn_exp._hydra import plan as planning
from rnn_exp._hydra.composition import Composer, HydraFiles, _whole_number
from rnn_exp._hydra.job import register_resolvers, run_from_config
from rnn_exp._hydra.plan import plan
from rnn_exp._hydra.study_files import FileSource
from rnn_exp._hydra.sweep import logging_of
from tests.dose import dose

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(scope="module")
def hydra():
    """Hydra with this project's configuration, as the command line has it."""
    register_resolvers()
    GlobalHydra.instance().clear()
    search_path = create_config_search_path(str(CONF))
    yield Hydra.create_main_hydra2(task_name="app", config_search_path=search_path)
    GlobalHydra.instance().clear()


def master_of(hydra, words):
    return hydra.compose_config("config", words, RunMode.MULTIRUN, with_log_configuration=False)


WORDS = [
    st.sampled_from(["task=adding", "task=temporal_order", "task={length: 12}"]),
    st.sampled_from(["init=orthogonal", "init=identity", "init=gaussian"]),
    st.sampled_from(["study=decay"]),
    st.integers(10, 99).map("task.length={}".format),
    st.floats(0.1, 9).map("training.learning_rate={}".format),
    st.sampled_from(["init.gain=2", "init.gain=1e-3", "init.gain=.5"]),
    st.sampled_from(["training.clip_norm=null", "training.clip_norm=${training.learning_rate}"]),
    st.sampled_from(["network.activation=relu", "network.activation='tanh'"]),
    st.sampled_from(["network={hidden_size: 5, num_layers: 2}", "seed=7", "seed=${hydra:job.num}"]),
    st.sampled_from(["training.stop_when_solved=true", "training.stop_when_solved=false"]),
]
JOB = st.tuples(*(st.none() | word for word in WORDS)).map(
    lambda words: [word for word in words if word is not None]
)


def composed_by_hydra(hydra, master, words, number):
    config = hydra.config_loader.load_sweep_config(master, words)
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = number
    config.hydra.sweep.dir = master.hydra.sweep.dir
    return config


def plain(config):
    return OmegaConf.to_container(config, resolve=False)


HYDRAS = [[], ["hydra.sweep.subdir=${hydra.job.override_dirname}"], ["hydra.job.name=other"]]


@given(jobs=st.lists(JOB, min_size=1, max_size=4), hydras=st.sampled_from(HYDRAS))
@pytest.mark.dosed
@settings(max_examples=dose(5, 12), phases=(Phase.explicit, Phase.generate))  # a job takes 60 ms
def test_a_job_is_composed_as_hydra_composes_it(hydra, jobs, hydras):
    master = master_of(hydra, ["study=decay", *hydras])
    composer = Composer(hydra.config_loader, master)
    for number, words in enumerate(jobs):
        assert plain(composer.compose(words, number)) == plain(
            composed_by_hydra(hydra, master, words, number)
        )


@pytest.mark.parametrize(
    "words",
    [
        ["+a=1", "++a=2", "~a", "+a=3"],
        ["+a={b: 1}", "a.b=2", "~a.b"],
        ["~training.clip_norm=null"],
        ["++seed=3", "seed=4"],
        ["+x=[1,2]", "x=[3]"],
        ["~init", "+init=identity"],
        ["task=temporal_order", "task.length=20", "task=adding"],
        ["+note='a, b: ${seed}'"],
    ],
)
def test_adding_deleting_and_overriding_keep_their_order(hydra, words):
    master = master_of(hydra, [])
    composer = Composer(hydra.config_loader, master)
    ours = theirs = None
    with contextlib.suppress(Exception):
        theirs = composed_by_hydra(hydra, master, words, 0)
    with contextlib.suppress(Exception):
        ours = composer.compose(words, 0)
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert plain(ours) == plain(theirs)


@given(st.from_regex(r"[a-z_][a-z0-9_.]{0,6}=[-+]?[0-9_]{1,12}(\.|e)?[0-9]?", fullmatch=True))
@settings(max_examples=dose(40, 200))
def test_a_whole_number_is_parsed_as_hydra_parses_it(word):
    ours = _whole_number(word)
    if ours is None:
        return
    [theirs] = OverridesParser.create().parse_overrides([word])
    assert ours == theirs
    assert type(ours.value()) is type(theirs.value())


@given(jobs=st.lists(JOB, min_size=2, max_size=6))
@pytest.mark.dosed
@settings(max_examples=dose(4, 10), phases=(Phase.explicit, Phase.generate))
def test_a_revised_configuration_is_the_composed_one(hydra, jobs):
    composer = Composer(hydra.config_loader, master_of(hydra, []))
    alike = [[f"task.length={T}", f"init.gain={g}", f"seed={T}"] for T in (3, 4) for g in (1, 0.5)]
    for number, words in enumerate([*jobs, *alike, *jobs[::-1], *alike]):
        revised = plain(composer.revise(words, number))
        assert revised == plain(composer.compose(words, number))


def test_a_file_is_parsed_once_and_again_when_it_has_changed(tmp_path, monkeypatch):
    file, parsed = tmp_path / "mine.yaml", []
    load = OmegaConf.load
    monkeypatch.setattr(OmegaConf, "load", lambda text: parsed.append(text) or load(text))

    def read():
        return FileSource("me", f"file://{tmp_path}").load_config("mine").config

    file.write_text("task: {length: 10}\n")
    read().task.length = 11  # what was given is the caller's
    assert read() == {"task": {"length": 10}}
    assert len(parsed) == 1
    file.write_text("task: {length: 100}\n")
    assert read() == {"task": {"length": 100}}


def test_one_job_leaves_no_trace_in_the_next(hydra):
    composer = Composer(hydra.config_loader, master_of(hydra, []))
    before = plain(composer.compose(["seed=1"], 0))
    composer.compose(["seed=2", "+a.b=3", "task.length=9", "~recording.every"], 1)
    assert plain(composer.compose(["seed=1"], 0)) == before


@given(JOB)
@pytest.mark.dosed
@settings(max_examples=dose(4, 10), phases=(Phase.explicit, Phase.generate))
def test_the_files_of_a_job_are_the_bytes_that_hydra_writes(hydra, words):
    job = Composer(hydra.config_loader, master_of(hydra, [])).compose(
        [*words, "+note='a: \"b\"'"], 0
    )
    task = OmegaConf.masked_copy(job, [key for key in job if key != "hydra"])
    files = HydraFiles()
    files.of(Composer(hydra.config_loader, master_of(hydra, [])).compose(["seed=9"], 1))
    assert files.of(job) == {
        ".hydra/config.yaml": OmegaConf.to_yaml(task),
        ".hydra/hydra.yaml": OmegaConf.to_yaml(OmegaConf.masked_copy(job, "hydra")),
        ".hydra/overrides.yaml": OmegaConf.to_yaml(job.hydra.overrides.task),
    }


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["hydra.job_logging.handlers.file.filename=a"],
        ["hydra.job_logging.formatters.simple.format=${hydra.job.num} ${hydra.job.name}"],
        [r"hydra.job_logging.formatters.simple.format='\${hydra.job.name}'"],
        ["hydra/job_logging=stdout"],
    ],
    ids=str,
)
def test_a_job_writes_its_log_as_hydra_would(hydra, words):
    job = Composer(hydra.config_loader, master_of(hydra, words)).compose(["seed=1"], 7)
    with open_dict(job.hydra.runtime):
        job.hydra.runtime.output_dir = "/a/folder"
    expected = OmegaConf.to_container(job.hydra.job_logging, resolve=True)
    assert logging_of(job) == expected


@given(jobs=st.lists(JOB, min_size=1, max_size=4, unique_by=tuple))
@pytest.mark.dosed
@settings(max_examples=dose(5, 12), phases=(Phase.explicit, Phase.generate))
def test_a_planned_run_is_the_run_of_the_composed_job(hydra, tmp_path_factory, jobs):
    folder = tmp_path_factory.mktemp("sweep")
    master = master_of(hydra, [f"hydra.sweep.dir={folder}"])
    composer = Composer(hydra.config_loader, master)
    for number, words in enumerate(jobs):
        try:
            expected = run_from_config(composed_by_hydra(hydra, master, words, number))
        except Exception as error:  # the plan must refuse it as well, in the same words
            with pytest.raises(type(error), match="^" + _escaped(error)):
                plan(composer, [words], number)
            continue
        [planned] = plan(composer, [words], number)
        assert planned.run == expected
        assert planned.folder == folder / expected.name


def _escaped(error):
    import re

    return re.escape(str(error)[:40])


def test_plain_values_are_planned_without_composing(hydra, monkeypatch, tmp_path):
    composer = Composer(hydra.config_loader, master_of(hydra, [f"hydra.sweep.dir={tmp_path}"]))
    composer.base(["task=adding"])
    monkeypatch.setattr(planning, "run_from_config", lambda _: pytest.fail("it was composed"))
    jobs = [
        ["task=adding", f"task.length={T}", f"seed={seed}"] for T in (10, 20) for seed in (0, 1)
    ]

    assert len(plan(composer, jobs)) == 4


def test_folders_that_hydra_is_told_to_name_are_hydras(hydra, tmp_path):
    words = [f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=${hydra.job.num}-${seed}"]
    composer = Composer(hydra.config_loader, master_of(hydra, words))

    folders = [job.folder.name for job in plan(composer, [["seed=5"], ["seed=6"]], first=3)]

    assert folders == ["3-5", "4-6"]


def test_a_run_that_is_asked_for_twice_has_one_folder(hydra, tmp_path):
    """A run is trained once; the sweep failed where its second folder was looked for."""
    words = [f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=${hydra.job.num}"]
    composer = Composer(hydra.config_loader, master_of(hydra, words))

    planned = plan(composer, [["init.gain=1"], ["init.gain=2"], ["init.gain=1.0"]])

    assert [job.folder.name for job in planned] == ["0", "1", "0"]
