"""Which layers of a model are its dense chain, and which requests are refused."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.linear import SparseLinear
from sparsewire.structure.chain import as_array, chain_blocks, chain_sizes, dense_chain, model_blocks, wired_part


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.last = nn.Linear(4, 3, bias=False)


@pytest.mark.parametrize(
    ("model", "names", "sizes"),
    [
        (nn.Linear(3, 2), ["weight"], (3, 2)),
        (nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 5)), ["0.weight", "2.weight"], (3, 2, 5)),
        (Nested(), ["head.0.weight", "last.weight"], (8, 4, 3)),
    ],
)
def test_models_and_their_state_dicts_have_the_same_chain(model, names, sizes):
    for form in (model, model.state_dict()):
        chain = dense_chain(form)
        assert list(chain) == names
        assert chain_sizes(chain) == sizes
        assert not any(weight.requires_grad for weight in chain.values())


def test_a_chain_holds_the_weights_themselves():
    model = nn.Linear(2, 1)
    dense_chain(model)["weight"].fill_(7)
    assert model.weight.tolist() == [[7, 7]]


def tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    return model


def mixed():
    """As a plan may leave it: without the sparse layer, the other one would look like the whole chain."""
    return nn.Sequential(SparseLinear(4, 3, torch.eye(3, 4).bool()), nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            nn.Sequential(nn.Linear(4, 3), nn.Linear(2, 1)),
            "'0.weight' has 3 outputs, but the next one, '1.weight', has 2",
        ),
        ({"a.weight": torch.ones(3, 4), "b.weight": torch.ones(1, 2)}, "'a.weight' has 3 outputs"),
        (nn.Conv2d(1, 1, 3), "found no dense layer"),
        ({"bias": torch.ones(3), "table": torch.ones(2, 2)}, "found no dense layer"),
        (
            nn.Sequential(nn.Linear(4, 4), nn.TransformerEncoderLayer(4, 2, 8), nn.Linear(4, 2)),
            "'1.self_attn' is an attention, so its dense layers are no chain",
        ),
        (mixed(), r"'0.weight' is a sparse layer's, expected dense ones; take densify\(model\)"),
        (mixed().state_dict(), "'0.weight' is a sparse layer's"),
        (tied(), "'0.weight' and '2.weight' are one tied weight"),
        ([torch.ones(2, 2)], "found list, expected an nn.Module or a state dict"),
    ],
)
def test_models_without_a_chain_are_refused(model, message):
    with pytest.raises(RequestError, match=message):
        dense_chain(model)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (torch.float32, np.float32),
        (torch.float64, np.float64),
        (torch.bfloat16, np.float32),
        (torch.float16, np.float32),
    ],
)
def test_arrays_hold_the_weights_exactly(given, expected):
    weight = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).to(given)
    array = as_array(weight.T)
    assert array.dtype == expected
    assert array.flags.c_contiguous
    assert (torch.from_numpy(array) == weight.T.to(torch.float64)).all()


def test_masks_decide_which_weights_are_edges():
    model = {"0.weight": torch.tensor([[0.0, 3.0], [4.0, 5.0]]), "1.weight": torch.tensor([[0.0, 6.0]])}
    _, blocks = chain_blocks(model, {"0.weight": torch.tensor([[True, False], [False, True]])})
    assert blocks[0, 1].indices.tolist() == [0, 1]
    assert blocks[0, 1].data.tolist() == [0, 5]  # kept, though it is zero
    assert blocks[1, 2].data.tolist() == [0, 6]  # no mask: all are kept


def test_masks_of_other_layers_are_left_aside():
    model = Nested()
    masks = {"features.0.weight": torch.zeros(2, 1, 3, 3, dtype=torch.bool)}
    assert chain_blocks(model, masks)[1][0, 1].nnz == 32


def kept(rows, columns):
    return torch.ones(rows, columns, dtype=torch.bool)


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        ({"head.weight": kept(4, 8)}, UnknownNameError, "no weight of the model is named 'head.weight'"),
        ({"last.weight": kept(4, 3)}, RequestError, r"shape \(4, 3\), expected torch.bool of shape \(3, 4\)"),
        ({"last.weight": torch.ones(3, 4)}, RequestError, "found torch.float32"),
        ({"also.weight": kept(3, 4)}, UnknownNameError, "no weight of the model is named 'also"),
    ],
)
def test_wrong_masks_are_refused(masks, error, message):
    model = Nested()
    model.also = nn.Embedding(3, 4)
    model.also.weight = model.last.weight  # tied: "last.weight" comes first and is the name
    with pytest.raises(error, match=message):
        chain_blocks(model, masks)


class Wired(nn.Module):
    """What knows its graph: two neurons, and an edge of each weight that is kept."""

    def __init__(self):
        super().__init__()
        self.between = nn.Linear(1, 1)

    def graph_blocks(self, masks=None):
        kept = torch.tensor([[True]]) if masks is None else masks["between.weight"]
        return (1, 1), {(0, 1): csr_array(kept.numpy().astype(float))}


class Wrapper(nn.Module):
    """Hands on every name, as a compiled module does."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def __getattr__(self, name):
        return super().__getattr__(name) if name == "inner" else getattr(self.inner, name)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (Wired(), ""),
        (nn.Sequential(nn.Linear(3, 1), Wired()), "1"),
        (Wrapper(Wired()), "inner"),
        (nn.Sequential(Wrapper(Wired())), "0.inner"),
    ],
)
def test_a_module_that_knows_its_graph_is_asked(model, path):
    assert wired_part(model)[0] == path
    sizes, blocks = model_blocks(model, None)
    assert (sizes, blocks[0, 1].nnz) == ((1, 1), 1)
    name = f"{path}.between.weight".removeprefix(".")
    for mask in (torch.tensor([[True]]), torch.tensor([[False]])):
        assert model_blocks(model, {name: mask})[1][0, 1].toarray() == mask.numpy()
    with pytest.raises(RequestError, match=f"model: {path!r} is wired by a graph, so it is no chain"):
        dense_chain(model)


def test_several_that_know_their_graphs_are_refused():
    with pytest.raises(RequestError, match=r"'0' and '1\.inner' are networks that a graph wired"):
        wired_part(nn.Sequential(Wired(), Wrapper(Wired())))


def test_models_without_one():
    assert wired_part(Nested()) is None
    assert wired_part(Wired().state_dict()) is None
    model = nn.Linear(3, 2)
    assert model_blocks(model, None)[0] == (3, 2)


def test_masks_of_sparse_layers_have_the_dense_shape():
    model = nn.Sequential(SparseLinear(4, 3, torch.eye(3, 4).bool()), Wired())
    masks = {"0.weight": torch.eye(3, 4).bool(), "1.between.weight": torch.tensor([[True]])}
    assert model_blocks(model, masks)[1][0, 1].nnz == 1
    with pytest.raises(RequestError, match=r"mask of '0.weight': .* expected torch.bool of shape \(3, 4\)"):
        model_blocks(model, masks | {"0.weight": torch.ones(3, dtype=torch.bool)})
