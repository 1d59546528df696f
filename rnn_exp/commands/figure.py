"""``rnn-exp-figure``: one figure of some results in a file, as wide as a paper wants it."""

import json
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rnn_exp.commands.command import add_version, command
from rnn_exp.commands.reading import add_use, damage_told, load_or_leave, use_given

if TYPE_CHECKING:
    from pathlib import Path

    from rnn_exp.program import Options

__all__ = ["figure", "one_value_each"]

_NAME = "rnn-exp-figure"
_WHERE = "--where"


def figure() -> None:
    """Draw one named figure of results folders into a file, and print what is seen in it.

    Raises:
        SystemExit: with exit code 1 and a line on stderr if it cannot be drawn.
    """
    with command(_NAME, "the same command begins anew"):
        _figure()


def _figure() -> None:
    from rnn_exp import figures
    from rnn_exp.figures.parts.drawing import in_width, plotted_of, whole_caption
    from rnn_exp.figures.parts.style import styled
    from rnn_exp.program import leave, printable
    from rnn_exp.report.page import PICTURES, rendered
    from rnn_exp.storage.files import replace_bytes

    given = _options().parse_intermixed_args(one_value_each(sys.argv[1:]))
    use_given(given)
    module = figures.figure(given.name)
    suffix = given.out.suffix.removeprefix(".")
    if suffix not in PICTURES:
        endings = ", ".join(f".{each}" for each in PICTURES)
        leave(_NAME, f"{given.out}: the name of a picture ends with one of {endings}")
    if not given.out.parent.exists():
        leave(_NAME, f"{given.out}: there is no folder {given.out.parent}; make it first")
    wanted = _wanted(given.where)
    with styled(_style(given.style)), damage_told(_NAME):
        results = load_or_leave(_NAME, *given.folder)
        try:
            plotted = plotted_of(module, results.where(wanted) if wanted else results)
            drawn = module.draw(plotted)
        except figures.CannotDraw as why:
            leave(_NAME, f"{given.name} cannot be drawn: {why}")
        drawn = in_width(drawn, given.width)
        with _room_for_panels(given.width):
            content = rendered(drawn, given.dpi, [suffix])[suffix]
    try:
        replace_bytes(given.out, content)
    except OSError as error:
        leave(_NAME, f"{given.out}: {error.strerror or error}")
    print(printable(whole_caption(module, plotted)))


def _options() -> "Options":
    from pathlib import Path

    from rnn_exp import figures
    from rnn_exp.program import Options

    names = [*figures.names(), *figures.study_names()]
    options = Options(
        _NAME,
        description=f"Draw one figure of results: {', '.join(names)}.",
        epilog=f"{_NAME} decay outputs/decay --where network.activation=tanh task.length=30,100 "
        "--width 3.4 -o decay.pdf",
    )
    add_version(options)
    options.add_argument("name", help="the figure")
    options.add_argument("folder", type=Path, nargs="+", help="a study's folder, or one run's")
    options.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FILE", help="a .png, .svg or .pdf"
    )
    options.add_argument(
        _WHERE,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only runs that have this setting, or one of several values: KEY=VALUE,VALUE; "
        "several settings may follow",
    )
    options.add_argument(
        "--width",
        type=float,
        metavar="INCHES",
        help="from 2.5 to 50; 3.4: one column of a paper; 7: the page",
    )
    dots = "dots per inch of a .png, from 30 to 1200 (default: 300)"
    options.add_argument("--dpi", type=int, default=300, help=dots)
    options.add_argument(
        "--style", type=Path, metavar="FILE", help="a style file of matplotlib, over this style"
    )
    add_use(options)
    return options


def one_value_each(words: Sequence[str]) -> list[str]:
    """Return the words of a command with ``--where`` before each setting that follows one.

    So a folder may come after settings: it is the first word that is none.

    Args:
        words: as they were typed.

    Example:
        >>> one_value_each(["decay", "--where", "seed=0", "init.gain=1", "outputs/mine"])
        ['decay', '--where', 'seed=0', '--where', 'init.gain=1', 'outputs/mine']
    """
    found: list[str] = []
    for place, word in enumerate(words):
        follows = len(found) >= 2 and found[-2] == _WHERE and words[place - 1] != _WHERE
        is_setting = not word.startswith("-") and "=" in word
        found += [_WHERE, word] if follows and is_setting else [word]
    return found


def _style(file: "Path | None") -> Mapping[str, object]:
    from rnn_exp.figures.parts.style import style_of
    from rnn_exp.program import leave

    try:
        return {} if file is None else style_of(file)
    except OSError as error:
        leave(_NAME, f"--style {file}: {error.strerror or error}")
    except UnicodeDecodeError:
        leave(_NAME, f"--style {file}: this is no text")


def _wanted(words: Iterable[str]) -> dict[str, Any]:
    """Return the value of each key, or a list of several.

    Raises:
        SettingError: for a word that is no ``key=value``, and for a key that is given twice.
    """
    from rnn_exp.fields import SettingError

    wanted: dict[str, Any] = {}
    told: dict[str, str] = {}
    for word in words:
        key, sign, values = word.partition("=")
        if not key or not sign:
            raise SettingError("--where", word, "key=value, such as task.length=100")
        if key in told:
            both = f"{key} once, with all its values: {key}={told[key]},{values}"
            raise SettingError("--where", word, both)
        told[key], found = values, [_value(text) for text in values.split(",")]
        wanted[key] = found if len(found) > 1 else found[0]
    return wanted


@contextmanager
def _room_for_panels(width: float | None) -> Iterator[None]:
    """A context in which a figure whose panels have no room is refused, and not drawn on itself."""
    from rnn_exp.program import leave

    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="constrained_layout not applied")
        try:
            yield
        except UserWarning:
            what = "this figure" if width is None else f"--width {width:g}"
            leave(_NAME, f"{what} leaves no room for panels beside the labels: make it wider")


def _value(text: str) -> object:
    """Return the number, truth value or null that a text is, or the text."""
    try:
        found: object = json.loads(text)
    except ValueError:
        return text
    return found if not isinstance(found, (list, dict)) else text
