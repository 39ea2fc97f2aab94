"""One table of models and optimizers: which way they go, and why not a faster one."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.optim import lr_scheduler

from sparsewire.structure.masks import Masks
from sparsewire.training.fused import choose, fused_reason
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rules import static


def chain(*between):
    return nn.Sequential(nn.Linear(6, 5), *(between or (nn.ReLU(),)), nn.Linear(5, 3))


def sgd(model, **options):
    return torch.optim.SGD(model.parameters(), lr=0.1, **options)


def masked(model, rule=None, **options):
    return SparseOptimizer(sgd(model, **options), model, Masks.from_model(model), rule)


ACT = nn.ReLU()
TAKEN = {
    "relu": lambda: chain(),
    "tanh": lambda: chain(nn.Tanh()),
    "sigmoid": lambda: chain(nn.Sigmoid()),
    "nothing between": lambda: nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3)),
    "identity between": lambda: chain(nn.Identity(), nn.Tanh(), nn.Identity()),
    "one layer": lambda: nn.Sequential(nn.Linear(6, 3)),
    "flatten first": lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)),
    "nested": lambda: nn.Sequential(
        nn.Sequential(nn.Flatten(), nn.Linear(6, 5)), nn.Sequential(nn.ReLU()), nn.Linear(5, 3)
    ),
    "one activation at two places": lambda: nn.Sequential(nn.Linear(6, 5), ACT, nn.Linear(5, 5), ACT, nn.Linear(5, 3)),
    "no bias": lambda: nn.Sequential(nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Linear(5, 3, bias=False)),
    "double": lambda: chain().double(),
    "eval mode": lambda: chain().eval(),
}


@pytest.mark.parametrize("name", TAKEN)
def test_chains_are_taken(name):
    model = TAKEN[name]()
    assert fused_reason(model) is None
    assert choose(model, sgd(model)).route == "update"


def hooked(where):
    model = chain()
    {
        "forward": lambda: model[0].register_forward_hook(lambda *_: None),
        "pre": lambda: model[1].register_forward_pre_hook(lambda *_: None),
        "backward": lambda: model.register_full_backward_hook(lambda *_: None),
        "tensor": lambda: model[0].weight.register_hook(lambda grad: grad),
        "accumulate": lambda: model[0].weight.register_post_accumulate_grad_hook(lambda _: None),
    }[where]()
    return model


def own_forward():
    model = chain()
    model[0].forward = lambda inputs: inputs
    return model


def compiled_in_place():
    model = chain()
    model.compile(backend="eager")
    return model


def pruned_by_torch():
    model = chain()
    prune.l1_unstructured(model[0], "weight", 0.5)
    return model


def shared():
    layer = nn.Linear(5, 5)
    return nn.Sequential(layer, nn.ReLU(), layer)


def tied():
    model = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5))
    model[2].weight = model[0].weight
    return model


class OwnLinear(nn.Linear):
    pass


NOT_TAKEN = {
    "no Sequential": (lambda: nn.Linear(6, 3), "the model is a Linear"),
    "compiled": (lambda: torch.compile(chain(), backend="eager"), "the model is a OptimizedModule"),
    "compiled in place": (compiled_in_place, "module '' is compiled"),
    "dropout": (lambda: chain(nn.Dropout(0.5)), "module '1' is a Dropout"),
    "nested name": (
        lambda: nn.Sequential(nn.Sequential(nn.Linear(6, 5), nn.GELU()), nn.Linear(5, 3)),
        "'0.1' is a GELU",
    ),
    "subclass": (lambda: nn.Sequential(OwnLinear(6, 3)), "'0' is a OwnLinear"),
    "parametrized": (lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(6, 3))), "is a ParametrizedLinear"),
    "pruned by torch": (pruned_by_torch, "module '0' has hooks"),
    "late flatten": (lambda: chain(nn.Flatten()), "module '1' is a Flatten"),
    "other flatten": (lambda: nn.Sequential(nn.Flatten(0), nn.Linear(6, 3)), "module '0' is a Flatten"),
    "ends in activation": (lambda: nn.Sequential(nn.Linear(6, 3), nn.ReLU()), "does not start and end with a Linear"),
    "starts with one": (lambda: nn.Sequential(nn.ReLU(), nn.Linear(6, 3)), "does not start and end with a Linear"),
    "two in a row": (lambda: chain(nn.ReLU(), nn.Tanh()), "two activations in a row"),
    "empty": (lambda: nn.Sequential(), "does not start and end with a Linear"),
    "sizes": (lambda: nn.Sequential(nn.Linear(6, 5), nn.Linear(4, 3)), "sizes of the layers do not fit"),
    "shared layer": (shared, "two layers share a parameter"),
    "tied weight": (tied, "two layers share a parameter"),
    "bfloat16": (lambda: chain().bfloat16(), "is of torch.bfloat16"),
    "mixed": (lambda: nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3).double()), "'1.weight' is of torch.float64"),
    "meta": (lambda: chain().to("meta"), "'0.weight' is not a plain dense one on the CPU"),
    "own forward": (own_forward, "module '0' has hooks, or a forward of its own"),
    "forward hook": (lambda: hooked("forward"), "module '0' has hooks"),
    "forward pre-hook": (lambda: hooked("pre"), "module '1' has hooks"),
    "backward hook": (lambda: hooked("backward"), "module '' has hooks"),
    "tensor hook": (lambda: hooked("tensor"), "parameter '0.weight' has a hook"),
    "accumulation hook": (lambda: hooked("accumulate"), "parameter '0.weight' has a hook"),
}


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_what_is_no_plain_chain_is_not_taken_and_the_reason_is_said(name):
    make, reason = NOT_TAKEN[name]
    model = make()
    assert reason in fused_reason(model)
    choice = choose(model, sgd(model) if any(True for _ in model.parameters()) else None)
    assert choice.route == "autograd"
    assert reason in choice.reason
    assert choice.chain is None


@pytest.mark.parametrize("loss", [None, nn.functional.cross_entropy, nn.CrossEntropyLoss()])
def test_cross_entropy_is_taken(loss):
    assert fused_reason(chain(), loss) is None


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (nn.functional.nll_loss, "not plain cross-entropy"),
        (nn.MSELoss(), "not plain cross-entropy"),
        (nn.CrossEntropyLoss(torch.ones(3)), "not plain cross-entropy"),
        (nn.CrossEntropyLoss(reduction="sum"), "another reduction"),
        (nn.CrossEntropyLoss(label_smoothing=0.1), "another label_smoothing"),
        (nn.CrossEntropyLoss(ignore_index=2), "another ignore_index"),
        (lambda outputs, labels: nn.functional.cross_entropy(outputs, labels), "not plain cross-entropy"),
    ],
)
def test_other_losses_are_not_taken(loss, reason):
    assert reason in fused_reason(chain(), loss)


def test_a_hook_on_all_modules_and_autocast_are_seen():
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert "hook on all modules" in fused_reason(chain())
    finally:
        handle.remove()
    with torch.autocast("cpu", torch.bfloat16):
        assert "autocast" in fused_reason(chain())
    assert fused_reason(chain()) is None


class MovingRule:
    when, dense = "before", False

    def __call__(self, step, masks, weights, gradients):
        return None


def groups(model, **second):
    return torch.optim.SGD([{"params": model[0].parameters()}, {"params": model[2].parameters()} | second], lr=0.1)


def with_hook(model):
    optimizer = sgd(model)
    optimizer.register_step_post_hook(lambda *_: None)
    return optimizer


def with_outer_hook(model):
    optimizer = masked(model)
    optimizer.register_step_pre_hook(lambda *_: None)
    return optimizer


def replaced(model):
    optimizer = sgd(model)
    optimizer.step = lambda: None
    return optimizer


def masked_biases(model):
    masks = Masks({name: torch.ones_like(parameter).bool() for name, parameter in model.named_parameters()})
    return SparseOptimizer(sgd(model), model, masks)


GRADIENTS_ONLY = {
    "Adam": (lambda m: torch.optim.Adam(m.parameters()), "the optimizer is Adam"),
    "Adam with masks": (
        lambda m: SparseOptimizer(torch.optim.Adam(m.parameters()), m, Masks.from_model(m)), "the optimizer is Adam"
    ),
    "momentum": (lambda m: sgd(m, momentum=0.9), "momentum=0.9"),
    "weight decay": (lambda m: sgd(m, weight_decay=0.1), "weight_decay=0.1"),
    "maximize": (lambda m: sgd(m, maximize=True), "maximize=True"),
    "momentum with masks": (lambda m: masked(m, momentum=0.9), "momentum=0.9"),
    "one group": (lambda m: groups(m, momentum=0.5), "momentum=0.5"),
    "a rule": (lambda m: masked(m, MovingRule()), "may move the masks"),
    "masked biases": (masked_biases, "biases are masked"),
    "others' parameters": (lambda m: sgd(nn.ModuleList([m, nn.Linear(1, 1)])), "not the model's"),
    "hook": (with_hook, "the optimizer has hooks"),
    "hook of the sparse one": (with_outer_hook, "the optimizer has hooks"),
    "replaced step": (replaced, "step was replaced"),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS_ONLY)
def test_other_optimizers_get_gradients(name):
    make, reason = GRADIENTS_ONLY[name]
    model = chain()
    choice = choose(model, make(model))
    assert choice.route == "gradients"
    assert reason in choice.reason


UPDATE = {
    "SGD": sgd,
    "nesterov without momentum": lambda m: sgd(m, dampening=0.0),
    "masks": masked,
    "static rule": lambda m: masked(m, static()),
    "two rates": lambda m: torch.optim.SGD(
        [{"params": m[0].parameters()}, {"params": m[2].parameters(), "lr": 1.0}], lr=0.1
    ),
    "some only": lambda m: torch.optim.SGD(m[2].parameters(), lr=0.1),
}


@pytest.mark.parametrize("name", UPDATE)
def test_plain_descent_is_part_of_the_step(name):
    model = chain()
    optimizer = UPDATE[name](model)
    choice = choose(model, optimizer)
    assert (choice.route, choice.reason) == ("update", "")
    assert choice.chain.activations == ("relu",)
    lr_scheduler.StepLR(optimizer, 1)  # replaces `step` as well, but only to count
    assert choose(model, optimizer).route == "update"


def test_clipping_needs_gradients():
    model = chain()
    choice = choose(model, sgd(model), clip_norm=1.0)
    assert (choice.route, choice.reason) == ("gradients", "the gradients are clipped")
