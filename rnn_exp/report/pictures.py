"""Figures drawn from the tables of a study and saved as PNG, SVG, PDF and CSV."""

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from rnn_exp import figures
from rnn_exp.figures import CannotDraw, Tables
from rnn_exp.figures.style import in_style
from rnn_exp.files import replace_bytes

PICTURES: Final = ("png", "svg", "pdf")
FORMATS: Final = (*PICTURES, "csv")
_DPI: Final = 300

# Without these a file carries the time at which it was made, and no two reports are the same.
_TIMELESS: Final[Mapping[str, Mapping[str, None]]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Picture:
    """One figure of the page: its question and caption, or the reason why it is not drawn."""

    name: str
    question: str
    caption: str = ""
    refusal: str = ""
    svg: bytes = b""

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
        table = module.table(tables)
        rendered = render(module.draw(table), dpi)
    except CannotDraw as reason:
        # Files of an earlier report would pretend to belong to this one.
        for suffix in FORMATS:
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
        return Picture(name, module.QUESTION, refusal=str(reason))
    for suffix, content in {**rendered, "csv": plotted(table)}.items():
        replace_bytes(folder / f"{name}.{suffix}", content)
    return Picture(name, module.QUESTION, module.caption(table), svg=rendered["svg"])


def plotted(table: pd.DataFrame) -> bytes:
    """The plotted numbers as CSV."""
    return table.to_csv(index=False, lineterminator="\n").encode()


def render(figure: Figure, dpi: int = _DPI) -> dict[str, bytes]:
    """The figure in every picture format; the same figure gives the same bytes."""
    with in_style():
        # Laid out once: the formats then agree in every position, and two layouts are saved.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        return {suffix: _saved(figure, suffix, dpi) for suffix in PICTURES}


def _saved(figure: Figure, suffix: str, dpi: int) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=dpi, metadata=dict(_TIMELESS[suffix]))
    return buffer.getvalue()
