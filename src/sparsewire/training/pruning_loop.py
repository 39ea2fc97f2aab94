"""The loop behind `iterate`: what is done in which order, and where it goes on after a kill."""

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from sparsewire.errors import CheckpointError, RequestError
from sparsewire.execution.planning import plan
from sparsewire.structure.allocation import Scope
from sparsewire.structure.masks import Masks
from sparsewire.structure.patterns import Pattern
from sparsewire.structure.score_buckets import buckets
from sparsewire.structure.scores import Score
from sparsewire.structure.select import Only, prune
from sparsewire.training.densities import Densities, Overheard, next_density
from sparsewire.training.iterations import Iteration, Iterations
from sparsewire.training.loop_state import LoopCheckpoints, Pending, Standing, Trained, parts_of
from sparsewire.training.phases import EVERY_LAYER, Network, Phase, Setting, train
from sparsewire.training.rewinding import Keeper, Kept, Target, rewind_
from sparsewire.training.state import Checkpoints, State
from sparsewire.training.stop_rules import StopRule, reason_to_stop

OnStep: TypeAlias = Callable[[nn.Module, Iterations], object]


@dataclass(frozen=True, eq=False)
class Pruning:
    """How a loop prunes, and when it ends; the names are those of `iterate`."""

    densities: Densities
    score: Score
    scope: Scope
    pattern: Pattern | str | None
    only: Only | None
    evidence: Any
    steps: int | None
    stop: tuple[StopRule, ...]
    sparse: bool | Literal["sparse"]


class Loop:
    """A loop and where it stands.

    Args:
        model: pruned and trained in place.
        setting: of all trainings.
        pruning: how it prunes.
        target: where it rewinds to, or None.
        masks: what exists at the start; None: everything.
        generator: the source of all randomness.
        wants_control: whether there is a control.
        checkpoints: where the loop is kept, or None.
        on_step: called after every step, or None.
    """

    def __init__(
        self, model: nn.Module, setting: Setting, pruning: Pruning, target: Target | Kept | None, masks: Masks | None,
        generator: torch.Generator, wants_control: bool, checkpoints: Checkpoints | None, on_step: OnStep | None,
    ) -> None:  # fmt: skip
        self._setting, self._pruning, self._masks, self._generator = setting, pruning, masks, generator
        self._wants_control, self._checkpoints, self._on_step = wants_control, checkpoints, on_step
        self._network = Network(model, setting.make)
        self._network.hold_(masks)
        self._control: Network | None = None
        self._rewinds = target is not None
        self._keeper = Keeper(model, target) if isinstance(target, Target) and target.unit != "rate" else None
        self._standing = Standing(kept=target if isinstance(target, Kept) else None)
        self._training: State | None = None  # of the phase that was under way when the loop was killed

    def run(self, first: int) -> Iterations:
        """All of it; `first` is how many epochs come before the first pruning."""
        standing = self._standing
        self._first = first
        if not self._restored():
            standing.seed = self._drawn_seed() if first else 0
        if standing.base is None:
            self._train_first()
        if self._wants_control and self._control is None:
            self._control = self._copied()
        while not (standing.pending is None and (reason := self._prune())):
            self._retrain()
        return dataclasses.replace(standing.so_far, ended=reason)

    def _train_first(self) -> None:
        keeper, judged = self._keeper, None
        if self._first:
            counts = keeper is not None and keeper.counts_steps
            phase = Phase(
                self._masks, self._first, 0, self._standing.seed,
                after_step=keeper.after_step if keeper is not None and counts else None,
                after_epoch=None if keeper is None else keeper.after_epoch,
            )  # fmt: skip
            judged = train(self._setting, self._network, phase, self._phase_checkpoints("first")).judged
        if keeper is not None:
            self._standing.kept = keeper.kept
        self._standing.base = judged or self._setting.judged(self._network.model)
        if self._setting.retrain.gain is not None and math.isnan(self._standing.base.accuracy):
            raise RequestError(
                "gain: found labels that are no classes, so there is no accuracy to gain; use epochs alone"
            )

    def _prune(self) -> str:
        """Begins a step, or says why there is none."""
        standing, pruning, start = self._standing, self._pruning, time.perf_counter()
        step, before = len(standing.done), standing.done[-1].masks if standing.done else self._masks
        if reason := self._reason_to_end(step):
            return reason
        asked = next_density(pruning.densities, step, standing.so_far)
        if asked is None:
            return "all densities are done"
        density, score = self._emptied(asked, before) if isinstance(asked, buckets) else (asked, pruning.score)
        masks = self._pruned(score, density, before)
        if isinstance(asked, buckets) and masks == (before or Masks.from_model(self._network.model)):
            return f"no weight fits {asked}"
        self._network.hold_(masks)
        pruned = self._setting.judged(self._network.model)
        if self._rewinds or self._setting.retrain.fresh:
            self._renew(masks)
        seconds = time.perf_counter() - start
        standing.pending = Pending(step, density, masks, pruned, seconds, self._drawn_seed(), self._plan(masks))
        return ""

    def _reason_to_end(self, step: int) -> str:
        if not step:
            return ""
        if self._pruning.steps is not None and step >= self._pruning.steps:
            return "all steps are done"
        if reason := reason_to_stop(self._pruning.stop, self._standing.so_far):
            return reason
        masks = self._standing.done[-1].masks
        return "no weight is left that may go" if self._pruned("magnitude", 0.0, masks, plain=True) == masks else ""

    def _pruned(self, score: Score, density: float, masks: Masks | None, plain: bool = False) -> Masks:
        how = self._pruning
        return prune(
            self._network.model,
            score=score,
            density=density,
            scope="blind" if plain else how.scope,
            pattern=None if plain else how.pattern,
            only=how.only,
            data=how.evidence,
            loss=self._setting.loss,
            masks=masks,
            generator=self._generator,
        )

    def _emptied(self, size: buckets, masks: Masks | None) -> tuple[float, Score]:
        """The density that one bucket more leaves, and the scores that said so; a score that draws is asked once."""
        score = Overheard(self._pruning.score)
        self._pruned(score, 0.0, masks, plain=True)
        return size(score.of_live(), score.total), score.scores

    def _renew(self, masks: Masks) -> None:
        """Rewinds, and goes on with optimizers that remember nothing; the control too, with all of its weights."""
        for network, own in ((self._network, masks), (self._control, self._masks)):
            if network is None:
                continue
            if self._standing.kept is not None:
                rewind_(network.model, self._standing.kept.weights)
            network.renew_()
            network.hold_(own)

    def _plan(self, masks: Masks) -> str:
        if self._pruning.sparse is True:
            return plan(self._network.model, masks, batch=self._setting.batch_size).to_json()
        return EVERY_LAYER if self._pruning.sparse else ""

    def _retrain(self) -> None:
        """Ends the step under way: the network's training and the control's."""
        standing, retrain = self._standing, self._setting.retrain
        pending = standing.pending
        assert pending is not None
        done = sum(one.epochs for one in standing.done) + self._first
        begin = (0 if standing.kept is None else standing.kept.epoch) if self._rewinds else done
        trained = pending.trained
        if trained is None:
            phase = Phase(pending.masks, retrain.epochs, begin, pending.seed, pending.pruned, pending.plan)
            trained = train(self._setting, self._network, phase, self._phase_checkpoints("retrain"))
            standing.pending = pending = pending._replace(trained=trained)
        control = None
        if self._control is not None:
            phase = Phase(self._masks, trained.epochs, begin, pending.seed)
            control = train(self._setting, self._control, phase, self._phase_checkpoints("control"))
        before = standing.done[-1].retrained if standing.done else standing.base
        assert before is not None
        standing.done += (_iteration(pending, trained, control, before),)
        standing.pending = None
        if self._on_step is not None:
            self._on_step(self._network.model, standing.so_far)

    def _copied(self) -> Network:
        model, inner = copy.deepcopy((self._network.model, self._network.inner))
        return Network(model, self._setting.make, inner)

    def _drawn_seed(self) -> int:
        source = self._generator
        return int(torch.randint(2**62, (), generator=source, device=source.device))

    def _phase_checkpoints(self, phase: str) -> Checkpoints | None:
        """Where a training is kept with the loop; that of the other network goes along, as it stands still."""
        training, self._training = self._training, None
        if self._checkpoints is None:
            return None
        other = {"first": None, "retrain": self._control, "control": self._network}[phase]

        def told() -> State:
            if self._keeper is not None:
                self._standing.kept = self._keeper.kept
            tensors: dict[str, Tensor] = {"generator": self._generator.get_state()}
            facts = self._standing.told(tensors)
            return State(tensors, {"phase": phase, "other": other and other.told(tensors), "standing": facts})

        return LoopCheckpoints(self._checkpoints, told, training)

    def _restored(self) -> bool:
        """Whether the loop was begun before; everything is then where it was."""
        state = None if self._checkpoints is None else self._checkpoints.load()
        if state is None:
            return False
        loop, training = parts_of(state)
        try:
            self._standing.__dict__.update(vars(Standing.found(loop.facts["standing"], loop.tensors)))
            if loop.facts["phase"] == "control":
                self._control = self._copied()
                self._network.load_(loop.facts["other"], loop.tensors)
            elif loop.facts["other"] is not None:
                self._control = self._copied()
                self._control.load_(loop.facts["other"], loop.tensors)
            self._generator.set_state(loop.tensors["generator"])
        except (KeyError, TypeError, ValueError, RuntimeError) as cause:
            raise CheckpointError(
                f"checkpoints: what is kept there does not fit this loop: {cause}; name another folder"
            ) from cause
        if self._keeper is not None:
            self._keeper.kept = self._standing.kept
        self._training = training
        return True


def _iteration(pending: Pending, trained: Trained, control: Trained | None, before: Any) -> Iteration:
    return Iteration(
        pending.step,
        pending.asked,
        pending.masks,
        before,
        pending.pruned,
        trained.judged,
        None if control is None else control.judged,
        trained.epochs,
        trained.steps,
        0 if control is None else control.steps,
        pending.seconds + trained.seconds,
        0.0 if control is None else control.seconds,
        trained.accuracies,
    )
