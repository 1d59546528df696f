"""What the weights are before training."""

import math

import pytest
import torch

from rnn_exp.inits import INITS, Chrono, ForgetBias, Gaussian, Identity, Orthogonal, TorchDefault
from rnn_exp.network import Network, shapes

SIZES = shapes(Network(hidden_size=200, num_layers=2), 3, 2)


def gated(sizes, gates):
    """The same network with so many pre-activations a unit."""
    return {name: shape if "readout" in name else (gates * shape[0], *shape[1:])
            for name, shape in sizes.items()}  # fmt: skip


DRAWS = [
    *((kind(), SIZES) for name, kind in INITS.items() if name not in ("forget_bias", "chrono")),
    *((init, gated(SIZES, gates)) for gates in (3, 4)
      for init in (Gaussian(), TorchDefault(), ForgetBias(), Chrono(50))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("init", "sizes"), DRAWS, ids=[f"{i.name}-{s['weight_hh_l0'][0]}" for i, s in DRAWS]
)
def test_draws_fit_repeat_and_differ_by_seed(init, sizes):
    one, again, other = init.draw(sizes, 0), init.draw(sizes, 0), init.draw(sizes, 1)
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
    draws = torch.stack([Orthogonal().draw({"weight_hh_l0": (2, 2), "readout.weight": (1, 2)}, s)
                         ["weight_hh_l0"] for s in range(2000)])  # fmt: skip
    assert float(draws[:, 0, 0].mean()) == pytest.approx(0, abs=0.05)
    assert float((torch.linalg.det(draws) > 0).double().mean()) == pytest.approx(0.5, abs=0.05)


def test_identity_is_the_identity():
    assert torch.equal(
        Identity(gain=0.5).draw(SIZES, 0)["weight_hh_l0"], 0.5 * torch.eye(200).double()
    )


def test_torch_default_is_a_gain_of_one_over_root_three():
    W = TorchDefault().draw(SIZES, 0)["weight_hh_l0"]
    assert float(W.std() * math.sqrt(200)) == pytest.approx(
        TorchDefault().mean_field_gain(200), rel=0.02
    )
    assert Identity().mean_field_gain(200) is None
    assert Orthogonal(gain=2.0).mean_field_gain(200) == 2.0
