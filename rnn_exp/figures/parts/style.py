"""One style for all figures: a dict to enter with `matplotlib.rc_context`.

A line style means one thing everywhere: solid is measured, dashed is theory, dotted is a bound.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

import matplotlib
import matplotlib.colors

from rnn_exp.fields import SettingError
from rnn_exp.program import printable

COLUMN: Final = 3.4
"""Width of one column of a paper, in inches."""
PAGE: Final = 7.0
"""Width of two columns, in inches."""

MEASURED: Final = "-"
THEORY: Final = "--"
ASYMPTOTE: Final = "-."
BOUND: Final = ":"

BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
# The three of Okabe and Ito (2008) that are dark enough on white, then three darker ones: every
# colour has a contrast of 3:1 at least, and no two are one to a reader without red or green cones.
CATEGORIES: Final = (BLUE, VERMILLION, "#009E73", "#571919", "#B05A94", "#222255")
MARKERS: Final = ("o", "s", "D", "^", "v", "P")
"""Shapes of the points of unordered settings, beside their colours."""
REFERENCE: Final = "0.45"
"""The grey of lines that are no measurement, such as that at 1, and of words in a panel."""
# The darkest and the lightest colour of an ordered setting, as parts of the ramp.
_DARK, _LIGHT = 0.12, 0.66

_LINES: Final = {
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "hatch.linewidth": 0.4,
}
_FRAME: Final = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
# Text stays text: it can be searched, read aloud and edited. The salt makes SVG ids repeatable.
_FILES: Final = {"svg.fonttype": "none", "svg.hashsalt": "rnn-exp", "pdf.fonttype": 42}
# Of the thread that draws, as long as `styled` lasts.
_ABOVE: Final = ContextVar[Mapping[str, object]]("style", default=MappingProxyType({}))


@contextmanager
def in_style() -> Iterator[None]:
    """A context in which figures are made and saved in this style; what was set before returns."""
    # The stubs list every key as a literal; these keys come partly from matplotlib's defaults.
    with matplotlib.rc_context(cast(Any, {**style(), **_ABOVE.get()})):
        yield


@contextmanager
def styled(above: Mapping[str, object]) -> Iterator[None]:
    """A context in which some rcParams are set above this style.

    Args:
        above: the rcParams (`style_of`).
    """
    token = _ABOVE.set(above)
    try:
        yield
    finally:
        _ABOVE.reset(token)


def style_of(file: Path) -> dict[str, object]:
    """Return the rcParams of a style file of matplotlib.

    Args:
        file: lines of ``key: value``, as matplotlib reads them.

    Raises:
        SettingError: for a line that is no setting of matplotlib's styles, or a value that it
            does not take.
        OSError: if the file cannot be read.
    """
    found: dict[str, object] = {}
    for line in file.read_text("utf-8").splitlines():
        key, _, value = (part.strip() for part in line.partition("#")[0].partition(":"))
        if not key:
            continue
        if key not in matplotlib.rcParamsDefault or key.startswith(("backend", "interactive")):
            raise SettingError("style", printable(key), f"a key of matplotlib's styles ({file})")
        try:
            found[key] = matplotlib.rcParams.validate[key](value)
        except (ValueError, TypeError) as error:
            said = f"what matplotlib takes for {key} ({file}: {' '.join(str(error).split())})"
            raise SettingError("style", printable(f"{key}: {value}"), said) from None
    return found


def style() -> dict[str, object]:
    """The rcParams of every figure: 8 pt text, two spines, thin lines, text kept as text."""
    large = dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize", "figure.labelsize"), 8)
    small = dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 7)
    # From matplotlib's defaults, so that nobody's own settings change a published figure. The
    # backend is no matter of style, and a context would not put it back.
    defaults: dict[str, object] = {
        key: value
        for key, value in matplotlib.rcParamsDefault.items()
        if not key.startswith("backend")
    }
    return {**defaults, **large, **small, **_LINES, **_FRAME, **_FILES}


def ordered(count: int) -> list[str]:
    """Colours for an ordered setting: dark to light, the lightest with 3:1 on white."""
    # Equal steps of the ramp are equal steps of lightness, so that grey prints stay readable; its
    # last third is too light for a line on paper.
    import seaborn  # a second to import, and not every figure has an order

    ramp = seaborn.color_palette("inferno", as_cmap=True)
    step = (_LIGHT - _DARK) / max(count - 1, 1)
    stops = [0.4] if count == 1 else [_DARK + step * i for i in range(count)]
    return [matplotlib.colors.to_hex(ramp(stop)) for stop in stops]


def categories(count: int) -> list[str]:
    """Colours for unordered settings, repeated when they run out."""
    return [CATEGORIES[i % len(CATEGORIES)] for i in range(count)]


def darker(colour: str) -> tuple[float, float, float]:
    """The colour of theory beside a measurement: its own hue, dark enough to be seen on top."""
    red, green, blue = matplotlib.colors.to_rgb(colour)
    return 0.5 * red, 0.5 * green, 0.5 * blue
