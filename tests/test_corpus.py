"""The corpus: it holds what it promises, and no difference between two folders goes unnoticed."""

import dataclasses
import doctest
import itertools
import json
import re
import subprocess
from pathlib import Path

import corpus
import corpus_compare
import corpus_pairs
import corpus_runs
import corpus_sweeps
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_compare import Change, Compared, compared
from corpus_runs import FACTORS, LATER, RULES, beside, settings
from corpus_verdict import verdict
from safetensors.numpy import save_file

from rnn_exp import report
from rnn_exp.fields import SettingError, allowed_of
from rnn_exp.networks.inits import INITS
from rnn_exp.storage.study import Study, StudyPage
from rnn_exp.tasks import TASKS
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import run_from
from tests.tables import study
from tests.task_files import needs

ROOT = Path(__file__).parents[1]
ROWS = corpus_runs.rows()
COVERING = list(ROWS.values())[: -sum(map(len, beside().values()))]


def run_of(row):
    return run_from({**settings(row), "device": "cpu"})


def can_be(row):
    try:
        run_of(row)
    except SettingError:
        return False
    return True


def test_the_examples_of_the_covering_hold():
    for module in (corpus_pairs, corpus_runs):
        assert doctest.testmod(module).attempted > 0
        assert doctest.testmod(module).failed == 0


def test_every_pair_of_values_is_in_a_run_unless_the_package_refuses_it_in_all():
    there = {pair for row in COVERING for pair in corpus_pairs.pairs_of(row, FACTORS)}
    missing = set(corpus_pairs.every_pair(FACTORS)) - there
    assert 0 < len(missing) < len(there) / 10
    # Refused when the weights are drawn, for what their gates do.
    missing -= {(("init", "critical"), ("network.cell", cell)) for cell in ("gru", "lstm")}
    for pair in missing:
        for (key, value), other in (pair, pair[::-1]):
            near = [row for row in COVERING if row[key] == value][:5]
            assert not any(can_be({**row, **dict([other])}) for row in near), pair


def test_the_package_takes_every_row_and_no_two_are_one_run():
    assert len(set(map(run_of, ROWS.values()))) == len(ROWS) > 200


def test_rows_are_the_same_every_time():
    assert corpus_pairs.covering(FACTORS, RULES) == COVERING


def test_every_choice_and_every_setting_of_the_package_varies():
    runs = [run_of(row) for row in ROWS.values()]
    assert {run.task.name for run in runs} == {name for name in TASKS if not needs(name)}
    assert {run.init.name for run in runs} == set(INITS) - LATER
    for group in ("network", "training", "recording"):
        for field in dataclasses.fields(getattr(runs[0], group)):
            if field.name in LATER:
                continue
            values = {getattr(getattr(run, group), field.name) for run in runs}
            allowed = allowed_of(field)
            assert len(values) > 1, field.name
            assert allowed is not None, field.name
            assert values >= set(allowed.options or ()) - LATER, field.name


@pytest.mark.parametrize(
    ("name", "status", "norms"),
    [
        ("diverged_forward", "diverged", {"nan", "underflow"}),
        ("diverged_backward", "diverged", {"inf"}),
        ("solved", "solved", {"ok"}),
        ("vanished", "finished", {"underflow"}),
        ("one_unit", "finished", {"zero"}),
    ],
)
def test_rows_beside_the_pairs_end_as_they_are_to(name, status, norms):
    rows = [row for row in beside()[name] if row.get("network.dtype", "float32") == "float32"]
    rows = rows if name != "one_unit" else beside()[name]
    ended = [outcome for row in rows for outcome in train_runs([run_of(row)])]
    assert status in {outcome.status for outcome in ended}
    assert norms <= {str(word) for outcome in ended for word in outcome.gradients["status"]}
    directions = {out.divergence.direction for out in ended if out.divergence is not None}
    assert directions <= {"forward", "backward"}
    if name.startswith("diverged_"):
        assert directions == {name.removeprefix("diverged_")}
    if name == "solved":
        assert len({int(outcome.updates["update"][-1]) for outcome in ended}) > 3


def test_every_study_has_a_dose():
    assert set(corpus_sweeps.DOSES) == {file.stem for file in (ROOT / "conf/study").glob("*.yaml")}


def test_a_renamed_word_is_in_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    for words in corpus_compare.RENAMED.items():
        assert all(re.search(rf"\b{re.escape(word)}\b", text) for word in words), words


def test_a_figure_that_is_not_drawn_is_told(tmp_path):
    whole = study(gains=(0.5, 2.0), lengths=(10,), seeds=1, updates=(0, 10))
    page = report.write(whole, tmp_path, Study("course", StudyPage(None, ("course",))))
    [told] = corpus_sweeps.undrawn(tmp_path)
    assert told.startswith("figure course: Not drawn. ")
    page.write_text('<section id="rates"> <a href="rates.csv">csv</a> </section>')
    assert corpus_sweeps.undrawn(tmp_path) == ["figure rates: its table is missing"]
    (tmp_path / "rates.csv").write_text("rate\n1\n")
    assert corpus_sweeps.undrawn(tmp_path) == []
    assert corpus_sweeps.undrawn(tmp_path / "nowhere") == ["no figure is drawn"]


TABLE = {
    "update": np.array([0, 1, 2]),
    "loss": np.array([0.5, np.nan, -np.inf]),
    "status": np.array(["ok", "nan", "inf"]),
}


def write_run(folder, table=TABLE, said=None, weight=1.0, config="seed: 0\n"):
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/config.yaml").write_text(config)
    (folder / ".hydra/overrides.yaml").write_text(f"- name={folder.name.split('-')[0]}\n")
    (folder / ".hydra/hydra.yaml").write_text(str(folder))
    (folder / "run.log").write_text(str(folder))
    pq.write_table(pa.table(table), folder / "updates.parquet")
    save_file({"W": np.full((2, 2), weight)}, folder / "weights.safetensors")
    said = {"status": "finished", "final": {"rate": 0.5}, **(said or {})}
    # What tells of the folder: versions, the hash of hydra.yaml, and the seal of all.
    of_place = {"sha256": str(folder)}
    differs = {"versions": {"here": str(folder)}, "files": {".hydra/hydra.yaml": of_place}}
    (folder / "run.json").write_text(json.dumps(said | differs | of_place))


def found(tmp_path):
    return [
        (one.file, change.what, change.values, change.largest, change.weighs)
        for one in compared("runs", tmp_path / "base", tmp_path / "head")
        for change in one.changes
    ]


def test_folders_that_are_the_same_are_the_same(tmp_path):
    for side in ("base", "head"):
        write_run(tmp_path / side / "a")
    assert found(tmp_path) == []
    files = list(compared("runs", tmp_path / "base", tmp_path / "head"))
    assert sorted(one.file for one in files) == [
        ".hydra/config.yaml",
        ".hydra/overrides.yaml",
        "run.json",
        "updates.parquet",
        "weights.safetensors",
    ]
    told = verdict(files, [])
    assert told.same
    assert told.lines[-1] == "the same, byte for byte (5 files of 1 run)"


def changed(**columns):
    return {"table": {**TABLE, **columns}}


@pytest.mark.parametrize(
    ("head", "difference"),
    [
        (
            changed(loss=np.array([0.75, np.nan, 1.0])),
            ("updates.parquet", "column loss: other values", 2, np.inf, True),
        ),
        (
            changed(loss=np.array([np.nextafter(0.5, 1), np.nan, -np.inf])),
            ("updates.parquet", "column loss: other values", 1, 2.0**-53, True),
        ),
        (
            changed(status=np.array(["ok", "ok", "inf"])),
            ("updates.parquet", "column status: other values", 1, None, True),
        ),
        (
            changed(update=np.array([0, 1, 2], dtype=np.int32)),
            ("updates.parquet", "column update: int64 is int32 now", 0, 0.0, True),
        ),
        (changed(new=np.zeros(3)), ("updates.parquet", "column new added", 0, None, True)),
        (
            {"table": {name: TABLE[name] for name in ("update", "loss")}},
            ("updates.parquet", "column status removed", 0, None, True),
        ),
        (
            {
                "table": {
                    "update": TABLE["update"],
                    "Loss": TABLE["loss"],
                    "status": TABLE["status"],
                }
            },
            ("updates.parquet", "column loss renamed to Loss", 0, None, True),
        ),
        (
            {"table": dict(reversed(TABLE.items()))},
            ("updates.parquet", "columns in another order", 0, None, True),
        ),
        (
            {"table": {name: values[:2] for name, values in TABLE.items()}},
            ("updates.parquet", "column update: another size", 0, None, True),
        ),
        ({"weight": 3.0}, ("weights.safetensors", "tensor W: other values", 4, 2.0, True)),
        ({"config": "seed: 1\n"}, (".hydra/config.yaml", "other text", 0, None, True)),
        (
            {"config": "seed: 0\nnote: null\n"},
            (".hydra/config.yaml", "key note added", 0, None, False),
        ),
        (
            {"config": "seed: 1\nnote: null\n"},
            (".hydra/config.yaml", "other text", 0, None, True),
        ),
        ({"said": {"more": 1}}, ("run.json", "key more added", 0, None, False)),
        (
            {"said": {"final": {"rate": 0.25}}},
            ("run.json", "key final.rate: other values", 1, 0.25, True),
        ),
        (
            {"said": {"status": "diverged"}},
            ("run.json", "key status: other values", 1, None, True),
        ),
        ({"said": {"final": {}}}, ("run.json", "key final.rate removed", 0, None, True)),
    ],
)
def test_each_difference_is_found_and_named(tmp_path, head, difference):
    write_run(tmp_path / "base/a")
    write_run(tmp_path / "head/a", **head)
    assert difference in found(tmp_path)
    told = verdict(list(compared("runs", tmp_path / "base", tmp_path / "head")), [])
    assert told.same is not difference[-1]
    assert any(difference[0] in line and difference[1] in line for line in told.lines)
    words = "different: " if difference[-1] else "the same, but for what is noted above"
    assert told.lines[-1].startswith(words)


def test_a_run_under_another_name_is_matched_by_its_digest_and_the_name_is_noted(tmp_path):
    for name, digest in (("one-aa", "a" * 16), ("two-bb", "b" * 16)):
        write_run(tmp_path / "base" / name, said={"run": name, "digest": digest})
        head = tmp_path / "head" / f"new-{name}"
        write_run(head, said={"run": head.name, "digest": digest})
        (head / ".hydra/overrides.yaml").write_text(f"- name={name.split('-')[0]}\n")

    told = found(tmp_path)

    assert {what for _, what, *_ in told} == {"key run: another name of the same digest"}
    assert not any(weighs for *_, weighs in told)
    write_run(tmp_path / "head" / "three-cc", said={"run": "three-cc", "digest": "c" * 16})
    assert ("folder", "only in HEAD", 0, None, True) in found(tmp_path)


def test_equal_content_in_other_bytes_is_a_kind_of_its_own(tmp_path):
    for side, codec in (("base", "snappy"), ("head", "none")):
        write_run(tmp_path / side / "a")
        pq.write_table(pa.table(TABLE), tmp_path / side / "a/updates.parquet", compression=codec)
    assert [what for _, what, *_ in found(tmp_path)] == ["equal content in other bytes"]


def test_a_damaged_file_is_told(tmp_path):
    for side in ("base", "head"):
        write_run(tmp_path / side / "a")
    for name in ("updates.parquet", "weights.safetensors", "run.json"):
        (tmp_path / "head/a" / name).write_bytes(b"?")
    assert [what for _, what, *_ in found(tmp_path)] == ["cannot be read"] * 3


def test_a_run_is_found_again_under_another_name_by_what_was_asked_for(tmp_path):
    write_run(tmp_path / "base/a-1234")
    write_run(tmp_path / "base/b-1234")
    write_run(tmp_path / "head/a-5678")
    write_run(tmp_path / "head/c-5678")
    assert found(tmp_path) == [
        ("folder", "only in base", 0, None, True),
        ("folder", "only in HEAD", 0, None, True),
    ]


def test_pictures_and_words_of_reports_are_noted_and_their_tables_count(tmp_path):
    for side, number in (("base", "1.0"), ("head", "1.5")):
        folder = tmp_path / side / "report"
        folder.mkdir(parents=True)
        (folder / "rates.csv").write_text(f"rate,note\n{number},\n")
        (folder / "rates.svg").write_text(f"<svg>{number}</svg>")
        (folder / "rates.png").write_text(number)
        (folder / "index.html").write_text(f'<img src="data:{number}"><p>{number}</p>')
    (tmp_path / "head/report/more.csv").write_text("a\n1\n")
    assert found(tmp_path) == [
        ("report/index.html", "other words (--captions shows them)", 0, None, False),
        ("report/more.csv", "only in HEAD", 0, None, True),
        ("report/rates.csv", "column rate: other values", 1, 0.5, True),
        ("report/rates.svg", "other picture", 0, None, False),
    ]
    (tmp_path / "head/report/index.html").write_text('<img src="data:new"><p>1.0</p>')
    assert "report/index.html" not in {file for file, *_ in found(tmp_path)}


def test_a_declared_name_is_no_difference_and_its_values_still_count(tmp_path, monkeypatch):
    monkeypatch.setitem(corpus_compare.RENAMED, "loss", "cost")
    write_run(tmp_path / "base/a", config="loss: 1\n", said={"loss": 1})
    table = {("cost" if name == "loss" else name): TABLE[name] for name in TABLE}
    write_run(tmp_path / "head/a", table=table, config="cost: 1\n", said={"cost": 1})
    assert {weighs for *_, weighs in found(tmp_path)} == {False}
    table["cost"] = table["cost"] + 1
    pq.write_table(pa.table(table), tmp_path / "head/a/updates.parquet")
    assert ("updates.parquet", "column cost: other values", 1, 1.0, True) in found(tmp_path)


def test_a_side_is_asked_in_the_words_that_it_knows(tmp_path, monkeypatch):
    monkeypatch.setitem(corpus_compare.RENAMED, "speed", "rate")
    for name in ("speed", "rate"):
        (tmp_path / name / "conf").mkdir(parents=True)
        (tmp_path / name / "conf/config.yaml").write_text(f"training:\n  {name}: 1\n")
        side = corpus_sweeps.Side("base", None, tmp_path / name)
        asked = side.known("training.rate=2 training.rates=3")
        assert asked == f"training.{name}=2 training.rates=3"


def test_many_kinds_are_cut_and_grouped():
    files = [
        Compared("runs", "a.parquet", f"run-{run}", [Change(f"column {kind}: other", 2, 0.5 * run)])
        for run, kind in itertools.product(range(3), range(60))
    ]
    lines = verdict(files, ["HEAD: adding: it broke"]).lines
    assert "HEAD: adding: it broke" in lines
    assert (
        "runs: a.parquet column 0: other in 3 runs (6 values), largest difference 1, e.g. run-0"
        in lines
    )
    assert "… and 21 more" in lines
    assert len(lines) < 50
    assert lines[-1] == "different: 1 failure, 60 kinds of difference in 3 runs"


MAIN = """
import json, os, pathlib, sys
from rnn_exp import VALUE
words = dict(word.split("=", 1) for word in sys.argv if "=" in word)
with open(os.environ["CALLS"], "a") as calls:
    calls.write(words["hydra.sweep.dir"] + "\\n")
for name in words["study"].split(",")[:2]:
    folder = pathlib.Path(words["hydra.sweep.dir"], name)
    (folder / ".hydra").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"value": VALUE, "versions": os.getpid()}))
"""
REPORT = """
import pathlib, sys
def draw():
    folder = pathlib.Path(sys.argv[1], "report")
    folder.mkdir()
    (folder / "tiny.csv").write_text("a\\n1\\n")
    (folder / "index.html").write_text('<section id="tiny"><a href="tiny.csv"></section>')
"""


def git(repository, *words):
    identity = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org"]
    subprocess.run(["git", *identity, *words], cwd=repository, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Two commits of a stand-in for the package; the second gives another value."""
    place = tmp_path / "repository"
    files = {
        "pyproject.toml": '[project.scripts]\nrnn-exp-report = "rnn_exp.elsewhere:draw"\n',
        "conf/study/tiny.yaml": "",
        "rnn_exp/__main__.py": MAIN,
        "rnn_exp/elsewhere.py": REPORT,
        "rnn_exp/__init__.py": "VALUE = 1\n",
    }
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    git(place, "init", "--quiet")
    git(place, "add", ".")
    git(place, "commit", "--quiet", "--message", "one")
    (place / "rnn_exp/__init__.py").write_text("VALUE = 2\n")
    git(place, "commit", "--quiet", "--all", "--message", "two")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return place


def test_two_commits_are_run_with_their_own_code(repository, capsys):
    assert corpus.main(["HEAD", "HEAD"], repository) == 0
    assert capsys.readouterr().out.endswith("the same, byte for byte (5 files of 3 runs)\n")
    assert corpus.main(["HEAD~1", "HEAD"], repository) == 1
    printed = capsys.readouterr()
    assert (
        "run.json key value: other values in 2 runs (2 values), largest difference 1" in printed.out
    )
    assert printed.out.endswith("different: 2 kinds of difference in 3 runs\n")
    assert "base: runs, " in printed.err


def test_the_working_tree_is_taken_as_it_is(repository, tmp_path, capsys):
    keep = ["--keep", str(tmp_path / "kept")]
    assert corpus.main(["HEAD", *keep, "--only", "tiny"], repository) == 0
    (repository / "rnn_exp/new.py").write_text("VALUE = 3\n")
    (repository / "rnn_exp/__init__.py").write_text("from rnn_exp.new import VALUE\n")
    assert corpus.main(["HEAD", *keep, "--only", "studies"], repository) == 1
    assert "2 → 3" in capsys.readouterr().out
    calls = (tmp_path / "calls").read_text().split()
    assert calls == ["tiny"] * 3, "the base was not run again"
    assert corpus.main(["HEAD", *keep, "--only", "tiny", "--dose", "seed=1"], repository) == 1
    assert len((tmp_path / "calls").read_text().split()) == 5, "another dose is another result"


def test_what_fails_is_told(repository, capsys):
    (repository / "rnn_exp/elsewhere.py").write_text("def draw():\n    raise ValueError('dry')\n")
    assert corpus.main(["HEAD", "--only", "tiny"], repository) == 1
    printed = capsys.readouterr().out
    assert "HEAD: tiny: ValueError: dry\nHEAD: tiny: no figure is drawn\n" in printed
    assert "report/tiny.csv only in base" in printed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing"], "nothing is no commit"),
        (["HEAD", "nothing"], "nothing is no commit"),
        (["HEAD", "--only", "runs,none"], "none: there is no such study"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(repository, capsys, words, told):
    assert corpus.main(words, repository) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("corpus.py: ")
    assert told in printed.err
    assert printed.err.count("\n") == 1


def test_a_sentence_of_a_run_keeps_its_words_and_a_key_gets_its_new_name(tmp_path):
    for name, said in (
        ("base", {"rule": "measured. Rate: the ratio.", "theory": {"measured": 1}, "n": 1}),
        ("head", {"rule": "measured. Rate: the ratio.", "theory": {"log10_measured": 1}, "n": 2}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(said), encoding="utf-8")

    found = corpus_compare.changes(tmp_path / "base/run.json", tmp_path / "head/run.json")

    assert [change.what for change in found] == ["key n: other values"]
