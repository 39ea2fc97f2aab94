import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.search.genomes import EXAMPLES, genomes, labelled

from sparsewire.analysis.cost import cost_table
from sparsewire.errors import RequestError
from sparsewire.search.building import phenotype
from sparsewire.search.costing import genome_cost
from sparsewire.search.shaping import shapes


def counted(genome, shape, classes, batch=2):
    """Parameters and multiply-adds by hooks, shapes by hooks, and the bytes that autograd says it keeps."""
    model = phenotype(genome, shape, classes)
    images = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(1))
    made, kept = {}, {}
    weights = {parameter.data_ptr() for parameter in model.parameters()}

    def note(place, output):
        made[place] = tuple(output.shape[1:])

    def keep(tensor):
        is_image = tensor.shape == images.shape and torch.equal(tensor, images)
        is_map = tensor.dim() == 4 or tensor.shape == (batch, model.head.in_features)
        if is_map and not is_image and tensor.data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that the place stays its own
        return tensor

    for place, vertex in enumerate(model.vertices):
        vertex.register_forward_hook(lambda _, __, output, place=place: note(place, output))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = model(images)
    del logits
    table = cost_table(model, example=images)
    size = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    return [made[place] for place in range(len(genome))], table.parameters, table.multiply_adds, size / batch


def assert_exact(genome, shape, classes):
    cost = genome_cost(genome, shape, classes)
    made, parameters, multiply_adds, kept = counted(genome, shape, classes)
    assert tuple(made) == shapes(genome, shape) == tuple(vertex.shape for vertex in cost.vertices)
    assert (cost.parameters, cost.multiply_adds, cost.activation_bytes) == (parameters, multiply_adds, kept)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("shape", [(3, 20, 17), (1, 8, 8)], ids=str)
def test_costs_are_those_of_the_network(name, shape):
    assert_exact(EXAMPLES[name], shape, 10)


@settings(deadline=None, max_examples=60)
@given(genome=genomes(), shape=st.tuples(st.integers(1, 3), st.integers(2, 20), st.integers(2, 20)))
def test_costs_of_any_genome_are_those_of_its_network(genome, shape):
    assert_exact(genome, shape, 4)


def test_costs_worked_out_by_hand():
    # 1 × 8 × 8 → conv3:2 → max_pool: 2 × 4 × 4; their sum: 2 × 8 × 8 without a projection
    cost = genome_cost(EXAMPLES["triangle"], (1, 8, 8), 3)
    assert cost.vertices[0] == ("conv3", (16, 8, 8), 9 * 16 + 32, 9 * 16 * 64, 4 * 2 * 16 * 64)
    assert cost.vertices[1] == ("max_pool", (16, 4, 4), 0, 0, 8 * 16 * 16)
    assert cost.vertices[2] == ("sum", (16, 8, 8), 0, 0, 0)
    assert cost.parameters == 9 * 16 + 32 + 16 * 3 + 3
    assert cost.multiply_adds == 9 * 16 * 64 + 16 * 3
    assert cost.activation_bytes == 4 * 2 * 16 * 64 + 8 * 16 * 16 + 4 * 16
    assert cost.largest_bytes == 4 * 16 * 64


def test_a_projection_costs_at_the_size_of_its_own_map():
    genome = labelled("conv3:2 max_pool conv3:4 sum", (0, 1), (0, 2), (1, 3), (2, 3))
    row = genome_cost(genome, (1, 8, 8), 3).vertices[3]
    assert (row.parameters, row.multiply_adds) == (2 * 4, 2 * 4 * 4 * 4)


def test_memory_of_training_grows_with_the_batch():
    cost = genome_cost(EXAMPLES["deep"], (3, 32, 32), 10)
    one, two, three = (cost.training_bytes(batch) for batch in (1, 2, 3))
    assert three - two == two - one == cost.activation_bytes + 3 * cost.largest_bytes
    assert one - (two - one) == 16 * cost.parameters
    with pytest.raises(RequestError, match="batch: found 0"):
        cost.training_bytes(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, (3, 8, 8), 10), "genome: found NoneType"),
        ((EXAMPLES["chain"], (3, 8), 10), "input_shape: found"),
        ((EXAMPLES["chain"], (3, 8, 8), float("nan")), "classes: found nan"),
        ((EXAMPLES["chain"], (3, 8, 8), -1), "classes: found -1"),
    ],
)
def test_mistakes_are_told(arguments, message):
    with pytest.raises(RequestError, match=message):
        genome_cost(*arguments)
