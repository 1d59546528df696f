"""Commands on results: rnn-exp-report, rnn-exp-figure and rnn-exp-weights."""

import json
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib import pyplot

from rnn_exp import figures
from rnn_exp.commands import figure as draw_figure
from rnn_exp.commands import report, weights
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import Network
from rnn_exp.storage.files import held
from rnn_exp.storage.writing import write, write_status
from rnn_exp.sweeps.run_list import write_run_list
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from tests.dose import FULL

ROOT = Path(__file__).parents[1]
NAME = "rnn-exp-figure"
MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF", "csv": b""}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A small study; to be left as it is."""
    folder = tmp_path_factory.mktemp("results") / "small"
    runs = [
        Run(Adding(10), Network(hidden_size=4), Gaussian(gain), Training(updates=3), seed=seed)
        for gain in (0.5, 2.0)
        for seed in (0, 1)
    ]
    for outcome in train_runs(runs):
        (folder / outcome.run.name).mkdir(parents=True)
        write(folder / outcome.run.name, outcome)
    return folder


def draw_only(monkeypatch, *few: str) -> None:
    """Let there be few figures: to draw all takes many seconds."""
    found = figures._found
    monkeypatch.setattr(
        figures, "_found", lambda room: {n: m for n, m in found(room).items() if n in few}
    )


def call(monkeypatch, command, program: str, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", [program, *map(str, words)])
    try:
        command()
    finally:
        pyplot.close("all")


@pytest.mark.dosed
def test_the_report_has_a_page_and_every_figure_in_every_format(
    study, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    if not FULL:
        draw_only(monkeypatch, "decay", "learning")

    call(monkeypatch, report, "rnn-exp-report", study, "--out", "there/report")

    told = capsys.readouterr()
    out = tmp_path / "there" / "report"
    assert told.out == f"{Path('there/report/index.html')}\n"
    assert told.err == ""
    drawn = {path.stem for path in out.glob("*.csv")}
    assert "decay" in drawn
    assert drawn <= set(figures.names())
    assert {path.name for path in out.iterdir()} == {
        "index.html",
        *(f"{name}.{suffix}" for name in drawn for suffix in MAGIC),
    }
    for name in drawn:
        for suffix, magic in MAGIC.items():
            content = (out / f"{name}.{suffix}").read_bytes()
            assert content.startswith(magic)
            assert len(content) > 20
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "<h1>What does the gradient do, by gain g?</h1>" in page
    assert page.count("Made with numba ") == 1  # all runs have the same versions
    networks = "networks of 4 units (cell rnn; activation tanh) on the task adding. "
    assert f"<p>4 runs of {networks}" in page
    assert all(name in page for name in figures.names())


def test_the_report_of_a_folder_goes_into_the_folder_itself(study, monkeypatch, capsys):
    written = []
    monkeypatch.setattr(
        "rnn_exp.report.write",
        lambda results, out, study: written.append((len(results.runs), study.name)) or out / "page",
    )

    call(monkeypatch, report, "rnn-exp-report", study)

    assert written == [(4, "small")]
    assert capsys.readouterr().out == f"{study / 'report' / 'page'}\n"


def test_a_missing_folder_is_one_clear_line_of_the_report(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as left:
        call(monkeypatch, report, "rnn-exp-report", tmp_path / "decai")

    assert left.value.code == f"rnn-exp-report: there is no folder {tmp_path}/decai"
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_runs_is_one_clear_line_of_the_report(tmp_path, monkeypatch):
    with pytest.raises(SystemExit) as left:
        call(monkeypatch, report, "rnn-exp-report", tmp_path)

    why = f"there are no runs in {tmp_path} (no run.json up to 8 folders deep)"
    assert left.value.code == f"rnn-exp-report: {why}"
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_is_one_clear_line(study, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")

    for out, why in (
        ("file/out", r"this folder cannot be made \(Not a directory\); write another one"),
        ("file", "this is a file; write the name of a folder"),
    ):
        with pytest.raises(SystemExit, match=f"^rnn-exp-report: --out .*{out}: {why}$"):
            call(monkeypatch, report, "rnn-exp-report", study, "--out", tmp_path / out)


def test_a_report_of_runs_that_have_not_ended_says_so_and_what_goes_on_with_them(
    study, tmp_path, monkeypatch, capsys
):
    folder, command = tmp_path / "sweep", "rnn-exp -m seed=0,1"
    shutil.copytree(study, folder)
    names = sorted(path.name for path in folder.iterdir())
    write_run_list(folder, names, command)
    draw_only(monkeypatch, "decay", "learning")

    def told(*ended: str) -> tuple[str, str]:
        for name in names:
            if name not in ended:
                _unend(folder / name)
        call(monkeypatch, report, "rnn-exp-report", folder)
        return (folder / "report" / "index.html").read_text("utf-8"), capsys.readouterr().err

    page, line = told(*names[1:])
    stopped = (
        f"What has not ended is stopped; the command that began it goes on from there: {command}"
    )
    assert f"3 of 4 runs have ended: 3 finished. {stopped}" in page
    assert line == f"rnn-exp-report: {stopped}\n"

    with held(folder, patience=0):
        page, line = told()
    training = "Runs are in training now; once they have ended, the same command draws them too."
    assert f"No run has ended. {training}" in page
    assert line == f"rnn-exp-report: {training}\n"
    assert page.count("Not drawn. No run has ended.") == 2
    assert "recorded no updates" not in page


def _unend(folder: Path) -> None:
    """Make a run that is done one that has begun."""
    said = {
        "status": "running",
        "settings": json.loads((folder / "run.json").read_text())["settings"],
    }
    said |= {"run": folder.name, "digest": "0" * 16, "command": "rnn-exp"}
    for path in folder.iterdir():
        path.unlink()
    (folder / "run.json").write_text(json.dumps(said))


def test_weights_of_a_missing_folder_are_one_clear_line(tmp_path, monkeypatch):
    with pytest.raises(SystemExit) as left:
        call(monkeypatch, weights, "rnn-exp-weights", tmp_path / "nowhere")

    assert left.value.code == f"rnn-exp-weights: there is no folder {tmp_path}/nowhere"


def test_ctrl_c_while_weights_are_written_says_that_some_are(study, monkeypatch, capsys):
    answers = []

    def write(folder):
        answers.append(signal.getsignal(signal.SIGINT).__qualname__)
        if len(answers) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("rnn_exp.storage.initial.write_initial_weights", write)

    with pytest.raises(SystemExit) as ended:
        call(monkeypatch, weights, "rnn-exp-weights", study)

    assert ended.value.code == 130
    assert answers == ["interruptible.<locals>.interrupt"] * 2  # Ctrl-C lets a file be closed
    assert capsys.readouterr().err.splitlines() == [
        "rnn-exp-weights: stopped; what was written is whole; the same command writes all of it"
    ]


def test_the_report_says_its_versions(monkeypatch, capsys):
    with pytest.raises(SystemExit) as left:
        call(monkeypatch, report, "rnn-exp-report", "--version")

    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("rnn-exp 0.")


def test_the_installed_command_ends_with_one_line_and_an_exit_code(tmp_path):
    script = Path(sys.executable).with_name("rnn-exp-report")

    ended = subprocess.run(
        [script, "nowhere"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert ended.stderr == "rnn-exp-report: there is no folder nowhere\n"
    assert ended.stdout == ""


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_command_draws_one_figure(study, tmp_path, monkeypatch, capsys, suffix):
    file = tmp_path / f"picture.{suffix}"

    call(monkeypatch, draw_figure, NAME, "decay", study, "-o", file)

    assert file.read_bytes().startswith(MAGIC[suffix])
    figure = figures.figure("decay")
    assert capsys.readouterr().out == f"{whole_caption(figure, figure.table(_tables(study)))}\n"
    assert list(tmp_path.iterdir()) == [file]
    first = file.read_bytes()
    call(monkeypatch, draw_figure, NAME, "decay", study, "-o", file)
    assert file.read_bytes() == first


def test_some_runs_of_several_folders_are_drawn_in_a_width_and_a_style(
    study, tmp_path, monkeypatch, capsys
):
    style, file = tmp_path / "my.mplstyle", tmp_path / "one.svg"
    style.write_text("# mine\nfont.size: 17  # large\naxes.titlesize: 17\n")
    gains = _tables(study).runs["init.gain"].unique()
    words = ("--where", f"init.gain={gains[0]:g}", "--width", "5", "--style", style)

    call(monkeypatch, draw_figure, NAME, "decay", study, study, *words, "-o", file)

    picture = file.read_text(encoding="utf-8")
    assert 'width="360pt"' in picture
    assert "17px" in picture
    assert f"g = {gains[1]:g}" not in picture + capsys.readouterr().out
    call(monkeypatch, draw_figure, NAME, "decay", study, "-o", file)
    assert "17px" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--where", "task.lenght=3"], "task.length"),
        (["--where", "length"], "key=value"),
        (["--where", "init.gain=77"], "init.gain=77"),
        (
            ["--where", "init.gain=0.5,3,4"],
            "init.gain=3, 4 is not possible: allowed is one of 0.5, 2",
        ),
        (
            ["--where", "seed=0", "--where", "seed=1"],
            "seed=1 is not possible: allowed is seed once, with all its values: seed=0,1",
        ),
        (["--width", "2"], "width=2.0 is not possible: allowed is inches from 2.5 to 50"),
        (["--dpi", "0"], "dpi=0 is not possible: allowed is a whole number from 30 to 1200"),
        (["--dpi", "-1"], "dpi=-1 is not possible"),
        (["--dpi", "1"], "dpi=1 is not possible"),
        (["--dpi", "100000"], "dpi=100000 is not possible"),
        (["--style", "huge.mplstyle", "--width", "2.5"], "--width 2.5 leaves no room for panels"),
        (["--style", "none.mplstyle"], "--style none.mplstyle: No such file"),
        (["--style", "bad.mplstyle"], "a key of matplotlib's styles"),
        (["--style", "worse.mplstyle"], "allowed is what matplotlib takes for font.size (worse.m"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_line(study, tmp_path, monkeypatch, words, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.mplstyle").write_text("font.sise: 3\n")
    (tmp_path / "worse.mplstyle").write_text("font.size: large-ish\n")
    (tmp_path / "huge.mplstyle").write_text("xtick.labelsize: 150\nytick.labelsize: 99\n")

    with pytest.raises(SystemExit) as left:
        call(monkeypatch, draw_figure, NAME, "decay", study, *words, "-o", "picture.png")

    assert left.value.code.startswith(f"{NAME}: ")
    assert why in left.value.code
    assert "\n" not in left.value.code
    assert not (tmp_path / "picture.png").exists()


def test_a_figure_that_cannot_be_drawn_is_named_with_the_reason(study, tmp_path, monkeypatch):
    with pytest.raises(SystemExit) as left:
        call(monkeypatch, draw_figure, NAME, "phase", study, "-o", tmp_path / "picture.png")

    assert left.value.code == (
        f"{NAME}: phase cannot be drawn: Whether a task was solved is known with "
        "training.stop_when_solved=true."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        (("running", "running"), "No run has ended (2 runs stopped or still training): wait, or "),
        (("running", "failed"), "No run has ended (1 run stopped or still training, 1 failed): "),
        (("failed", "failed"), "Every run failed (2 of 2): rnn-exp-status FOLDER says why."),
    ],
)
@pytest.mark.parametrize("name", ["decay", "learning"])
def test_a_folder_in_which_no_run_has_ended_says_so(tmp_path, monkeypatch, statuses, said, name):
    for seed, status in enumerate(statuses):
        run = Run(Adding(10), seed=seed)
        (tmp_path / "study" / run.name).mkdir(parents=True)
        write_status(tmp_path / "study" / run.name, run, status, failure="it broke")

    with pytest.raises(SystemExit) as left:
        call(monkeypatch, draw_figure, NAME, name, tmp_path / "study", "-o", tmp_path / "a.png")

    assert f"{NAME}: {name} cannot be drawn: {said}" in left.value.code
    assert "rnn-exp-status FOLDER" in left.value.code
    assert not (tmp_path / "a.png").exists()


def test_a_folder_may_come_after_the_settings_of_the_runs(study, tmp_path, monkeypatch):
    before, after = tmp_path / "before.svg", tmp_path / "after.svg"
    where = ("--where", "init.gain=2", "seed=0,1")
    call(monkeypatch, draw_figure, NAME, "decay", study, *where, "-o", before)
    call(monkeypatch, draw_figure, NAME, "-o", after, "decay", *where, study)
    assert after.read_bytes() == before.read_bytes()


def _tables(study: Path):
    from rnn_exp.storage.loading import load

    return load(study)


def test_an_unknown_figure_is_refused_with_the_list(study, tmp_path, monkeypatch):
    with pytest.raises(SystemExit) as left:
        call(monkeypatch, draw_figure, NAME, "decai", study, "-o", tmp_path / "picture.png")

    assert left.value.code == (
        f"{NAME}: there is no figure decai; choose one of "
        f"{', '.join([*figures.names(), *figures.study_names()])} (did you mean decay?)"
    )
    assert list(tmp_path.iterdir()) == []


def test_drawing_from_a_missing_folder_is_one_clear_line(tmp_path, monkeypatch):
    with pytest.raises(SystemExit) as left:
        call(
            monkeypatch,
            draw_figure,
            NAME,
            "decay",
            tmp_path / "none",
            "-o",
            tmp_path / "picture.png",
        )

    assert left.value.code == f"{NAME}: there is no folder {tmp_path}/none"


@pytest.mark.parametrize(
    ("name", "why"), [("picture.docx", "docx"), ("none/picture.png", "none; make it first")]
)
def test_a_picture_that_cannot_be_written_is_one_clear_line(
    study, tmp_path, monkeypatch, name, why
):
    with pytest.raises(SystemExit) as left:
        call(monkeypatch, draw_figure, NAME, "decay", study, "-o", tmp_path / name)

    assert left.value.code.startswith(f"{NAME}: ")
    assert why in left.value.code
    assert "\n" not in left.value.code
    assert list(tmp_path.iterdir()) == []


def test_the_report_script_is_the_command(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="there is no folder nowhere"):
        call(
            monkeypatch,
            lambda: runpy.run_path(str(ROOT / "scripts" / "report.py"), run_name="__main__"),
            "report.py",
            "nowhere",
        )


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), ValueError("no")])
def test_a_picture_that_fails_half_way_leaves_the_old_one(study, tmp_path, monkeypatch, failure):
    file = tmp_path / "picture.png"
    file.write_text("old")

    def half(self, place, **look):
        place.write(b"half")
        raise failure

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", half)

    with pytest.raises(SystemExit, match=rf"^{NAME}: .*(No space left on device|no)$"):
        call(monkeypatch, draw_figure, NAME, "decay", study, "-o", file)

    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_picture_without_an_ending_is_refused_with_the_endings(study, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=rf"^{NAME}: .*png"):
        call(monkeypatch, draw_figure, NAME, "decay", study, "-o", tmp_path / "picture")

    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def damaged(study, tmp_path) -> Path:
    """The study with one run whose gradients have a footer, but nothing else that can be read."""
    copy = tmp_path / "damaged"
    shutil.copytree(study, copy)
    path = min(copy.glob("*/gradients.parquet"))
    content = path.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little") + 8
    path.write_bytes(b"PAR1" + b"\xff" * (len(content) - footer - 4) + content[-footer:])
    return copy


def test_a_damaged_run_is_one_line_of_the_report_and_listed_on_its_page(
    damaged, monkeypatch, capsys
):
    run = min(damaged.iterdir()).name
    draw_only(monkeypatch, "decay")

    call(monkeypatch, report, "rnn-exp-report", damaged)

    told = capsys.readouterr()
    assert told.err.startswith(f"rnn-exp-report: {run} is left out: gradients.parquet: ")
    assert told.err.count("\n") == 1
    page = (damaged / "report" / "index.html").read_text(encoding="utf-8")
    assert f"<li><code>{run}</code>: gradients.parquet: " in page
    assert "Left out: 1 folder (listed below)." in page
    assert (damaged / "report" / "decay.png").exists()


def test_a_damaged_run_is_one_line_beside_a_drawing(damaged, tmp_path, monkeypatch, capsys):
    call(monkeypatch, draw_figure, NAME, "decay", damaged, "-o", tmp_path / "picture.svg")

    assert (tmp_path / "picture.svg").exists()
    assert capsys.readouterr().err.startswith(f"{NAME}: {min(damaged.iterdir()).name} is left out")
