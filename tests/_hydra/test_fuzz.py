"""Generated command lines and study files: each ends with exit code 0, or with one line."""

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rnn_exp.training.keys import groups, names_of
from tests.dose import dose
from tests.in_process import Ended, command

KEYS = [
    f"{group}.{name}"
    for group, kinds in groups().items()
    for kind in kinds.values()
    for name in names_of(kind)
]
CHOICES = ["task", "init", "study", "seed", "device", *groups()]
HYDRA = [
    "hydra.run.dir",
    "hydra.sweep.dir",
    "hydra.sweep.subdir",
    "hydra.output_subdir",
    "hydra.mode",
    "hydra.verbose",
    "hydra.launcher.processes",
    "hydra.launcher.checkpoint_seconds",
    "hydra.launcher.backend",
    "hydra.launcher",
    "hydra.nope",
    "hydra",
]
WORDS = ["adding", "torch", "gru", "relu", "adam", "float64", "decay", "auto", "cuda", "nope", "x"]
ODD = [
    *(
        "null",
        "true",
        "nan",
        "inf",
        "-inf",
        "1e39",
        "1e400",
        "-1",
        "0",
        "1.0",
        "0.5",
        "''",
        "[]",
        "{}",
    ),
    *("[1]", "{a:1}", "${seed}", "${nope}", "${oc.env:NOPE}", "${", "1,2", "range(1,3)", "1,", ","),
    *(
        "choice(1,2)",
        "range(",
        "a b",
        "my runs/x",
        "梯度",
        "a\tb",
        "a\nb",
        "\0",
        "\x1b[31m",
        "'",
        '"',
    ),
    *("9" * 30, "9" * 5000, "[" * 200, "x" * 300, "x" * 120_000, "a=b", "a:b", "@x", "\\", "$HOME"),
    *("file/below", "interval(0,1)", "str(1)", "int(x)", "tag(1)", "sort(2,1)", "shuffle(1,2)"),
]
VALUES = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(ODD),
    st.integers(-2, 2**70).map(str),
    st.floats().map(repr),
    st.text(max_size=8),
)
SLIPS = st.sampled_from([lambda k: k[:-1], lambda k: k + "s", lambda k: k[1:], lambda k: k.upper()])


@st.composite
def keys(draw: st.DrawFn) -> str:
    """A key that there is, or one with a slip, or its last name alone."""
    key = draw(st.sampled_from([*KEYS, *CHOICES, *HYDRA]))
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(SLIPS)(key)
    return key.rpartition(".")[2] if kind == 1 else key


OPTIONS = st.sampled_from(
    [
        *(["-m"], ["--multirun"], ["--cfg", "job"], ["--cfg", "nope"], ["-c"], ["--config-dir"]),
        *(["--config-dir", "my"], ["--config-dir", "nope"], ["--config-name", "nope"], ["--nope"]),
        *(["--task.length=10"], ["--task.length", "10"], ["-x"], ["--"], ["--resolve"], ["-1"]),
        *(["--package", "task", "--cfg", "job"], ["--info", "nope"], ["-m=1"], ["--run"], ["-sc"]),
    ]
)
SETTINGS = st.builds(
    "{}{}={}".format, st.sampled_from(["", "", "", "+", "++", "~"]), keys(), VALUES
)
NO_SETTINGS = st.one_of(keys(), st.sampled_from(ODD), st.text(max_size=5), keys().map("~{}".format))
LINES = st.lists(
    st.one_of(
        SETTINGS.map(lambda word: [word]),
        SETTINGS.map(lambda word: [word]),
        NO_SETTINGS.map(lambda word: [word]),
        OPTIONS,
    ),
    min_size=1,
    max_size=4,
).map(lambda parts: [word for part in parts for word in part])
QUICK = settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def of(folder: Path, *words: str) -> Ended:
    """How a command line ends in a folder with a file in it, which must stay as it is."""
    (folder / "file").write_text("kept")
    ended = command(folder, *words)
    assert (folder / "file").read_text() == "kept"
    return ended


def holds(ended: Ended) -> bool:
    """Whether a command did what was asked, or refused in one line and wrote nothing."""
    return ended.is_refusal or (ended.code == 0 and "Traceback" not in ended.err)


@pytest.mark.dosed
@settings(QUICK, max_examples=dose(12, 250))
@given(words=LINES)
def test_a_command_line_does_what_it_says_or_is_refused_in_one_line(words):
    with tempfile.TemporaryDirectory() as folder:
        ended = of(Path(folder), *words)

        assert holds(ended), (words, ended)


LEAVES = st.one_of(
    st.sampled_from([None, True, -1, 0, 3, 0.5, 1e39, float("nan"), 2**70, "adding", "", "a: b"]),
    st.text(max_size=5),
)
STUDIES = st.dictionaries(
    st.sampled_from([*KEYS[:3], *CHOICES, "hydra", "defaults", "nope", "1", "hydra.mode"]),
    st.one_of(
        LEAVES,
        st.lists(LEAVES, max_size=2),
        st.dictionaries(
            st.sampled_from(["length", "name", "gain", "updates", "sweeper", "run", "nope"]),
            st.one_of(LEAVES, st.dictionaries(st.sampled_from(["params", "dir"]), LEAVES)),
            max_size=2,
        ),
    ),
    max_size=3,
)
HEADERS = st.sampled_from(["# @package _global_\n"] * 3 + ["", "# @package\n", "\ufeff", "---\n"])
BREAKS = st.sampled_from(
    [
        lambda text: text,
        lambda text: text,
        lambda text: text.replace("  ", "\t"),
        lambda text: text + text.partition("\n")[2],
        lambda text: text[:-3],
        lambda text: text + "a: [",
        lambda text: text + "x: *y\n",
        lambda text: text + "x: " + "[" * 2000,
        lambda text: text + "x: !!python/object:os.system 1\n",
        lambda text: text + "\0",
        lambda text: text.replace(":", ""),
    ]
)


@pytest.mark.dosed
@settings(QUICK, max_examples=dose(8, 120))
@given(
    study=STUDIES,
    header=HEADERS,
    breaks=BREAKS,
    coding=st.sampled_from(["utf-8"] * 4 + ["utf-16", "latin-1"]),
    multirun=st.booleans(),
)
def test_a_study_file_does_what_it_says_or_is_refused_in_one_line(
    study, header, breaks, coding, multirun
):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "my" / "study").mkdir(parents=True)
        text = breaks(header + yaml.dump(study, allow_unicode=True))
        (folder / "my" / "study" / "mine.yaml").write_bytes(text.encode(coding, "replace"))

        ended = of(folder, *["-m"] * multirun, "study=mine", "--config-dir", "my")

        assert holds(ended), (text, ended)
