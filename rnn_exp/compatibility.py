"""Compatibility: settings that are each possible but make no sense together, and why."""

from collections.abc import Iterator

from rnn_exp.inits import Chrono, Critical, ForgetBias, Identity, Init, Orthogonal, Pascanu, Unit
from rnn_exp.network import Network
from rnn_exp.recording import Recording
from rnn_exp.settings import SettingError
from rnn_exp.tasks import Task
from rnn_exp.training import Training

__all__ = ["refuse_nonsense"]


def refuse_nonsense(
    task: Task, network: Network, init: Init, training: Training, recording: Recording
) -> None:
    """Refuse the first pair of settings that exclude each other.

    Raises:
        SettingError: naming one of the two, and the reason.
    """
    for key, value, reason in (
        *_about_init(task, network, init),
        *_about_penalties(network, training),
        *_about_loss(task, network, training),
        *_about_exponents(network, recording),
    ):
        raise SettingError(key, value, reason)


Refusal = tuple[str, object, str]


def _about_init(task: Task, network: Network, init: Init) -> Iterator[Refusal]:
    if isinstance(init, ForgetBias | Chrono) and not network.gated:
        yield ("init", init.name, f"another init with network.cell={network.cell}: it has no gate "
               "that forgets (use network.cell=lstm or gru)")  # fmt: skip
    if isinstance(init, Pascanu) and network.gated:
        yield ("init", init.name, f"another init with network.cell={network.cell}: the paper's "
               "networks have no gates")  # fmt: skip
    if isinstance(init, Critical) and network.cell != "rnn":
        yield ("init", init.name, f"another init with network.cell={network.cell}: the mean field "
               "here is that of network.cell=rnn")  # fmt: skip
    if isinstance(init, Critical) and network.hidden_size == 1:
        yield ("network.hidden_size", 1, "more than 1 with init=critical: the mean field is that "
               "of many units")  # fmt: skip
    if isinstance(init, Unit) and (network.hidden_size, network.num_layers) != (1, 1):
        yield ("network.hidden_size", network.hidden_size, "1 (and network.num_layers=1) with "
               "init=unit, which gives all of a network of one unit")  # fmt: skip
    if isinstance(init, Unit) and (network.cell != "rnn" or task.output_size != 1):
        yield "init", init.name, "another init unless network.cell=rnn and the task has one output"
    if network.parametrization == "orthogonal" and type(init) not in (Orthogonal, Identity):
        yield ("network.parametrization", "orthogonal", f"free with init={init.name}: W_hh stays "
               "orthogonal only from where it is (use init=orthogonal or identity)")  # fmt: skip


def _about_penalties(network: Network, training: Training) -> Iterator[Refusal]:
    if training.omega and network.cell != "rnn":
        yield ("training.omega", training.omega, f"0 with network.cell={network.cell}: Ω is "
               "written for h_t = φ(W h_{t-1} + …)")  # fmt: skip
    if training.orthogonality and network.gated:
        yield ("training.orthogonality", training.orthogonality, "0 with network.cell="
               f"{network.cell}: its W_hh is a stack of gates, not a square matrix")  # fmt: skip
    if training.orthogonality and network.parametrization == "orthogonal":
        yield ("training.orthogonality", training.orthogonality, "0 with network.parametrization="
               "orthogonal, which needs no penalty")  # fmt: skip


def _about_loss(task: Task, network: Network, training: Training) -> Iterator[Refusal]:
    if training.loss_at == "every" and task.shortest < task.steps:
        yield ("training.loss_at", "every", f"task with task={task.name}, whose sequences are of "
               "several lengths")  # fmt: skip
    if training.loss_at == "every" and task.answers > 1:
        yield ("training.loss_at", "every", f"task with task={task.name}, which asks for answers "
               "at every time step already")  # fmt: skip
    if network.engine == "torch" and training.truncation is not None:
        yield ("training.truncate_every", training.truncate_every, "null with network.engine="
               "torch, whose module goes back to the start; use network.engine=scan")  # fmt: skip


def _about_exponents(network: Network, recording: Recording) -> Iterator[Refusal]:
    if recording.exponents and network.cell != "rnn":
        yield ("recording.exponents", recording.exponents, f"0 with network.cell={network.cell}: "
               "the Jacobian here is that of network.cell=rnn")  # fmt: skip
    if recording.exponents > network.hidden_size:
        yield ("recording.exponents", recording.exponents, f"at most {network.hidden_size} with "
               f"network.hidden_size={network.hidden_size}")  # fmt: skip
