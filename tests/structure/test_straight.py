import pytest
import torch
from torch import nn

from sparsewire.structure.straight import straighten_


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Tanh(), (4, 5)),
        (nn.Softmax(1), (4, 5)),
        (nn.ELU(inplace=True), (4, 5)),
        (nn.ReLU(), (4, 5)),
        (nn.LayerNorm(5), (4, 5)),
        (nn.LayerNorm(5, elementwise_affine=False), (4, 5)),
        (nn.GroupNorm(2, 4), (3, 4, 6)),
        (nn.InstanceNorm1d(4, affine=True), (3, 4, 6)),
        (nn.BatchNorm1d(4, track_running_stats=False), (3, 4, 6)),
        (nn.GRU(3, 4, bias=False), (5, 2, 3)),
        (nn.GRU(3, 4, bias=False), (5, 3)),
        (nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True, bias=False), (2, 5, 3)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_twice_the_input_is_twice_the_output_in_the_shapes_as_before(module, shape):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(0, 1, generator=torch.Generator().manual_seed(0))
    inputs = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    before = _tensors(module(inputs.clone()))
    straight = straighten_(module)
    kept = inputs.clone()
    one, two = _tensors(straight(inputs)), _tensors(straight(2 * inputs))
    assert torch.equal(inputs, kept)
    assert [part.shape for part in one] == [part.shape for part in before]
    for single, double in zip(one, two, strict=True):
        torch.testing.assert_close(double, 2 * single)


def _tensors(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [part for output in outputs for part in _tensors(output)]


@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 4)])
@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_is_the_product_of_its_parts(batch_first, shape):
    module = nn.MultiheadAttention(4, 2, batch_first=batch_first, bias=False)
    inputs = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    before = module(inputs, inputs, inputs)
    found, weights = straighten_(module)(inputs, key=inputs, value=inputs)
    assert found.shape == before[0].shape
    assert torch.equal(weights, before[1])
    rows = inputs if len(shape) == 2 else inputs[0] if batch_first else inputs[:, 0]
    query, key, value = (rows @ part.T for part in module.in_proj_weight.detach().chunk(3))
    heads = [query[:, at] @ key[:, at].T @ value[:, at] / (2**0.5 * len(rows)) for at in (slice(0, 2), slice(2, 4))]
    expected = torch.cat(heads, 1) @ module.out_proj.weight.detach().T
    one = found if len(shape) == 2 else found[0] if batch_first else found[:, 0]
    torch.testing.assert_close(one.detach(), expected)


def test_a_packed_sequence_is_as_it_was():
    module = nn.GRU(3, 4, batch_first=True)
    packed = nn.utils.rnn.pack_padded_sequence(torch.ones(1, 5, 3), [5], batch_first=True)
    before = module(packed)[0].data
    assert torch.equal(straighten_(module)(packed)[0].data, before)


def test_embeddings_give_ones():
    assert straighten_(nn.Embedding(5, 3))(torch.tensor([[1, 2]])).eq(1).all()


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize(("shape", "batch_first"), [((5, 2, 3), False), ((2, 5, 3), True), ((5, 3), False)])
def test_a_recurrence_goes_on_from_the_state_that_it_is_given(kind, shape, batch_first):
    module = straighten_(kind(3, 4, 2, batch_first=batch_first, bidirectional=True, bias=False))
    inputs = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    state = torch.rand((4, 2, 4) if len(shape) == 3 else (4, 4), generator=torch.Generator().manual_seed(2))
    given = (state, state) if kind is nn.LSTM else state
    none = torch.zeros_like(inputs)
    out, _ = module(inputs, given)
    torch.testing.assert_close(out, module(inputs)[0] + module(none, given)[0])
    torch.testing.assert_close(module(none, hx=given)[0], module(none, given)[0])
    assert module(none, given)[0].abs().min() > 0


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_a_projected_recurrence_goes_on_from_its_projected_state():
    module = straighten_(nn.LSTM(3, 4, proj_size=2, bias=False))
    before = torch.ones(1, 1, 2), torch.ones(1, 1, 4)
    assert module(torch.zeros(1, 1, 3), before)[0].shape == (1, 1, 2)
    assert module(torch.zeros(1, 1, 3), before)[0].abs().min() > 0


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_a_cell_takes_its_state_by_name_too(kind):
    cell = straighten_(kind(3, 4, bias=False))
    state = torch.rand(2, 4, generator=torch.Generator().manual_seed(2))
    given = (state, state) if kind is nn.LSTMCell else state
    named, placed = cell(torch.zeros(2, 3), hx=given), cell(torch.zeros(2, 3), given)
    assert torch.equal(_tensors(named)[0], _tensors(placed)[0])
    assert _tensors(named)[0].abs().min() > 0
