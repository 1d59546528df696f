"""Packages that register things: the same source and digest, whoever has imported them."""

import importlib
import sys
from pathlib import Path

import pytest

from rnn_exp.networks import ACTIVATIONS, Network
from rnn_exp.registry import Source, SourceError, SourceText, load_plugins, packages, use
from rnn_exp.training.run import Run
from tests.using import forget_used_files

CUBE = (
    "import rnn_exp as rx\nfrom rnn_exp.networks import Activation\n"
    "rx.register(Activation('cube', lambda u: u**3))\n"
)


@pytest.fixture(params=["importlib.metadata", "importlib_metadata"])
def acme(request, tmp_path, monkeypatch):
    """A package that is installed, under both libraries that describe packages; not imported."""
    pytest.importorskip(request.param)  # the second, which dask imports, replaces the first
    info = tmp_path / "acme_rnn-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rnn\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[rnn_exp]\nacme = acme_parts.all\n")
    (tmp_path / "acme_parts").mkdir()
    for name, text in [("__init__", ""), ("cube", CUBE), ("all", "import acme_parts.cube\n")]:
        (tmp_path / f"acme_parts/{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    packages._source.cache_clear()
    yield "acme_parts"
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme_parts"]:
        del sys.modules[name]
    ACTIVATIONS._restore("cube", None, None)
    packages.loaded().clear()
    forget_used_files()


def by_plugins(package):
    load_plugins.__wrapped__()


def by_script(package):
    importlib.import_module(f"{package}.cube")


def by_script_without_plugins(package):
    with pytest.MonkeyPatch.context() as context:
        context.setenv("RNN_EXP_PLUGINS", "0")
        load_plugins.__wrapped__()
        by_script(package)


def by_used_file(package):
    Path("mine.py").write_text(f"import {package}.cube\n")
    use("mine.py")


WAYS = [by_plugins, by_script, by_script_without_plugins, by_used_file]


@pytest.mark.parametrize("bring", WAYS)
def test_a_package_is_the_source_of_what_it_registers_whoever_imports_it(acme, bring):
    bring(acme)

    source = ACTIVATIONS.source_of("cube")
    assert (source.name, source.version) == ("acme-rnn", "1.2")
    assert source.sha256 == packages._hash_of(acme)
    assert SourceText.of(source).text is None
    identity = Run(network=Network(activation="cube", hidden_size=4)).sources
    assert identity == {"network.activation=cube": source}


def test_a_file_that_is_run_again_leaves_the_package_that_it_imports(acme, tmp_path):
    by_used_file(acme)
    (tmp_path / "mine.py").write_text(f"import {acme}.cube\n# changed\n")
    use("mine.py")
    (tmp_path / "mine.py").write_text(f"import {acme}.cube\n1 / 0\n")
    with pytest.raises(SourceError, match="line 2: ZeroDivisionError"):
        use("mine.py")

    assert "cube" in ACTIVATIONS


def test_a_process_that_imported_a_package_has_it_for_its_runs(acme):
    by_script(acme)

    SourceText.of(ACTIVATIONS.source_of("cube")).load()


def test_a_worker_without_plugins_refuses_a_package_in_one_line(monkeypatch):
    monkeypatch.setenv("RNN_EXP_PLUGINS", "0")
    missing = SourceText(Source("acme-rnn", "0" * 64, "1.2"), None)

    with pytest.raises(SourceError, match=r"does not have it \(RNN_EXP_PLUGINS=0 is set there\)$"):
        missing.load()
