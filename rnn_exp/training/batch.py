"""Runs in training, side by side: their parameters, their optimiser's memory, their sequences.

An update is four steps: draw sequences, compute all gradients, remove the runs that end, move the
weights of the others. The runs are objects; where each lies in the tensors is known here alone.
"""

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.backward import adjoints_of_last
from rnn_exp.networks.cells import Adjoint
from rnn_exp.networks.forward import grid_of
from rnn_exp.networks.gradients import Gradients
from rnn_exp.networks.network import ENGINES
from rnn_exp.networks.norms import norm, norm_of_parameter
from rnn_exp.networks.parameters import Parameters
from rnn_exp.networks.readout import LossOf, Objective
from rnn_exp.networks.rescaled import LayerGradients, rescaled
from rnn_exp.networks.truncation import Window
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks import SequenceBatch, Stream, TaskLoss
from rnn_exp.training.optimizers import Memory
from rnn_exp.training.penalties import add_penalties, reads_states
from rnn_exp.training.run import Run
from rnn_exp.training.steps import Steps

__all__ = ["BatchGradients", "RunBatch", "State", "StateError"]

State = dict[str, Tensor]
"""What a run needs to go on exactly: trained weights, optimiser's memory, generator's state."""

_WEIGHTS, _GENERATOR = "weights", "generator"


class StateError(ValueError):
    """A state from which no run like this one can go on."""


def _is_other(found: Tensor | None, place: Tensor) -> bool:
    """Say whether a tensor is none that fits its place."""
    return found is None or found.shape != place.shape or found.dtype != place.dtype


class BatchGradients(NamedTuple):
    """All gradients of an update, before any weight moves.

    Args:
        network: those by the network's parameters and states.
        flat: those by what is trained, laid out a row a run.
        norm: their norm over all parameters of a run.
        penalties: the value of each penalty in use, for the top layer.
    """

    network: Gradients
    flat: Float[Tensor, "run size"]
    norm: Float[Tensor, " run"]
    penalties: dict[str, Float[Tensor, " run"]]


class RunBatch:
    """The runs that are in training; they agree in everything but init and seed.

    ``made`` updates are complete. Between `begin` and `end` one more is under way, ``begun``; there
    is then no state to go on from, because the sequences are drawn and the weights not yet changed.

    Args:
        runs: one or more runs.
        parameters: their initial weights, a row a run; they get a run's weights back when it ends.
        states: where to go on from, one a run (`state_of`), all after the same number of updates.
        made: how many updates have been made.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        parameters: Parameters,
        states: Sequence[State] = (),
        made: int = 0,
    ) -> None:
        self.runs, first = list(runs), runs[0]
        self.task, self.network, self.training = first.task, first.network, first.training
        self.begun = self.made = made
        self._stored, self._stored_rows = parameters, list(range(len(runs)))
        seeds = [run.seed for run in runs]
        self._stream = Stream(self.task, seeds, self.training.batch_size, parameters.flat)
        first_weight = parameters.views()[self.network.top_weight].clone()
        self._first_weights = first_weight, norm_of_parameter(first_weight)
        self._parametrization = self.network.parametrized(parameters)
        self._steps = Steps(self.training, parameters.layout, self.network.engine)
        trained = self._parametrization.start(parameters.flat)
        memory = self._steps.memory(trained)
        for row, state in enumerate(states):
            self._restore(row, state, trained, memory)
        self._set_trained(trained, memory)

    def _restore(self, row: int, state: State, trained: Tensor, memory: Memory) -> None:
        """Put a run's state in its place.

        Raises:
            StateError: if it is not the state of such a run.
        """
        places = {name: one[row] if one.ndim else one for name, one in memory.items()}
        places[_WEIGHTS] = trained[row]
        wrong = [name for name in places if _is_other(state.get(name), places[name])]
        if wrong or set(state) != {*places, _GENERATOR}:
            raise StateError(f"it is not the state of such a run: {', '.join(wrong or state)}")
        for name, place in places.items():
            place.copy_(state[name])
        try:
            self._stream.generator_of(row).set_state(state[_GENERATOR])
        except (RuntimeError, TypeError) as error:
            raise StateError(f"the state of its generator cannot be: {error}") from None

    def _set_trained(self, flat: Tensor, memory: Memory) -> None:
        """Take these numbers as what is trained, and this as the optimiser's memory."""
        self._trained, self._memory = Parameters(flat, self._stored.shapes), memory
        self._views = self._trained.views()
        self.weights = self._parametrization.network(self._views)
        self._first, self._first_norm = (one[self._stored_rows] for one in self._first_weights)

    @property
    def top_weight(self) -> Float[Tensor, "run ..."]:
        """W_hh of the top layer of every run, or what a cell has in its place."""
        return self.weights[self.network.top_weight]

    @property
    def is_between_updates(self) -> bool:
        """Whether no update is under way."""
        return self.begun == self.made

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do: all updates are made, or no run is left."""
        return not self.runs or self.made == self.training.updates

    def begin(self) -> int:
        """Begin an update; return its number, from 0."""
        self.begun = self.made + 1
        return self.made

    def draw(self) -> SequenceBatch:
        """Draw fresh sequences for the runs that are left."""
        return self._stream.draw(self._stored_rows)

    def gradients(self, data: SequenceBatch) -> BatchGradients:
        """Compute all gradients of an update; no weight moves.

        Args:
            data: sequences of the runs that are left.
        """
        objective, network = self._objective(data), self.network
        engine, truncation, grid = ENGINES[network.engine], self.training.truncation, None
        # Of sequences with ends of their own, what is recorded needs all time steps at once.
        whole = data.ends is not None or reads_states(self.training)
        if truncation is not None and not whole:
            T, B = data.inputs.shape[0], self.training.batch_size
            grid = grid_of(network, B, T, truncation.back)
        found = engine.run(self.weights, data.inputs, objective, network, truncation, grid)
        penalties = add_penalties(found, self.weights, network, self.training)
        by_name = self._parametrization.pull_back(self._views, found.parameters)
        untrained = [name for name in by_name if not network.has(name)]
        by_name = by_name | {name: torch.zeros_like(by_name[name]) for name in untrained}
        flat = self._trained.pack(by_name)
        return BatchGradients(found, flat, norm(flat.unsqueeze(1)), penalties)

    def late(
        self, data: SequenceBatch, gradients: Gradients
    ) -> Iterator[tuple[int, list[Adjoint]]]:
        """Yield the adjoint of each layer for the last answer's loss; nothing: it is the only one.

        Args:
            data: the sequences of the update.
            gradients: the gradients of the update.

        Yields:
            After how many time steps a piece of time begins, and its adjoints.
        """
        loss_of = self._late_loss(data)
        if loss_of is not None:
            yield from adjoints_of_last(gradients.forward, loss_of)

    def rescaled(
        self, data: SequenceBatch, gradients: Gradients, places: list[int], *, late: bool = False
    ) -> Iterator[tuple[int, list[LayerGradients]]]:
        """Yield some runs' gradients by their states, whatever their size.

        Args:
            data: the sequences of the update.
            gradients: the gradients of the update.
            places: of the runs.
            late: whether they are those of the loss of the last answer.

        Yields:
            After how many time steps a piece of time begins, and the gradients of every layer.

        Raises:
            ValueError: for the last of several answers, where there is but one.
        """
        objective, truncation = self._objective(data), self.training.truncation
        if late:
            loss_of = self._late_loss(data)
            if loss_of is None:
                raise ValueError("there is one answer: its loss is the whole loss")
            objective, truncation = Objective(loss_of), None
        yield from rescaled(gradients.forward, objective, places, truncation)

    def windows(self, data: SequenceBatch) -> list[list[Window]]:
        """Return the windows of each run's longest sequences; none without a truncation.

        Args:
            data: the sequences of the update.
        """
        truncation, objective = self.training.truncation, self._objective(data)
        if truncation is None:
            return [[] for _ in data.lengths]
        if objective.ends is None:
            return [truncation.windows_of(objective, self.task.steps)] * len(data.lengths)
        own = [objective._replace(ends=torch.tensor([[end]])) for end in data.lengths]
        return [truncation.windows_of(one, self.task.steps) for one in own]

    def _late_loss(self, data: SequenceBatch) -> LossOf | None:
        """Return the loss of the last answer alone; None: it is the only one."""
        targets = self._targets(data)
        if targets.shape[1] == 1:
            return None
        return TaskLoss(self.task, targets[:, -1:])

    def _targets(self, data: SequenceBatch) -> Tensor:
        """Return the wanted answers at every time step that has a loss."""
        is_every = self.training.loss_at == "every"
        return data.targets.expand(-1, self.task.steps, -1) if is_every else data.targets

    def _objective(self, data: SequenceBatch) -> Objective:
        task, targets = self.task, self._targets(data)
        loss_of = TaskLoss(task, targets)
        if task.shortest < task.steps:
            return Objective(loss_of, 1, data.every_end, task.shortest)
        return Objective(loss_of, targets.shape[1])

    def error(self, data: SequenceBatch, gradients: Gradients) -> Float[Tensor, " run"]:
        """Return the share of each run's sequences that are answered wrong."""
        outputs = gradients.outputs[:, -self.task.answers :].clone()  # a task may change its own
        return self.task.error(outputs, data.targets)

    def clipped(self, gradients: BatchGradients) -> Shaped[Tensor, " run"]:
        """Say whose gradient will be clipped, by norm or by value."""
        return self._steps.clipped(gradients.flat, gradients.norm)

    def weight_change(self) -> Float[Tensor, " run"]:
        """Return ‖W_hh − W_0‖ / ‖W_0‖ of the top layer, W_0 as it was at first; NaN: W_0 is 0."""
        return norm_of_parameter(self.top_weight - self._first) / self._first_norm

    def remove(self, ended: Container[Run], gradients: BatchGradients) -> BatchGradients:
        """Remove runs and store their weights.

        Returns:
            The gradients with ``flat`` and ``norm`` of the runs that are left, which is what `step`
            reads; ``network`` and ``penalties`` still have all runs.
        """
        self._store()
        keep = [place for place, run in enumerate(self.runs) if run not in ended]
        self.runs = [self.runs[place] for place in keep]
        self._stored_rows = [self._stored_rows[place] for place in keep]
        self._parametrization.keep(keep)
        rows = {name: value[keep] if value.ndim else value for name, value in self._memory.items()}
        self._set_trained(self._trained.flat[keep], rows)
        return gradients._replace(flat=gradients.flat[keep], norm=gradients.norm[keep])

    def step(self, gradients: BatchGradients) -> None:
        """Clip and move; a run whose norm is below the limit keeps the bits of its gradient.

        Args:
            gradients: of the runs that are left; ``flat`` is changed.
        """
        given = self._trained.flat, gradients.flat, gradients.norm, self._memory
        self._steps.make(*given, self.made)
        self.weights = self._parametrization.network(self._views)

    def end(self) -> None:
        """End an update; after the last one the weights of all runs are stored."""
        if self.begun == self.training.updates:
            self._store()
        self.made = self.begun

    def packed(self) -> Float[Tensor, "run size"]:
        """Return a copy of all parameters of the network, a row a run."""
        is_free = self.weights is self._views  # nothing is between the two
        return self._trained.flat.clone() if is_free else self._trained.pack(self.weights)

    def _store(self) -> None:
        """Put the network's parameters back where they came from."""
        self._stored.flat[self._stored_rows] = self.packed()

    def state_of(self, run: Run) -> State:
        """Return a copy of all that a run needs to go on as if nothing had been."""
        place = self.runs.index(run)
        state = {_WEIGHTS: self._trained.flat[place]}
        state |= {name: row[place] if row.ndim else row for name, row in self._memory.items()}
        copies = {name: tensor.cpu().clone() for name, tensor in state.items()}
        return copies | {
            _GENERATOR: self._stream.generator_of(self._stored_rows[place]).get_state()
        }

    def weights_of(self, run: Run) -> dict[str, Float[Tensor, "1 ..."]]:
        """Return one run's parameters by torch's names, as views with a run axis of length 1."""
        place = self.runs.index(run)
        return {name: view[place : place + 1] for name, view in self.weights.items()}
