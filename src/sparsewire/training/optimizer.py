"""Training with masks: any torch optimizer, and one promise more."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.structure.sparse_weights import SparseWeight
from sparsewire.training.agreement import checked_state, compared, plain_name, present_gradients, weights_of
from sparsewire.training.live_values import await_step_, forget_gradients_, gradient_of, move_
from sparsewire.training.memory import forget_
from sparsewire.training.projection import Projection
from sparsewire.training.rule_contract import Move, Rule, acts_at, checked_rule, is_dense, moment_of, recall, remembered
from sparsewire.training.rules.unmoved import static


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

    **Sparse layers** store the weights inside their masks alone, so 2 and 5 have nothing to do there. Their structure
    is the mask: when this object is made they go over to the masks that are given (a weight that comes starts from
    zero), and later they move as the rule says, with the optimizer's memory. A rule sees them as dense matrices, and
    gives the same masks and weights as in masked training, up to rounding. These matrices and the gradients outside
    the masks are made on the steps at which the rule acts, for which the layers must know beforehand: `step` and
    `zero_grad` tell them, so clear gradients by the latter. Two things have no equal there: a norm by which gradients
    are clipped is of live weights, and DistributedDataParallel, which knows parameters by their first size, is for
    rules that move nothing.

    **Memory.** Where a connection goes or comes, the optimizer's memory of it is cleared, so that one that returns
    starts fresh. Every state tensor of the weight's shape gets the value that it starts with: zero, but for Rprop's
    step sizes (the group's present `lr`) and Adagrad's sum (`initial_accumulator_value`). Other shapes are left as
    they are: step counts (a returning connection is as old as its weight), Adafactor's means of rows and columns, and
    LBFGS's flat history, which may point outside the masks, and begins anew when a sparse layer's weights move; LBFGS
    evaluates its closure on projected weights.

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
        RequestError: `optimizer` or `rule` is none; `masks` do not fit `model`, or name one tied weight twice; the
            rule is `dense` and a weight is sparse.

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
    _weights: dict[str, nn.Parameter]  # all that have masks
    _sparse: dict[str, SparseWeight]  # those of them that are sparse
    _held: dict[str, nn.Parameter]  # those that are dense, and are held at zero outside of their masks
    _project: Projection  # of these alone: a sparse layer has its mask in its structure, at the size of that
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
        weights, sparse = weights_of(model, masks)
        held = {name: weight for name, weight in weights.items() if name not in sparse}
        await_step_(sparse, rule, 0)
        state = {"inner": optimizer, "rule": rule, "_weights": weights, "_sparse": sparse, "_held": held, "_steps": 0}
        # Not Optimizer.__init__, which would make groups of its own; this makes the rest of an optimizer, its hooks.
        self.__setstate__(state | {"_project": Projection(_only(held, masks))})
        self._settle()
        if sparse:
            self._restructure(masks, masks ^ self.masks, {})

    @property
    def masks(self) -> Masks:
        """The present masks, on the devices of their weights."""
        masks = self._project.masks
        if any(mask.device != self._held[name].device for name, mask in masks.items()):
            masks = Masks({name: mask.to(self._held[name].device) for name, mask in masks.items()})
            self._project = Projection(masks)
        if not self._sparse:
            return masks
        return Masks({n: self._sparse[n].mask() if n in self._sparse else masks[n] for n in self._weights})

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
            if self._acts("after"):
                if not is_dense(self.rule):
                    self._project(self._held)  # what grows shall grow from zero
                self._move(gradients)
        finally:
            self._project(self._held)
        self._steps += 1
        await_step_(self._sparse, self.rule, self._steps)
        return loss

    def _prepared(self, closure: Callable[[], float], gradients: dict[str, Tensor]) -> Callable[[], float]:
        """The closure on projected weights; what has to precede the inner step is done at its end."""
        first = True

        def prepared() -> float:
            nonlocal first
            if not first:
                self._project(self._held)
            forget_gradients_(self._sparse.values())  # a closure clears gradients, perhaps by another's zero_grad
            with torch.enable_grad():
                loss = closure()
            self._prepare(gradients, act=first)
            first = False
            return loss

        return prepared

    @torch.no_grad()
    def _prepare(self, gradients: dict[str, Tensor], act: bool) -> None:
        """Fills `gradients` with the dense ones if a rule acts, lets one before the step `act`, masks them."""
        present = present_gradients(self._held)
        before, after, dense = act and self._acts("before"), self._acts("after"), is_dense(self.rule)
        for name, weight in self._weights.items() if before or after else ():
            if name in self._sparse:
                gradients[name] = gradient_of(name, self._sparse[name], self.rule)
            else:
                # A weight that the loss does not reach has gradient zero: one number, seen in the weight's shape.
                gradients[name] = present[name] if name in present else weight.new_zeros(()).expand(weight.shape)
        if before:
            self._move(gradients)
        if after and not dense:
            gradients.update({name: gradient.clone() for name, gradient in present.items()})
        if not dense:
            self._project(present)

    def _acts(self, moment: str) -> bool:
        return moment_of(self.rule) == moment and acts_at(self.rule, self._steps)

    def _move(self, gradients: Mapping[str, Tensor]) -> None:
        """Asks the rule, and goes over to its masks if it answers."""
        old, used = self.masks, gradients if moment_of(self.rule) == "before" else {}
        weights = {
            name: self._sparse[name].matrix(used.get(name)) if name in self._sparse else weight
            for name, weight in self._weights.items()
        }
        answer = self.rule(self._steps, old, weights, gradients)
        if answer is None:
            return
        new, changed = compared(answer, old, f"answer of rule {self.rule!r} at step {self._steps}")
        self._project = Projection(_only(self._held, new))
        if not is_dense(self.rule):
            forget_(self.inner, self._weights, _only(self._held, changed))
        self._project(self._held)
        self._restructure(new, changed, used)

    def _restructure(self, masks: Masks, changed: Masks, gradients: Mapping[str, Tensor]) -> None:
        """Goes over to new masks where a sparse weight has others; the gradients are those of a step yet to take."""
        for name, weight in self._sparse.items():
            if changed[name].any():
                move_(self.inner, weight, masks[name], gradients.get(name))

    def _settle(self) -> None:
        """Makes dense weights and memory agree with the masks."""
        if not is_dense(self.rule):
            forget_(self.inner, self._held, {name: ~mask for name, mask in self._project.masks.items()})
        self._project(self._held)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of the parameters that the inner optimizer owns."""
        self.inner.zero_grad(set_to_none)
        await_step_(self._sparse, self.rule, self._steps)

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
        masks = {plain_name(name): mask for name, mask in self.masks.items()}
        state = {**self.inner.state_dict(), "masks": masks, "rule": remembered(self.rule), "steps": self._steps}
        for after in self._optimizer_state_dict_post_hooks.values():
            changed = after(self, state)
            state = state if changed is None else changed
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on where a saved run stopped, to the same bits; the weights come from the model's own `state_dict`.

        With sparse layers the model's state is loaded first, as it brings their structure.

        Raises:
            RequestError: it does not fit the names and shapes of the masks, the structure of a sparse layer, the
                groups, or the rule; nothing changed.
        """
        state = state_dict.copy()
        for before in self._optimizer_load_state_dict_pre_hooks.values():
            changed = before(self, state)
            state = state if changed is None else changed
        masks = checked_state(state, self.masks, self.param_groups, self._sparse)
        memory = copy.deepcopy(remembered(self.rule))
        try:
            recall(self.rule, copy.deepcopy(state["rule"]))
            self.inner.load_state_dict(
                {key: value for key, value in state.items() if key not in ("masks", "rule", "steps")}
            )
        except Exception:
            recall(self.rule, memory)
            raise
        self._steps, self._project = state["steps"], Projection(_only(self._held, masks))
        self._settle()
        await_step_(self._sparse, self.rule, self._steps)
        for after in self._optimizer_load_state_dict_post_hooks.values():
            after(self)

    def __getstate__(self) -> dict[str, Any]:
        names = ("inner", "rule", "_weights", "_sparse", "_held", "_project", "_steps")
        return {name: self.__dict__[name] for name in names}

    def __repr__(self) -> str:
        return f"SparseOptimizer({self.masks!r}, rule={self.rule!r}, steps={self.steps}) of {self.inner!r}"


def _only(names: Mapping[str, object], masks: Masks) -> Masks:
    """The masks of these names."""
    return masks if names.keys() == masks.keys() else Masks({name: masks[name] for name in names})
