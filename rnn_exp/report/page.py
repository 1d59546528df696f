"""The page: figures drawn and saved, and joined with tables into one HTML file."""

import base64
import importlib.resources
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import jinja2
import pandas as pd
from matplotlib.figure import Figure

from rnn_exp import figures
from rnn_exp.fields import SettingError
from rnn_exp.figures import CannotDraw, Tables, of_page
from rnn_exp.figures.parts.axes import settings_of
from rnn_exp.figures.parts.drawing import plotted_of, reading_of
from rnn_exp.figures.parts.style import in_style
from rnn_exp.report import explorer
from rnn_exp.report.comparison import compare
from rnn_exp.report.content import commands, divergences, run_table, setting_table
from rnn_exp.report.glossary import task_words, words_in
from rnn_exp.report.paragraphs import NONE_ENDED, done, none_has_ended, question, standing
from rnn_exp.report.tables import narrow_style
from rnn_exp.storage.files import replace_bytes
from rnn_exp.storage.study import Study, StudyPage
from rnn_exp.words import first_sentence

PICTURES: Final = ("png", "svg", "pdf")
FORMATS: Final = (*PICTURES, "csv")
_DPI: Final = 300
_FEWEST, _MOST = 30, 1200  # dots per inch: letters can be read, and the sheet fits into memory
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

# Without these a file carries the time at which it was made, and no two reports are the same.
_TIMELESS: Final[Mapping[str, Mapping[str, None]]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Picture:
    """One figure of the page, or the reason why it is not drawn.

    Attributes:
        name: of the figure.
        question: that it answers.
        caption: what is seen, the answer first.
        refusal: why it is not drawn; "": it is.
        svg: the picture.
        reading: how to read it.
        left_out: what it does not show, above the picture.
    """

    name: str
    question: str
    caption: str = ""
    refusal: str = ""
    svg: bytes = b""
    reading: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        """The first sentence of the caption."""
        return first_sentence(self.caption)

    @property
    def more(self) -> str:
        """The caption without its first sentence."""
        return self.caption.removeprefix(self.answer).strip()

    @property
    def source(self) -> str:
        """The picture as a data URI: inside an `img`, where ids cannot collide nor scripts run."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode()


def draw_all(names: Iterable[str], tables: Tables, folder: Path, dpi: int = _DPI) -> list[Picture]:
    """These figures, with their files in `folder`."""
    return [_draw(name, tables, folder, dpi) for name in names]


def _draw(name: str, tables: Tables, folder: Path, dpi: int) -> Picture:
    module = figures.figure(name)
    try:
        plotted = plotted_of(module, tables)
        files = rendered(module.draw(plotted), dpi)
    except CannotDraw as reason:
        # Files of an earlier report would pretend to belong to this one.
        for suffix in FORMATS:
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
        return Picture(name, module.QUESTION, refusal=str(reason))
    for suffix, content in {**files, "csv": csv(plotted.table)}.items():
        replace_bytes(folder / f"{name}.{suffix}", content)
    return Picture(
        name,
        module.QUESTION,
        module.caption(plotted),
        svg=files["svg"],
        reading=reading_of(module, plotted),
        left_out=plotted.left_out,
    )


def csv(table: pd.DataFrame) -> bytes:
    """The plotted numbers as CSV.

    A text that a spreadsheet would compute gets an apostrophe in front, as a spreadsheet's own.
    """
    safe = table.rename(columns=_as_text).map(_as_text)
    return safe.to_csv(index=False, lineterminator="\n").encode()


def _as_text(value: object) -> object:
    """Return a text that begins as a formula does so that it stays text; numbers as they are."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def rendered(
    figure: Figure, dpi: int = _DPI, formats: Iterable[str] = PICTURES
) -> dict[str, bytes]:
    """The figure in these picture formats; the same figure gives the same bytes.

    Raises:
        SettingError: for a resolution that is no whole number from 30 to 1200.
    """
    _refuse_dpi(dpi)
    with in_style():
        # Laid out once: the formats then agree in every position, and two layouts are saved.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        return {suffix: _saved(figure, suffix, dpi) for suffix in formats}


def _refuse_dpi(dpi: int) -> None:
    if not isinstance(dpi, int) or isinstance(dpi, bool) or not _FEWEST <= dpi <= _MOST:
        raise SettingError("dpi", dpi, f"a whole number from {_FEWEST} to {_MOST}")


def _saved(figure: Figure, suffix: str, dpi: int) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=dpi, metadata=dict(_TIMELESS[suffix]))
    return buffer.getvalue()


_TEMPLATE: Final = "page.html.jinja"
_PAGE: Final = "index.html"
_OWN: Final = "report"


def template(name: str) -> jinja2.Template:
    """Return a template of this package by its file's name; whatever it is given is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["policy"] = explorer.policy
    return environment.get_template(name)


def _source(name: str) -> str:
    # Read as a resource, so that it is found in a zipped package too.
    return importlib.resources.files(__package__).joinpath(name).read_text("utf-8")


def write(
    tables: Tables, folder: Path | str, study: Study | None = None, *, dpi: int = 300
) -> Path:
    """Draw every figure and write `index.html` beside the pictures; returns the page's path.

    Args:
        tables: `runs`, `updates`, `gradients` and `broken` of one study.
        folder: where pictures, plotted tables and the page go; made if it is missing.
        study: what is known of the study; it says which figures there are. None: nothing.
        dpi: resolution of the PNG files, from 30 to 1200.

    Raises:
        SettingError: if the study declares a figure that there is not, or for another resolution.
    """
    _refuse_dpi(dpi)
    place = Path(folder)
    study = study or Study(_name(place))
    names = of_page(study.page.figures)
    place.mkdir(parents=True, exist_ok=True)
    html = render(tables, draw_all(names, tables, place, dpi), study)
    replace_bytes(place / _PAGE, html.encode())
    return place / _PAGE


def _name(folder: Path) -> str:
    """The study's name: that of the folder or, for a folder `report`, of the one above it."""
    path = folder.resolve()
    return path.parent.name if path.name == _OWN else path.name


def render(tables: Tables, pictures: list[Picture], study: Study) -> str:
    """The page as text. Whatever comes from a configuration is escaped."""
    if none_has_ended(tables.runs):  # what is missing was not left out by the study
        pictures = [replace(each, refusal=each.refusal and NONE_ENDED) for each in pictures]
    runs, room = tables.runs, explorer.of_study(tables)
    settings, table = (setting_table(runs), run_table(runs)) if len(runs) else (None, None)
    drawn, compared = [each for each in pictures if not each.refusal], compare(runs)
    answering = _answering(study.page, drawn)
    said = {
        "title": question(study.page.question, runs),
        "done": done(runs),
        "standing": standing(runs, tables.broken, study.left),
    }
    shown = {"settings": settings, "runs": table}
    if compared:
        shown |= {"differing": compared.settings, "outcomes": compared.outcomes}
    told = [text for each in drawn for text in (each.question, each.caption, each.reading)]
    told += ["rate change half-life theory"] if table else []  # headings of the tables
    return template(_TEMPLATE).render(
        **said,
        answers=[compared.came_out] if compared else [each.answer for each in answering],
        partly=not compared and any(each.left_out for each in answering),
        explorer=room,
        styles=[*([room.style] if room else []), narrow_style(shown)],
        scripts=[room.script] if room else [],
        study=study,
        pictures=drawn,
        refused=[picture for picture in pictures if picture.refusal],
        formats=FORMATS,
        words=[*task_words(_tasks(runs)), *words_in([*said.values(), *told])],
        rules=tables.rules,
        divergences=divergences(runs),
        settings=settings,
        table=table,
        commands=commands(runs),
        compared=compared,
        broken=_broken(tables.broken),
    )


def _tasks(runs: pd.DataFrame) -> list[str]:
    return [str(name) for name in settings_of(runs).get("task", pd.Series()).unique()]


def _answering(page: StudyPage, drawn: list[Picture]) -> list[Picture]:
    """Return the pictures whose first sentence answers the question of a page.

    A question that nobody declared is that of the first picture. One of a user's own is answered by
    the figures that the study names, and by none where it names none.
    """
    if page.question is None:
        return drawn[:1]
    return [each for name in page.answer or () for each in drawn if each.name == name]


def _broken(broken: pd.DataFrame) -> list[tuple[str, str]]:
    rows = broken.reindex(columns=["run", "why"]).astype(str)
    return [(run, why) for run, why in rows.to_numpy().tolist()]
