"""Write docs/reference/python.md, every public name from its docstring, and choices.json.

python scripts/python_page.py
"""

import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import rnn_exp
from rnn_exp._hydra.help import catalogue
from rnn_exp._hydra.quick import CATALOGUE
from rnn_exp.fields import allowed_of, as_typed

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "python.md"
MODULES = ("tasks", "inits", "theory", "figures")
_SECTION = re.compile(r"(Args|Returns|Raises|Yields|Warns|Attributes|Example|References):")
_LISTS = ("Args", "Raises", "Warns", "Attributes")


def page() -> str:
    """Return the page: the names of the package first, then those of its public modules."""
    lines = ["# rnn_exp in Python", ""]
    lines += [*_prose(inspect.getdoc(rnn_exp) or ""), ""]
    lines += ["This page is made from the docstrings (`python scripts/python_page.py`).", ""]
    own = [name for name in rnn_exp.__all__ if name not in MODULES]
    for name in sorted(own, key=lambda name: (name[0].isupper(), name.lower())):
        lines += _entry(f"rnn_exp.{name}", getattr(rnn_exp, name), "##")
    for word in MODULES:
        lines += _module(f"rnn_exp.{word}", getattr(rnn_exp, word))
    return "\n".join(lines).rstrip() + "\n"


def _module(title: str, module: ModuleType) -> Iterator[str]:
    """Yield the lines of a module and of all its public names."""
    yield from (f"## {title}", "", *_prose(inspect.getdoc(module) or ""), "")
    drawn = [*module.names(), *module.study_names()] if hasattr(module, "study_names") else []
    for name in [*module.__all__, *drawn]:
        yield from _entry(f"{title}.{name}", getattr(module, name), "###")


def _entry(title: str, thing: Any, mark: str) -> Iterator[str]:  # noqa: ANN401 - any public name
    """Yield the lines of one public name."""
    if isinstance(thing, rnn_exp.figures.Drawing):
        yield from (f"{mark} {title}(results, *, where=None, width=None)", "", thing.question, "")
        return
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        yield from (f"{mark} {title}", "", f"`{thing!r}`", "")
        return
    yield from (f"{mark} {title}{_signature(thing)}", "")
    yield from (*_prose(inspect.getdoc(thing) or ""), "")
    if dataclasses.is_dataclass(thing):
        yield from _fields(thing)
    if thing is rnn_exp.Results:
        for name, member in vars(thing).items():
            if not name.startswith("_") and inspect.getdoc(member):
                is_method = inspect.isfunction(member)
                yield f"**`.{name}{_signature(member) if is_method else ''}`**"
                yield from ("", *_prose(inspect.getdoc(member) or ""), "")


def _fields(kind: Any) -> Iterator[str]:  # noqa: ANN401 - a dataclass
    """Yield a table of what the fields of a description accept."""
    rows = [
        (field.name, as_typed(field.default), allowed.words)
        for field in dataclasses.fields(kind)
        if (allowed := allowed_of(field)) is not None
    ]
    if rows:
        yield from ("| field | default | allowed |", "|---|---|---|")
        yield from (f"| `{name}` | {default} | {words} |" for name, default, words in rows)
        yield ""


def _signature(thing: Any) -> str:  # noqa: ANN401 - a class or function
    """Return names and defaults of what a thing is called with, without their types."""
    if inspect.isclass(thing) and issubclass(thing, Warning | Exception | rnn_exp.Results):
        return ""
    if inspect.isclass(thing) and Protocol in thing.__bases__:
        return ""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    plain = [
        each.replace(annotation=inspect.Parameter.empty, default=_default(each))
        for each in found.parameters.values()
        if each.name != "self"
    ]
    shown = inspect.Signature(plain)
    return str(shown)


class _Shown:
    """A default as it is shown."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _default(parameter: inspect.Parameter) -> Any:  # noqa: ANN401 - any default
    """Return a default that is shown in the same words in every process."""
    value = parameter.default
    if value is inspect.Parameter.empty or isinstance(value, (str, int, float, type(None))):
        return value
    return _Shown("…")


def _prose(text: str) -> Iterator[str]:
    """Yield a docstring as Markdown: its sections as lists, its examples as code."""
    blocks = re.split(r"\n\n(?=\S)", textwrap.dedent(text).strip())
    for place, block in enumerate(blocks):
        if place:
            yield ""
        found = _SECTION.match(block)
        if found is None:
            yield re.sub(r"``(.+?)``", r"`\1`", block)
        elif found[1] == "Example":
            code = textwrap.dedent(block[found.end() :]).strip("\n")
            yield from ("```pycon", code, "```")
        else:
            yield from (f"*{found[1]}*", "")
            yield from _section(found[1], textwrap.dedent(block[found.end() :]).strip("\n"))


def _section(name: str, body: str) -> Iterator[str]:
    """Yield what a section of a docstring says: a list of what has names, else as it is."""
    text = re.sub(r"``(.+?)``", r"`\1`", body)
    if name not in _LISTS:
        yield text
        return
    for item in re.split(r"\n(?=\S)", text):
        line = " ".join(item.split())
        yield f"- {re.sub(r'^([*`., A-Za-z_0-9]+): ', _as_code, line)}"


def _as_code(found: "re.Match[str]") -> str:
    return f"`{found[1].strip('`')}`: "


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    CATALOGUE.write_text(json.dumps(catalogue(), indent=1) + "\n", encoding="utf-8")
    print(PAGE, CATALOGUE, sep="\n")
