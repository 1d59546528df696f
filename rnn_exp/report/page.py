"""The page itself: figures and tables joined into one HTML file that needs nothing else."""

import importlib.resources
from pathlib import Path
from typing import Final

import jinja2
import pandas as pd

from rnn_exp.figures import Tables, of_study
from rnn_exp.files import replace_bytes
from rnn_exp.report.pictures import FORMATS, Picture, draw_all
from rnn_exp.report.prose import divergences, rules, summary
from rnn_exp.report.runs import commands, run_table

_TEMPLATE: Final = "page.html.jinja"
_PAGE: Final = "index.html"
_OWN: Final = "report"


def write(tables: Tables, folder: Path | str, *, title: str = "", dpi: int = 300) -> Path:
    """Draw every figure and write `index.html` beside the pictures; returns the page's path.

    Args:
        tables: `runs`, `updates`, `gradients` and `broken` of one study.
        folder: where pictures, plotted tables and the page go; made if it is missing.
        title: the name of the study, which chooses the figures; by default that of its folder.
        dpi: resolution of the PNG files.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    name = title or _title(place)
    pictures = draw_all(of_study(name), tables, place, dpi)
    html = render(tables, pictures, name)
    replace_bytes(place / _PAGE, html.encode())
    return place / _PAGE


def _title(folder: Path) -> str:
    """The study's name: that of the folder or, for a folder `report`, of the one above it."""
    path = folder.resolve()
    return path.parent.name if path.name == _OWN else path.name


def render(tables: Tables, pictures: list[Picture], title: str) -> str:
    """The page as text. Whatever comes from a configuration is escaped."""
    runs = tables.runs
    return _template().render(
        title=title,
        summary=summary(runs, tables.broken),
        pictures=pictures,
        formats=FORMATS,
        rules=rules(runs),
        divergences=divergences(runs),
        table=run_table(runs) if len(runs) else None,
        commands=commands(runs),
        broken=_broken(tables.broken),
    )


def _broken(broken: pd.DataFrame) -> list[tuple[str, str]]:
    rows = broken.reindex(columns=["run", "why"]).astype(str)
    return [(run, why) for run, why in rows.to_numpy().tolist()]


def _template() -> jinja2.Template:
    # Read as a resource, so that it is found in a zipped package too.
    source = importlib.resources.files(__package__).joinpath(_TEMPLATE).read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)
