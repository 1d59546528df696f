"""Time series out of a file: windows, parts, units, and that a file counts by its content."""

import pickle
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
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
        ("", {}, r"file=data\.csv .* this is empty"),
        ("\n \n", {}, r"file=data\.csv .* this is empty"),
        (",\n1,2\n", {}, r"its first line names no columns"),
        ("a,b\n", {"column": "a"}, r"with more rows; data\.csv has 0"),
        ("a\n1\n_1_5_\n", {}, r"column=a .* line 3 of data\.csv has '_1_5_'"),
        ("a\n1\n1_5\n3\n", {}, r"column=a .* line 3 of data\.csv has '1_5'"),
        ("a\n1\n١\n3\n", {}, r"column=a .* line 3 of data\.csv has '١'"),
        ("a\n1\ninf\n3\n", {}, r"column=a .* line 3 of data\.csv has 'inf'"),
        ("a\n1\n1e999\n3\n", {}, r"column=a .* double precision; line 3 of data\.csv has '1e999'"),
        ("a;b\n0,5;1\n", {"column": "a"}, r"line 2 .* has '0,5': numbers need a decimal point"),
        ("a,b\n0,5,1,0\n", {"column": "a"}, r"2 has 4 cells, the first line 2; .* decimal commas"),
        ("a b\n0.5 1\n0 1\n", {}, r"line 2 .* has '0\.5 1': commas, semicolons or tabs stand"),
        ("0.5,1\n0.7,2\n", {"column": "1"}, r"its first line has numbers: write names above them"),
        ("7\n8\n9\n", {}, r"column=null .* 7, if the first line of data\.csv is a name and no num"),
        (
            b"a,caf\xe9\n1,2\n",
            {"column": "a"},
            r"line 1 has the byte 0xe9, which is not UTF-8",
        ),
        ("a,b\n1,2\n".encode("utf-16"), {}, r"this is in UTF-16: save it as UTF-8"),
        (b"PK\3\4", {}, r"a workbook or a zip file: save the table as CSV"),
        (b"\x1f\x8b\b", {}, r"this is compressed: unpack it"),
        ("a\n1\n", {}, r"with more rows; data\.csv has 1"),
        ("a\n" + lines(*["0.1"] * 30), {"length": 2}, r"column=.* that changes in the 24 rows"),
        ("a\n" + lines(*map(str, range(30))), {}, r"length=50 .* at most 5, .* 24 rows .* 6 for"),
        (
            "PAR1xx",
            {},
            r"file=data\.csv .* a whole parquet file; ArrowInvalid: ",
        ),
        ("a\n" + lines(*["1e308", "-1e308"] * 9), {"length": 1}, r"column=.* single precision"),
        ('a\n"1', {}, r"file=data\.csv .* unexpected end of data"),
        ("a\n1\n2\n", {"test_share": 1.0}, r"test_share=1.0 .* above 0 and below 1"),
        (b"a\n\xff\xfe", {}, r"file=data\.csv .* in UTF-8 .*; line 2 has the byte 0xff"),
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


def test_the_example_of_the_page_about_own_data_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs/how-to/own/data.md").read_text("utf-8")
    [section] = re.findall(r"\n## An example to try\n(.*?)\n## ", page, flags=re.DOTALL)
    [block] = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    exec(compile(block, "data.md", "exec"), {})
    commands = re.findall(r"^rnn-exp (task=.*)$", section, flags=re.MULTILINE)
    small = ["network.hidden_size=4", "training.updates=2", "training.batch_size=4"]
    runs = [run_from_config(composed(*shlex.split(words), *small)) for words in commands]
    assert [run.task.output_size for run in runs] == [1, 2]
    assert all(np.isfinite(outcome.updates["loss"]).all() for outcome in train_runs(runs))


ROWS = 120
LABELS = np.array(["up", "down", "flat"])[np.arange(ROWS) // 7 % 3]


def labelled(path, labels=LABELS):
    """A file with a column of numbers and one of labels, in the format of its name."""
    frame = pd.DataFrame({"a": np.arange(ROWS) ** 1.5, "kind": labels})
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path)
    return path.name


@pytest.fixture(params=["csv", "parquet"])
def kinds(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda labels=LABELS: labelled(tmp_path / f"kinds.{request.param}", labels)


def test_the_label_of_a_window_is_that_of_its_last_row(kinds):
    task = Series(kinds(), label="kind", inputs="a", length=6, test_share=0.25)
    inputs = standardised(np.arange(ROWS)[:, None] ** 1.5, 90)[:, 0]
    classes, starts = sorted(set(LABELS)), set()
    assert task.output_size == 3
    for batch in (task.draw(2000, seeded()), task.held_out()):
        for window, answer in zip(batch.inputs[..., 0].T, batch.targets[0], strict=True):
            start = int(np.abs(inputs - float(window[0])).argmin())
            np.testing.assert_allclose(window, inputs[start : start + 6], atol=1e-4)
            assert classes[answer] == LABELS[start + 5]
            starts.add(start)
    assert starts == {*range(90 - 6 + 1), *range(90, ROWS - 6 + 1)}, "no window has both parts"


def test_chance_is_of_the_labels_that_training_can_draw(kinds):
    labels = np.array([0] * 40 + [1, 1, 1, 2] * 20)
    task = Series(kinds(labels), label="kind", inputs="a", length=41, test_share=0.5)
    shares = np.array([15, 5]) / 20  # of rows 41 to 60: the label 0 stands in no last row
    assert task.output_size == 3
    assert task.chance_loss == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-12)
    assert task.chance_error == pytest.approx(0.25, rel=1e-12)


def test_whole_numbers_are_labels_in_their_order_and_so_are_gaps(kinds):
    numbers = np.array([10, 9, -2])[np.arange(ROWS) % 3]
    words = Series(kinds(numbers.astype(str)), label="kind", inputs="a", length=1).held_out()
    for labels in (numbers, numbers.astype(float)):
        task = Series(kinds(labels), label="kind", inputs="a", length=1)
        assert torch.equal(task.held_out().targets, words.targets)
        assert set(task.held_out().targets[0, numbers[96:] == 9].tolist()) == {1}


def test_the_answer_is_a_label_whatever_parquet_calls_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = Series(labelled(tmp_path / "text.csv"), label="kind", inputs="a", length=3).held_out()
    frame = pd.DataFrame({"a": np.arange(ROWS) ** 1.5, "kind": LABELS})
    for kind in ("category", "string", object):
        frame.astype({"kind": kind}).to_parquet("text.parquet")
        task = Series("text.parquet", label="kind", length=3)
        assert torch.equal(task.held_out().targets, wanted.targets)
        assert torch.equal(task.held_out().inputs, wanted.inputs)
    frame.assign(kind=LABELS == "up").to_parquet("truth.parquet")
    truth = Series("truth.parquet", label="kind", length=3)
    assert torch.equal(truth.held_out().targets == 1, wanted.targets == 2)


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (LABELS, {"label": "kin"}, r"label=kin .* one of .*a, kind \(did you mean kind\?\)"),
        (
            LABELS,
            {"column": "a"},
            r"column=a .* null with task\.label=kind: a window has",
        ),
        (LABELS, {"ahead": 2}, r"ahead=2 .* 1, the default, with task\.label=kind: .* last row"),
        (LABELS, {"tolerance": 0.2}, r"tolerance=0\.2 .* 0\.1, the default, with task\.label=kind"),
        (LABELS, {"inputs": "a+kind"}, r"inputs=a\+kind .* columns without kind, the answer"),
        (LABELS, {"inputs": "b"}, r"inputs=b .* one of .*a, kind"),
        (LABELS, {"length": 25}, r"length=25 .* at most 24"),
        (["x"] * ROWS, {}, r"label=kind .* two labels or more; in the 96 rows for training"),
        (["x"] * 3 + ["y"] * (ROWS - 3), {}, r"label=kind .* two labels .* every window has one"),
        (
            [*LABELS[:-2], "new", "up"],
            {},
            r"(119|120) of .* has 'new', which is in the rows",
        ),
        (
            [*LABELS[:-1], ""],
            {},
            r"label=kind .* in every row; \w+ 12[01] of .* has ''",
        ),
        (np.arange(ROWS) / 2, {}, r"label=kind .* a whole number or a word, .* has '0\.5'"),
    ],
)
def test_labels_that_cannot_be_are_refused_in_one_line(kinds, labels, settings, message):
    given = {"label": "kind", "inputs": "a", "length": 5} | settings
    with pytest.raises(SettingError, match=message) as refused:
        Series(kinds(labels), **given)
    assert "\n" not in str(refused.value.under("task"))


def test_what_is_read_beside_a_label_has_to_be_said_where_there_is_a_choice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text("a,b,kind\n" + lines(*GOOD))
    with pytest.raises(SettingError, match=r"inputs=null .* one or more of a, b, as a\+b"):
        Series("data.csv", label="kind", length=3)


def test_a_label_trains_and_is_tested_and_its_command_makes_it_again(kinds):
    run = Run(
        Series(kinds(), label="kind", inputs="a", length=5),
        Network(hidden_size=4),
        training=Training(3, 4),
        recording=Recording(2),
        evaluation=Evaluation(2),
    )
    [outcome] = train_runs([run])
    wrong = outcome.updates["test_error"] * 20  # windows of 5 in 24 rows
    np.testing.assert_allclose(wrong, wrong.round(), atol=1e-6)
    assert run_from_config(composed(*shlex.split(run.command)[1:])) == run
    assert "-kind-" in run.name


def test_a_parquet_file_holds_what_a_csv_file_holds(file, tmp_path):
    pd.DataFrame(VALUES, columns=["a", "b"]).to_parquet("data.parquet")
    one, two = Series(file, "b", "a+b", length=7), Series("data.parquet", "b", "a+b", length=7)
    assert torch.equal(one.draw(50, seeded()).inputs, two.draw(50, seeded()).inputs)
    assert torch.equal(one.held_out().targets, two.held_out().targets)
    assert Run(one).digest != Run(two).digest, "other bytes, another run"

    changed = VALUES.copy()
    changed[3, 0] += 1e-9
    pd.DataFrame(changed, columns=["a", "b"]).to_parquet("data.parquet")
    assert Run(Series("data.parquet", "b", "a+b", length=7)).digest != Run(two).digest


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
