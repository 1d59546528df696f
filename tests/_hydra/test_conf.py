"""conf/: the defaults are those of the dataclasses, and everything that can be chosen is valid."""

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from rnn_exp import figures
from rnn_exp._hydra.besides import page_from_config
from rnn_exp._hydra.job import run_from_config
from rnn_exp.networks.inits import INITS, Gaussian, Identity, Orthogonal, TorchDefault, Unit
from rnn_exp.networks.network import Network
from rnn_exp.storage.study import StudyPage
from rnn_exp.tasks import TASKS, Adding, Hold, TemporalOrder
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests.dose import dose
from tests.studies import CONF, composed, runs_of
from tests.task_files import example, words

STUDIES = sorted(path.stem for path in (CONF / "study").glob("*.yaml"))


def names(group: str) -> set[str]:
    """The files of a group."""
    return {path.stem for path in (CONF / group).glob("*.yaml")}


def test_every_task_and_every_init_has_its_file():
    assert names("task") == set(TASKS)
    assert names("init") == set(INITS)


def test_the_defaults_are_those_of_the_dataclasses():
    assert run_from_config(composed()) == Run()
    assert page_from_config(composed()) == StudyPage()


@pytest.mark.parametrize("name", TASKS)
def test_the_file_of_a_task_has_the_dataclasss_defaults(name):
    assert run_from_config(composed(f"task={name}", *words(name))) == Run(task=example(name))


# The inits that ask for a network of their own.
NETWORKS = {"unit": ("hidden_size", 1), "forget_bias": ("cell", "gru"), "chrono": ("cell", "lstm")}


@pytest.mark.parametrize("name", INITS)
def test_the_file_of_an_init_has_the_dataclasss_defaults(name):
    asked = dict([NETWORKS[name]] if name in NETWORKS else [])
    words = [f"network.{key}={value}" for key, value in asked.items()]

    run = run_from_config(composed(f"init={name}", *words))

    assert run == Run(init=INITS[name](), network=Network(**asked))


def test_every_setting_can_be_seen_in_the_composed_configuration():
    config = composed()

    for key in Run().settings():
        assert OmegaConf.select(config, key, default="missing") != "missing"


def test_there_is_a_study():
    assert "decay" in STUDIES


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_asks_a_question_and_shows_figures_that_there_are(name):
    path = CONF / "study" / f"{name}.yaml"

    page = StudyPage.of(OmegaConf.to_container(OmegaConf.load(path))["page"])

    assert path.read_text(encoding="utf-8").startswith("# @package _global_\n")
    assert page.question.endswith("?")
    assert set(figures.of_page(page.figures)) <= {*figures.names(), *figures.study_names()}
    assert page.answer
    assert set(page.answer) <= set(figures.of_page(page.figures))
    assert name not in figures.study_names() or page.figures[0] == name


# Those of several hundred runs take up to a quarter of a minute each.
LARGE = {"pascanu2013_cliff", "thresholds", "phase", "edge_of_chaos"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in STUDIES],
)
def test_every_run_of_a_study_is_valid_and_no_two_are_the_same(name):
    runs = runs_of(name)

    assert composed(f"study={name}").hydra.mode.name == "MULTIRUN"
    assert len(runs) > 1
    assert len({run.digest for run in runs}) == len(runs)
    read = {run.name.rpartition("-")[0] for run in runs}  # without the digest
    assert len(read) == len(runs)


FLOATS = st.floats(min_value=1e-300, max_value=1e300)
# Adam divides its rate by 1 − β₁.
IN_SINGLE_PRECISION = st.floats(min_value=1e-300, max_value=1e37)
RUNS = st.builds(
    Run,
    task=st.builds(Adding, length=st.integers(2, 10**6))
    | st.builds(TemporalOrder, length=st.integers(10, 10**6)),
    network=st.builds(
        Network,
        activation=st.sampled_from(["tanh", "sigmoid", "relu"]),
        hidden_size=st.integers(1, 10**6),
        num_layers=st.integers(1, 9),
        engine=st.sampled_from(["scan", "torch"]),
        dtype=st.sampled_from(["float32", "float64"]),
    ),
    init=st.just(TorchDefault())
    | st.one_of(
        st.builds(kind, gain=st.just(0.0) | FLOATS, input_scale=FLOATS)
        for kind in (Gaussian, Orthogonal, Identity)
    ),
    training=st.builds(
        Training,
        updates=st.integers(1, 10**9),
        batch_size=st.integers(1, 10**5),
        optimizer=st.sampled_from(["sgd", "adam", "rmsprop"]),
        learning_rate=IN_SINGLE_PRECISION,
        clip_norm=st.none() | IN_SINGLE_PRECISION,
    ),
    recording=st.builds(Recording, every=st.integers(1, 10**6)),
    seed=st.integers(0, 2**80),
)

SPECIAL = [
    Run(),
    Run(training=Training(learning_rate=1e-05, clip_norm=0.1 + 0.2)),
    Run(training=Training(clip_norm=None, learning_rate=1e16)),
    Run(init=Gaussian(gain=1)),
    Run(init=Gaussian(gain=5e-324, input_scale=1.7976931348623157e308)),
    Run(init=TorchDefault(), task=TemporalOrder(), seed=2**63),
    Run(task=Hold(), network=Network(hidden_size=1), init=Unit(bias=-2.0)),
]


@pytest.mark.parametrize("run", SPECIAL, ids=lambda run: run.name)
def test_the_command_of_a_special_run_gives_that_run(run):
    assert run_from_config(composed(*shlex.split(run.command)[1:])) == run


@given(run=RUNS)
@settings(max_examples=dose(5, 15))
def test_the_command_of_any_run_gives_that_run(run):
    program, *words = shlex.split(run.command)

    again = run_from_config(composed(*words))

    assert program == "rnn-exp"
    assert again == run
    assert again.digest == run.digest
    assert again.name == run.name
    assert again.command == run.command


def test_the_command_changes_the_default_of_a_study_back():
    run = run_from_config(composed("study=decay"))

    assert run.training.clip_norm is not None
    assert run_from_config(composed(*shlex.split(run.command)[1:])) == run
