"""The house stays one to live in: what makes it hard is counted, and may not grow back."""

import ast
import functools
import re
import statistics
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rnn_exp"
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]
EVERY = [
    path for folder in ("rnn_exp", "scripts", "tests") for path in (ROOT / folder).rglob("*.py")
]


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_few_modules_lie_flat_and_most_hold_a_family():
    lines = [lines_of(path) for path in MODULES]
    assert sum(path.parent == PACKAGE for path in MODULES) <= 12
    assert sum(count < 60 for count in lines) <= 20
    assert 100 <= statistics.median(lines) <= 200
    assert [name_of(path) for path in MODULES if lines_of(path) > 310] == []


def test_a_function_of_the_package_fits_a_screen():
    long = [
        f"{name_of(path)}: {node.name}"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 50
    ]
    assert long == []


def test_the_layers_can_be_recited():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [layers] = [one["layers"] for one in contracts["contracts"] if one["type"] == "layers"]
    assert len(layers) == 9


def test_the_formatter_has_the_last_word():
    mark = "fmt" + ": skip"
    assert [name_of(path) for path in EVERY if mark in path.read_text(encoding="utf-8")] == []


def test_no_assertion_stands_in_the_place_of_a_refusal():
    """An assertion is left out under ``python -O``, and tells a user nothing."""
    found = [
        name_of(path)
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_nobody_outside_the_networks_asks_a_thing_for_its_class_or_name():
    """What an activation, a cell or an init can do is asked of it."""
    names = r"tanh|sigmoid|relu|identity|rnn|leaky|residual|normed|gru|lstm|scan|torch|critical"
    compared = re.compile(rf"""[!=]=\s*["']({names})["']|["']({names})["']\s*[!=]=""")
    rooms = ("training", "theory", "storage", "sweeps", "_hydra")
    found = [
        f"{name_of(path)}: {line.strip()}"
        for room in rooms
        for path in (PACKAGE / room).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if compared.search(line)
    ]
    assert found == []


def test_no_module_is_called_a_collection_of_things():
    assert not {path.stem for path in MODULES} & {"utils", "util", "helpers", "common", "misc"}


@pytest.mark.parametrize("room", sorted({path.parent for path in MODULES}), ids=lambda p: p.name)
def test_every_room_says_what_belongs_there(room):
    if room.name == "hydra_plugins":
        return
    assert ast.get_docstring(tree(room / "__init__.py"))
