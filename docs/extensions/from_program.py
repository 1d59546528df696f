"""What a page takes from the program when it is built, so that none of it can be out of date.

A block of the language `from-program` holds one word and becomes Markdown: `settings`, `tasks`,
`columns`, `keys` (of run.json), `statuses`, `python` (every public name, from its docstring).
"""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

BLOCK = re.compile(r"^```from-program\n(\w+)\n```$", re.MULTILINE)
MODULES = ("tasks", "inits", "theory", "figures")
KINDS = {"whole": "whole number", "real": "number", "truth": "true or false", "status": "status"}

_SECTIONS = r"\n\n(?:Args|Attributes|Returns|Raises|Example):\n"


def plain(text: str) -> str:
    """Return a text in which Markdown finds no marks, nor a formula."""
    return re.sub(r"([\\*_<>\[\]|$`#~])", r"\\\1", text)


def code(text: str) -> str:
    """Return a text as code."""
    return f"`{text}`"


def defined(term: str, *said: str) -> str:
    """Return an entry of a list of definitions."""
    first, *rest = [each for each in said if each]
    return "\n".join([term, f": {first}", *(f"  {each}" for each in rest)]) + "\n"


def _setting(each: Any) -> str:  # noqa: ANN401 - of rnn_exp._hydra.described
    """Return the entry of a setting."""
    words = ", ".join(map(code, each.options))
    allowed = f"one of {words}" if words else plain(each.allowed)
    said = f"{plain(each.meaning)}." if each.meaning else ""
    return defined(
        f"{code(each.key)} = {code(each.default)}", said, f"*Allowed:* {allowed}." * bool(allowed)
    )


def settings() -> Iterator[str]:
    """Yield every setting, under a heading for what chooses it: what all runs have comes first."""
    from rnn_exp._hydra.described import sections

    for section in sorted(sections(), key=lambda section: "=" in section.title):
        if section.title:
            yield f"## {code(section.title)}\n\n{plain(section.about)}\n"
        else:
            yield "## Settings without a group\n"
        yield from map(_setting, section.settings)


def _prose(thing: Any) -> str:  # noqa: ANN401 - anything with a docstring
    """Return what a docstring says before its sections (Args and so on), in its own markup."""
    text = re.split(_SECTIONS, inspect.getdoc(thing) or "")[0]
    return f"```{{eval-rst}}\n{text}\n```\n"


def _share(value: float) -> str:
    return f"{value:.4g}"


def tasks() -> Iterator[str]:
    """Yield a table of all tasks, then each of them with its convention and its settings."""
    from rnn_exp._hydra.described import sections
    from rnn_exp.tasks import TASKS
    from rnn_exp.tasks.files import FileTask

    yield "| `task` | what is asked | loss of a guess | error of a guess |\n|---|---|---|---|"
    for name, kind in TASKS.items():
        chance = ("of its file", "of its file")
        if not issubclass(kind, FileTask):
            chance = (_share(kind().chance_loss), _share(kind().chance_error))
        about = plain((inspect.getdoc(kind) or "").partition("\n")[0])
        yield f"| [{code(name)}](#{name}) | {about} | {chance[0]} | {chance[1]} |"
    yield ""
    own = {section.title: section.settings for section in sections()}
    for name, kind in TASKS.items():
        yield f"({name})=\n\n## {code(name)}\n\n{_prose(kind)}\nSettings:\n"
        yield from map(_setting, own[f"task={name}"])


def columns() -> Iterator[str]:
    """Yield every column of every table."""
    from rnn_exp import schema

    for table in schema.TABLES.values():
        yield f"## {table.file}\n\nA row for {plain(table.row)}.\n"
        for column in table.columns:
            unit = plain(column.unit) if column.unit != "1" else ""
            about = ", ".join(each for each in (KINDS[column.type], unit) if each)
            when = f" Only where {plain(column.when)}." if column.when else ""
            yield defined(f"{code(column.name)} ({about})", f"{plain(column.meaning)}.{when}")


def keys() -> Iterator[str]:
    """Yield every key of run.json."""
    from rnn_exp import schema

    for key in schema.RUN_KEYS:
        name = f" Column {code(key.column)}." if key.column else ""
        yield defined(f"{code(key.path)} ({key.type})", f"{plain(key.meaning)}.{name}")


def statuses() -> Iterator[str]:
    """Yield the words that a status and a verdict can be."""
    from rnn_exp import schema

    for what, words in (
        ("status of a run", schema.RUN_STATUSES),
        ("status of a gradient", schema.GRADIENT_STATUSES),
        ("verdict", schema.VERDICTS),
    ):
        yield f"* {what}: {', '.join(map(code, words))}"


def python() -> Iterator[str]:
    """Yield every public name: those of the package first, then those of its public modules."""
    import rnn_exp

    yield _prose(rnn_exp)
    own = [name for name in rnn_exp.__all__ if name not in MODULES]
    for name in sorted(own, key=lambda name: (name[0].isupper(), name.lower())):
        yield f"## {code(f'rnn_exp.{name}')}\n\n{_described(rnn_exp, name)}"
    for word in MODULES:
        module = getattr(rnn_exp, word)
        yield f"## {code(f'rnn_exp.{word}')}\n\n{_prose(module)}"
        drawn = [*module.names(), *module.study_names()] if word == "figures" else []
        for name in [*module.__all__, *drawn]:
            yield f"### {code(f'{word}.{name}')}\n\n{_described(module, name)}"


def _described(module: ModuleType, name: str) -> str:
    """Return what is said of a public name."""
    from rnn_exp import figures

    thing = getattr(module, name)
    if isinstance(thing, figures.Drawing):
        return f"`{name}(results, *, where=None, width=None)`: {plain(thing.question)}\n"
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return f"{plain(repr(thing))}\n"
    kind = "autoclass" if inspect.isclass(thing) else "autofunction"
    lines = [f".. {kind}:: {thing.__module__}.{thing.__qualname__}"]
    if inspect.isclass(thing) and not dataclasses.is_dataclass(thing):
        lines.append("   :members:")
    return "\n".join(["```{eval-rst}", *lines, "```", ""])


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    each.__name__: each for each in (settings, tasks, columns, keys, statuses, python)
}


def read(app: "Sphinx", name: str, source: list[str]) -> None:
    """Put what the program says into a page that Sphinx has read."""
    del app, name
    source[0] = BLOCK.sub(lambda found: "\n".join(PARTS[found[1]]()), source[0])


def without_marks(
    app: "Sphinx", what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Let |x| in a docstring be an absolute value, and clip_grad_norm_ a name, as they are meant.

    What stands between backquotes, in examples and in blocks after two colons is left as it is.
    """
    del app, what, name, thing, options
    block = None  # the indent of the line with the two colons
    for place, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if block is not None and line.strip() and indent <= block:
            block = None
        if block is None and not line.lstrip().startswith((">>>", "...")):
            parts = line.split("`")
            parts[::2] = [re.sub(r"(\||(?<=\w)_(?=\W|$))", r"\\\1", each) for each in parts[::2]]
            lines[place] = "`".join(parts)
        if block is None and line.rstrip().endswith("::"):
            block = indent


def setup(app: "Sphinx") -> dict[str, bool]:
    """Tell Sphinx what is done with a page."""
    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", without_marks, priority=100)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
