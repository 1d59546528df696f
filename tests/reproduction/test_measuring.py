"""The table of claims: made of measurements, judged by tolerances, whole in spite of failures."""

import csv
import dataclasses
import io
import math
import re
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
import torch

from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import Network
from rnn_exp.reproduction import CLAIMS, Claim, measuring, trained_networks
from rnn_exp.reproduction.claims import DataclassMeasure, Measure
from rnn_exp.reproduction.command import main
from rnn_exp.reproduction.goals import AtLeast, Below, Near
from rnn_exp.reproduction.measuring import COLUMNS, Row, as_csv, as_markdown, measure
from rnn_exp.reproduction.random_networks import (
    CriticalGain,
    GradientSlope,
    LargestExponent,
    SumRule,
)
from rnn_exp.reproduction.single_unit import Cliff, SaddleNode
from rnn_exp.reproduction.trained_networks import (
    LateError,
    LateLoss,
    NormRatio,
    SolvedAt,
    SolvedWithout,
)
from rnn_exp.sweeps import process
from rnn_exp.tasks import Adding, TemporalOrder
from rnn_exp.theory import lyapunov
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training


@dataclasses.dataclass(frozen=True)
class Given(DataclassMeasure):
    """Stand-in that measures what it is told."""

    values: tuple[float, ...] = (1.0,)
    error: str = ""

    def __call__(self):
        if self.error:
            raise RuntimeError(self.error)
        return self.values


NEAR_ONE = Near(1.0, 0.5)


def claim(*values, goal=NEAR_ONE, group="some", says="one", quick=None, error=""):
    return Claim(group, says, "Nobody 1900, eq. 1", goal, Given(values, error), quick)


SMALL = Run(Adding(5), Network(hidden_size=4), Gaussian(), Training(updates=20, batch_size=2))


@pytest.fixture
def alone(monkeypatch):
    """No process beside this one, which takes seconds to start."""
    monkeypatch.setattr(process, "cores", lambda: 1)


def test_a_failing_claim_is_shown_with_its_reason_and_the_others_go_on(alone, tmp_path, capsys):
    claims = [claim(1.0), claim(error="the pump\nis dry"), claim(9.0, says="nine")]
    assert main(["--out", str(tmp_path)], claims) == 1
    assert [row["met"] for row in _csv(tmp_path)] == ["met", "failed", "not met"]
    assert _csv(tmp_path)[1]["ours"] == "RuntimeError: the pump is dry"
    printed = capsys.readouterr()
    assert printed.out == (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "1 claims met, 1 not met, 1 failed, 0 not measured." in printed.out
    assert not printed.err, "no line of progress without a terminal"


def test_a_process_that_dies_fails_its_claim():
    lost = Future()
    lost.set_exception(BrokenProcessPool("a process\nwas lost"))
    row = measuring._row_of(lost, claim(1.0), quick=False)
    assert (row.verdict, row.ours) == ("failed", "BrokenProcessPool: a process was lost")


def test_nothing_measured_is_no_success():
    assert measure(claim(), quick=False).verdict == "failed"


def test_what_is_there_at_an_interrupt_stays(alone, tmp_path, capsys):
    class Stopped(Given):
        """Stand-in that is interrupted."""

        def __call__(self):
            raise KeyboardInterrupt

    claims = [claim(1.0), dataclasses.replace(claim(1.0), full=Stopped())]
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(tmp_path)], claims)
    assert stopped.value.code == 130
    assert "stopped with 1 of 2 claims measured" in capsys.readouterr().err
    assert [row["met"] for row in _csv(tmp_path)] == ["met"]


def test_a_quick_dose_says_what_is_less():
    both = claim(1.0, 1.0, quick=Given((1.0,)))
    assert both.dose(quick=False) == "full"
    assert both.dose(quick=True) == "quick: values=(1.0,) of (1.0, 1.0)"
    assert (
        both.setting(quick=True) == "Stand-in that measures what it is told: values=(1.0,) error="
    )
    assert claim(1.0).dose(quick=True) == "left out of quick"
    row = measure(claim(1.0), quick=True)
    assert (row.verdict, row.ours) == ("–", "not measured")
    assert claim(1.0, quick=Given((1.0,))).dose(quick=True) == "full", "nothing is less"


def test_quick_doses_of_the_real_claims_are_marked_unless_they_are_the_full_one():
    for real in CLAIMS:
        same = real.quick == real.full
        assert (real.dose(quick=True) in ("full", "none")) == same, real.says


def test_what_is_only_told_has_no_number():
    told = [real for real in CLAIMS if real.goal is None]
    assert [Row(real, quick=False).verdict for real in told] == ["–"]
    assert not any(letter.isdigit() for letter in Row(told[0], quick=False).ours)


def test_the_table_has_a_line_a_claim_and_says_what_is_met():
    rows = [
        measure(claim(1.0, 1.2), quick=False),
        measure(claim(math.inf, goal=AtLeast(1, 1)), False),
    ]
    lines = as_markdown(rows, "Made by hand.").splitlines()
    assert lines[:5] == ["# Results", "", "Made by hand.", "", lines[4]]
    assert lines[4] == "1 claims met, 1 not met, 0 failed, 0 not measured."
    assert lines[6] == f"| {' | '.join(COLUMNS)} |"
    assert lines[7] == "|" + " --- |" * len(COLUMNS)
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[8:]]
    assert [row[4:7] for row in cells] == [
        ["1 ± 0.5", "1.1 ± 0.1 (1 … 1.2; 2 seeds)", "met"],
        ["at least 1 of 1", "0 of 1 (update never)", "not met"],
    ]


def test_markdown_cells_cannot_break_out():
    evil = claim(1.0, says="a|b\n| c | `d` *e* <i>")
    lines = as_markdown([measure(evil, quick=False)], "Made.").splitlines()
    assert lines[-1].startswith("| some | a\\|b \\| c \\| \\`d\\` \\*e\\* \\<i\\> | Nobody")
    assert lines[-1].replace("\\|", "").count("|") == len(COLUMNS) + 1


def test_csv_quotes_what_it_must_and_holds_every_seed():
    evil = claim(0.1, 1.2, says='a, "b"\nc')
    [row] = csv.DictReader(io.StringIO(as_csv([measure(evil, quick=False)])))
    assert row["says"] == 'a, "b"\nc'
    assert [float(value) for value in row["values"].split()] == [0.1, 1.2]


def test_rows_come_in_the_order_of_the_claims_and_only_what_is_asked_for(alone, tmp_path):
    claims = [claim(1.0, group="two_words"), claim(2.0, group="some"), claim(3.0, group="third")]
    assert main(["--only", "third,Two_Words", "--out", str(tmp_path / "deep" / "er")], claims) == 0
    assert [row["claim"] for row in _csv(tmp_path / "deep" / "er")] == ["two_words", "third"]


def test_an_unknown_claim_is_refused_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--only", "critical_gain,H99", "--out", str(tmp_path)])
    refused = capsys.readouterr().err.splitlines()[-1]
    assert "no claims are called h99; there are mean_field_slope, critical_gain, " in refused
    for real in CLAIMS:
        assert (real.group in refused) == (real.goal is not None), "what is told is not chosen"


def test_every_claim_says_whence_and_is_measurable():
    assert len({real.group for real in CLAIMS if real.goal}) == 16
    for real in CLAIMS:
        assert re.fullmatch("[a-z]+(_[a-z]+)*", real.group), "a word to type after --only"
        assert real.says
        assert real.source
        assert (real.full is None) == (real.goal is None)
        assert all(
            measure is None or isinstance(measure, Measure) for measure in (real.full, real.quick)
        )


SEEDED = [
    GradientSlope("tanh", 1.5, 0.0, n=16, seeds=3, burn_in=5),
    CriticalGain("identity", 0.0, n=16, seeds=3, burn_in=2),
    LargestExponent(1.5, n=16, T=110, seeds=3),
    SumRule(n=6, T=5, seeds=3),
    LateLoss(SMALL),
    NormRatio(dataclasses.replace(SMALL, network=Network(hidden_size=4))),
]


@pytest.mark.parametrize("measure", SEEDED, ids=lambda measure: type(measure).__name__)
def test_ours_differ_between_seeds_and_come_again(measure):
    values = measure()
    assert len(set(values)) == 3
    assert list(values) == list(measure())


def test_a_saturated_unit_costs_the_exponents_no_digits():
    draw = torch.Generator().manual_seed(1)
    W = torch.randn(1, 40, 40, generator=draw, dtype=torch.float64)
    h = torch.rand(5, 1, 40, generator=draw, dtype=torch.float64)
    h[:, :, 7] = 1 - 1e-12
    by_qr = lyapunov.spectrum(W, h, "tanh").sum(-1)
    assert (by_qr - lyapunov.sum_rule(W, h, "tanh")).abs().item() < 1e-11


def test_ours_of_one_unit_follow_the_settings():
    assert Cliff(points=11)() != Cliff(points=11, T=5)()
    [lower] = SaddleNode(-4.0, -3.0, weight=6.0, T=200, narrowed=1)()
    assert -3.7 < lower < -3.2
    with pytest.raises(ValueError, match="no jump"):
        SaddleNode(-2.6, -2.5, T=100)()


def _stand_in(losses, status="finished"):
    """Return something that pretends to train: its losses, and how it ended, are given."""
    [real] = train_runs([dataclasses.replace(SMALL, training=Training(updates=1))])

    def pretend(runs):
        updates = np.arange(20)
        table = {"update": updates, "loss": losses(updates), "error": losses(updates) / 2}
        return [dataclasses.replace(real, run=run, status=status, updates=table) for run in runs]

    return pretend


def test_ours_are_what_training_yields(monkeypatch):
    monkeypatch.setattr(trained_networks, "train_runs", _stand_in(lambda update: 1.0 * update))
    assert LateLoss(SMALL)() == [18.5] * 3
    assert LateError(SMALL)() == [9.25] * 3
    assert SolvedAt(SMALL)() == [math.inf] * 3
    monkeypatch.setattr(
        trained_networks, "train_runs", _stand_in(lambda update: 0.0 * update, "solved")
    )
    assert LateLoss(SMALL)() == [0.0] * 3
    assert SolvedAt(SMALL)() == [19.0] * 3


def test_a_run_that_diverged_meets_nothing(monkeypatch):
    monkeypatch.setattr(
        trained_networks, "train_runs", _stand_in(lambda update: 0.0 * update, "diverged")
    )
    assert all(map(math.isnan, LateLoss(SMALL)()))
    assert not Below(1.0).met(LateLoss(SMALL)())
    assert SolvedAt(SMALL)() == [math.inf] * 3


def test_a_broken_stand_in_meets_no_claim_on_training(monkeypatch):
    """Were a number of ours typed in, it would not care that nothing is ever learnt or measured."""
    monkeypatch.setattr(trained_networks, "train_runs", _stand_in(lambda update: update + math.nan))
    for real in CLAIMS:
        if isinstance(real.full, (LateLoss, LateError)):
            pretended = dataclasses.replace(real, full=dataclasses.replace(real.full, run=SMALL))
            assert measure(pretended, quick=False).verdict == "not met", real.says


def test_the_setting_of_a_trained_claim_is_a_command():
    run = dataclasses.replace(SMALL, task=TemporalOrder(10), seed=4)
    settings = SolvedAt(run, seeds=2).settings
    assert settings["task"] == "temporal_order"
    assert settings["seed"] == "0,1"


def test_with_and_without_a_remedy_are_measured_side_by_side(monkeypatch):
    seen = []

    def pretend(runs):
        seen.extend(run.training for run in runs)
        losses = _stand_in(lambda update: 0.0 * update, "solved" if runs[0].training.omega else "")
        return losses(runs)

    monkeypatch.setattr(trained_networks, "train_runs", pretend)
    remedy = dataclasses.replace(SMALL.training, clip_norm=1.0, omega=2.0)
    without = dataclasses.replace(remedy, omega=0.0)
    measure = SolvedWithout(dataclasses.replace(SMALL, training=remedy), 2, without=without)
    assert measure() == [19.0, 19.0, math.inf, math.inf]
    assert seen == [remedy] * 2 + [without] * 2
    assert measure.settings["without"] == "training.omega"
    assert measure.expected_seconds > SolvedAt(measure.run, 2).expected_seconds


def _csv(folder):
    text = (folder / "results.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))
