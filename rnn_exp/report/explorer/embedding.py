"""How the explorer gets into the page: data that cannot end its element, a policy with hashes."""

import base64
import hashlib
import importlib.resources
from dataclasses import dataclass
from typing import Final

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from rnn_exp.figures.parts.selection import Tables
from rnn_exp.report.explorer.payload import payload

__all__ = ["Explorer", "of_study", "policy"]

_STYLE: Final = "explorer.css"
_SCRIPTS: Final = ("study.js", "drawing.js", "profile.js", "maps.js", "runs.js", "explorer.js")
"""The parts of the script, in the order in which they are joined."""


@dataclass(frozen=True)
class Explorer:
    """What the page carries.

    Args:
        data: JSON in which no character can end or begin an element.
        style: of the explorer alone.
        script: all of it, one function.
        note: what of the recording is not in the data; empty: all is.
    """

    data: Markup
    style: Markup
    script: Markup
    note: str


def of_study(tables: Tables) -> Explorer | None:
    """Return the explorer of a study; None where no run has recorded a gradient.

    Args:
        tables: of the study.
    """
    found = payload(tables)
    if found is None:
        return None
    data = htmlsafe_json_dumps(found, separators=(",", ":"), ensure_ascii=False)
    joined = "\n".join(_resource(name) for name in _SCRIPTS)
    script = f'(() => {{\n"use strict";\n{joined}}})();\n'
    return Explorer(data, Markup(_resource(_STYLE)), Markup(script), found["note"])


def policy(styles: list[str], scripts: list[str]) -> Markup:
    """Return a content security policy under which these run and nothing else, from nowhere else.

    Args:
        styles: the exact text of each style element.
        scripts: the exact text of each script element.
    """
    parts = ["default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    for name, texts in (("style-src", styles), ("script-src", scripts)):
        if texts:
            parts.append(" ".join([name, *map(_hash, texts)]))
    return Markup("; ".join(parts))


def _hash(text: str) -> str:
    digest = hashlib.sha256(str(text).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _resource(name: str) -> str:
    # Read as a resource, so that it is found in a zipped package too.
    return importlib.resources.files(__package__).joinpath(name).read_text("utf-8")
