import copy
import importlib.util
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from tests.search.genomes import EXAMPLES, genomes, labelled
from torch import nn
from torch.nn import functional

from sparsewire.errors import RequestError
from sparsewire.execution.convert import sparsify
from sparsewire.execution.export import export_onnx
from sparsewire.search.building import phenotype
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import prune
from sparsewire.training.loop import fit

needs_onnx = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="needs pip install 'sparsewire[export]'",
)

# Everything at once: two sources and two sinks, unequal maps in a sum, a concatenation and a convolution.
BUSY = labelled(
    "conv3:8 max_pool conv5:4 sum avg_pool concat conv7:4 skip max_pool",
    (0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (0, 5), (4, 5), (5, 6), (6, 7), (1, 7), (2, 8),
)  # fmt: skip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images_of(*shape, count=3):
    return torch.randn(count, *shape, generator=generator(1))


def shaken(model):
    """The model with running statistics that are not 0 and 1, for evaluation."""
    chance = generator(2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.num_features, generator=chance))
            module.running_var.copy_(torch.rand(module.num_features, generator=chance) + 0.5)
    return model.eval()


def plainly(genome, state, images):
    """What the network computes, vertex by vertex: sides are halved one by one until they fit."""

    def halved(maps, height, width):
        while maps.shape[2] > height:
            maps = functional.max_pool2d(maps, (2, 1))
        while maps.shape[3] > width:
            maps = functional.max_pool2d(maps, (1, 2))
        return maps

    made = []
    for place, (vertex, before) in enumerate(zip(genome.vertices, genome.predecessors, strict=True)):
        read = [made[one] for one in before] or [images]
        sides = [(maps.shape[2], maps.shape[3]) for maps in read]
        if vertex.operation == "sum":
            shape = [max(maps.shape[axis] for maps in read) for axis in (1, 2, 3)]
            total = torch.zeros(len(images), *shape)
            for number, maps in enumerate(read):
                weight = state.get(f"vertices.{place}.projections.{number}.weight")
                assert (weight is None) == (maps.shape[1] == shape[0])
                part = maps if weight is None else functional.conv2d(maps, weight)
                total[:, :, : part.shape[2], : part.shape[3]] += part
            made.append(total)
            continue
        stack = torch.cat([halved(maps, min(h for h, _ in sides), min(w for _, w in sides)) for maps in read], 1)
        if vertex.channels:
            own = {name: state[f"vertices.{place}.{name}"] for name in ("convolution.weight", "norm.weight")}
            own |= {name: state[f"vertices.{place}.norm.{name}"] for name in ("bias", "running_mean", "running_var")}
            stack = functional.conv2d(stack, own["convolution.weight"], padding="same")
            stack = functional.batch_norm(
                stack, own["running_mean"], own["running_var"], own["norm.weight"], own["bias"]
            ).relu()
        elif vertex.operation.endswith("_pool"):
            is_large = [side > 4 for side in stack.shape[2:]]
            arguments = [tuple(a if large else b for large in is_large) for a, b in ((2, 3), (2, 1), (0, 1))]
            if vertex.operation == "max_pool":
                stack = functional.max_pool2d(stack, *arguments)
            else:
                stack = functional.avg_pool2d(stack, *arguments, count_include_pad=False)
        made.append(stack)
    features = torch.cat([made[place].mean((2, 3)) for place in genome.sinks], 1)
    return functional.linear(features, state["head.weight"], state["head.bias"])


@pytest.mark.parametrize("genome", [*EXAMPLES.values(), BUSY], ids=[*EXAMPLES, "busy"])
@pytest.mark.parametrize("shape", [(3, 28, 30), (1, 8, 8), (2, 1, 5)], ids=str)
def test_a_network_is_its_genome_read_vertex_by_vertex(genome, shape):
    model, images = shaken(phenotype(genome, shape, 5)), images_of(*shape)
    torch.testing.assert_close(model(images), plainly(genome, model.state_dict(), images))


@settings(deadline=None, max_examples=40)
@given(genome=genomes())
def test_any_genome_is_a_network_that_learns(genome):
    model, images = phenotype(genome, (2, 9, 6), 4), images_of(2, 9, 6)
    functional.cross_entropy(model(images), torch.tensor([0, 1, 3])).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    torch.testing.assert_close(shaken(model)(images), plainly(genome, model.state_dict(), images))


def test_maps_are_forgotten_when_nobody_reads_them_again():
    model = phenotype(BUSY, (1, 8, 8), 3)
    forgotten = [place for done in model.done for place in done]
    assert sorted([*forgotten, *model.sinks]) == list(range(len(BUSY)))
    for here, done in enumerate(model.done):
        assert all(max(BUSY.successors[place]) == here for place in done)


def test_weights_come_from_the_generator_and_the_global_seed_is_left_alone():
    before = torch.random.get_rng_state()
    same, again, other, default = (
        phenotype(BUSY, (3, 8, 8), 4, generator=chance).state_dict()
        for chance in (generator(0), generator(0), generator(1), None)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    for name, weight in same.items():
        assert torch.equal(weight, again[name])
        assert torch.equal(weight, default[name])
    assert not torch.equal(same["vertices.0.convolution.weight"], other["vertices.0.convolution.weight"])


def test_copies_and_states_are_the_same_network():
    model, images = shaken(phenotype(BUSY, (3, 9, 8), 4)), images_of(3, 9, 8)
    other = phenotype(BUSY, (3, 9, 8), 4, generator=generator(7)).eval()
    other.load_state_dict(model.state_dict())
    for twin in (copy.deepcopy(model), other):
        assert twin.genome == BUSY
        assert torch.equal(twin(images), model(images))


def test_masks_pruning_and_sparse_layers_apply():
    model, images = shaken(phenotype(BUSY, (3, 12, 12), 4)), images_of(3, 12, 12)
    names = [
        f"vertices.{name}.weight" for name in ("0.convolution", "2.convolution", "3.projections.1", "6.convolution")
    ]
    assert list(Masks.from_model(model)) == [*names, "head.weight"]
    masks = prune(model, density=0.25, score="magnitude")
    masks.apply_(model)
    sparse = sparsify(model, masks, plan="sparse")
    torch.testing.assert_close(sparse(images), model(images))


def test_training_with_masks_learns_and_keeps_them():
    chance = generator()
    labels = torch.randint(2, (60,), generator=chance)
    images = torch.randn(60, 1, 8, 8, generator=chance) + labels[:, None, None, None]
    model = phenotype(labelled("conv3:4 max_pool conv3:4 sum", (0, 1), (1, 2), (0, 3), (2, 3)), (1, 8, 8), 2)
    masks = prune(model, density=0.5, score="magnitude")
    adam = partial(torch.optim.Adam, lr=0.02)
    history = fit(model, (images, labels), optimizer=adam, epochs=5, batch_size=10, masks=masks)
    assert history.loss[-1] < 0.8 * history.loss[0]
    assert all((weight[~masks[name]] == 0).all() for name, weight in masks.weights_of(model).items())


def test_compiling_and_exporting_give_the_same_numbers():
    model, images = shaken(phenotype(BUSY, (2, 9, 8), 4)), images_of(2, 9, 8)
    expected = model(images)
    torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(images), expected)
    program = torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.testing.assert_close(program.module()(images[:2]), expected[:2])


@needs_onnx
def test_an_onnx_file_computes_the_same(tmp_path):
    difference = export_onnx(phenotype(BUSY, (2, 9, 8), 4), images_of(2, 9, 8), tmp_path / "net.onnx")
    assert difference < 1e-5


def test_a_network_of_half_precision_runs():
    model = phenotype(BUSY, (1, 8, 8), 4).bfloat16().eval()
    assert model(images_of(1, 8, 8).bfloat16()).isfinite().all()


def doubling(times):
    """Each concatenation reads two copies of the one before."""
    names = "conv3:64 " + "skip skip concat " * times
    edges = [
        edge
        for at in range(0, 3 * times, 3)
        for edge in ((at, at + 1), (at, at + 2), (at + 1, at + 3), (at + 2, at + 3))
    ]
    return labelled(names, *edges)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"genome": "conv3"}, "genome: found str, expected a Genome"),
        ({"input_shape": (3, 8)}, "input_shape: found"),
        ({"input_shape": (3, 8, -1)}, "width: found -1"),
        ({"classes": 0}, "classes: found 0, expected a whole number of at least 1"),
        ({"classes": True}, "classes: found True"),
        ({"classes": 2.5}, "classes: found 2.5"),
        ({"generator": 3}, "generator: found 3"),
        (
            {"genome": doubling(25)},
            "genome: found one of .* parameters, expected at most 1,073,741,824; see check_limits",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(change, message):
    arguments = {"genome": BUSY, "input_shape": (3, 8, 8), "classes": 10} | change
    with pytest.raises(RequestError, match=message):
        phenotype(**arguments)
