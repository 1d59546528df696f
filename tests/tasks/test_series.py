"""Time series out of a file: windows, parts, units, and that a file counts by its content."""

import pickle
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from rnn_exp._hydra.job import run_from_config
from rnn_exp.fields import SettingError
from rnn_exp.networks import Network
from rnn_exp.schema import ADDED_SETTINGS
from rnn_exp.storage.writing import is_done, write
from rnn_exp.tasks import Series
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Evaluation, Recording, Training
from tests.studies import composed

VALUES = np.random.default_rng(0).normal(size=(100, 2)).cumsum(0)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return written(tmp_path / "data.csv", VALUES)


def written(path, values, names="a,b"):
    lines = [",".join(repr(float(value)) for value in row) for row in values]
    path.write_text("\n".join([names, *lines]) + "\n")
    return path.name


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def standardised(values, training):
    part = values[:training]
    return (values - part.mean(0)) / part.std(0)


@pytest.mark.parametrize("ahead", [1, 4])
def test_windows_hold_rows_in_order_and_the_answer_stands_ahead(file, ahead):
    task = Series(file, "b", "a+b", length=7, ahead=ahead, test_share=0.25)
    wanted = standardised(VALUES, 75)
    batch = task.draw(2000, seeded())
    starts = set()
    for window, answer in zip(batch.inputs.unbind(1), batch.targets[0], strict=True):
        start = int(np.abs(wanted[:, 0] - float(window[0, 0])).argmin())
        np.testing.assert_allclose(window, wanted[start : start + 7], atol=1e-5)
        assert float(answer) == pytest.approx(wanted[start + 6 + ahead, 1], abs=1e-5)
        starts.add(start)
    assert starts == set(range(75 - 7 - ahead + 1)), "no window reaches into the test part"


def test_the_held_out_windows_are_all_those_of_the_last_part_once(file):
    task = Series(file, "a", length=5, ahead=2, test_share=0.25)
    wanted = standardised(VALUES, 75)[:, 0]
    batch = task.held_out()
    assert batch.inputs.shape == (5, 25 - 5 - 2 + 1, 1)
    for number, window in enumerate(batch.inputs[..., 0].T):
        np.testing.assert_allclose(window, wanted[75 + number : 80 + number], atol=1e-5)
    np.testing.assert_allclose(batch.targets[0], wanted[75 + 5 + 1 :], atol=1e-5)


def test_nothing_of_the_test_part_is_known_to_training(file, tmp_path):
    task = Series(file, "a", length=5, test_share=0.25)
    changed = VALUES.copy()
    changed[75:] = 1e6 * VALUES[75:] + 17
    other = Series(written(tmp_path / "other.csv", changed), "a", length=5, test_share=0.25)
    one, two = task.draw(50, seeded()), other.draw(50, seeded())
    assert torch.equal(one.inputs, two.inputs)
    assert torch.equal(one.targets, two.targets)
    assert task.chance_loss == other.chance_loss


def test_chance_is_the_variance_of_the_answers_exactly(file):
    task = Series(file, "b", length=20, ahead=3, test_share=0.25, tolerance=0.7)
    answers = standardised(VALUES, 75)[20 + 3 - 1 : 75, 1]
    assert task.chance_loss == pytest.approx(answers.var(), rel=1e-6)
    assert task.chance_error == (np.abs(answers - answers.mean()) >= 0.7).mean()


def test_the_only_column_needs_no_name_and_other_delimiters_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("one.csv").write_text("x\n" + "\n".join(map(str, range(40))))
    Path("two.tsv").write_bytes(
        "\ufeffday\ttemp (°C)\r\n".encode() + b"mo\t1\r\n\r\ntu\t2\r\n" * 20
    )
    assert Series("one.csv", length=3).input_size == 1
    run = Run(Series("two.tsv", "temp (°C)", length=3))
    assert run_from_config(composed(*shlex.split(run.command)[1:])) == run


def test_a_file_counts_by_its_content_wherever_it_lies(file, tmp_path):
    task = Series(file, "a", length=5)
    (tmp_path / "below").mkdir()
    (tmp_path / "below/copy.csv").write_bytes((tmp_path / file).read_bytes())
    there = Run(Series("below/copy.csv", "a", length=5))
    assert Run(task) == there
    assert Run(task).digest == there.digest
    assert Run(task).settings()["task.sha256"] == task.sha256

    written(tmp_path / file, VALUES + 1e-9)
    changed = Run(Series(file, "a", length=5))
    assert changed.digest != there.digest
    assert changed != there
    assert "sha256" not in Run(task).name
    assert not any("sha256" in key for key in ADDED_SETTINGS)


def test_a_run_refuses_another_file_than_its_own_also_in_another_process(
    file, tmp_path, monkeypatch
):
    task = Series(file, "a", length=5)
    run = pickle.loads(pickle.dumps(Run(task)))  # as it goes to a worker
    monkeypatch.chdir("/")
    assert run.task.draw(3, seeded()).inputs.shape == (5, 3, 1)

    from rnn_exp.tasks import series

    series._read.cache_clear()
    written(tmp_path / file, VALUES + 1)
    with pytest.raises(SettingError, match=r"sha256=.* another file than the one that the run was"):
        run.task.draw(3, seeded())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match=r"sha256=.* another file than the one that the run was"):
        Series(file, "a", length=5, sha256=task.sha256)


def test_a_series_trains_and_is_tested_and_its_command_makes_it_again(file, tmp_path):
    run = Run(
        Series(file, "a", length=5),
        Network(hidden_size=4),
        training=Training(3, 4),
        recording=Recording(2),
        evaluation=Evaluation(2),
    )
    [outcome] = train_runs([run])
    (tmp_path / run.name).mkdir()
    write(tmp_path / run.name, outcome)
    assert np.isfinite(outcome.updates["test_error"]).all()
    assert is_done(tmp_path / run.name, run)
    assert f"series-T5-tanh-gaussian0.8-seed0-units4-{file}-a-" in run.name
    assert run_from_config(composed(*shlex.split(run.command)[1:])) == run


def lines(*rows):
    return "\n".join(rows)


GOOD = [f"{row},{row * row % 7},x" for row in range(30)]


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (
            "a,b,c\n" + lines(*GOOD),
            {"column": "d"},
            r"column=d is not possible: allowed is one of a",
        ),
        ("a,b,c\n" + lines(*GOOD), {}, r"column=null is not possible: allowed is one of a, b, c"),
        ("a,b,c\n" + lines(*GOOD), {"column": "c"}, r"column=c .* line 2 of data\.csv has 'x'"),
        ("a,b,c\n" + lines(*GOOD, ",3,x"), {"column": "a"}, r"column=a .* line 32 .* has ''"),
        ("a,b,c\n" + lines(*GOOD, "nan,3,x"), {"column": "a"}, r"column=a .* line 32 .* has 'nan'"),
        (
            "a,b,c\n" + lines(*GOOD, "1,3"),
            {"column": "a"},
            r"line 32 has 2 cells, the first line 3",
        ),
        ("a,b,c\n" + lines(*GOOD), {"column": "a", "inputs": "b+d"}, r"inputs=d .* a, b, c"),
        ("a,a\n1,2\n", {"column": "a"}, r"two columns are called a"),
        ("", {}, r"its first line names no columns"),
        ("a\n1\n", {}, r"and more rows; data\.csv has 1"),
        ("a\n" + lines(*["0.1"] * 30), {"length": 2}, r"column=.* that changes in the 24 rows"),
        ("a\n" + lines(*map(str, range(30))), {}, r"length=50 .* at most 5, .* 24 rows .* 6 for"),
        ("PAR1xx", {}, r"file=data\.csv .* this is a parquet file, to be written as CSV"),
        ("a\n" + lines(*["1e308", "-1e308"] * 9), {"length": 1}, r"column=.* single precision"),
        ('a\n"1', {}, r"file=data\.csv .* unexpected end of data"),
        ("a\n1\n2\n", {"test_share": 1.0}, r"test_share=1.0 .* above 0 and below 1"),
        (b"a\n\xff\xfe", {}, r"file=data\.csv .* in UTF-8 .* can't decode"),
    ],
)
def test_what_is_no_series_is_refused_in_one_line(
    tmp_path, monkeypatch, content, settings, message
):
    monkeypatch.chdir(tmp_path)
    data = content if isinstance(content, bytes) else content.encode()
    Path("data.csv").write_bytes(data)
    with pytest.raises(SettingError, match=message) as refused:
        Series("data.csv", **settings)
    assert "\n" not in str(refused.value.under("task"))


def test_a_file_that_is_not_there_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        SettingError, match=r"^file=null is not possible: allowed is the path of a C"
    ):
        Series()
    with pytest.raises(
        SettingError, match=r"^file=no\.csv .* folder of the command; there is none"
    ):
        Series("no.csv")
    with pytest.raises(SettingError, match=r"^file=\. .*; this is none$"):
        Series(".")
