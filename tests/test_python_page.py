"""The page of the public names: made from docstrings, and as they are now."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import rnn_exp

ROOT = Path(__file__).parents[1]


def test_the_page_is_what_the_docstrings_say_now():
    """If it is not: python scripts/python_page.py writes it."""
    code = "import sys, python_page; sys.stdout.buffer.write(python_page.page().encode())"
    # In a process of its own: other tests have added things to the registries.
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", check=True, capture_output=True
    )
    assert made.stdout.decode() == (ROOT / "docs" / "reference" / "python.md").read_text("utf-8")


@pytest.mark.parametrize("name", rnn_exp.__all__)
def test_every_public_name_is_on_the_page_and_says_what_it_is(name):
    thing, page = (
        getattr(rnn_exp, name),
        (ROOT / "docs" / "reference" / "python.md").read_text("utf-8"),
    )

    assert inspect.getdoc(thing)
    assert any(line.startswith(f"## rnn_exp.{name}") for line in page.splitlines())
    if inspect.isfunction(thing):
        given = list(inspect.signature(thing).parameters)
        assert all(f"`{each}`: " in page or f"`**{each}`: " in page for each in given)
