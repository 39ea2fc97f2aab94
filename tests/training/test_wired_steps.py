"""Native steps of classifiers wired by a graph through `fit` and `replicate`, against autograd."""

import copy

import pytest
import torch
from scipy.sparse import csr_array
from torch import nn

from sparsewire.errors import DivergedError
from sparsewire.kernels import native
from sparsewire.models.wired import WiredSequences, wired
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks
from sparsewire.training.fused import choose
from sparsewire.training.loop import fit
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.replicas import replicate
from sparsewire.training.wired_steps import Wired, against_wired, fits_wired

pytestmark = pytest.mark.skipif(not native.is_at_hand(), reason="the native library is not built")
TOLERANCE = {torch.float64: 1e-9, torch.float32: 3e-5}
CELLS = ["rnn_tanh", "rnn_relu", "gru", "lstm"]
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
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


def graph(sizes=(3, 4, 2, 5), density=0.6, seed=2):
    """Every layer reads all layers below it."""
    source, blocks = drawn(seed), {}
    for target in range(len(sizes)):
        for below in range(target):
            kept = torch.rand(sizes[target], sizes[below], generator=source) < density
            blocks[below, target] = csr_array(kept.double().numpy())
    return NetGraph(sizes, blocks)


def classifier(cell="gru", merge="post", dtype=torch.float64, readout="last_layer", reads_padding=False, seed=1, **own):
    network, masks = wired(graph(**own), 3, 2, cell, merge, readout, generator=drawn(seed))
    model = WiredSequences(network, 7, 0, reads_padding, generator=drawn(seed)).to(dtype)
    return model, Masks({f"network.{name}": mask for name, mask in masks.items()})


def data(count=75, steps=9):
    source = drawn(6)
    inputs = torch.randint(1, 7, (count, steps), generator=source)
    lengths = torch.randint(0, steps + 1, (count, 1), generator=source)
    return inputs * (torch.arange(steps) < lengths), torch.randint(2, (count,), generator=source)


def trained(given, make=OPTIMIZERS["Adam"], fused=None, masked=True, some=None, **options):
    model, masks = copy.deepcopy(given)
    optimizer = make(list(model.parameters()))
    if masked:
        optimizer = SparseOptimizer(optimizer, model, masks)
    options = {"epochs": 2, "batch_size": 20} | options
    return model, optimizer, fit(model, some or data(), optimizer=optimizer, fused=fused, **options)


def apart(ours, theirs):
    return max(
        float((one - other).abs().max() / other.abs().max().clamp(min=1e-8))
        for one, other in zip(ours, theirs, strict=True)
    )


def check_alike(given, route="native", **options):
    (ours, one, quick), (theirs, other, slow) = (trained(given, fused=fused, **options) for fused in (None, False))
    assert [epoch.route for epoch in quick.epochs] == [route] * len(slow.epochs)
    tolerance = TOLERANCE[next(ours.parameters()).dtype]
    assert apart([p.detach() for p in ours.parameters()], [p.detach() for p in theirs.parameters()]) <= tolerance
    memory = [
        [
            value
            for p in model.parameters()
            for value in inner.state.get(p, {}).values()
            if isinstance(value, torch.Tensor)
        ]
        for model, inner in ((ours, one), (theirs, other))
    ]
    assert not memory[0] or apart(*memory) <= 30 * tolerance
    assert quick.loss == pytest.approx(slow.loss, rel=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("merge", ["pre", "post"])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_ends_where_autograd_ends(cell, merge, dtype):
    check_alike(classifier(cell, merge, dtype))


@pytest.mark.parametrize("clip_norm", [None, 0.05])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_ends_where_torch_ends(name, clip_norm):
    route = "gradients" if name == "some" and clip_norm else "native"
    check_alike(classifier(), route, make=OPTIMIZERS[name], clip_norm=clip_norm)


@pytest.mark.parametrize(
    "own",
    [{"reads_padding": True}, {"readout": "sinks"}, {"density": 0.0}, {"sizes": (4,)}, {"sizes": (1, 1, 40)}],
    ids=str,
)
def test_padding_readouts_and_odd_graphs(own):
    for merge in ("pre", "post"):
        check_alike(classifier(merge=merge, **own), clip_norm=0.5)


def test_without_masks_and_step_by_step():
    check_alike(classifier(), masked=False)
    inputs, labels = data()
    batches = [(inputs[k : k + 20], labels[k : k + 20]) for k in range(0, 75, 20)]
    check_alike(classifier(), some=batches, clip_norm=0.1)


def test_features_instead_of_symbols():
    network, masks = wired(graph(), 3, 2, "lstm", "post", generator=drawn(1))
    inputs = torch.randn(50, 6, 3, generator=drawn(2), dtype=torch.float64)
    check_alike((network.double(), masks), some=(inputs, torch.randint(2, (50,), generator=drawn(3))))


def test_weights_outside_the_masks_stay_zero():
    model, _, _ = trained(classifier(dtype=torch.float32), make=OPTIMIZERS["momentum"], clip_norm=1.0)
    masks = classifier()[1]
    for name, parameter in model.named_parameters():
        if name in masks:
            assert not parameter.detach()[~masks[name]].any()


def test_side_by_side_is_what_each_is_alone_on_any_number_of_threads():
    given = [
        classifier(seed=seed, sizes=sizes, dtype=torch.float32)
        for seed, sizes in enumerate([(3, 2), (2, 3, 4), (5, 5)])
    ]
    alone = [trained(one, clip_norm=5.0, batch_size=10)[0] for one in given]
    for threads in (1, 2):
        torch.set_num_threads(threads)
        models = [copy.deepcopy(model) for model, _ in given]
        histories = replicate(
            models, data(), optimizer=torch.optim.Adam, epochs=0, batch_size=10, masks=[masks for _, masks in given]
        )
        assert len(histories) == 3
        replicate(
            models, data(), optimizer=lambda p: torch.optim.Adam(p, lr=0.01), epochs=2, batch_size=10, clip_norm=5.0,
            masks=[masks for _, masks in given],
        )  # fmt: skip
        for ours, theirs in zip(models, alone, strict=True):
            assert all(torch.equal(p, q) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_what_speaks_against_it():
    model, _ = classifier()
    assert not list(against_wired(model))
    assert choose(model, torch.optim.Adam(model.parameters())).route == "native"
    frozen = copy.deepcopy(model)
    frozen.network.cells[1].register_forward_hook(lambda *_: None)
    assert "hooks" in next(against_wired(frozen))
    two = copy.deepcopy(model)
    two.network.cells[1] = nn.GRU(3, 4, num_layers=2, batch_first=True).double()
    assert "several layers" in next(against_wired(two))
    other = copy.deepcopy(model)
    other.network.cells[1] = nn.Linear(3, 4).double()
    assert next(against_wired(other)) == "cell 1 is a Linear, not the usual one"
    odd = copy.deepcopy(model)
    odd.network = nn.Identity()
    assert "the network is a Identity" in next(against_wired(odd))
    special = copy.deepcopy(model)
    special.embedding.max_norm = 1.0
    assert "embedding" in next(against_wired(special))


def test_a_layer_that_nobody_reads_goes_by_autograd():
    blocks = {(0, 1): csr_array([[1.0]]), (0, 2): csr_array([[1.0]])}
    network, _ = wired(NetGraph((1, 1, 1), blocks), 3, 2, "gru", generator=drawn(0))
    assert "layer 1 is read by no cell" in next(against_wired(network))
    network, _ = wired(NetGraph((1, 1, 1), blocks), 3, 2, "gru", readout="sinks", generator=drawn(0))
    assert not list(against_wired(network))


def test_samples_that_do_not_fit():
    model, _ = classifier()
    inputs, labels = data()
    assert fits_wired(inputs, labels, Wired(model))
    assert not fits_wired(inputs, labels[:-1], Wired(model))
    assert not fits_wired(inputs.int(), labels, Wired(model))
    assert not fits_wired(inputs, labels, Wired(model.network))


def test_a_loss_that_is_not_finite_leaves_the_weights():
    model, masks = classifier("rnn_relu")
    with torch.no_grad():
        model.network.readout.weight.fill_(float("nan"))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(DivergedError):
        trained((model, masks))
    assert all(torch.equal(before[name], tensor) or tensor.isnan().any() for name, tensor in model.state_dict().items())
