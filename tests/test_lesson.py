"""The lesson in two languages, and the notebook: what is shown is the same, and it runs."""

import ast
import json
import re
from pathlib import Path

import pytest
import torch
from matplotlib import pyplot

DOCS = Path(__file__).parents[1] / "docs"
LESSONS = {name: (DOCS / "lesson" / f"{name}.md").read_text("utf-8") for name in ("index", "zh")}
NOTEBOOK = DOCS / "how-to" / "notebook.ipynb"
CODE = re.compile(r"^(```\w+.*?^```|<!-- python\n.*?^-->)$", re.DOTALL | re.MULTILINE)
FORMULA = re.compile(r"^\$\$\n.*?^\$\$$", re.DOTALL | re.MULTILINE)
# What the students' lecture notes call things, in each language.
WORDS = {
    "index": ["D_n", "σ'", "w > 1", "w < 1", "NaN", "vanish", "explode", "chain rule"],
    "zh": ["D_n", "σ'", "w > 1", "w < 1", "NaN", "梯度消失", "梯度爆炸", "链式法则", "激活函数"],
}
NAMES = ["nn.RNN", "input_size", "hidden_size", "num_layers", "output", "hn", "h_{t-1}", "tanh"]


@pytest.mark.parametrize("part", [CODE, FORMULA], ids=["code", "formulas"])
def test_both_lessons_have_the_same_code_and_formulas(part):
    english, chinese = (part.findall(text) for text in LESSONS.values())
    assert english == chinese
    assert len(english) >= 10


@pytest.mark.parametrize("name", LESSONS)
def test_a_student_finds_the_words_of_the_lecture(name):
    assert [word for word in WORDS[name] + NAMES if word not in LESSONS[name]] == []


@pytest.mark.parametrize("name", LESSONS)
def test_no_output_is_pasted_into_a_lesson(name):
    assert set(re.findall(r"^```(\w.*)$", LESSONS[name], re.MULTILINE)) == {"python", "sh"}


def run_cell(source: str, names: dict[str, object]) -> object:
    """Run a cell as a notebook does, and return the value of its last line."""
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, type_ignores=[]), NOTEBOOK.name, "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)


def test_the_notebook_runs_from_top_to_bottom_and_finds_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    code = {cell["id"]: cell for cell in cells if cell["cell_type"] == "code"}
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code.values())
    names: dict[str, object] = {"__name__": "notebook"}
    with torch.random.fork_rng(devices=[]):
        shown, printed = {}, {}
        for name, cell in code.items():
            shown[name] = run_cell("".join(cell["source"]), names)
            printed[name] = capsys.readouterr().out
    assert len(shown["runs"]) == 12
    assert [len(shown[name].axes) >= 1 for name in ("decay", "profile")] == [True, True]
    assert (tmp_path / "decay.pdf").stat().st_size > 1000
    assert "vanishing" in printed["model"]
    assert "vanishing" not in printed["remedy"]
    pyplot.close("all")
