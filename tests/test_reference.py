"""The reference pages take from the program what it has: all of it, as it is."""

import inspect
import re
from pathlib import Path

import from_program
import pytest

import rnn_exp
from rnn_exp import schema
from rnn_exp._hydra.described import sections
from rnn_exp.tasks import TASKS

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"


def part(name):
    return "\n".join(from_program.PARTS[name]())


@pytest.mark.parametrize("name", rnn_exp.__all__)
def test_every_public_name_is_on_the_page_of_python_and_says_what_it_is(name):
    assert inspect.getdoc(getattr(rnn_exp, name))
    assert f"## `rnn_exp.{name}`" in part("python").splitlines()


@pytest.mark.parametrize("word", from_program.MODULES)
def test_so_is_every_public_name_of_a_public_module(word):
    module = getattr(rnn_exp, word)

    for name in module.__all__:
        assert f"### `{word}.{name}`" in part("python").splitlines()


def test_every_setting_is_on_its_page_with_default_meaning_and_what_is_allowed():
    text = part("settings")

    for section in sections():
        for each in section.settings:
            assert f"`{each.key}` = `{each.default}`\n: {from_program.plain(each.meaning)}" in text
            assert all(f"`{word}`" in text for word in each.options)
            assert each.options or from_program.plain(each.allowed) in text


def test_every_task_is_on_its_page_with_its_chance_level_and_its_settings():
    text = part("tasks")

    for name in TASKS:
        own = text.split(f"\n## `{name}`\n")[1].split("\n## ")[0]
        [section] = [section for section in sections() if section.title == f"task={name}"]
        assert re.findall(r"`(task\.\w+)` = ", own) == [each.key for each in section.settings]
    assert "| 0.1667 | 0.9216 |" in text  # of adding


def test_every_column_key_and_status_is_on_its_page():
    columns, keys, statuses = part("columns"), part("keys"), part("statuses")

    for table in schema.TABLES.values():
        own = columns.split(f"## {table.file}\n")[1].split("\n## ")[0]
        assert re.findall(r"^`(\w+)` \(", own, re.MULTILINE) == [
            column.name for column in table.columns
        ]
    assert re.findall(r"^`([\w.]+)` \(", keys, re.MULTILINE) == [
        key.path for key in schema.RUN_KEYS
    ]
    for word in (*schema.RUN_STATUSES, *schema.GRADIENT_STATUSES, *schema.VERDICTS):
        assert f"`{word}`" in statuses
        assert word in (REFERENCE / "words.md").read_text("utf-8")


def test_pages_ask_for_what_there_is():
    asked = {
        word
        for page in REFERENCE.glob("*.md")
        for word in from_program.BLOCK.findall(page.read_text("utf-8"))
    }

    assert asked == {*from_program.PARTS}


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("ln |det W|", r"ln \|det W\|"),
        ("as `|x|` is, and clip_grad_norm_.", r"as `|x|` is, and clip_grad_norm\_."),
        (">>> a | b", ">>> a | b"),
    ],
)
def test_marks_in_docstrings_are_meant_as_they_are_typed(line, shown):
    lines = ["A block::", "", "    a | b", "", line]
    from_program.without_marks(None, "", "", None, None, lines)

    assert lines == ["A block::", "", "    a | b", "", shown]


@pytest.mark.parametrize("name", rnn_exp.theory.__all__)
def test_every_formula_in_theory_has_its_place_on_the_page(name):
    page = REFERENCE.parent / "background" / "theory.md"

    assert f"`theory.{name}`" in page.read_text("utf-8")
