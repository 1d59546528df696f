"""Small random networks of several runs, for whatever is asked of them; outcomes compared."""

import numpy as np
import torch

from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import Network, shapes
from rnn_exp.networks.parameters import Parameters
from rnn_exp.networks.readout import Objective


def normal(seed, *shape, dtype=torch.float64):
    """Independent N(0, 1), by the seed alone."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype)


def random_network(network: Network, seed, runs=2, inputs=2, outputs=3, gain=1.0):
    """Parameters of some runs, in the network's precision; no bias is zero."""
    sizes = shapes(network, inputs, outputs)
    drawn = [Gaussian(gain).draw(sizes, seed + run) for run in range(runs)]
    parameters = Parameters.stack(drawn, network.torch_dtype)
    for place, (name, view) in enumerate(parameters.views().items()):
        if "bias" in name:
            view.copy_(0.3 * normal(seed + place, *view.shape))
    return parameters


def squares(wanted):
    """The mean squared distance of each run's outputs from what is wanted."""
    return lambda outputs: (outputs - wanted).square().flatten(1).mean(-1)


def asked_for(wanted, ends=None, shortest=0):
    """Ask for as many answers as are wanted, at the last steps or at the ends."""
    return Objective(squares(wanted), wanted.shape[1], ends_of(ends, wanted.shape[2]), shortest)


def ends_of(ends, batch):
    """The ends of a list as a tensor: an entry a run, a number or a list with one a sequence."""
    if ends is None:
        return None
    found = torch.tensor(ends)
    return found.unsqueeze(1).expand(-1, batch) if found.ndim == 1 else found


def assert_tables_close(found, wanted, rtol, atol):
    """Columns of two outcomes are the same: fractions to rounding, all others exactly."""
    for table in ("updates", "gradients"):
        for column, values in getattr(wanted, table).items():
            other = getattr(found, table)[column]
            if values.dtype.kind == "f":
                np.testing.assert_allclose(other, values, rtol=rtol, atol=atol, err_msg=column)
            else:
                np.testing.assert_array_equal(other, values, err_msg=column)
