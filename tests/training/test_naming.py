"""A run's name: a function of the run alone, from every setting that is not the default."""

import copy
import dataclasses
import locale
import re
from pathlib import Path

import pytest

from rnn_exp.fields import allowed_of
from rnn_exp.networks import Network
from rnn_exp.networks.inits import Chrono, Gaussian, SpectralRadius, Unit
from rnn_exp.tasks import TASKS, Adding, Hold, TemporalOrder
from rnn_exp.training.naming import LONGEST, SUFFIX, run_name
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training


def stem(run: Run) -> str:
    """The name without the digest."""
    return run.name.rpartition("-")[0]


# Of every group: a setting that is not the default, and how a name has it.
CHANGES = {
    "lr0.1": {"training": Training(learning_rate=0.1)},
    "adam": {"training": Training(optimizer="adam")},
    "loss_at_every": {"training": Training(loss_at="every")},
    "truncate5-back7": {"training": Training(truncate_every=5, truncate_back=7)},
    "until_solved": {"training": Training(stop_when_solved=True)},
    "updates1000000000": {"training": Training(updates=10**9)},
    "lr1e16": {"training": Training(learning_rate=1e16)},
    "layers3": {"network": Network(num_layers=3)},
    "state-0.5": {"network": Network(initial_state=-0.5)},
    "float64": {"network": Network(dtype="float64")},
    "input2": {"init": Gaussian(input_scale=2.0)},
    "weight0.5-bias-0.25": {"init": Unit(0.5, -0.25), "network": Network(hidden_size=1)},
    "convention_pascanu": {"task": Adding(convention="pascanu")},
    "exponents2-record1": {"recording": Recording(every=1, exponents=2)},
}


@pytest.mark.parametrize("word", CHANGES)
def test_a_setting_that_is_not_the_default_is_in_the_name(word):
    changed, usual = Run(**CHANGES[word]), Run()

    assert f"-{word}-" in f"{stem(changed)}-"
    assert re.fullmatch(r"[A-Za-z0-9._-]+", changed.name)
    assert len(changed.name) <= LONGEST
    assert SUFFIX.search(changed.name)[1] == changed.digest[:8]
    assert stem(usual) == "adding-T30-tanh-gaussian0.8-seed0"


def other(field: dataclasses.Field) -> object:
    """A value of a field that is not its default."""
    options = list(allowed_of(field).options or ())
    if options:
        return next(option for option in options if option != field.default)
    return not field.default if isinstance(field.default, bool) else 77


def test_every_setting_but_the_device_changes_what_is_read():
    """Derived from the fields: one that is added is in the name too."""
    usual = Run()
    groups = {name: getattr(usual, name) for name in ("task", "init")} | {"network": Network()}
    others = {name: getattr(usual, name) for name in ("training", "recording", "evaluation")}
    for group, part in {**groups, **others}.items():
        for field in dataclasses.fields(part):
            if field.name == "more":  # settings that others bring, which have names of their own
                continue
            changed = copy.copy(part)  # of what excludes what, a name knows nothing
            object.__setattr__(changed, field.name, other(field))
            parts, rest = groups | {}, others | {}
            (parts if group in parts else rest)[group] = changed
            name = run_name(**parts, others=rest, seed=0, digest=usual.digest)
            assert name != usual.name, f"{group}.{field.name}"
            assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
    scan = dataclasses.replace(usual, network=Network(engine="scan"))
    assert dataclasses.replace(scan, device="cuda").digest == scan.digest


def test_what_follows_from_the_length_is_no_setting_of_its_own():
    lstm = Network(cell="lstm")

    assert stem(Run(init=Chrono(), network=lstm)) == "adding-T30-lstm-chrono-seed0"
    assert "-longest9" in stem(Run(init=Chrono(longest=9), network=lstm))
    assert "-longest9" in stem(Run(Adding(2), lstm, Chrono(longest=9)))


def test_what_does_not_fit_is_counted():
    network = Network("sigmoid", 17, 3, "leaky", 0.125, -0.125, dtype="float64")
    training = Training(1234, 123, "rmsprop", 0.00123, 0.123, 0.1234)

    name = Run(network=network, training=training).name

    assert len(name) <= LONGEST
    assert name.startswith("adding-T30-leaky-sigmoid-gaussian0.8-seed0-units17-layers3-leak0.125-")
    assert re.search(r"-\d+more-[0-9a-f]{8}$", name)


def test_a_beginning_that_is_too_long_is_cut_and_says_so(monkeypatch):
    task, init = TemporalOrder(2**31 - 1), SpectralRadius(1.23456e-300)
    name = Run(task, Network("sigmoid"), init, seed=2**128 - 1).name

    assert len(name) == LONGEST
    assert re.search(r"\d\.\.-[0-9a-f]{8}$", name)


def test_what_a_plugin_is_called_cannot_leave_the_folder(monkeypatch):
    class Odd(Hold):
        """A task whose name is a path."""

        name = "../a b/$(x)\x1b ü"

    monkeypatch.setitem(TASKS._things, Odd.name, Odd)

    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", Run(task=Odd()).name)


def test_the_locale_changes_no_name(monkeypatch):
    run = Run(init=Gaussian(gain=0.5))
    before = run.name
    monkeypatch.setattr(locale, "localeconv", lambda: {"decimal_point": ","})

    assert run.name == before


SCAN = Network(engine="scan")
# Digests that folders have had since the first version: a name may change, these never.
DIGESTS = {
    "8c49fedb": Run(network=SCAN),
    "da513539": Run(network=SCAN, init=Gaussian(gain=1)),
    "4dc91a94": Run(
        task=Hold(), network=dataclasses.replace(SCAN, hidden_size=1), init=Unit(bias=-2.0)
    ),
}


@pytest.mark.parametrize("digest", DIGESTS)
def test_the_digest_of_a_run_is_what_it_was(digest):
    run = DIGESTS[digest]

    assert run.digest.startswith(digest)
    labelled = dataclasses.replace(run, note="a note", tags=["paper"])
    assert (labelled.digest, labelled.name) == (run.digest, run.name)
    assert labelled == run
    assert hash(labelled) == hash(run)


def test_the_name_on_the_page_about_files_is_that_of_its_run():
    page = (Path(__file__).parents[2] / "docs/reference/files.md").read_text("utf-8")
    run = Run(
        Adding(30), Network(num_layers=3).decided("cpu"), training=Training(learning_rate=0.1)
    )
    assert f"`{run.name}`" in page
