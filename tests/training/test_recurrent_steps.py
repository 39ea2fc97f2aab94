"""Native steps of recurrent classifiers through `fit` and `replicate`, against autograd and the torch optimizers."""

import copy
import math

import pytest
import torch
from torch import nn

from sparsewire.errors import DivergedError
from sparsewire.execution.convert import sparsify
from sparsewire.kernels import native
from sparsewire.models.sequence_classifier import SequenceClassifier
from sparsewire.structure.masks import Masks
from sparsewire.training.fused import choose
from sparsewire.training.loop import fit
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.recurrent_steps import Recurrent, against_recurrent
from sparsewire.training.replicas import replicate

pytestmark = pytest.mark.skipif(not native.is_at_hand(), reason="the native library is not built")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
CELLS = ["tanh", "relu", "gru", "lstm"]
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "groups": lambda p: torch.optim.SGD([{"params": p[:3]}, {"params": p[3:], "lr": 0.02, "momentum": 0.5}], lr=0.1),
    "some": lambda p: torch.optim.Adam(p[2:], lr=0.01),
}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn(seed):
    return torch.Generator().manual_seed(seed)


def classifier(cell="gru", dtype=torch.float64, symbols=9, **options):
    padding = {} if symbols is None else {"symbols": symbols, "padding": options.pop("padding", 0)}
    return SequenceClassifier(cell, 6, 10, 3, 2, generator=drawn(1), **padding, **options).to(dtype)


def masks_of(model, density=0.3):
    source = drawn(4)
    weights = {name: p for name, p in model.named_parameters() if p.dim() == 2 and "embedding" not in name}
    return Masks({name: torch.rand(p.shape, generator=source) < density for name, p in weights.items()})


def data(model, count=75, steps=11):
    """Labels, and symbols padded with 0, or features."""
    source = drawn(6)
    labels = torch.randint(3, (count,), generator=source)
    if model.embedding is None:
        shape = count, steps, model.recurrent.input_size
        return torch.randn(shape, generator=source, dtype=torch.float64).to(model.readout.weight.dtype), labels
    inputs = torch.randint(1, 9, (count, steps), generator=source)
    lengths = torch.randint(0, steps + 1, (count, 1), generator=source)
    return inputs * (torch.arange(steps) < lengths), labels


FORMS = {
    "dense": lambda model, masks: (copy.deepcopy(model), None),
    "masked": lambda model, masks: (masks.apply_(copy.deepcopy(model)), masks),
    "sparse": lambda model, masks: (sparsify(model, masks, "sparse"), None),
    "sparse layers": lambda model, masks: (
        sparsify(model, {n: m for n, m in masks.items() if "recurrent" in n}, "sparse"),
        None,
    ),
}


def both_ways(model, make, form="sparse", **options):
    """What is trained, its optimizer and its history: natively, and by autograd."""
    found, masks = [], masks_of(model)
    for fused in (None, False):
        ours, own = FORMS[form](model, masks)
        optimizer = make(list(ours.parameters()))
        if own is not None:
            optimizer = SparseOptimizer(optimizer, ours, own)
        history = fit(ours, data(model), optimizer=optimizer, epochs=2, batch_size=20, fused=fused, **options)
        found.append((ours, optimizer, history))
    return found


def numbers_of(model, optimizer):
    """Weights, and the optimizer's memory."""
    inner = optimizer.inner if isinstance(optimizer, SparseOptimizer) else optimizer
    memory = [inner.state.get(parameter, {}) for parameter in model.parameters()]
    kept = [value for state in memory for value in state.values() if isinstance(value, torch.Tensor)]
    return [parameter.detach() for parameter in model.parameters()], kept


def apart(ours, theirs):
    return max(
        float((one - other).abs().max() / other.abs().max().clamp(min=1e-30)) if one.numel() else 0.0
        for one, other in zip(ours, theirs, strict=True)
    )


def check_alike(found, dtype, route="native"):
    (ours, optimizer, quick), (theirs, other, slow) = found
    assert [epoch.route for epoch in quick.epochs] == [route] * len(slow.epochs)
    (weights, memory), (others, others_memory) = numbers_of(ours, optimizer), numbers_of(theirs, other)
    assert apart(weights, others) <= TOLERANCE[dtype]
    assert not memory or apart(memory, others_memory) <= 30 * TOLERANCE[dtype]
    assert quick.loss == pytest.approx(slow.loss, rel=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_ends_where_autograd_ends(cell, form, dtype):
    for symbols in (None, 9):
        check_alike(both_ways(classifier(cell, dtype, symbols), OPTIMIZERS["SGD"], form), dtype)


@pytest.mark.parametrize("form", ["dense", "masked", "sparse"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_part_of_the_step(name, form):
    check_alike(both_ways(classifier(), OPTIMIZERS[name], form), torch.float64)


@pytest.mark.parametrize("form", ["dense", "masked", "sparse"])
@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("options", [
    {"padding": None},
    {"reads_padding": True},
    {"bias": False},
    {"bidirectional": True},
    {"symbols": None, "bidirectional": True},
])  # fmt: skip
def test_every_kind_of_model(options, watched, form):
    seen = []
    report = (lambda *step: seen.append(step)) if watched else None
    found = both_ways(classifier("lstm", **options), OPTIMIZERS["Adam"], form, progress=report)
    check_alike(found, torch.float64, "gradients" if watched and form == "masked" else "native")
    assert len(seen) == (16 if watched else 0)


@pytest.mark.parametrize("norm", [0.05, 100.0])
def test_gradients_are_clipped_as_torch_does(norm):
    for form, route in (("dense", "native"), ("sparse", "native"), ("masked", "gradients")):
        check_alike(both_ways(classifier(), OPTIMIZERS["SGD"], form, clip_norm=norm), torch.float64, route)


def test_what_is_frozen_stays():
    model = classifier("lstm")
    model.embedding.weight.requires_grad_(False)
    model.recurrent.weight_hh_l0.requires_grad_(False)
    model.readout.bias.requires_grad_(False)
    found = both_ways(model, OPTIMIZERS["Adam"], "sparse")
    check_alike(found, torch.float64)
    assert torch.equal(found[0][0].embedding.weight, model.embedding.weight)


def test_a_symbol_without_gradient_stays():
    model = classifier(padding=None)
    model.embedding.padding_idx = 0
    found = both_ways(model, OPTIMIZERS["SGD"], "sparse")
    check_alike(found, torch.float64)
    assert torch.equal(found[0][0].embedding.weight[0], model.embedding.weight[0])


def test_other_optimizers_get_gradients():
    found = both_ways(classifier(), torch.optim.RMSprop, "sparse")
    check_alike(found, torch.float64, "gradients")


@pytest.mark.parametrize("form", ["dense", "masked", "sparse"])
@pytest.mark.parametrize("row", [0, 50])
def test_a_loss_that_is_not_finite_ends_the_training_before_the_step(form, row):
    model, ends = classifier("relu", symbols=None), []
    inputs, labels = data(model)
    inputs[row] = math.nan
    masks = masks_of(model)
    for fused in (None, False):
        ours, own = FORMS[form](model, masks)
        with pytest.raises(DivergedError) as error:
            fit(ours, (inputs, labels), optimizer=OPTIMIZERS["Adam"], masks=own, epochs=1, batch_size=10, fused=fused)
        ends.append(([p.detach() for p in ours.parameters()], str(error.value)[:60]))
    assert apart(ends[0][0], ends[1][0]) <= 1e-10
    assert ends[0][1] == ends[1][1]


@pytest.mark.parametrize("form", ["dense", "masked", "sparse"])
@pytest.mark.parametrize("what", ["label", "symbol"])
def test_what_is_no_label_or_symbol_is_torchs_error(form, what):
    model = classifier()
    inputs, labels = data(model)
    (labels if what == "label" else inputs)[60] = 9
    ours, own = FORMS[form](model, masks_of(model))
    with pytest.raises(IndexError, match="out of"):
        fit(ours, (inputs, labels), optimizer=OPTIMIZERS["SGD"], masks=own, epochs=1, batch_size=10)


@pytest.mark.parametrize("form", ["masked", "sparse"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_network_is_trained_alike_whoever_runs_beside_it(threads, form):
    """And beside a chain, and on however many threads."""

    def several():
        models = [classifier(cell, torch.float32) for cell in CELLS]
        made = [FORMS[form](model, masks_of(model)) for model in models]
        return [model for model, _ in made], [masks for _, masks in made]

    options = {"optimizer": OPTIMIZERS["Adam"], "epochs": 2, "batch_size": 40}
    (models, masks), (alone, _) = several(), several()
    torch.set_num_threads(threads)
    histories = replicate(models, data(models[0]), masks=masks, **options)
    torch.set_num_threads(3 - threads)
    for model, mask, history, beside in zip(alone, masks, histories, models, strict=True):
        assert fit(model, data(model), masks=mask, **options).loss == history.loss
        assert all(map(torch.equal, model.parameters(), beside.parameters()))


REASONS = {
    "dropout": (lambda m: setattr(m.recurrent, "dropout", 0.5), "dropout"),
    "a hook": (lambda m: m.readout.register_forward_hook(lambda *_: None), "has hooks"),
    "another layer": (lambda m: setattr(m, "readout", nn.Identity()), "not the usual ones"),
    "steps first": (lambda m: setattr(m.recurrent, "batch_first", False), "not batch_first"),
    "a norm": (lambda m: setattr(m.embedding, "max_norm", 1.0), "embedding"),
}


@pytest.mark.parametrize("name", REASONS)
def test_why_it_is_not_taken(name):
    change, reason = REASONS[name]
    model = classifier()
    assert not list(against_recurrent(model))
    assert choose(model, OPTIMIZERS["SGD"](model.parameters())).route == "native"
    change(model)
    choice = choose(model, OPTIMIZERS["SGD"](model.parameters()))
    assert choice.route == "autograd"
    assert reason in choice.reason


def test_large_dense_networks_are_torchs():
    model = SequenceClassifier("lstm", 50, 200)
    assert "dense weights" in choose(model, OPTIMIZERS["SGD"](model.parameters())).reason
    masked = sparsify(model, masks_of(model, 0.05), "sparse")
    assert choose(masked, OPTIMIZERS["SGD"](masked.parameters())).route == "native"
    assert Recurrent(masked).is_sparse


def test_masked_vectors_of_symbols_are_left_to_autograd():
    model = classifier()
    masks = Masks({**masks_of(model), "embedding.weight": torch.ones(9, 6, dtype=torch.bool)})
    optimizer = SparseOptimizer(OPTIMIZERS["SGD"](model.parameters()), model, masks)
    assert "no weight of a layer" in choose(model, optimizer, whole_epochs=True).reason
