import copy
import io

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.recurrent import SparseGRU, SparseLSTM, SparseRNN
from sparsewire.kernels import native

LAYERS = [
    (nn.RNN, SparseRNN, {"nonlinearity": "tanh"}),
    (nn.RNN, SparseRNN, {"nonlinearity": "relu"}),
    (nn.GRU, SparseGRU, {}),
    (nn.LSTM, SparseLSTM, {}),
]
every_layer = pytest.mark.parametrize(("dense_class", "sparse_class", "options"), LAYERS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pair_of(dense_class, sparse_class, density=0.4, seed=0, **options):
    """A dense layer whose weights are masked, the sparse layer made of it, and the masks."""
    options = {"num_layers": 2, "dtype": torch.float64, **options}
    dense, g = dense_class(3, 5, **options), generator(seed)
    masks = {}
    with torch.no_grad():
        for name, parameter in dense.named_parameters():
            parameter.normal_(generator=g)
            if name.startswith("weight"):
                masks[name] = torch.rand(parameter.shape, generator=g) < density
                parameter *= masks[name]
    return dense, sparse_class.from_dense(dense, masks), masks


def flat(result):
    """The tensors of a result, whatever its form."""
    if isinstance(result, torch.Tensor):
        return [result]
    return [tensor for part in result if part is not None for tensor in flat(part)]


def assert_close(ours, theirs):
    for one, other in zip(flat(ours), flat(theirs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def states(dense, batch):
    shape = (dense.num_layers * (1 + dense.bidirectional), *batch, 5)
    h, c = torch.randn(2, *shape, dtype=torch.float64, generator=generator(3))
    return (h, c) if isinstance(dense, nn.LSTM) else h


@every_layer
@pytest.mark.parametrize("form", [{}, {"batch_first": True}, {"bidirectional": True}, {"bias": False}], ids=str)
def test_results_and_gradients_are_those_of_the_masked_layer(dense_class, sparse_class, options, form):
    dense, sparse, masks = pair_of(dense_class, sparse_class, **options, **form)
    x = torch.randn(4, 6, 3, dtype=torch.float64, generator=generator(2))
    hx = states(dense, (4 if dense.batch_first else 6,))
    for given in (None, hx):
        ours, theirs = sparse(x, given), dense(x, given)
        assert_close(ours, theirs)
        for layer, result in ((sparse, ours), (dense, theirs)):
            layer.zero_grad()
            sum(tensor.square().sum() for tensor in flat(result)).backward()
        for name, parameter in dense.named_parameters():
            expected = parameter.grad
            if name in masks:
                expected = sparse.junction(name).values_of(expected)
            torch.testing.assert_close(sparse.get_parameter(name).grad, expected, rtol=1e-9, atol=1e-9)


@every_layer
@pytest.mark.parametrize("sorted_already", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_packed_sequences(dense_class, sparse_class, options, sorted_already, batch_first):
    dense, sparse, _ = pair_of(dense_class, sparse_class, batch_first=batch_first, bidirectional=True, **options)
    lengths = torch.tensor([6, 4, 1] if sorted_already else [4, 1, 6])
    x = torch.randn(*((3, 6, 3) if batch_first else (6, 3, 3)), dtype=torch.float64, generator=generator(2))
    packed = pack_padded_sequence(x, lengths, batch_first, enforce_sorted=sorted_already)
    assert_close(sparse(packed, states(dense, (3,))), dense(packed, states(dense, (3,))))
    output, hn = sparse(x, lengths=lengths)
    expected, expected_hn = sparse(packed)
    assert_close(hn, expected_hn)
    assert_close(pack_padded_sequence(output, lengths, batch_first, enforce_sorted=sorted_already), expected)


@every_layer
def test_a_sequence_without_batch(dense_class, sparse_class, options):
    for batch_first in (False, True):
        dense, sparse, _ = pair_of(dense_class, sparse_class, batch_first=batch_first, **options)
        x = torch.randn(6, 3, dtype=torch.float64, generator=generator(2))
        assert_close(sparse(x), dense(x))
        assert_close(sparse(x, states(dense, ())), dense(x, states(dense, ())))


@every_layer
def test_to_dense_is_the_way_back(dense_class, sparse_class, options):
    dense, sparse, _ = pair_of(dense_class, sparse_class, bidirectional=True, batch_first=True, **options)
    dense.bias_ih_l0.requires_grad_(False)
    sparse = sparse_class.from_dense(dense.eval(), {name: sparse.mask_of(name) for name in sparse.junctions})
    back = sparse.to_dense()
    assert repr(back) == repr(dense)
    assert not back.training
    for name, parameter in dense.named_parameters():
        assert torch.equal(back.get_parameter(name), parameter)
        assert back.get_parameter(name).requires_grad == parameter.requires_grad
    x = torch.ones(2, 3, 3, dtype=torch.float64)
    assert_close(back(x), dense(x))


@every_layer
def test_without_masks_everything_exists_and_begins_as_in_torch(dense_class, sparse_class, options):
    layer = sparse_class(3, 16, 2, bidirectional=True, generator=generator(), **options)
    dense = dense_class(3, 16, 2, bidirectional=True, **options)
    assert [name for name, _ in layer.named_parameters()] == [name for name, _ in dense.named_parameters()]
    for name, parameter in dense.named_parameters():
        ours = layer.get_parameter(name)
        assert ours.numel() == parameter.numel()
        assert 0.2 < ours.abs().max() <= 0.25  # 1 / √16


def test_a_sparser_row_begins_with_larger_weights():
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[:, :2] = True
    layer = SparseRNN(3, 8, masks={"weight_hh_l0": mask}, generator=generator())
    assert layer.weight_hh_l0.shape == (16,)
    assert 8**-0.5 < layer.weight_hh_l0.abs().max() <= 2 * 8**-0.5


def test_another_structure_is_used_at_once():
    _, layer, _ = pair_of(nn.GRU, SparseGRU)
    x = torch.ones(4, 2, 3, dtype=torch.float64)
    layer(x)
    mask = torch.rand(15, 5, generator=generator(7)) < 0.5
    layer.restructure_("weight_hh_l1", mask)
    assert_close(layer(x), layer.to_dense()(x))
    assert torch.equal(layer.mask_of("weight_hh_l1"), mask)


def test_copies_and_states_travel():
    _, layer, _ = pair_of(nn.LSTM, SparseLSTM)
    x = torch.ones(4, 2, 3, dtype=torch.float64)
    expected = layer(x)
    assert_close(copy.deepcopy(layer)(x), expected)
    other = SparseLSTM(3, 5, 2, dtype=torch.float64)
    other.load_state_dict(layer.state_dict())
    assert_close(other(x), expected)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    assert_close(torch.load(file, weights_only=False)(x), expected)
    assert layer.float()(x.float())[0].dtype == torch.float32


@every_layer
def test_dense_gradients_where_they_are_wanted(dense_class, sparse_class, options):
    dense, sparse, masks = pair_of(dense_class, sparse_class, **options)
    x = torch.randn(4, 6, 3, dtype=torch.float64, generator=generator(2))
    dense(x)[0].square().sum().backward()
    sparse.wants_dense_gradients = True
    sparse(x)[0].square().sum().backward()
    for name in masks:
        expected = dense.get_parameter(name).grad
        torch.testing.assert_close(sparse.dense_gradients[name], expected)
        torch.testing.assert_close(sparse.get_parameter(name).grad, sparse.junction(name).values_of(expected))


@pytest.mark.skipif(not native.is_at_hand(), reason="there is no native library")
def test_exported_and_compiled():
    _, layer, _ = pair_of(nn.LSTM, SparseLSTM)
    x = torch.randn(4, 6, 3, dtype=torch.float64, generator=generator(2))
    assert_close(torch.export.export(layer, (x,)).module()(x), layer(x))
    assert_close(torch.compile(layer, backend="aot_eager", fullgraph=True)(x), layer(x))


def test_it_learns():
    layer, g = (
        SparseGRU(2, 8, masks={"weight_hh_l0": torch.rand(24, 8, generator=generator()) < 0.3}, generator=generator()),
        generator(1),
    )
    readout = nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *readout.parameters()], lr=0.02)
    losses = []
    for _ in range(60):
        x = torch.randn(5, 32, 2, generator=g)
        loss = (readout(layer(x)[1][0])[:, 0] - x[-1, :, 0] + x[-2, :, 1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SparseLSTM(3, 5, dropout=0.1), "dropout of SparseLSTM: found 0.1, expected 0"),
        (lambda: SparseLSTM(3, 5, proj_size=2), "proj_size of SparseLSTM: found 2"),
        (lambda: SparseGRU(3, 0), "hidden_size: found 0"),
        (lambda: SparseGRU(3, 5, masks={"weight_ih_l0": torch.ones(5, 3).bool()}), r"expected \(15, 3\)"),
        (lambda: SparseGRU(3, 5, masks={"weight_ih_l0": torch.ones(15, 3)}), "torch.bool"),
        (lambda: SparseGRU.from_dense(nn.RNN(3, 5)), "module: found RNN, expected torch.nn.GRU"),
        (lambda: SparseLSTM.from_dense(nn.LSTM(3, 5, proj_size=2)), "proj_size of this LSTM: found 2"),
        (lambda: SparseGRU(3, 5)(torch.zeros(2, 2, 4)), r"x: found shape \(2, 2, 4\)"),
        (lambda: SparseGRU(3, 5)(torch.zeros(4)), r"input: found shape \(4,\)"),
        (lambda: SparseGRU(3, 5)(torch.zeros(2, 2, 3), lengths=torch.tensor([0, 2])), "found 0 to 2, expected 1 to 2"),
        (lambda: SparseGRU(3, 5)(torch.zeros(2, 2, 3), lengths=torch.tensor([2])), r"lengths: .* shape \(1,\)"),
        (lambda: SparseGRU(3, 5)(torch.zeros(2, 3), lengths=torch.tensor([2])), "without batch"),
        (lambda: SparseGRU(3, 5)(torch.zeros(2, 3), torch.zeros(1, 1, 5)), "hx: found shape"),
        (lambda: SparseLSTM(3, 5)(torch.zeros(2, 2, 3), torch.zeros(1, 2, 5)), "hx: found Tensor, expected a pair"),
        (lambda: SparseGRU(3, 5)(torch.zeros(2, 2, 3), (torch.zeros(1),) * 2), "hx: found tuple, expected a tensor"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(RequestError, match=message):
        make()


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'weight_hh_l0'"):
        SparseGRU(3, 5, masks={"weight_hh_10": torch.ones(15, 5).bool()})
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        SparseRNN(3, 5, nonlinearity="rellu")


def test_it_shows_what_it_is():
    mask = torch.eye(5).bool()
    layer = SparseRNN(5, 5, 1, "relu", batch_first=True, masks={"weight_hh_l0": mask, "weight_ih_l0": mask})
    assert repr(layer) == "SparseRNN(5, 5, nonlinearity=relu, batch_first=True, density=0.2)"
