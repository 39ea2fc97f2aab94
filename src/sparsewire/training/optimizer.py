"""Training with masks: any torch optimizer, and one promise more."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.training.memory import forget_
from sparsewire.training.projection import Projection
from sparsewire.training.rules import Move, Rule, checked_rule, is_dense, moment_of, recall, remembered, static

_OWN_KEYS = ("masks", "rule", "steps")


def _passed_on(name: str) -> Any:
    """An attribute that lives on the inner optimizer; where that lacks it, it is lacking here."""
    return property(
        lambda self: getattr(self.inner, name),
        lambda self, value: setattr(self.inner, name, value),
        lambda self: delattr(self.inner, name),
    )


class SparseOptimizer(Optimizer):
    """Any torch optimizer, which leaves every weight outside its mask at exactly zero after each `step`.

    The weights stay ordinary dense parameters under their own names, and attached: `backward` gives a gradient for
    every one of them, kept or not, which is what a rule needs in order to grow connections. One step is then

        1. a rule that acts before the step sees these gradients and may move the masks;
        2. gradients outside the masks are set to zero in place, so `.grad` shows after `step` what was used;
        3. the optimizer takes its own step;
        4. a rule that acts after the step sees the new weights, and the gradients as they were before 2;
        5. weights outside the masks are set to zero, since some optimizers (Muon) write there all the same.

    A rule that is `dense` leaves out 2 and all clearing of memory (see `rules.Rule`).

    **Memory.** Where a connection goes or comes, the optimizer's memory of it is cleared, so that one that returns
    starts fresh. Every state tensor of the weight's shape gets the value that it starts with: zero, but for Rprop's
    step sizes (the group's present `lr`) and Adagrad's sum (`initial_accumulator_value`). Other shapes are left as
    they are: step counts (a returning connection is as old as its weight), Adafactor's means of rows and columns, and
    LBFGS's flat history, which may point outside the masks; LBFGS evaluates its closure on projected weights.

    **Where it fits.** Schedulers, GradScaler, Lightning and DistributedDataParallel take it as any optimizer. Hooks
    belong to this object; only torch's global step hooks run for it and for the inner optimizer. A GradScaler unscales
    the gradients before the rule sees them, and a step that it skips is none for the rule either. With a closure, a
    rule that acts before the step acts once, on the gradients of the closure's first call. Whoever gives the model new
    parameters, e.g. by `load_state_dict(…, assign=True)`, has to make both optimizers anew, as with torch alone.

    Args:
        optimizer: made as usual from the model's parameters; it is used, not copied, and reachable as `.inner`.
        model: the module that owns the weights, wrapped by `torch.compile` or not. It is projected at once.
        masks: which weights exist. Weights that are frozen or that the optimizer does not own are projected as well.
        rule: how the masks move; `None` means `rules.static()`. A plain function is a rule that acts before the step.

    Raises:
        RequestError: `optimizer` or `rule` is none; `masks` do not fit `model`, or name one tied weight twice.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> masks = Masks({"weight": torch.tensor([[True, False]])})
        >>> optimizer = SparseOptimizer(torch.optim.Adam(model.parameters()), model, masks)
        >>> model(torch.ones(1, 2)).sum().backward()
        >>> optimizer.step()
        >>> model.weight[0, 1].item(), optimizer.steps
        (0.0, 1)
    """

    inner: Optimizer
    rule: Rule | Move
    _weights: dict[str, nn.Parameter]
    _project: Projection
    _steps: int

    state = _passed_on("state")
    param_groups = _passed_on("param_groups")
    defaults = _passed_on("defaults")
    grad_scale = _passed_on("grad_scale")
    found_inf = _passed_on("found_inf")

    # A fused optimizer can unscale by itself and skip a step unseen. A rule needs the true gradients and must know of
    # the skip, so a GradScaler shall take the way that it takes for all other optimizers.
    _step_supports_amp_scaling = False

    def __init__(
        self, optimizer: Optimizer, model: nn.Module, masks: Mapping[str, Tensor], rule: Rule | Move | None = None
    ) -> None:
        if not isinstance(optimizer, Optimizer) or isinstance(optimizer, SparseOptimizer):
            raise RequestError(f"optimizer: found {type(optimizer).__name__}, expected one of torch's, e.g. SGD(…)")
        rule = checked_rule(static() if rule is None else rule)
        masks = masks if isinstance(masks, Masks) else Masks(masks)
        state = {"inner": optimizer, "rule": rule, "_weights": _weights_of(model, masks), "_steps": 0}
        # Not Optimizer.__init__, which would make groups of its own; this makes the rest of an optimizer, its hooks.
        self.__setstate__(state | {"_project": Projection(masks)})
        self._settle()

    @property
    def masks(self) -> Masks:
        """The present masks, on the devices of their weights."""
        masks = self._project.masks
        if any(mask.device != self._weights[name].device for name, mask in masks.items()):
            masks = Masks({name: mask.to(self._weights[name].device) for name, mask in masks.items()})
            self._project = Projection(masks)
        return masks

    @property
    def steps(self) -> int:
        """How many steps were taken; those that a GradScaler skipped do not count."""
        return self._steps

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Takes one step, as described for the class; returns what the inner optimizer does: the loss, or None.

        Args:
            closure: clears the gradients, evaluates the model, calls `backward` and returns the loss.

        Raises:
            RequestError: a gradient is sparse, or the rule's answer does not fit; the weights are projected anyway.
        """
        found_inf = getattr(self.inner, "found_inf", None)
        if found_inf is not None and bool(found_inf):  # set by hand: a fused optimizer then changes nothing
            return self.inner.step() if closure is None else self.inner.step(closure)
        gradients: dict[str, Tensor] = {}
        try:
            if closure is None:
                self._prepare(gradients, act=True)
                loss = self.inner.step()
            else:
                loss = self.inner.step(self._prepared(closure, gradients))
            if moment_of(self.rule) == "after":
                if not is_dense(self.rule):
                    self._project(self._weights)  # what grows shall grow from zero
                self._move(gradients)
        finally:
            self._project(self._weights)
        self._steps += 1
        return loss

    def _prepared(self, closure: Callable[[], float], gradients: dict[str, Tensor]) -> Callable[[], float]:
        """The closure on projected weights; what has to precede the inner step is done at its end."""
        first = True

        def prepared() -> float:
            nonlocal first
            if not first:
                self._project(self._weights)
            with torch.enable_grad():
                loss = closure()
            self._prepare(gradients, act=first)
            first = False
            return loss

        return prepared

    @torch.no_grad()
    def _prepare(self, gradients: dict[str, Tensor], act: bool) -> None:
        """Fills `gradients` with the dense ones, lets a rule that acts before the step `act`, masks them."""
        present = {name: weight.grad for name, weight in self._weights.items() if weight.grad is not None}
        for name, gradient in present.items():
            if gradient.layout != torch.strided:
                raise RequestError(
                    f"gradient of {name!r}: found layout {gradient.layout}, expected a dense tensor; "
                    "make its layer with sparse=False, or leave it out of the masks"
                )
        after, dense = moment_of(self.rule) == "after", is_dense(self.rule)
        for name, weight in self._weights.items():
            # A weight that the loss does not reach has gradient zero: one number, seen in the weight's shape.
            gradients[name] = present[name] if name in present else weight.new_zeros(()).expand(weight.shape)
        if act and not after:
            self._move(gradients)
        if after and not dense:
            gradients.update({name: gradient.clone() for name, gradient in present.items()})
        if not dense:
            self._project(present)

    def _move(self, gradients: Mapping[str, Tensor]) -> None:
        """Asks the rule, and goes over to its masks if it answers."""
        old = self.masks
        answer = self.rule(self._steps, old, self._weights, gradients)
        if answer is None:
            return
        new, changed = _compared(answer, old, f"answer of rule {self.rule!r} at step {self._steps}")
        self._project = Projection(new)
        if not is_dense(self.rule):
            forget_(self.inner, self._weights, changed)
        self._project(self._weights)

    def _settle(self) -> None:
        """Makes weights and memory agree with the masks."""
        if not is_dense(self.rule):
            forget_(self.inner, self._weights, {name: ~mask for name, mask in self.masks.items()})
        self._project(self._weights)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of the parameters that the inner optimizer owns."""
        self.inner.zero_grad(set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Gives the inner optimizer more parameters; the masks stay as they are."""
        self.inner.add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        """The inner optimizer's own keys, and `masks` (name → bool tensor), `rule` (its memory) and `steps`.

        Like torch's it refers to the live tensors: save it, or copy it, before the next step. It holds nothing that
        `torch.load(..., weights_only=True)` would refuse.
        """
        for before in self._optimizer_state_dict_pre_hooks.values():
            before(self)
        masks = {_plain(name): mask for name, mask in self.masks.items()}
        state = {**self.inner.state_dict(), "masks": masks, "rule": remembered(self.rule), "steps": self._steps}
        for after in self._optimizer_state_dict_post_hooks.values():
            changed = after(self, state)
            state = state if changed is None else changed
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on where a saved run stopped, to the same bits; the weights come from the model's own `state_dict`.

        Raises:
            RequestError: it does not fit the names and shapes of the masks, the groups, or the rule; nothing changed.
        """
        state = state_dict.copy()
        for before in self._optimizer_load_state_dict_pre_hooks.values():
            changed = before(self, state)
            state = state if changed is None else changed
        masks = _check_state(state, self.masks, self.param_groups)
        memory = copy.deepcopy(remembered(self.rule))
        try:
            recall(self.rule, copy.deepcopy(state["rule"]))
            self.inner.load_state_dict({key: value for key, value in state.items() if key not in _OWN_KEYS})
        except Exception:
            recall(self.rule, memory)
            raise
        self._steps, self._project = state["steps"], Projection(masks)
        self._settle()
        for after in self._optimizer_load_state_dict_post_hooks.values():
            after(self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("inner", "rule", "_weights", "_project", "_steps")}

    def __repr__(self) -> str:
        return f"SparseOptimizer({self.masks!r}, rule={self.rule!r}, steps={self.steps}) of {self.inner!r}"


def _plain(name: str) -> str:
    """A parameter's name without what torch.compile puts into it, so that both forms mean the same weight."""
    return name.replace("_orig_mod.", "")


def _weights_of(model: nn.Module, masks: Masks) -> dict[str, nn.Parameter]:
    """The weights under the masks' names, which may be those before or after torch.compile."""
    names = {_plain(name): name for name, _ in model.named_parameters(remove_duplicate=False)}
    renamed = Masks({names.get(_plain(name), name): mask for name, mask in masks.items()})
    weights = dict(zip(masks, renamed.weights_of(model).values(), strict=True))
    first: dict[nn.Parameter, str] = {}
    for name, weight in weights.items():
        if first.setdefault(weight, name) != name:
            raise RequestError(f"masks: {name!r} and {first[weight]!r} are one tied weight; give one mask for it")
    return weights


def _compared(new: Mapping[str, Tensor], old: Masks, source: str) -> tuple[Masks, Masks]:
    """The new masks in the order and on the devices of the old ones, and where they differ; or an error."""
    if not isinstance(new, Mapping):
        raise RequestError(f"{source}: found {type(new).__name__}, expected Masks")
    try:
        changed = Masks({name: mask.to(old[name].device) for name, mask in Masks(new).items()}) ^ old
    except RequestError as cause:
        raise RequestError(f"{source}: {cause}") from cause
    return Masks({name: old[name] ^ changed[name] for name in old}), changed


def _check_state(state: Mapping[str, Any], masks: Masks, groups: list[dict[str, Any]]) -> Masks:
    """The masks in a state_dict, if all of it fits an optimizer with these masks and groups."""
    missing = [key for key in ("state", "param_groups", *_OWN_KEYS) if key not in state]
    if missing:
        raise RequestError(
            f"state_dict: found no {missing[0]!r}, expected what SparseOptimizer.state_dict gave; "
            "the state of a plain optimizer goes to `.inner.load_state_dict`"
        )
    found, expected = ([len(group["params"]) for group in some] for some in (state["param_groups"], groups))
    if found != expected:
        raise RequestError(
            f"state_dict: found groups of {found} parameters, expected {expected}; "
            "make the optimizer as it was made for the saved run"
        )
    if not isinstance(state["steps"], int) or state["steps"] < 0:
        raise RequestError(f"state_dict: found {state['steps']!r} steps, expected a number from 0 up")
    names = {_plain(name): name for name in masks}
    if isinstance(saved := state["masks"], Mapping):
        saved = {names.get(name, name): mask for name, mask in saved.items()}
    return _compared(saved, masks, "masks of the state_dict")[0]
