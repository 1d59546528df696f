"""A table of the page; a narrow screen shows each row as a list, a line a cell."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

__all__ = ["RunTable", "narrow_style"]


@dataclass(frozen=True)
class RunTable:
    """Headings, one list of cells a row, and what all rows share."""

    headings: list[str]
    rows: list[list[str]]
    shared: list[tuple[str, str]]


def narrow_style(tables: Mapping[str, RunTable | None]) -> Markup:
    """Return the style that puts its heading before each cell where a row is a list.

    As a rule a column and not as text in each cell: a table of 1,000 runs stays small.

    Args:
        tables: by the name that the page gives each; None: it is not there.
    """
    rules = [
        f'#table-{name} td:nth-child({place})::before {{ content: "{_css(heading)}: "; }}'
        for name, table in tables.items()
        if table is not None
        for place, heading in enumerate(table.headings, 1)
    ]
    return Markup("@media screen and (max-width: 40rem) {\n%s\n}\n") % Markup("\n".join(rules))


def _css(text: str) -> str:
    """A text as CSS has it: letters and digits as they are, so that nothing ends the element."""
    return re.sub(r"[^A-Za-z0-9 ]", lambda sign: f"\\{ord(sign[0]):x} ", text)
