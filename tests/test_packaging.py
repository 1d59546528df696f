"""The wheel: everything the commands need is inside it, and they work from anywhere."""

import configparser
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.dose import FULL

ROOT = Path(__file__).parents[1]
# What is installed compiles kernels of its own, half a minute long.
ENGINE = f"network.engine={'auto' if FULL else 'scan'}"
SMALL = ("task.length=10", "training.updates=3", "network.hidden_size=4", ENGINE)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the working tree."""
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), ROOT],
        check=True,
        capture_output=True,
        cwd=out,
    )
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """The python of a fresh environment with the wheel in it; this one's site-packages behind."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True, cwd=place)
    # A path in a .pth file comes after the folder that holds it, and its own .pth files (that of
    # the editable install) are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_wheel_has_configuration_page_and_plugins(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    plugins = "rnn_exp/_hydra/hydra_plugins/rnn_exp_plugins"
    assert "rnn_exp/report/page.html.jinja" in names
    assert {"rnn_exp/_hydra/choices.json", "rnn_exp/_hydra/settings.txt"} <= names
    explorer = ROOT / "rnn_exp/report/explorer"
    for path in [p for suffix in ("js", "css", "jinja") for p in explorer.glob(f"*.{suffix}")]:
        assert str(path.relative_to(ROOT)) in names
    assert {f"{plugins}/__init__.py", f"{plugins}/launcher.py", f"{plugins}/sweeper.py"} <= names
    # A namespace package of Hydra's must not have an __init__.py, or it would hide all others.
    assert "rnn_exp/_hydra/hydra_plugins/__init__.py" not in names
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert f"rnn_exp/conf/{path.relative_to(ROOT / 'conf')}" in names
    for path in [*(ROOT / "rnn_exp").rglob("*.py"), *(ROOT / "rnn_exp/templates").iterdir()]:
        assert str(path.relative_to(ROOT)) in names
    assert {name.partition("/")[0].rpartition(".")[2] for name in names} == {"rnn_exp", "dist-info"}
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_names_its_commands_and_its_license(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [points] = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
        parser = configparser.ConfigParser()
        parser.read_string(archive.read(points).decode())
        licenses = [name for name in archive.namelist() if name.endswith("/LICENSE")]

    assert dict(parser["console_scripts"]) == {
        "rnn-exp": "rnn_exp.app:main",
        "rnn-exp-figure": "rnn_exp.commands:figure",
        "rnn-exp-new": "rnn_exp.commands:new",
        "rnn-exp-report": "rnn_exp.commands:report",
        "rnn-exp-status": "rnn_exp.commands:status",
        "rnn-exp-verify": "rnn_exp.commands:verify",
        "rnn-exp-weights": "rnn_exp.commands:weights",
    }
    assert len(licenses) == 1


@pytest.fixture
def installed(python, tmp_path) -> Callable[..., str]:
    """Run an installed command in an empty folder, and return what it printed."""
    # The tests' own path would put the working tree in front of what is installed.
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(command: str, *words: str) -> str:
        ended = subprocess.run(
            [python.with_name(command), *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=own,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    return run


@pytest.mark.dosed
def test_the_installed_commands_work_in_an_unrelated_empty_folder(installed, tmp_path):
    installed("rnn-exp", *SMALL)

    [folder] = (tmp_path / "outputs" / "single").iterdir()
    assert json.loads((folder / "run.json").read_text())["status"] == "finished"

    told = installed(
        "python",
        "-c",
        "import sys, pathlib, rnn_exp, rnn_exp.figures\n"
        "rnn_exp.figures.names = lambda: ['decay']  # one figure is enough\n"
        "from importlib.metadata import entry_points\n"
        "assert pathlib.Path(rnn_exp.__file__).is_relative_to(sys.prefix), rnn_exp.__file__\n"
        "for name, *words in (['rnn-exp', '-m', 'seed=0,1', *sys.argv[1:]],\n"
        "                     ['rnn-exp-report', 'outputs/mine']):\n"
        "    [command] = entry_points(group='console_scripts', name=name)\n"
        "    sys.argv = [name, *words]\n"
        "    command.load()()\n",
        "hydra.sweep.dir=outputs/mine",
        *SMALL,
    )

    assert told == (
        "2 runs: 2 done, 0 of them diverged, 0 failed, 0 already there\noutputs/mine\n"
        "next: rnn-exp-report outputs/mine\noutputs/mine/report/index.html\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"outputs"}
    runs = [path.parent for path in (tmp_path / "outputs" / "mine").glob("*/run.json")]
    assert len(runs) == 2
    for name in ("gradients.parquet", "updates.parquet", "weights.safetensors"):
        assert (folder / name).read_bytes() in [(run / name).read_bytes() for run in runs]
    page = (tmp_path / "outputs" / "mine" / "report" / "index.html").read_text(encoding="utf-8")
    assert "<h1>What does the gradient do, back in time?</h1>" in page


CELLS = ("minimal_gru", "antisymmetric", "cornn", "lru", "indrnn")
OTHERS = {
    "erf": "network.activation: erf",
    "np_rnn": "init: np_rnn",
    "autoclip": "training.optimizer: autoclip",
    "unit_clipping": "training.optimizer: unit_clipping",
    "spectral_margin": "training.spectral_margin: 1",
}
PARTS = {name: f"network.cell={name}" for name in CELLS} | {
    "erf": "network.activation=erf",
    "np_rnn": "init=np_rnn",
    "autoclip": "training.optimizer=autoclip",
    "unit_clipping": "training.optimizer=unit_clipping",
    "spectral_margin": "penalty=spectral_margin",
}


def sources(folder: Path) -> set[tuple[str, ...]]:
    """What the runs of a folder say of their sources: word, file and hash."""
    said = [json.loads(path.read_text()) for path in folder.glob("*/run.json")]
    assert {run["status"] for run in said} == {"finished"}
    return {tuple(source.split()) for run in said for source in run["sources"]}


@pytest.mark.slow
def test_every_example_runs_with_what_is_installed(installed, tmp_path):
    examples = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", examples)
    # One sweep: a process for each would be ten times as slow.
    grids = [f"{{network.cell: [{','.join(CELLS)}], init: torch}}"]
    grids += [f"{{{setting}}}" for setting in OTHERS.values()]
    used = ",".join(f"examples/{name}.py" for name in PARTS)
    paired = f"hydra.sweeper.paired=[{','.join(grids)}]"

    installed("rnn-exp", "-m", f"use=[{used}]", paired, "hydra.sweep.dir=outputs/parts", *SMALL)
    study = ("--config-dir", "examples", "study=np_rnn", "seed=0", *SMALL)
    installed("rnn-exp", *study)

    hashes = {name: sha256((examples / f"{name}.py").read_bytes()).hexdigest() for name in PARTS}
    expected = {(word, f"{name}.py", hashes[name]) for name, word in PARTS.items()}
    assert sources(tmp_path / "outputs" / "parts") == expected
    assert sources(tmp_path / "outputs" / "np_rnn") == {
        ("init=np_rnn", "np_rnn.py", hashes["np_rnn"])
    }
    # What is tried here is all that there is, but for the figure.
    names = {
        path.stem
        for path in examples.rglob("*")
        if path.suffix in {".py", ".yaml"} and path.parent.name != "own_models"
    }
    assert names == {*PARTS, "step_sizes"}

    told = installed(
        "python",
        "-c",
        "import rnn_exp as rx\n"
        "rx.use('examples/step_sizes.py')\n"
        "results = rx.load('outputs/np_rnn')\n"
        "figure = rx.figures.figure('step_sizes')\n"
        "print(figure.caption(figure.table(results)))\n",
    )
    assert told.startswith("Each line is one of 3 runs.")


@pytest.mark.slow
def test_what_is_begun_with_what_is_installed_passes_its_test(installed, tmp_path):
    kinds = ("task", "activation", "cell", "init", "penalty", "optimizer", "figure", "study")
    installed("rnn-exp-new", kinds[0], f"my_{kinds[0]}")
    installed(  # the others in one process: each would import all anew
        "python",
        "-c",
        "import sys, rnn_exp.commands\n"
        "for kind in sys.argv[1:]:\n"
        "    sys.argv = ['rnn-exp-new', kind, f'my_{kind}']\n"
        "    rnn_exp.commands.new()\n",
        *kinds[1:],
    )

    told = installed("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", ".")

    assert "7 passed" in told
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("my_*.*")}
    assert written == {*(f"my_{kind}.py" for kind in kinds[:-1]), "study/my_study.yaml"}
