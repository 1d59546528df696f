"""What the weights are before training."""

import math

import pytest
import torch

from rnn_exp.networks.cells import CELLS
from rnn_exp.networks.inits import (
    INITS,
    Chrono,
    ForgetBias,
    Gaussian,
    Identity,
    Orthogonal,
    Pascanu,
    SpectralRadius,
    TorchDefault,
    Uniform,
    Unit,
)
from rnn_exp.networks.network import Network, shapes
from rnn_exp.randomness import generator

GATED = {3: CELLS["gru"], 4: CELLS["lstm"]}
SIZES = shapes(Network(hidden_size=200, num_layers=2), 3, 2)


def gated(sizes, gates):
    """The same network with so many pre-activations a unit."""
    return {
        name: shape if "readout" in name else (gates * shape[0], *shape[1:])
        for name, shape in sizes.items()
    }


DRAWS = [
    *((kind(), SIZES) for name, kind in INITS.items() if name not in ("forget_bias", "chrono")),
    *(
        (init, gated(SIZES, gates))
        for gates in (3, 4)
        for init in (Gaussian(), TorchDefault(), ForgetBias(), Chrono(50))
    ),
]


@pytest.mark.parametrize(
    ("init", "sizes"), DRAWS, ids=[f"{i.name}-{s['weight_hh_l0'][0]}" for i, s in DRAWS]
)
def test_draws_fit_repeat_and_differ_by_seed(init, sizes):
    cell = GATED.get(sizes["weight_hh_l0"][0] // 200, CELLS["rnn"])
    one, again, other = (init.draw(sizes, seed, cell) for seed in (0, 0, 1))
    assert {name: tuple(value.shape) for name, value in one.items()} == sizes
    assert all(torch.equal(one[name], again[name]) for name in sizes)
    if init.name == "unit":  # of which nothing is random
        assert all(torch.equal(one[name], other[name]) for name in sizes)
        return
    assert not torch.equal(one["weight_ih_l0"], other["weight_ih_l0"])
    assert not torch.equal(one["readout.weight"], other["readout.weight"])


def test_gaussian_weights_have_standard_deviation_gain_over_root_n():
    drawn = Gaussian(gain=1.7).draw(SIZES, 0)
    for name in ("weight_hh_l0", "weight_hh_l1"):
        assert float(drawn[name].std() * math.sqrt(200)) == pytest.approx(1.7, rel=0.02)
    assert not torch.equal(drawn["weight_hh_l0"], drawn["weight_hh_l1"])


def test_uniform_weights_lie_within_their_bound_with_the_variance_of_gaussian_ones():
    """The fourth moment of U(−b, b) is 9/5 of the variance squared; that of a Gaussian is 3."""
    W = Uniform(gain=1.7).draw(SIZES, 0)["weight_hh_l0"] * math.sqrt(200) / 1.7

    assert float(W.abs().max()) == pytest.approx(math.sqrt(3), rel=1e-3)
    assert float(W.abs().max()) <= math.sqrt(3)
    assert float(W.square().mean()) == pytest.approx(1, rel=0.02)
    assert float(W.pow(4).mean()) == pytest.approx(9 / 5, rel=0.02)
    assert Uniform(gain=1.7).mean_field_gain(W) == 1.7


# The inits that ask for a cell of their own.
CELLS_OF = {"forget_bias": "lstm", "chrono": "gru"}


@pytest.mark.parametrize("name", [name for name in INITS if name != "unit"])
def test_the_read_outs_weights_are_scaled_and_nothing_else(name):
    network = Network(hidden_size=5, cell=CELLS_OF.get(name, "rnn"))
    sizes, kind = shapes(network, 3, 2), INITS[name]
    usual, scaled = (
        kind(readout_scale=scale).for_length(20).weights(network, sizes, 4) for scale in (1, 0.25)
    )

    assert all(torch.equal(usual[k], scaled[k]) for k in sizes if k != "readout.weight")
    assert torch.equal(scaled["readout.weight"], 0.25 * usual["readout.weight"].double())


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_torchs_default_without_biases_is_drawn_as_torch_draws_it(cell):
    network = Network(hidden_size=5, num_layers=2, cell=cell, bias=False)
    sizes = shapes(network, 3, 1)
    module = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    drawn = TorchDefault().weights(network, sizes, 4)

    with torch.random.fork_rng():
        torch.set_rng_state(generator(4, "weights").get_state())
        theirs = dict(module(3, 5, 2, bias=False).named_parameters())

    assert list(drawn) == list(sizes)
    for name, value in drawn.items():
        if "bias" in name:
            assert not value.any()
        elif "readout" not in name:
            assert torch.equal(value, theirs[name].detach())


def test_a_gain_scales_the_same_draw():
    one, two = Gaussian(gain=1.0).draw(SIZES, 5), Gaussian(gain=2.0).draw(SIZES, 5)
    torch.testing.assert_close(2 * one["weight_hh_l0"], two["weight_hh_l0"], rtol=1e-15, atol=0)
    assert torch.equal(one["weight_ih_l0"], two["weight_ih_l0"])


@pytest.mark.parametrize("init", [Gaussian(), Orthogonal(), Identity()], ids=lambda i: i.name)
def test_biases_are_zero_and_input_weights_are_torchs_times_the_scale(init):
    drawn = type(init)(input_scale=0.1).draw(SIZES, 0)
    default = TorchDefault().draw(SIZES, 0)
    for name in SIZES:
        if name.startswith("bias"):
            assert not drawn[name].any()
        if name.startswith("weight_ih"):
            torch.testing.assert_close(drawn[name], 0.1 * default[name].double())
        if name.startswith("readout"):
            assert torch.equal(drawn[name], default[name])


def test_orthogonal_weights_keep_every_norm_up_to_the_gain():
    W = Orthogonal(gain=1.5).draw(SIZES, 0)["weight_hh_l0"]
    torch.testing.assert_close(W.T @ W, 2.25 * torch.eye(200).double(), rtol=0, atol=1e-12)


def test_orthogonal_draws_are_uniform_not_merely_orthogonal():
    """Without fixing signs, the QR of a Gaussian matrix prefers some orthogonal matrices."""
    draws = torch.stack(
        [
            Orthogonal().draw({"weight_hh_l0": (2, 2), "readout.weight": (1, 2)}, s)["weight_hh_l0"]
            for s in range(2000)
        ]
    )
    assert float(draws[:, 0, 0].mean()) == pytest.approx(0, abs=0.05)
    assert float((torch.linalg.det(draws) > 0).double().mean()) == pytest.approx(0.5, abs=0.05)


def test_identity_is_the_identity():
    assert torch.equal(
        Identity(gain=0.5).draw(SIZES, 0)["weight_hh_l0"], 0.5 * torch.eye(200).double()
    )


def test_torch_default_is_a_gain_of_one_over_root_three():
    W = TorchDefault().draw(SIZES, 0)["weight_hh_l0"]
    assert float(W.std() * math.sqrt(200)) == pytest.approx(
        TorchDefault().mean_field_gain(W), rel=0.02
    )
    assert Identity().mean_field_gain(W) is None
    assert Orthogonal(gain=2.0).mean_field_gain(W) == 2.0


@pytest.mark.parametrize("gain", [0.0, 0.5, 1.0, 1.3])
def test_spectral_radius_is_the_largest_eigenvalue_exactly(gain):
    drawn = SpectralRadius(gain).draw(SIZES, 0)
    usual = Gaussian().draw(SIZES, 0)
    for name in ("weight_hh_l0", "weight_hh_l1"):
        largest = float(torch.linalg.eigvals(drawn[name]).abs().max())
        assert largest == pytest.approx(gain, rel=1e-12)
        if gain:
            ratio = drawn[name] / usual[name]
            assert float(ratio.max() / ratio.min()) == pytest.approx(1, rel=1e-12), "only scaled"
    assert torch.equal(drawn["weight_ih_l0"], usual["weight_ih_l0"])


@pytest.mark.parametrize(
    ("variant", "deviation"), [("sigmoid", 0.01), ("basic_tanh", 0.1), ("smart_tanh", 0.01)]
)
def test_the_networks_of_pascanu_et_al_have_normal_weights_and_no_biases(variant, deviation):
    drawn = Pascanu(variant).draw(SIZES, 0)
    for name, value in drawn.items():
        if "bias" in name:
            assert not value.any()
        elif value.numel() >= 400 and not (variant == "smart_tanh" and "hh" in name):
            z = value.flatten().double() / deviation
            few = 5 / math.sqrt(len(z))
            assert float(z.mean()) == pytest.approx(0, abs=few), name
            assert float(z.square().mean()) == pytest.approx(1, abs=1.5 * few), name
            assert float(z.abs().max()) > 2, "not uniform"
    assert drawn["readout.weight"].shape == (2, 200)
    assert not torch.equal(drawn["weight_hh_l0"], drawn["weight_hh_l1"])


def test_the_smart_network_of_pascanu_et_al_is_sparse_and_just_below_one():
    drawn = Pascanu("smart_tanh").draw(SIZES, 0)
    for name in ("weight_hh_l0", "weight_hh_l1"):
        W = drawn[name]
        assert ((W != 0).sum(1) == 15).all()
        assert not ((W != 0).sum(0) == 15).all(), "drawn for each row by itself"
        assert float(torch.linalg.eigvals(W).abs().max()) == pytest.approx(0.95, rel=1e-12)
    small = Pascanu("smart_tanh").draw(shapes(Network(hidden_size=4), 3, 2), 0)["weight_hh_l0"]
    assert (small != 0).all(), "a row has no more than all"


def test_the_mean_field_gain_of_pascanu_et_al_is_that_of_their_weights():
    for variant in ("sigmoid", "basic_tanh"):
        W = Pascanu(variant).draw(SIZES, 0)["weight_hh_l0"]
        expected = Pascanu(variant).mean_field_gain(W)
        assert float(W.std() * math.sqrt(200)) == pytest.approx(expected, rel=0.02)
    assert Pascanu("smart_tanh").mean_field_gain(W) == 0.95


def test_one_unit_is_as_it_is_given():
    sizes = shapes(Network(hidden_size=1), 3, 1)
    drawn = {name: value.tolist() for name, value in Unit(2.5, -0.5).draw(sizes, 7).items()}
    assert drawn == {
        "weight_ih_l0": [[0, 0, 0]],
        "weight_hh_l0": [[2.5]],
        "bias_ih_l0": [0],
        "bias_hh_l0": [-0.5],
        "readout.weight": [[1]],
        "readout.bias": [0],
    }


@pytest.mark.parametrize("gates", [3, 4])
def test_forget_bias_changes_the_gate_that_forgets_and_nothing_else(gates):
    sizes = gated(SIZES, gates)
    drawn, usual = ForgetBias(1.5).draw(sizes, 0, GATED[gates]), TorchDefault().draw(sizes, 0)
    for name, value in drawn.items():
        if not name.startswith("bias"):
            assert torch.equal(value, usual[name])
            continue
        assert (value[200:400] == (1.5 if "_ih" in name else 0)).all()
        assert torch.equal(value[:200], usual[name][:200])
        assert torch.equal(value[400:], usual[name][400:])


@pytest.mark.parametrize("gates", [3, 4])
@pytest.mark.parametrize("longest", [3, 50, 1000])
def test_chrono_biases_are_the_logarithms_of_uniform_spans(gates, longest):
    sizes = gated(SIZES, gates)
    drawn, usual = Chrono(longest).draw(sizes, 0, GATED[gates]), TorchDefault().draw(sizes, 0)
    for layer in (0, 1):
        b_ih, b_hh = drawn[f"bias_ih_l{layer}"], drawn[f"bias_hh_l{layer}"]
        forget = b_ih[200:400]
        spans = (forget.double().exp() - 1) / (longest - 2)
        assert float(spans.min()) >= -1e-6
        assert float(spans.max()) <= 1 + 1e-6
        assert float(spans.mean()) == pytest.approx(0.5, abs=0.1)
        assert float(spans.std()) == pytest.approx(math.sqrt(1 / 12), abs=0.05)
        assert not b_hh[200:400].any()
        if gates == 4:
            assert torch.equal(b_ih[:200], -forget)
            assert not b_hh[:200].any()
        else:
            assert torch.equal(b_ih[:200], usual[f"bias_ih_l{layer}"][:200])
        assert torch.equal(b_ih[400:], usual[f"bias_ih_l{layer}"][400:])
        assert torch.equal(b_hh[400:], usual[f"bias_hh_l{layer}"][400:])
    assert not torch.equal(drawn["bias_ih_l0"], drawn["bias_ih_l1"])
    for name, value in drawn.items():
        if not name.startswith("bias"):
            assert torch.equal(value, usual[name])


@pytest.mark.parametrize("gates", [3, 4])
@pytest.mark.parametrize(
    "init", [Gaussian(1.2), Orthogonal(1.2), SpectralRadius(1.2)], ids=lambda i: i.name
)
def test_every_gate_has_recurrent_weights_of_its_own(init, gates):
    W = init.draw(gated(SIZES, gates), 0, GATED[gates])["weight_hh_l0"]
    blocks = W.split(200)
    assert len(blocks) == gates
    for place, block in enumerate(blocks):
        if init.name == "gaussian":
            assert float(block.std() * math.sqrt(200)) == pytest.approx(1.2, rel=0.02)
        elif init.name == "orthogonal":
            torch.testing.assert_close(block.T @ block, 1.44 * torch.eye(200).double())
        else:
            largest = float(torch.linalg.eigvals(block).abs().max())
            assert largest == pytest.approx(1.2, rel=1e-12)
        for other in blocks[:place]:
            assert not torch.equal(block, other)
    ungated = init.draw(SIZES, 0)["weight_hh_l0"]
    assert torch.equal(blocks[0], ungated), "the first is that of the network without gates"


@pytest.mark.parametrize("init", [ForgetBias(1.0), Chrono(40), TorchDefault(), Gaussian(0.7)])
def test_every_gate_of_a_gated_cell_has_the_gain_that_the_init_says(init):
    W = init.draw(shapes(Network(cell="lstm", hidden_size=200), 1, 1), 0, CELLS["lstm"])
    for block in W["weight_hh_l0"].chunk(4):
        measured = float(block.std()) * math.sqrt(200)
        assert init.mean_field_gain(block) == pytest.approx(measured, rel=0.02)
