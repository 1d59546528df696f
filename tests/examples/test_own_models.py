"""The programs of examples/own_models: what is recorded is what the same program with loops has."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.examples.loops import oracle
from tests.probe.test_exact import compare

PROGRAMS = Path(__file__).parents[2] / "examples" / "own_models"
FUSED = {
    "language_model": "lstm",
    "tagging": "lstm",
    "seq2seq": "encoder",
    "forecasting": "gru",
}
STEPPED = {"seq2seq": "decoder.cell", "tied_block": "block"}


@pytest.fixture(autouse=True)
def double_precision():
    """Programs take torch's own precision and generator: both are put back."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_default_dtype(before)


def load(name):
    spec = importlib.util.spec_from_file_location(name, PROGRAMS / f"{name}.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


@pytest.fixture(scope="module")
def both():
    """What a program has recorded, and what the same program with loops has, once for all tests."""
    kept = {}

    def run(name):
        if name not in kept:
            program = load(name)
            recording = program.main()
            program.record_gradients = oracle
            kept[name] = recording, program.main()
        return kept[name]

    return run


def ends(frame):
    """The first and the last recorded update: the last one only if all before it were the same."""
    return {frame["update"].min(), frame["update"].max()}


@pytest.mark.parametrize("name", FUSED)
def test_of_a_fused_module_every_column_is_that_of_the_program_with_a_loop(name, both):
    recording, expected = both(name)
    frame = recording.to_frame()
    frame = frame[frame["module"] == FUSED[name]]
    assert len(ends(frame)) == 2
    for update in ends(frame):
        compare(frame[frame["update"] == update], expected.profiles(FUSED[name], update))


@pytest.mark.parametrize("name", STEPPED)
def test_of_a_module_called_once_a_step_the_gradient_is_that_which_its_output_retains(name, both):
    recording, expected = both(name)
    frame = recording.to_frame()
    frame = frame[frame["module"] == STEPPED[name]]
    assert recording.cuts.empty
    for update in ends(frame):
        rows = frame[frame["update"] == update]
        wanted = expected.totals(STEPPED[name], update)
        assert rows["time"].tolist() == list(range(1, len(wanted) + 1))
        np.testing.assert_allclose(rows["log10_total"], wanted, rtol=0, atol=1e-9)


def test_at_digits_the_gradient_vanishes_before_training_and_reaches_the_first_pixel_after():
    pytest.importorskip("sklearn")
    torch.set_default_dtype(torch.float32)  # as the page about it
    said = load("digits").main().summary()
    assert said["verdict"].tolist() == ["vanishing", "stable"]
    assert said["log10_change"][0] == pytest.approx(-12.4, abs=0.5)
    assert said["log10_change"][1] > -1


def test_without_scikit_learn_the_digits_are_refused_in_a_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SystemExit, match="the digits come with scikit-learn"):
        load("digits").main()


def test_every_program_is_tried_and_prints_what_was_recorded(capsys):
    names = {path.stem for path in PROGRAMS.glob("*.py")}
    assert names == {*FUSED, *STEPPED, "digits"}
    load("forecasting").main()
    assert "update 10: gru: ∂L/∂h_t over 20 steps: vanishing" in capsys.readouterr().out
