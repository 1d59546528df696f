"""Whole runs by kernels: bits that depend neither on MKL nor on the instructions of a processor."""

import json
import os
import subprocess
import sys

import pytest

from tests.networks.test_kernel import features

# What comes from products of MKL and from LAPACK, as docs/developers/architecture.md lists it.
OTHERS = {
    "updates spectral_radius",
    "updates largest_singular_value",
    "gradients log10_predicted",
}

PROGRAM = """
import hashlib, json, sys, warnings
import torch
from rnn_exp.networks import Network
from rnn_exp.networks.inits import Gaussian, Identity, TorchDefault
from rnn_exp.tasks import Adding, Copy, Memorization, Permutation, TemporalOrder
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Evaluation, Recording, Training

torch.set_num_threads(1)
warnings.simplefilter("ignore")  # of arithmetic that is not settled: that is what is tried
cases = {
    "adam": (Adding(20), Network(hidden_size=33), Training(7, 5, "adam")),
    "answers": (Memorization(4, positions=2), Network(hidden_size=21), Training(7, 5)),
    "classes": (TemporalOrder(24), Network(hidden_size=21), Training(7, 5, clip_value=0.01)),
    "many classes": (Copy(3, symbols=2, values=8), Network(hidden_size=21), Training(7, 5)),
    "many doubles": (Permutation(4), Network(hidden_size=21, dtype="float64"), Training(7, 5)),
    "every": (Adding(20), Network("relu", 33, 2), Training(7, 5, loss_at="every")),
    "windows": (
        Adding(20),
        Network("sigmoid", 16),
        Training(7, 16, "rmsprop", truncate_every=3, truncate_back=5),
    ),
    "one unit": (Adding(20), Network(hidden_size=1, num_layers=2), Training(7, 1)),
    "lstm": (Adding(20), Network(hidden_size=21, cell="lstm"), Training(7, 5)),
    "double": (Adding(20), Network(hidden_size=33, dtype="float64"), Training(7, 7, "adam")),
    "omega": (Adding(20), Network(hidden_size=33), Training(7, 5, omega=0.5)),
    "penalties": (
        Adding(20),
        Network("relu", 21, 2, dtype="float64"),
        Training(7, 5, omega=0.5, omega_form="ratio", orthogonality=0.1),
    ),
    "rotations": (
        Adding(20),
        Network(hidden_size=33, parametrization="orthogonal"),
        Training(7, 5, "adam"),
    ),
}


def digests(outcome):
    parts = {f"weights {name}": one.numpy() for name, one in outcome.weights.items()}
    for table, columns in outcome.tables.items():
        parts |= {f"{table} {name}": values for name, values in columns.items()}
    bits = {
        name: repr(list(values)).encode() if values.dtype == object else values.tobytes()
        for name, values in parts.items()
    }
    return {name: hashlib.sha256(value).hexdigest() for name, value in bits.items()}


found = {}
for name, (task, network, training) in cases.items():
    inits = TorchDefault(), Gaussian(0.7), Gaussian(1.1)
    if name in ("lstm", "rotations"):
        inits = (TorchDefault() if name == "lstm" else Identity(),)
    runs = [
        Run(task, network, init, training, Recording(3), seed, evaluation=Evaluation(6, 30))
        for init in inits
        for seed in range(3)
    ]
    assert all(run.network.engine == "kernel" for run in runs)
    together = train_runs(runs)
    found[name] = [
        {"alone": digests(train_runs([run])[0]), "together": digests(outcome)}
        for run, outcome in zip(runs, together)
    ]
print(json.dumps(found))
"""


def trained(**environment):
    """Train the runs of the program in a process of its own, in which nothing asks MKL."""
    own = {name: value for name, value in os.environ.items() if name != "MKL_CBWR"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=own | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def promised(digests):
    """Leave out what is not promised."""
    return {name: value for name, value in digests.items() if name not in OTHERS}


def test_a_run_has_the_same_bits_in_company_whatever_mkl_is_asked_for():
    for runs in trained().values():
        for run in runs:
            assert promised(run["alone"]) == promised(run["together"])


@pytest.mark.slow
@pytest.mark.skipif(features() is None, reason="this processor has no fused multiply-add")
def test_files_have_the_same_bits_by_other_instructions():
    few, more = features()
    target = {"NUMBA_CPU_NAME": "generic"}
    found = [
        trained(**target, NUMBA_CPU_FEATURES=more),
        trained(
            **target,
            NUMBA_CPU_FEATURES=few,
            ATEN_CPU_CAPABILITY="avx2",
            MKL_CBWR="COMPATIBLE",
            NPY_DISABLE_CPU_FEATURES="AVX512F AVX512CD AVX512_SKX",
        ),
    ]
    for name, runs in found[0].items():
        for one, other in zip(runs, found[1][name], strict=True):
            assert promised(one["alone"]) == promised(other["together"]), name
