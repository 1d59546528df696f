"""The benchmark of many tiny runs: what it counts, and that it leaves nothing behind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmark_scale import Memory, show, tenths

SCRIPT = Path(__file__).parents[1] / "scripts" / "benchmark_scale.py"


def test_a_tenth_has_its_own_seconds_and_the_most_memory_that_was_seen_in_it():
    seen = {0.0: 1.0, 1.0: 50.0, 2.5: 25.0, 2.75: 27.5, 9.5: 20.0}
    taken = [Memory(at, megabytes, 5.0, 90.0) for at, megabytes in seen.items()]
    found = tenths(0.0, [1.0 + run / 2 for run in range(20)], taken)

    assert [tenth.done for tenth in found] == list(range(2, 21, 2))
    assert [tenth.seconds for tenth in found] == [1.5] + 9 * [1.0]
    assert [tenth.most.command for tenth in found] == [50.0, 25.0, *6 * [27.5], 20.0, 20.0]


@pytest.mark.parametrize(
    ("seconds", "worker", "verdicts"),
    [
        (1.1, 105.0, ["met", "met"]),
        (1.3, 105.0, ["MISSED", "met"]),
        (1.1, 120.0, ["met", "MISSED"]),
    ],
)
def test_a_sweep_that_grows_slower_or_larger_misses_its_goal(capsys, seconds, worker, verdicts):
    ends = [float(run) for run in range(1, 91)] + [90 + seconds * run for run in range(1, 11)]
    taken = [Memory(0.0, 50.0, 100.0, 200.0), Memory(95.0, 50.8, worker, 200.0)]
    show(tenths(0.0, ends, taken))

    printed = capsys.readouterr().out
    assert re.findall(r"met|MISSED", printed) == verdicts
    assert "grows by 10.00 kB a run" in printed


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_every_tenth_of_a_real_sweep_has_speed_and_memory_and_nothing_is_left(tmp_path):
    ended = subprocess.run(
        [sys.executable, SCRIPT, "--runs", "40"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    rows = re.findall(
        r"^ +(\d+) +[\d.]+ +[\d.]+ +([\d.]+) +([\d.]+) +([\d.]+)$", ended.stdout, re.M
    )

    assert [int(done) for done, *_ in rows] == list(range(4, 41, 4))
    for command, worker, together in (map(float, megabytes) for _, *megabytes in rows):
        assert 20 < command < 4000
        assert 20 < worker < 4000
        assert command + worker < together < 12000
    assert list(tmp_path.iterdir()) == []
