"""Write docs/gallery.md: every figure of every study, small, with its question and its command.

python scripts/contact_sheet.py outputs/decay outputs/course   # these studies
python scripts/contact_sheet.py outputs                        # all that are there (make figures)

A study is in the page at its whole dose or not at all: a folder in which runs are missing or have
failed, or whose command changes a setting, is refused, and nothing is written. The page says which
studies are missing.
"""

import argparse
import io
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
# The figures

{drawn} figures of {studies} studies, each with its question, the first sentence of its caption and
the command that draws it. `rnn-exp study=NAME` trains a study into `outputs/NAME`;
`rnn-exp-report outputs/NAME` draws all its figures, with their captions in full. Any figure can be
drawn of any results in which its question can be asked: `rnn-exp-figure NAME DIR -o FILE`, with
`--where` for some of the runs, and with `--width 3.4` for a column of a paper.

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
    for name in (name for name in studies() if name in known):
        lines += _section(known[name])
    return "\n".join(lines).rstrip() + "\n"


def _section(part: Part) -> list[str]:
    name, asked = (
        part.study.name,
        part.study.page.question or built_in_page(part.study.name).question,
    )
    words = shlex.split(part.study.command)[1:]
    study = [f"study={name}", *(word for word in words if word.startswith(_OF_ROUNDING))]
    made = f"`rnn-exp {' '.join(study)}` ({plural(part.runs, 'run')})"
    lines = [f"## {name}", "", f"{asked} {made}", ""]
    for one in part.thumbnails:
        command = f"rnn-exp-figure {one.name} outputs/{name} -o {one.name}.png"
        lines += [f"### `{one.name}`: {one.question}", ""]
        if one.refusal:
            lines += [f"Not drawn for this study: {one.refusal}", ""]
            continue
        picture = f"{THUMBNAILS}/{name}-{one.name}.png"
        lines += [f"![{one.name} of the study {name}]({picture})", "", one.answer, ""]
        lines += ["```sh not-run", command, "```", ""]
    return lines


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
