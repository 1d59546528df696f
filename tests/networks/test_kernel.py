"""What kernels promise: the numbers of the same cell in torch, and the same bits everywhere."""

import functools
import os
import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.cells import ACTIVATIONS, GRU, LSTM, Elman, LayerWeights, Skip
from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.kernel.cells import kernel_cell
from rnn_exp.networks.kernel.functions import activate, make_deltas
from rnn_exp.networks.kernel.tiles import product_of
from rnn_exp.networks.network import Network, shapes
from rnn_exp.networks.readout import Objective
from rnn_exp.networks.truncation import Truncation
from rnn_exp.schema import ACTIVATION_CODES
from tests.dose import dose

PRECISIONS = {torch.float32: 3e-5, torch.float64: 1e-12}
WORDS = st.sampled_from(list(ACTIVATION_CODES))
GATED = {GRU(): 3, LSTM(): 4}


def drawn(seed, T, R, B, inputs, H, dtype, gates=1):
    made = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=made, dtype=torch.float64).to(dtype)  # noqa: E731
    W, rows = draw(R, gates * H, H) * (0.9 / H**0.5), gates * H
    weights = LayerWeights(draw(R, rows, inputs), W, draw(R, rows) * 0.1, draw(R, rows) * 0.1)
    return draw(T, R, B, inputs), weights, draw(R, B, H) * 0.1, draw(T, R, B, H)


def apart(a, b):
    return float((a - b).abs().max() / b.abs().max().clamp(min=1e-30))


@given(
    st.integers(0, 10**6),
    WORDS,
    st.booleans(),
    st.sampled_from(list(PRECISIONS)),
    st.tuples(*(st.integers(1, most) for most in (50, 3, 6, 4, 40))),
    st.data(),
)
def test_passes_are_those_of_the_cell_in_torch(seed, phi, skips, dtype, sizes, data):
    T, R, B, inputs, H = sizes
    x, weights, start, direct = drawn(seed, T, R, B, inputs, H, dtype)
    activation = ACTIVATIONS[phi]
    cell = Skip(activation, 0.8, 0.2) if skips else Elman(activation)
    ours = kernel_cell(cell)
    last = data.draw(st.integers(0, T))
    direct = direct[T - last :] if last else direct[:0]
    ahead = tuple(torch.ones_like(start) * (1 + n) for n in range(1 + skips))
    theirs = cell.forward(x, weights, start), ours.forward(x, weights, start)
    found = [
        one.adjoint(direct, trace, x, weights, with_inputs=True, later=ahead)
        for one, trace in zip((cell, ours), theirs, strict=True)
    ]
    limit = PRECISIONS[dtype]
    assert apart(theirs[1].states, theirs[0].states) < limit
    for a, b in zip(
        (found[1].total, found[1].inputs, *found[1].weights, *found[1].earlier),
        (found[0].total, found[0].inputs, *found[0].weights, *found[0].earlier),
        strict=True,
    ):
        assert apart(a, b) < 10 * limit


@given(
    st.integers(0, 10**6),
    st.sampled_from(list(GATED)),
    st.sampled_from(list(PRECISIONS)),
    st.tuples(*(st.integers(1, most) for most in (50, 3, 6, 4, 40))),
    st.data(),
)
def test_passes_of_gated_cells_are_those_in_torch_whole_and_in_pieces(
    seed, cell, dtype, sizes, data
):
    T, R, B, inputs, H = sizes
    x, weights, start, direct = drawn(seed, T, R, B, inputs, H, dtype, GATED[cell])
    cut = data.draw(st.integers(0, T - 1))
    known = direct[data.draw(st.integers(0, T)) :]

    def passes(cell, cut):
        first = cell.forward(x[:cut], weights, start) if cut else None
        initial = first.states[-1] if cut else start
        second = cell.forward(x[cut:], weights, initial, first)
        late = known[-(T - cut) :] if len(known) else known
        found = [cell.adjoint(late, second, x[cut:], weights, with_inputs=True)]
        if cut:
            early, later = known[: max(0, len(known) - (T - cut))], found[0].earlier
            more = {"with_inputs": True, "later": later}
            found.insert(0, cell.adjoint(early, first, x[:cut], weights, **more))
        over_time = [
            torch.cat([one.total for one in found]),
            torch.cat([one.inputs for one in found]),
            torch.cat([one.states for one in (first, second) if one is not None]),
            *([] if found[0].memory is None else [torch.cat([one.memory for one in found])]),
        ]
        return [
            *over_time,
            *(sum(parts) for parts in zip(*(f.weights for f in found), strict=True)),
        ]

    theirs = passes(cell, 0)
    for ours in (passes(kernel_cell(cell), 0), passes(kernel_cell(cell), cut)):
        for a, b in zip(ours, theirs, strict=True):
            assert apart(a, b) < 10 * PRECISIONS[dtype]


@given(
    st.integers(0, 10**6),
    WORDS,
    st.sampled_from(["plain", "skip", *GATED]),
    st.sampled_from(list(PRECISIONS)),
    st.tuples(*(st.integers(1, most) for most in (40, 5, 6, 4, 40))),
)
def test_a_run_has_the_same_bits_alone_and_in_company(seed, phi, kind, dtype, sizes):
    T, R, B, inputs, H = sizes
    x, weights, start, direct = drawn(seed, T, R, B, inputs, H, dtype, GATED.get(kind, 1))
    plain = {"plain": Elman(ACTIVATIONS[phi]), "skip": Skip(ACTIVATIONS[phi], 0.8, 0.2)}
    cell = kernel_cell(plain.get(kind, kind))

    def passes(x, weights, start, direct):
        trace = cell.forward(x, weights, start)
        found = cell.adjoint(direct, trace, x, weights, with_inputs=True)
        return trace.states, found.total, found.inputs, *found.weights

    together = passes(x, weights, start, direct)
    for run in range(R):
        own = weights.each(lambda one, run=run: one[run : run + 1].clone())
        alone = passes(x[:, run : run + 1], own, start[run : run + 1], direct[:, run : run + 1])
        for place, (a, b) in enumerate(zip(alone, together, strict=True)):
            assert torch.equal(a, b[:, run : run + 1] if place < 3 else b[run : run + 1])


@pytest.mark.parametrize("truncation", [None, Truncation(3, 7), Truncation(5, 5)])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_network_of_several_layers_has_the_gradients_of_the_scan(cell, layers, truncation):
    T, R, B, H = 23, 2, 3, 7
    made = torch.Generator().manual_seed(3)
    networks = [
        Network(hidden_size=H, num_layers=layers, cell=cell, engine=engine, dtype="float64")
        for engine in ("scan", "kernel")
    ]
    parameters = {
        name: torch.randn(R, *shape, generator=made, dtype=torch.float64) * 0.4
        for name, shape in shapes(networks[0], 2, 1).items()
    }
    x = torch.randn(T, R, B, 2, generator=made, dtype=torch.float64)
    objective = Objective(lambda y: y.square().sum((1, 2, 3)), answers=T)
    scan, kernel = (
        scan_engine(parameters, x, objective, network, truncation) for network in networks
    )
    for name, gradient in scan.parameters.items():
        assert apart(kernel.parameters[name], gradient) < 1e-12
    for ours, theirs in zip(kernel.total, scan.total, strict=True):
        assert apart(ours, theirs) < 1e-12


def ulps(found, exact):
    """Return by how many units in the last place numbers are off."""
    spacing = np.spacing(np.abs(exact).astype(found.dtype)).astype(np.longdouble)
    return np.abs(found.astype(np.longdouble) - exact) / spacing


def magnitudes(dtype):
    """Numbers of both signs over all magnitudes, from subnormal ones to beyond saturation."""
    draws = np.random.default_rng(0)
    lowest = -149 if dtype == np.float32 else -1074
    exponents = draws.uniform(lowest, 11, size=400_000)
    many = np.concatenate([2.0**exponents, draws.uniform(0, 30, 400_000)])
    many = np.concatenate([many, [0.0, np.finfo(dtype).tiny, 88.0, 103.9, 745.0, 1e30]])
    return np.concatenate([many, -many]).astype(dtype)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="no longer numbers to compare with")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("phi", ["tanh", "sigmoid"])
def test_tanh_and_sigmoid_are_within_2_5_units_in_the_last_place(phi, dtype):
    x = magnitudes(dtype)
    lanes = 64 // x.itemsize
    x = np.concatenate([x, np.zeros(-len(x) % lanes, dtype)])
    found = x.copy()
    activate(ACTIVATION_CODES[phi], found, 0, len(found))
    long = x.astype(np.longdouble)
    with np.errstate(over="ignore"):
        exact = np.tanh(long) if phi == "tanh" else 1 / (1 + np.exp(-long))
    off = ulps(found, exact)
    assert off.max() <= 2.5, (x[off.argmax()], off.max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("phi", ["tanh", "sigmoid"])
def test_slopes_of_saturated_units_are_as_good_as_torchs(phi, dtype):
    u = torch.linspace(-8, 8, 4096, dtype=dtype)
    h = u.clone().numpy()
    activate(ACTIVATION_CODES[phi], h, 0, len(h))
    ones, D = np.ones_like(h), np.empty_like(h)
    make_deltas(ACTIVATION_CODES[phi], h, 0, ones, 0, D, 0, 1.0, len(h))
    torchs = ACTIVATIONS[phi].slopes(ACTIVATIONS[phi](u)).numpy()
    e = np.exp(-np.abs(u.numpy().astype(np.longdouble)) * (2 if phi == "tanh" else 1))
    exact = (4 if phi == "tanh" else 1) * e / (1 + e) ** 2
    saturated = np.abs(u.numpy()) > 2
    off, usual = (float(np.abs((found - exact) / exact)[saturated].mean()) for found in (D, torchs))
    assert off <= 1.1 * usual


@pytest.mark.parametrize("kind", [*ACTIVATION_CODES, *GATED], ids=str)
def test_what_is_not_finite_is_so_in_the_same_places_and_stays_with_its_run(kind):
    x, weights, start, direct = drawn(5, 9, 3, 4, 2, 10, torch.float32, GATED.get(kind, 1))
    bad = x.clone()
    bad[3, 1, 2, 0] = torch.nan
    bad[5, 1, 0, 1] = torch.inf
    cell = kind if kind in GATED else Elman(ACTIVATIONS[kind])
    clean, theirs, ours = [], [], []
    for one, inputs, into in (
        (kernel_cell(cell), x, clean),
        (cell, bad, theirs),
        (kernel_cell(cell), bad, ours),
    ):
        trace = one.forward(inputs, weights, start)
        found = one.adjoint(direct, trace, inputs, weights, with_inputs=True)
        into += [trace.states, found.total, found.inputs]
    for a, b, c in zip(ours, theirs, clean, strict=True):
        assert torch.equal(a.isnan(), b.isnan())
        assert torch.equal(a.isinf(), b.isinf())
        assert torch.equal(a[:, [0, 2]], c[:, [0, 2]])


@functools.cache
def product_by_tiles(*shape):
    """What computes products by tiles of a shape, compiled once."""
    return product_of(*shape)


@pytest.mark.parametrize("shape", [(1, 2), (4, 8, 7, 4, 2)])
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@given(seed=st.integers(0, 10**6), sizes=st.tuples(*map(st.integers, (1, 1, 1), (14, 9, 19))))
def test_a_tiles_shape_changes_no_bit(dtype, shape, seed, sizes):
    M, K, halves = sizes
    half = 32 // np.dtype(dtype).itemsize
    N, row = halves * half, -(-halves // 2) * 2 * half
    draws = np.random.default_rng(seed)
    A, B = (draws.standard_normal(s).astype(dtype) for s in ((M, K), (K, row)))
    P = draws.standard_normal((1, row)).astype(dtype)

    def made(tiled):
        C = np.full((M + 1, row), 7.0, dtype)
        flat = [one.reshape(-1) for one in (C, P, A, B)]
        tiled((flat[0], 0, row), (flat[1], 0, 0), (flat[2], 0, K, 1), (flat[3], 0, row), (M, K, N))
        assert (C[M:] == 7.0).all()  # nothing is written behind the last row
        return C[:M, :N]

    found = made(product_by_tiles(*shape))
    assert np.array_equal(found, made(product_by_tiles(6, 2, 1)))
    exact = P.astype(np.float64) + A.astype(np.float64) @ B.astype(np.float64)
    exact = exact[:, :N]
    assert np.abs(found - exact).max() < 1e3 * np.finfo(dtype).eps


PROGRAM = """
import hashlib, sys, torch
from rnn_exp import Run, Training, outcomes
from rnn_exp.networks import Network
from rnn_exp.tasks import Adding
from tests.networks.test_kernel import drawn, ACTIVATIONS, Elman, kernel_cell
found = hashlib.sha256()
for dtype in sys.argv[1:]:
    for network in (Network(hidden_size=20, num_layers=2, dtype=dtype),
                    Network(hidden_size=9, cell="lstm", dtype=dtype),
                    Network(hidden_size=9, num_layers=2, cell="gru", dtype=dtype)):
        [run] = outcomes([Run(Adding(12), network, training=Training(updates=4))])
        for name in sorted(run.weights):
            found.update(run.weights[name].numpy().tobytes())
    x, weights, start, direct = drawn(1, 30, 2, 5, 3, 20, getattr(torch, dtype))
    for phi in ("tanh", "sigmoid", "elu"):
        cell = kernel_cell(Elman(ACTIVATIONS[phi]))
        trace = cell.forward(x, weights, start)
        adjoint = cell.adjoint(direct, trace, x, weights, with_inputs=True)
        for one in (trace.states, adjoint.total, adjoint.inputs, *adjoint.weights):
            found.update(one.contiguous().numpy().tobytes())
print(found.hexdigest())
"""


def features():
    """The instructions of two kinds of processors that this one can run both."""
    from llvmlite import binding

    host = binding.get_host_cpu_features()
    few = ["+fma", "+avx2", "-avx512f"]
    more = ["+fma", "+avx2", "+avx512f", "+avx512vl"] if host.get("avx512f") else ["+fma", "+avx"]
    return (",".join(few), ",".join(more)) if host.get("fma") else None


@pytest.mark.slow
@pytest.mark.skipif(features() is None, reason="this processor has no fused multiply-add")
def test_two_kinds_of_processors_give_the_same_bits():
    found = set()
    for named in features():
        target = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": named}
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, *("float32", "float64")[: dose(1, 2)]],
            env=os.environ | target,
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(ran.stdout.strip())
    assert len(found) == 1


@pytest.mark.parametrize("cell", [Elman(ACTIVATIONS["tanh"]), LSTM(), GRU()])
def test_weights_of_another_precision_are_refused_where_their_memory_would_be_read(cell):
    gates = GATED.get(cell, 1)
    x, _, start, _ = drawn(0, 3, 1, 2, 2, 4, torch.float32, gates)
    weights = drawn(0, 3, 1, 2, 2, 4, torch.float64, gates)[1]
    with pytest.raises(TypeError, match=r"torch\.float32 .* cannot read torch\.float64"):
        kernel_cell(cell).forward(x, weights, start)
