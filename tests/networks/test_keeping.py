"""What is kept of compiled kernels: one index for each precision, and files that may be damaged."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.caching import FunctionCache

from rnn_exp.networks.kernel import compiling, keeping
from rnn_exp.networks.kernel.tiles import product_of
from rnn_exp.networks.network import Network


def tripled(x):
    return 3 * x


def doubled(values):
    return values[0] * 2


def kept_in(folder, monkeypatch):
    """Return the function as a new process has it."""
    monkeypatch.setattr(compiling, "folder", lambda: folder)
    return compiling.kept(doubled)


def files(folder, ending):
    return sorted(folder.rglob(f"*.{ending}"))


def test_precisions_share_no_file(tmp_path, monkeypatch):
    for dtype in (np.float32, np.float64):
        assert kept_in(tmp_path, monkeypatch)(np.ones(1, dtype)) == 2
    for ending in ("nbi", "nbc"):
        assert len({one.parent for one in files(tmp_path, ending)}) == 2


def test_numbers_that_kernels_take_from_elsewhere_are_in_the_folders_name(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    taken = set()
    for path in Path(keeping.__file__).parent.glob("*.py"):
        imports = [
            one for one in ast.parse(path.read_text()).body if isinstance(one, ast.ImportFrom)
        ]
        names = {one.module: [each.name for each in one.names] for one in imports}
        compiles = {"compiled", "kept"} & set(names.get("rnn_exp.networks.kernel.compiling", ()))
        for module in names if compiles else ():
            if module.startswith("rnn_exp.") and not module.startswith("rnn_exp.networks.kernel."):
                taken |= set(names[module])
    assert taken == {"ACTIVATION_CODES", "LEAK"}
    before = keeping.folder.__wrapped__()
    assert keeping.folder.__wrapped__() == before
    for name, other in ("ACTIVATION_CODES", {"tanh": 1}), ("LEAK", 0.5):
        with monkeypatch.context() as changed:
            changed.setattr(keeping, name, other)
            assert keeping.folder.__wrapped__() != before


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("left", [0, 100])
def test_a_kept_file_that_ends_early_is_written_anew(ending, left, tmp_path, monkeypatch):
    assert kept_in(tmp_path, monkeypatch)(np.ones(1)) == 2
    [damaged] = files(tmp_path, ending)
    whole = damaged.stat().st_size
    os.truncate(damaged, left)
    assert kept_in(tmp_path, monkeypatch)(np.ones(1)) == 2
    assert damaged.stat().st_size == pytest.approx(whole, rel=0.1)


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_kept_file_with_a_wrong_byte_is_not_read_and_written_anew(ending, tmp_path, monkeypatch):
    assert kept_in(tmp_path, monkeypatch)(np.ones(1)) == 2
    [damaged] = files(tmp_path, ending)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    monkeypatch.setattr(FunctionCache, "_load_overload", lambda *_: pytest.fail("it was read"))
    assert kept_in(tmp_path, monkeypatch)(np.ones(1)) == 2
    monkeypatch.undo()
    read = kept_in(tmp_path, monkeypatch)
    assert read(np.ones(1)) == 2
    assert read._cache_hits.total() == 1


READ = """
import sys
from pathlib import Path
import numpy as np
from rnn_exp.networks.kernel import compiling
from tests.networks.test_keeping import doubled
compiling.folder = lambda: Path(sys.argv[1])
kernel = compiling.kept(doubled)
print(kernel(np.ones(1)), kernel._cache_hits.total(), "numba.typed.typedlist" in sys.modules)
print(kernel(np.ones(1, np.float32)), "numba.typed.typedlist" in sys.modules)
"""


def test_what_numba_compiles_with_is_imported_where_something_is_compiled(tmp_path, monkeypatch):
    assert kept_in(tmp_path, monkeypatch)(np.ones(1)) == 2
    read = subprocess.run(
        [sys.executable, "-c", READ, tmp_path],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert read.stdout.splitlines() == ["2.0 1 False", "2.0 True"]


def test_a_folder_that_takes_no_file_stops_nothing(tmp_path, monkeypatch):
    place = tmp_path / "a file"
    place.touch()
    assert kept_in(place, monkeypatch)(np.ones(1)) == 2
    assert not files(Path(__file__).parent, "nbi")


def names_of(kernel, found):
    """Add the names of a kernel, and of those it calls, with what each closes over."""
    inside = [cell.cell_contents for cell in kernel.py_func.__closure__ or ()]
    others = [one for one in inside if hasattr(one, "py_func")]
    told = tuple(one.py_func.__qualname__ if one in others else one for one in inside)
    assert found.setdefault(kernel.py_func.__qualname__, told) == told
    for one in others:
        names_of(one, found)


def test_kernels_of_one_source_that_close_over_other_things_have_other_names():
    found: dict[str, tuple[object, ...]] = {}
    for shape in [(4, 8, 7, 4, 2), (6, 2, 1), (4, 2), (1, 2)]:
        names_of(product_of(*shape), found)
    assert len(found) > 10


ONE_AFTER_THE_OTHER = """
import hashlib, sys, torch
from rnn_exp import Run, Training, outcomes
from rnn_exp.networks import Network
from rnn_exp.tasks import Adding
for cell in sys.argv[1:]:
    network = Network(hidden_size=32, cell=cell, engine="kernel")
    [run] = outcomes([Run(Adding(50), network, training=Training(updates=3))])
    weights = b"".join(run.weights[name].numpy().tobytes() for name in sorted(run.weights))
    print(cell, hashlib.sha256(weights).hexdigest())
"""


@pytest.mark.slow
def test_kernels_that_two_processes_compiled_work_side_by_side_in_a_third_one(tmp_path):
    def said(*cells):
        ran = subprocess.run(
            [sys.executable, "-c", ONE_AFTER_THE_OTHER, *cells],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return sorted(ran.stdout.splitlines())

    alone = said("rnn") + said("lstm")
    assert said("lstm", "rnn") == said("rnn", "lstm") == sorted(alone)


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_process_says_once_that_it_compiles(is_kept, tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "folder", lambda: tmp_path if is_kept else None)
    keeping._compiled_here.cache_clear()
    said = []
    for _ in range(2):
        keeping.compile_for([Network(hidden_size=3, engine="kernel")] * 2, said.append)
    [line] = said
    assert line.startswith("compiling the rnn kernels in float32, about half a minute; they ")
    assert line.endswith("they are kept") == is_kept


def test_kernels_that_could_not_be_kept_are_told_and_not_taken_for_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "folder", lambda: tmp_path)
    monkeypatch.setattr(compiling, "folder", lambda: tmp_path)
    keeping._compiled_here.cache_clear()

    def full(self, sig, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FunctionCache, "save_overload", full)
    monkeypatch.setattr(keeping, "_compile", lambda network: compiling.kept(tripled)(2))
    said = []
    keeping.compile_for([Network(hidden_size=3, engine="kernel")], said.append)
    keeping._compiled_here.cache_clear()

    wanted = f"the kernels could not be kept in {tmp_path}: each process compiles its own"
    assert said[1:] == [wanted]
    assert not [*tmp_path.glob("rnn-float32-*")]


def test_a_home_that_is_no_absolute_path_keeps_nothing(monkeypatch):
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "here")
    keeping.folder.cache_clear()
    try:
        assert keeping.folder() is None
    finally:
        keeping.folder.cache_clear()
    assert not Path("here").exists()


def test_another_copy_of_a_source_reads_what_the_first_one_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "folder", lambda: tmp_path / "kept")
    found = []
    for name in ("first", "second"):
        place = tmp_path / name / "kernels.py"
        place.parent.mkdir()
        place.write_text("def doubled(values):\n    return values[0] * 2\n", "utf-8")
        spec = importlib.util.spec_from_file_location("kernels", place)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        made = compiling.kept(module.doubled)
        if found:
            monkeypatch.setattr(type(made._cache), "save_overload", lambda *_: pytest.fail("anew"))
        assert made(np.ones(1)) == 2
        found.append([(one, one.stat().st_mtime_ns) for one in files(tmp_path / "kept", "nb?")])
    assert found[0] == found[1]
    assert len(found[0]) == 2  # an index, and machine code


LOOKED_UP = """
import os, sys
import rnn_exp
from rnn_exp.networks.kernel import compiling, keeping
from rnn_exp.networks.network import Network
found, load = [], compiling._Kept.load_overload
def looked_up(self, sig, target):
    found.append(f"{self._function.__qualname__} {sig}")
    return load(self, sig, target)
compiling._Kept.load_overload = looked_up
for cell in sys.argv[1:]:
    if os.fork():  # a process of its own for each, without what the others have had compiled
        assert os.wait()[1] == 0
        continue
    network = Network(hidden_size=5, cell=cell).decided("cpu")
    keeping._compile(network)
    before = len(found)
    rnn_exp.outcomes([rnn_exp.Run(network=network, training=rnn_exp.Training(updates=1))])
    print(cell, before, found[before:], flush=True)
    break
"""


def test_what_an_update_calls_is_compiled_before_it():
    # numba looks for what is kept, by the types of its arguments, before it compiles anything: what
    # an update looks for had not been compiled, whatever earlier processes left.
    cells = ["rnn", "gru", "lstm"]
    done = subprocess.run(
        [sys.executable, "-c", LOOKED_UP, *cells], capture_output=True, text=True, check=True
    )
    said = [line.split(" ", 2) for line in done.stdout.splitlines()]
    assert [(cell, later) for cell, _, later in said] == [(cell, "[]") for cell in cells]
    assert all(int(count) >= 6 for _, count, _ in said)
