"""Settings of a run that are each possible, but make no sense together."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import torch

from rnn_exp.networks import ENGINES, INITS, PARAMETRIZATIONS
from rnn_exp.networks.network import Network, Refusal
from rnn_exp.training.evaluation import refusals as evaluation_refusals
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.penalties import PENALTIES
from rnn_exp.training.settings import beyond_precision
from rnn_exp.training.steps import rate_at

if TYPE_CHECKING:
    from rnn_exp.training.run import Run

__all__ = ["refusals_of"]

_DEVICES: Final = re.compile(r"cpu|auto|cuda(:\d+)?")
_FIXED: Final = ("network", "training", "recording", "evaluation")


def refusals_of(run: "Run") -> Iterator[Refusal]:
    """Yield the settings of a run that exclude others: the key, its value, what is allowed and why.

    Args:
        run: the run, each setting of which is possible.
    """
    network, training = run.network, run.training
    yield from _about_weights(run)
    yield from run.init.refusals(network, run.task.output_size)
    if PARAMETRIZATIONS[network.parametrization].is_orthogonal and not run.init.is_orthogonal:
        able = " or ".join(INITS.where(lambda init: init.is_orthogonal))
        yield (
            "network.parametrization",
            network.parametrization,
            f"free with init={run.init.name}: W_hh stays orthogonal only if it is so at "
            f"the start (use init={able})",
        )
    for penalty in PENALTIES.values():
        if penalty.weight(training):
            yield from penalty.refusals(network, training)
            yield from _about_matrix(penalty.name, network)
    for own in training.own_penalties:
        yield from own.refusals(network)
        yield from _about_matrix(own.name, network)
    yield from _about_loss(run)
    yield from run.recording.refusals(network, run.task.shortest)
    yield from evaluation_refusals(run.task, run.evaluation, run.recording)
    fixed = {group: getattr(run, group) for group in _FIXED}
    yield from beyond_precision(fixed, network)  # task and init are used in double precision
    yield from _about_rate(run)
    if not _DEVICES.fullmatch(run.device):
        yield "device", run.device, "one of cpu, auto, cuda, cuda:0, cuda:1, …"
    if network.by_kernels and run.device != "cpu":
        reason = f"scan with device={run.device}: kernels are of the processor"
        yield "network.engine", network.engine, reason


def _about_matrix(penalty: str, network: Network) -> Iterator[Refusal]:
    """Yield that a cell has no W_hh, which penalties are about."""
    if not network.kind.has_matrix:
        reason = f"the penalty {penalty} speaks of W_hh"
        yield (
            "network.cell",
            network.cell,
            f"another cell: its {network.kind.not_square}, and {reason}",
        )


def _about_weights(run: "Run") -> Iterator[Refusal]:
    """Yield that a cell has no W_hh, where an init is about that."""
    kind, given = run.network.kind, f"with network.cell={run.network.cell}"
    if kind.has_matrix:
        return
    if run.init.needs_matrix:
        others = INITS.where(lambda init: not init.needs_matrix)
        able = [name for name in others if not any(INITS[name]().refusals(run.network, 1))]
        yield "init", run.init.name, f"{' or '.join(able)} {given}: its {kind.not_square}"


def _about_rate(run: "Run") -> Iterator[Refusal]:
    """Yield that a learning rate becomes larger than a step can take."""
    network, training = run.network, run.training
    last = training.updates - 1
    largest = max(rate_at(training, update) for update in {0, min(training.warm_up, last), last})
    # Adam divides the rate by 1 − β₁ᵗ.
    corrected = "adam_beta1" in OPTIMIZERS[training.optimizer].takes
    share = 1 - training.adam_beta1 if corrected else 1.0
    most = share * torch.finfo(network.torch_dtype).max
    if largest > most:
        grows = rate_at(training, last) > training.learning_rate
        name = "schedule_factor" if grows else "learning_rate"
        reason = f"the largest learning rate is {largest:.4g}, and with training.optimizer="
        reason += f"{training.optimizer} and network.dtype={network.dtype} it is at most {most:.4g}"
        yield f"training.{name}", getattr(training, name), f"less: {reason}"


def _about_loss(run: "Run") -> Iterator[Refusal]:
    """Yield that the task or the engine cannot give the loss, or the gradient, that is wanted."""
    task, training = run.task, run.training
    if training.loss_at == "every" and task.shortest < task.steps:
        reason = f"the sequences of task={task.name} are of several lengths"
        yield "training.loss_at", "every", f"task: {reason}"
    if training.loss_at == "every" and task.answers > 1:
        reason = f"task={task.name} has an answer at every time step already"
        yield "training.loss_at", "every", f"task: {reason}"
    if training.truncation is not None and not ENGINES[run.network.engine].truncates:
        able = " or ".join(ENGINES.where(lambda engine: engine.truncates))
        yield (
            "training.truncate_every",
            training.truncate_every,
            f"null with network.engine={run.network.engine}, whose module goes back to the "
            f"start; use network.engine={able}",
        )
