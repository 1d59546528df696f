"""How pages are built: what becomes of their blocks, formulas and words, and what fails a build."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="Sphinx is not installed: make docs brings it")

import formulas
import pages
import searching
from sphinx.util.parallel import make_chunks

DOCS = Path(__file__).parents[1] / "docs"


def test_a_page_without_code_stays_as_it_is():
    source = "# A page\n\n```sh not-run\nsleep 1000\n```\n\n```toml\na = 1\n```\n"
    assert pages.page(source) == source.replace(" not-run", "")


def test_a_page_with_code_is_a_notebook_that_begins_below_its_title():
    made = pages.page("# A page\n\n```sh\ntrue\n```\n")
    assert made.startswith("---\nfile_format: mystnb\n")
    title, begin, typed = (made.index(one) for one in ("# A page", "def typed(", "%%typed\ntrue"))
    assert title < begin < typed


@pytest.mark.parametrize(
    ("block", "cells"),
    [
        ("```sh\ntrue\n```", ["%%typed\ntrue"]),
        ("```python\n1 + 1\n```", ["1 + 1"]),
        ("<!-- python\nassert told\n-->", [":tags: [remove-cell]\nassert told"]),
        ("`a.py`:\n\n```python\nx = 1\n```", [":tags: [remove-output]\n%%written a.py\nx = 1"]),
        (
            "`a/b.toml`:\n\n```toml\nx = 1\n```",
            [":tags: [remove-output]\n%%written a/b.toml\nx = 1"],
        ),
        ("```python not-run\n1 / 0\n```", []),
    ],
)
def test_what_becomes_of_a_block(block, cells):
    made = pages.blocks(f"{block}\n")
    assert [part.split("\n```")[0] for part in made.split("```{code-cell}\n")[1:]] == cells


def test_below_a_command_that_draws_is_what_it_drew():
    made = pages.blocks("```sh\nrnn-exp-figure decay out -o d.png\n```\n")
    assert "Image('d.png', retina=True)" in made
    assert "alt: the figure decay" in made


def test_what_is_kept_of_a_page_is_run_anew_when_a_source_changes(tmp_path):
    file = tmp_path / "a.py"
    file.write_text("x = 1\n")
    before = pages.sources([file])
    file.write_text("x = 2\n")
    assert pages.sources([file]) != before


def test_links_of_the_readme_lead_from_the_front_page():
    made = pages.front_page("the end")
    assert "](docs/" not in made
    assert made.endswith("the end")


def test_processes_have_as_much_to_execute_and_pages_with_the_same_blocks_one_after_the_other():
    lesson = [f"print({number})" for number in range(20)]
    some = {f"a{number:02}": [f"%%typed\nrnn-exp seed={number}"] * 5 for number in range(9)}
    plain = {f"z{number:02}": [] for number in range(9)}
    cells = {**plain, **some, "en": lesson, "zh": lesson}

    order = pages.dealt(cells, 2)

    assert sorted(order) == sorted(cells)
    assert order.index("zh") == order.index("en") + 1
    first, second, *rest = make_chunks(order, 2)
    heavy = [sum(name in some for name in piece) + ("en" in piece) for piece in (first, second)]
    assert heavy == [5, 5]
    assert {name for piece in rest for name in piece} <= set(plain)


def test_a_build_deals_pages_that_have_changed_alone():
    names = []
    pages.deal(None, None, names)
    assert names == []


FAILING = {
    "command": ("```sh\ntrue\nexit 7\n```\n", "exit status 7"),
    "pipe": ("```sh\n(exit 8) | cat\n```\n", "exit status 8"),
    "sentence": (
        "```sh\necho 5\n```\n\n<!-- python\nassert int(told) == 6, 'it is five'\n-->\n",
        "it is five",
    ),
    "file": (
        "```sh\necho 'x = 2' > a.py\n```\n\n`a.py`:\n\n```python\nx = 1\n```\n",
        "a command has written another a.py",
    ),
}
FINE = """\
`folder/a.py`:

```python
print(6 * 7)
```

```sh
python folder/a.py  # a question
```

<!-- python
assert told == '42\\n'
-->
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Some pages, built with the settings of the documentation; what the build says of them."""
    folder = tmp_path_factory.mktemp("pages")
    contents = "\n".join(["", "```{toctree}", *FAILING, "```", ""])
    sources = {name: source for name, (source, _) in FAILING.items()} | {"fine": FINE + contents}
    for name, source in sources.items():
        (folder / f"{name}.md").write_text(f"# A page\n\n{source}", "utf-8")
    words = ["-q", "-n", "-W", "--keep-going", "-c", str(DOCS), "-D", "root_doc=fine"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(folder), str(folder / "built")],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    return folder / "built", done.stderr


@pytest.mark.parametrize("name", FAILING)
def test_a_build_fails_and_says_why_at_a_false(name, built):
    _, said = built
    assert f"{name}.md: WARNING: Executing notebook failed" in said
    assert FAILING[name][1] in said


def test_a_built_page_shows_what_was_typed_and_what_came_of_it(built):
    folder, said = built
    assert "fine.md" not in said
    page = (folder / "fine.html").read_text("utf-8")
    assert "42" in page
    assert "a question" in page
    assert "%%" not in page
    assert "told" not in page


def test_a_formula_becomes_mathml():
    assert "<mfrac>" in formulas.mathml(r"\frac{a}{b}", as_block=True)
    assert 'display="block"' in formulas.mathml("x", as_block=True)
    assert 'display="block"' not in formulas.mathml("x", as_block=False)


def test_the_search_has_words_of_english_and_pairs_of_chinese():
    words = searching.EnglishAndChinese({}).split("BPTT: 梯度消失, retain_grad()")
    assert words == ["BPTT", "梯", "度", "消", "失", "梯度", "度消", "消失", "retain_grad"]
