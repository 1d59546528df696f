"""Where a used file is looked for: the current folder, then --config-dir, by every command."""

import sys

import pytest

from rnn_exp._hydra.help import help_lines
from rnn_exp.commands import report, verify, weights
from rnn_exp.networks import ACTIVATIONS
from rnn_exp.registry import SourceError, files_in, folders_in, use_files
from tests.using import forget_used_files

WAVE = (
    "import torch\nimport rnn_exp as rx\nfrom rnn_exp.networks import Activation\n"
    "rx.register(Activation('wave', torch.sin))\n"
)
WORDS = ["use=[wave.py]", "--config-dir", "my"]


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """The file ``my/wave.py``, seen from the folder above."""
    (tmp_path / "my").mkdir()
    (tmp_path / "my/wave.py").write_text(WAVE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "my/wave.py"
    forget_used_files()


def call(monkeypatch, command, *words):
    monkeypatch.setattr(sys, "argv", ["command", *words])
    try:
        command()
    except SystemExit as left:
        return left.code
    return 0


def test_a_list_of_settings_finds_the_file_where_a_run_does(beside):
    assert any("wave" in line for line in help_lines(["--settings", *WORDS]))


@pytest.mark.parametrize("typed", ["use=[wave.py] -cd my", "'use=[\"wave.py\"]' --config-dir=my"])
def test_completion_finds_the_file_where_a_run_does(beside, monkeypatch, typed):
    monkeypatch.setenv("COMP_LINE", f"rnn-exp {typed} network.activation=wa")

    assert help_lines(["-sc", "query=bash"]) == ["network.activation=wave"]


def test_verification_finds_the_file_where_a_run_does(beside, monkeypatch, capsys):
    assert call(monkeypatch, verify, *WORDS, "network.activation=wave") == 0
    assert ", 0 off" in capsys.readouterr().out


@pytest.mark.parametrize("command", [report, weights])
def test_commands_on_results_find_the_file_where_a_run_does(beside, monkeypatch, command):
    (beside.parent / "results").mkdir()

    call(monkeypatch, command, "results", "--use", "wave.py", "--config-dir", "my")

    assert ACTIVATIONS.source_of("wave").path == "my/wave.py"


def test_a_file_that_is_nowhere_is_refused_with_the_folders_that_were_looked_in(beside):
    with pytest.raises(SourceError, match=r"no such file in the current folder or my$"):
        use_files(["none.py"], folders_in(WORDS))


def test_two_files_of_one_path_are_refused(beside, tmp_path):
    (tmp_path / "wave.py").write_text(WAVE + "\n")

    with pytest.raises(SourceError, match=r"one file, but there are two: wave.py and my/wave.py$"):
        use_files(["wave.py"], folders_in(WORDS))


def test_paths_may_have_spaces_and_commas_in_quotes():
    words = ["+use=[a b.py,'c, d.py', \"e.py\"]", "use=f.py", "reuse=[g.py]", "use=[]"]

    assert files_in(words) == ["a b.py", "c, d.py", "e.py", "f.py"]
