"""Write docs/gallery.md: the question, command, figures and answer of every study.

python scripts/contact_sheet.py outputs/decay outputs/course   # these studies
python scripts/contact_sheet.py outputs                        # all that are there (make figures)

A study is in the page at its whole dose or not at all: a folder in which runs are missing or have
failed, or whose command changes a setting, is refused, and nothing is written. The page says which
studies are missing.
"""

import argparse
import io
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

import rnn_exp
from rnn_exp import figures
from rnn_exp.figures.parts.style import PAGE
from rnn_exp.program import conf_folder
from rnn_exp.report.page import rendered
from rnn_exp.schema import SWEEP_JSON
from rnn_exp.storage.files import replace_bytes
from rnn_exp.storage.study import Study, built_in_page, study_of
from rnn_exp.sweeps.status import sweep_status
from rnn_exp.words import first_sentence, listing, plural

DOCS = Path(__file__).parents[1] / "docs"
THUMBNAILS = "figures"
_PIXELS = 840
_COLOURS = 256
"""A thumbnail of so many colours has half of the bytes and looks the same."""
_OF_THE_PLACE = ("hydra.sweep.dir=", "hydra.launcher.", "study=")
"""Words of a command that change no result."""
_OF_ROUNDING = "network.engine="
"""The word of a command that changes no setting of a study but what computes it."""
_INTRODUCTION = """\
# Gallery

{studies} studies: question, command, figure, answer. An answer is the first sentence of a figure's
caption, and its numbers are those of the runs that are drawn. `rnn-exp study=NAME` trains a study
into `outputs/NAME`, and `rnn-exp-report outputs/NAME` draws all its figures on one page, with their
captions in full. Every setting of a study can be changed on the command line. Any of the {drawn}
figures can be drawn of results of your own: `rnn-exp-figure NAME DIR -o FILE`."""
_END = """\
This page is made by `make figures` from studies at their whole dose
(`python scripts/contact_sheet.py DIR…`)."""


class Thumbnail(NamedTuple):
    """A figure of a study, small; ``refusal``: why it is not drawn, or nothing."""

    name: str
    question: str
    answer: str = ""
    refusal: str = ""
    png: bytes = b""


class Part(NamedTuple):
    """A study with its figures and the number of its runs."""

    study: Study
    runs: int
    thumbnails: list[Thumbnail]


def refusal(folder: Path) -> str:
    """Say why a folder is not a study that has ended, at its whole dose; nothing if it is one.

    Args:
        folder: of a sweep.
    """
    try:
        now = sweep_status(folder)
    except (OSError, ValueError) as error:
        return f"{folder}: no study can be read here ({error})"
    if now.in_progress or now.left:
        return f"{folder}: {now.done} of {plural(now.runs, 'run')} done"
    if now.failed:
        return f"{folder}: {plural(now.failed, 'run')} failed"
    words = shlex.split(study_of(folder).command)[1:]
    if f"study={folder.resolve().name}" not in words:
        return f"{folder}: not made by rnn-exp study={folder.resolve().name}"
    same = (*_OF_THE_PLACE, _OF_ROUNDING)
    changed = [word for word in words if not word.startswith(same) and word != "-m"]
    return f"{folder}: changed by {' '.join(changed)}" if changed else ""


def folders_of(folder: Path) -> list[Path]:
    """Return the folders of studies in a folder, or the folder itself, if there are none.

    Args:
        folder: of a study, or one such as outputs.
    """
    return [folder / name for name in studies() if (folder / name / SWEEP_JSON).exists()] or [
        folder
    ]


def part_of(folder: Path) -> Part:
    """Draw all figures of a study's page, small.

    Args:
        folder: of a study that has ended.
    """
    study, results = study_of(folder), rnn_exp.load(folder)
    names = figures.of_page(study.page.figures)
    return Part(study, len(results.runs), [_thumbnail(name, results) for name in names])


def _thumbnail(name: str, results: figures.Tables) -> Thumbnail:
    module = figures.figure(name)
    try:
        plotted = module.table(results)
        picture = module.draw(plotted)
    except figures.CannotDraw as reason:
        return Thumbnail(name, module.QUESTION, refusal=str(reason))
    dpi = round(_PIXELS / max(PAGE, picture.get_figwidth()))
    png = rendered(picture, dpi, ["png"])["png"]
    return Thumbnail(
        name, module.QUESTION, first_sentence(module.caption(plotted)), png=_small(png)
    )


def _small(png: bytes) -> bytes:
    """The same picture in few colours."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        # All hues, also those of thin lines; the usual way keeps those that cover most.
        kind = Image.Quantize.MAXCOVERAGE
        few = picture.convert("RGB").quantize(_COLOURS, kind, dither=Image.Dither.NONE)
        few.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def page(parts: Sequence[Part]) -> str:
    """Return the page as Markdown.

    Args:
        parts: the studies, in any order.
    """
    known = {part.study.name: part for part in parts}
    missing = [name for name in studies() if name not in known]
    drawn = sum(not one.refusal for part in parts for one in part.thumbnails)
    lines = [*_INTRODUCTION.format(drawn=drawn, studies=len(parts)).splitlines(), ""]
    if missing:
        lines += [f"Not drawn yet: {listing(f'`{name}`' for name in missing)}.", ""]
    shown = [known[name] for name in studies() if name in known]
    lines += ["| study | question |", "|---|---|"]
    for part in shown:
        asked = _question(part.study)
        lines += [f"| `{part.study.name}` | [{asked}](#{_anchor(asked)}) |"]
    lines += [""]
    for part in shown:
        lines += _section(part)
    return "\n".join([*lines, *_END.splitlines()]) + "\n"


def _question(study: Study) -> str:
    return study.page.question or built_in_page(study.name).question or study.name


def _anchor(heading: str) -> str:
    """Return the anchor that a heading has in Markdown."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _section(part: Part) -> list[str]:
    """Return the lines of a study: first the figures that answer its question, then the others."""
    study = part.study
    made = [word for word in shlex.split(study.command)[1:] if word.startswith(_OF_ROUNDING)]
    answering = study.page.answer or built_in_page(study.name).answer or ()
    first = [one for one in part.thumbnails if one.name in answering]
    lines = [f"## {_question(study)}", ""]
    lines += _block(
        f"rnn-exp {' '.join([f'study={study.name}', *made])}  # {plural(part.runs, 'run')}"
    )
    for one in first:
        lines += _figure(study.name, one, "**", [])
    for one in part.thumbnails:
        if one not in first:
            command = f"rnn-exp-figure {one.name} outputs/{study.name} -o {one.name}.png"
            lines += [f"### {one.question}", "", *_figure(study.name, one, "", _block(command))]
    return lines


def _figure(study: str, one: Thumbnail, mark: str, command: list[str]) -> list[str]:
    """Return the lines of a figure, with its sentence between two marks."""
    if one.refusal:
        return [f"Not drawn for this study: {one.refusal}", ""]
    picture = f"{THUMBNAILS}/{study}-{one.name}.png"
    alt = f"{one.name} of the study {study}"
    return [f"![{alt}]({picture})", "", f"{mark}{one.answer}{mark}", "", *command]


def _block(command: str) -> list[str]:
    """Return a command that takes too long for the build of the documentation."""
    return ["```sh not-run", command, "```", ""]


def studies() -> list[str]:
    """Return the names of the studies of this package, sorted."""
    return sorted(path.stem for path in (conf_folder() / "study").glob("*.yaml"))


def write(parts: Sequence[Part], docs: Path) -> None:
    """Write the page and its pictures; pictures of before are removed.

    Args:
        parts: the studies.
        docs: the folder of the page.
    """
    shutil.rmtree(docs / THUMBNAILS, ignore_errors=True)
    (docs / THUMBNAILS).mkdir(parents=True)
    for part in parts:
        for one in part.thumbnails:
            if one.png:
                replace_bytes(docs / THUMBNAILS / f"{part.study.name}-{one.name}.png", one.png)
    replace_bytes(docs / "gallery.md", page(parts).encode())


def main() -> None:
    """Read the folders that are named and write the page."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("folder", type=Path, nargs="+", help="of a study that has ended")
    options.add_argument("--docs", type=Path, default=DOCS, help="where the page goes")
    given = options.parse_args()
    folders = [each for folder in given.folder for each in folders_of(folder)]
    refused = [why for folder in folders if (why := refusal(folder))]
    if refused:
        sys.exit("\n".join([*refused, "Nothing was written."]))
    write([part_of(folder) for folder in folders], given.docs)
    print(given.docs / "gallery.md")


if __name__ == "__main__":
    main()
