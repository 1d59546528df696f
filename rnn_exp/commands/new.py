"""``rnn-exp-new``: a file to begin with, for a part of one's own, and its test."""

import importlib.resources
import importlib.util
import keyword
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rnn_exp.commands.command import add_version, command

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["new"]

_TEST: Final = '''"""The {kind} {name}."""

from pathlib import Path

from rnn_exp.verification import verify

HERE = Path(__file__).parent


def test_{name}_is_exact():
    findings = verify(["{word}"], use=[HERE / "{name}.py"])

    assert [str(finding) for finding in findings if not finding.holds] == []
'''


class _Kind(NamedTuple):
    """What can be begun.

    Args:
        file: where it is written; {name} stands for its name.
        try_it: the command that tries it.
        word: what chooses it; empty: nothing about it can be verified.
    """

    file: str
    try_it: str
    word: str = ""


_KINDS: Final = {
    "task": _Kind("{name}.py", "rnn-exp use=[{name}.py] task={name}", "task={name}"),
    "activation": _Kind(
        "{name}.py",
        "rnn-exp use=[{name}.py] network.activation={name}",
        "network.activation={name}",
    ),
    "cell": _Kind(
        "{name}.py", "rnn-exp use=[{name}.py] network.cell={name}", "network.cell={name}"
    ),
    "init": _Kind("{name}.py", "rnn-exp use=[{name}.py] init={name}", "init={name}"),
    "penalty": _Kind("{name}.py", "rnn-exp use=[{name}.py] training.{name}=0.1", "penalty={name}"),
    "optimizer": _Kind(
        "{name}.py",
        "rnn-exp use=[{name}.py] training.optimizer={name}",
        "training.optimizer={name}",
    ),
    "figure": _Kind("{name}.py", "rnn-exp-report outputs/decay --use {name}.py", "figure={name}"),
    "study": _Kind("study/{name}.yaml", "rnn-exp --config-dir . study={name}"),
}


def new() -> None:
    """Write a file to begin with into the current folder, and a test of it.

    Raises:
        SystemExit: with exit code 1 and a line on stderr if that is not possible.
    """
    with command("rnn-exp-new", "nothing half-written is left"):
        _new()


def _new() -> None:
    from pathlib import Path

    from rnn_exp.program import Options, leave

    options = Options(
        "rnn-exp-new", description="Begin a part of your own: NAME.py and test_NAME.py."
    )
    options.add_argument("kind", choices=list(_KINDS), help="what it is")
    options.add_argument("name", help="its name, and the word that chooses it")
    add_version(options)
    given = options.parse_args()
    kind, name = _KINDS[given.kind], given.name
    if why := _not_a_name(name):
        leave(options.prog, f"{why}, such as my_{given.kind}")
    if kind.word and importlib.util.find_spec(name) is not None and not Path(f"{name}.py").exists():
        leave(
            options.prog,
            f"{name}: Python has a module of this name, which {name}.py would hide; choose another",
        )
    if holder := _holder(given.kind, name):
        leave(options.prog, f"{name}: {holder}; choose another name")
    files = {Path(kind.file.format(name=name)): _text(given.kind, name)}
    if kind.word:
        word = kind.word.format(name=name)
        files[Path(f"test_{name}.py")] = _TEST.format(kind=given.kind, name=name, word=word)
    for path in files:
        if path.exists():
            leave(options.prog, f"{path} is there already; choose another name, or move it")
    _write(files)
    print(*files, sep="\n")
    print(f"next: {kind.try_it.format(name=name)}")
    if kind.word:
        print(f"      rnn-exp-verify use=[{name}.py]")


def _not_a_name(name: str) -> str:
    """Say why nothing of one's own can be called so; "": it can."""
    if keyword.iskeyword(name):
        return f"{name} is a word of Python; choose another name"
    if name.isascii() and f"_{name}".isidentifier() and name[:1].isdigit():
        return f"{name}: a name begins with a letter"
    if name.isascii() and name.isidentifier():
        return ""
    return f"{name}: a name has letters, digits and _"


def _holder(kind: str, name: str) -> str:
    """Say what has a name already, so that nothing of one's own can be called so; "": nothing."""
    if kind == "study":
        from rnn_exp.program import conf_folder

        there = (conf_folder() / "study" / f"{name}.yaml").exists()
        return f"rnn-exp has a study of this name (study={name})" if there else ""
    from rnn_exp import figures
    from rnn_exp.fields import settings_of
    from rnn_exp.networks import ACTIVATIONS, CELLS, INITS
    from rnn_exp.registry import Registry, load_plugins
    from rnn_exp.tasks import TASKS
    from rnn_exp.training.optimizers import OPTIMIZERS
    from rnn_exp.training.own_penalties import OWN_PENALTIES
    from rnn_exp.training.penalties import PENALTIES
    from rnn_exp.training.settings import Training

    load_plugins()
    registries: list[Registry[Any]] = [TASKS, ACTIVATIONS, CELLS, INITS, OPTIMIZERS]
    for registry in (*registries, PENALTIES, OWN_PENALTIES, figures.OWN):
        if registry.kind == kind and name in registry:
            source = registry.source_of(name)
            owner = "rnn-exp" if source is None else f"the package {source.name}"
            return f"{owner} has {_a(kind)} of this name ({_KINDS[kind].word.format(name=name)})"
    if kind == "figure" and name in (*figures.names(), *figures.study_names()):
        return "rnn-exp has a figure of this name"
    if kind == "penalty" and name in settings_of(Training()):
        return f"rnn-exp has a setting of this name (training.{name})"
    return ""


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aio" else f"a {kind}"


def _text(kind: str, name: str) -> str:
    """Return the text of a template, with the name filled in."""
    ending = "yaml" if kind == "study" else "py"
    folder = importlib.resources.files("rnn_exp") / "templates"
    text = (folder / f"{kind}.{ending}.txt").read_text(encoding="utf-8")
    words = "".join(word.capitalize() for word in name.split("_"))
    return text.replace("@NAME@", name).replace("@CLASS@", words or "Own")


def _write(files: "dict[Path, str]") -> None:
    from rnn_exp.storage.files import replace_bytes

    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        replace_bytes(path, text.encode())
