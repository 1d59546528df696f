"""Ctrl-C and SIGTERM: one line and exit code 130, from the first moment on."""

import signal
import subprocess
import sys
import time

import pytest

from tests.waiting import PATIENCE

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
WAIT = "print('ready', flush=True)\nimport time\nwhile True: time.sleep(0.01)"
IN_ORDER = f"""
from rnn_exp import interrupts
interrupts.begin("it")
interrupts.interruptible("it", "go on")
try:
    {WAIT.replace(chr(10), chr(10) + "    ")}
except KeyboardInterrupt:
    print("closed", flush=True)
    interrupts.stopped("it", "go on")
"""
STUBBORN = f"""
from rnn_exp import interrupts
interrupts.interruptible("it", "go on")
try:
    {WAIT.replace(chr(10), chr(10) + "    ")}
except KeyboardInterrupt:
    {WAIT.replace(chr(10), chr(10) + "    ")}
"""


def started(program: str) -> subprocess.Popen[str]:
    """A Python program that has printed that it is ready."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", program], **pipes)
    assert process.stdout.readline() == "ready\n"
    return process


@SIGNALS
def test_a_command_that_still_imports_ends_at_once_in_one_line(number):
    process = started(f"from rnn_exp import interrupts\ninterrupts.begin('it')\n{WAIT}")
    process.send_signal(number)

    out, err = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out) == (130, "")
    assert err == "it: stopped before anything was written\n"


@SIGNALS
def test_a_command_that_writes_closes_its_files_and_says_how_to_go_on(number):
    process = started(IN_ORDER)
    process.send_signal(number)

    out, err = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out) == (130, "closed\n")
    assert err == "it: stopped; go on\n"


def test_who_presses_again_after_a_second_does_not_wait():
    process = started(STUBBORN)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "ready\n"
    time.sleep(1.2)  # a signal that comes twice within a second is one
    process.send_signal(signal.SIGINT)

    _, err = process.communicate(timeout=PATIENCE)

    assert process.returncode == 130
    assert err == "it: stopped; go on\n"


def test_what_the_caller_has_switched_off_stays_off():
    program = f"""
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from rnn_exp import interrupts
interrupts.begin("it")
{WAIT}"""
    process = started(program)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)

    process.communicate(timeout=PATIENCE)

    assert process.returncode == 130  # of the second signal
    assert process.poll() is not None


@pytest.mark.parametrize("module", ["rnn_exp.app", "rnn_exp.commands"])
def test_nothing_heavy_is_imported_before_ctrl_c_is_answered(module):
    heavy = "{'hydra', 'omegaconf', 'yaml', 'torch', 'numpy', 'pandas', 'tqdm', 'argparse'}"
    program = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"
