"""Notes and tags: in run.json and the table of runs, kept and replaced, harmless wherever shown."""

import dataclasses
import json
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

import rnn_exp
from rnn_exp.fields import SettingError, allowed_of
from rnn_exp.networks import Network
from rnn_exp.report.content import run_table
from rnn_exp.storage.writing import is_done, relabel, write, write_status
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.labels import label_words, plain_note, plain_tags
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from tests.sealing import write_sealed


def labelled(**label) -> Run:
    return Run(Adding(5), Network(hidden_size=4), training=Training(2), **label)


@pytest.fixture(scope="module")
def outcome():
    return train_runs([labelled(note="first try", tags=["paper", "fig2"])])[0]


def said(folder):
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def test_note_and_tags_are_in_run_json_and_in_the_table_of_runs(tmp_path, outcome):
    write(tmp_path, outcome)

    assert (said(tmp_path)["note"], said(tmp_path)["tags"]) == ("first try", ["paper", "fig2"])
    [row] = rnn_exp.load(tmp_path).runs.to_dict("records")
    assert (row["note"], row["tags"]) == ("first try", "paper,fig2")
    table = run_table(rnn_exp.load(tmp_path).runs)
    assert table.headings[-3:-1] == ["note", "tags"]
    assert table.rows[0][-3:-1] == ["first try", "paper,fig2"]


def test_they_are_no_setting_and_no_column_of_the_large_tables(tmp_path, outcome):
    write(tmp_path, outcome)

    assert not {"note", "tags"} & set(said(tmp_path)["settings"])
    assert not {"note", "tags"} & set(rnn_exp.load(tmp_path).gradients)


def test_a_run_that_goes_on_without_its_note_keeps_it(tmp_path, outcome):
    write_status(tmp_path, outcome.run, "running")
    write_status(tmp_path, labelled(), "failed", failure="out of memory")
    write_status(tmp_path, labelled(note="second"), "running")
    write(tmp_path, train_runs([labelled()])[0])

    assert (said(tmp_path)["note"], said(tmp_path)["tags"]) == ("second", ["paper", "fig2"])
    assert said(tmp_path)["command"] == labelled(note="second", tags=["paper", "fig2"]).command


def test_another_note_replaces_the_one_that_is_there_and_nothing_else(tmp_path, outcome):
    write(tmp_path, outcome)
    before = said(tmp_path)

    assert not relabel(tmp_path, labelled())
    assert not relabel(tmp_path, labelled(note="first try"))
    assert said(tmp_path) == before
    assert relabel(tmp_path, labelled(note="second"))

    after = said(tmp_path)
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"note", "command", "sha256"}
    assert after["command"] == labelled(note="second", tags=["paper", "fig2"]).command
    assert is_done(tmp_path, labelled())
    assert relabel(tmp_path, labelled(note="", tags=[]))
    assert said(tmp_path)["command"] == labelled().command
    assert (said(tmp_path)["note"], said(tmp_path)["tags"]) == (None, [])


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ({"note": "two\nlines"}, r"note=two\\nlines is not possible: allowed is one line"),
        ({"note": "red \x1b[31m"}, r"note=red \\x1b\[31m is not possible"),
        ({"note": "turned \u202e"}, r"note=turned \\u202e is not possible"),
        (
            {"note": "x" * 501},
            r"note=x+… \(501 characters\) is not possible: .* at most 500 characters",
        ),
        ({"note": "${oc.env:HOME}"}, "without"),
        ({"tags": "paper"}, r"tags=paper .* such as \[paper,fig2\]"),
        ({"tags": ["a b"]}, "tags="),
        ({"tags": ["a,b"]}, "tags="),
        ({"tags": [""]}, "tags="),
        ({"tags": ["x" * 51]}, "at most 50"),
        ({"tags": [f"t{number}" for number in range(21)]}, "at most 20 of"),
    ],
)
def test_a_label_that_cannot_be_is_refused_in_a_line(label, why):
    with pytest.raises(SettingError, match=why) as refused:
        labelled(**label)

    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("key", "value"),
    [("note", 0.5), ("note", True), ("note", ["a"]), ("tags", [["a"]]), ("tags", {"a": 1})],
)
def test_what_is_no_text_is_no_label(key, value):
    [field] = [field for field in dataclasses.fields(Run) if field.name == key]
    plain = {"note": plain_note, "tags": plain_tags}[key](value)

    assert not allowed_of(field).test(plain)


def test_whole_numbers_are_words_and_a_tag_counts_once():
    assert plain_note(2024) == "2024"
    assert plain_tags(["paper", 2024, "paper"]) == ("paper", "2024")
    assert labelled(tags=["paper", "paper"]).tags == ("paper",)


NOTES = st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]) | st.just(" "))
TAGS = st.lists(st.from_regex(r"[\w.:+-]{1,50}", fullmatch=True), max_size=5)


@given(note=NOTES.filter(lambda text: "${" not in text), tags=TAGS)
def test_the_command_gives_the_label_back(note, tags):
    words = shlex.split(labelled(note=note, tags=tags).command)
    typed = [word for word in words if word.startswith(("note=", "tags="))]

    found = {
        one.key_or_group: one.value() for one in OverridesParser.create().parse_overrides(typed)
    }

    assert found.get("note", "") == note
    assert found.get("tags", []) == list(dict.fromkeys(tags))
    assert list(label_words(note, tags)) == typed or len(set(tags)) < len(tags)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("note", 5, "note is not text"),
        ("tags", "a", "tags is no list"),
        ("tags", [1], "tags is no"),
    ],
)
def test_a_label_that_somebody_else_wrote_wrong_is_listed_and_not_kept(
    tmp_path, outcome, key, value, why
):
    write(tmp_path, outcome)
    write_sealed(tmp_path, said(tmp_path) | {key: value})

    assert why in rnn_exp.load(tmp_path).broken["why"][0]


def test_a_label_that_is_no_label_of_ours_is_shown_but_not_kept(tmp_path, outcome):
    write(tmp_path, outcome)
    spoilt = said(tmp_path) | {"note": "\x1b[31m" * 200}
    write_sealed(tmp_path, spoilt)

    assert len(run_table(rnn_exp.load(tmp_path).runs).rows[0][-2]) <= 500
    write_status(tmp_path, labelled(), "running")
    assert said(tmp_path)["note"] is None


def test_a_folder_of_a_former_version_has_no_label(tmp_path, outcome):
    write(tmp_path, outcome)
    former = {key: value for key, value in said(tmp_path).items() if key not in ("note", "tags")}
    write_sealed(tmp_path, former)

    runs = rnn_exp.load(tmp_path).runs
    assert runs[["note", "tags"]].isna().all(axis=None)
    assert "note" not in run_table(runs).headings
    assert relabel(tmp_path, labelled(note="found again"))
    assert rnn_exp.load(tmp_path).runs["note"].tolist() == ["found again"]
