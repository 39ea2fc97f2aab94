import copy
import errno
import json
import os
import resource

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from torch import nn

from sparsewire.errors import CheckpointError, RequestError, UnknownNameError
from sparsewire.structure.mask_files import FORMAT
from sparsewire.structure.masks import Masks, maskable
from sparsewire.structure.sealed_arrays import digest

A = Masks({"w": torch.tensor([[True, True], [False, False]]), "v": torch.tensor([True, False, True])})
B = Masks({"w": torch.tensor([[True, False], [True, False]]), "v": torch.tensor([False, False, True])})


def as_bool(*numbers):
    return torch.tensor(numbers) != 0


@st.composite
def some_masks(draw):
    shapes = st.lists(st.integers(0, 5), max_size=3)
    source = torch.Generator().manual_seed(draw(st.integers(0, 9999)))
    names = draw(st.lists(st.text(max_size=4).filter(lambda name: name != "__metadata__"), unique=True, max_size=3))
    return Masks({name: torch.rand(draw(shapes), generator=source) < draw(st.floats(0, 1)) for name in names})


# ---- a mapping ----


def test_is_a_mapping_in_the_order_given():
    assert list(A) == ["w", "v"]
    assert len(A) == 2
    assert "w" in A
    assert "u" not in A
    assert dict(A).keys() == {"w", "v"}


def test_counts():
    assert (A.count, A.total, A.density) == (4, 7, 4 / 7)
    assert A.densities() == {"w": 0.5, "v": 2 / 3}
    assert repr(A) == "Masks(2 weights, 4 of 7 kept, density 0.5714)"


def test_nothing_is_dense():
    assert (Masks({}).count, Masks({}).total, Masks({}).density) == (0, 0, 1.0)
    assert Masks({"w": torch.ones(0, 3, dtype=torch.bool)}).densities() == {"w": 1.0}


def test_an_unknown_name_offers_the_nearest():
    masks = Masks({"encoder.weight": torch.tensor([True])})
    with pytest.raises(UnknownNameError, match=r"no mask is named 'encoder.wieght'; did you mean 'encoder\.weight'"):
        masks["encoder.wieght"]
    with pytest.raises(KeyError):
        masks["encoder.wieght"]
    assert masks.get("encoder.wieght") is None
    assert masks.get("encoder.weight") is masks["encoder.weight"]


def test_is_frozen():
    source = torch.tensor([True, False])
    masks = Masks({"w": source})
    source.fill_(True)
    assert masks.count == 1  # a copy
    with pytest.raises(TypeError, match="does not support item assignment"):
        masks["w"] = source
    with pytest.raises(AttributeError, match="other"):
        masks.other = 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(masks)


@pytest.mark.parametrize("mask", [torch.ones(2), torch.ones(2, dtype=torch.uint8), [True], np.array([True]), None])
def test_only_bool_tensors_are_masks(mask):
    with pytest.raises(RequestError, match=r"mask of 'w': found .* expected a torch.bool tensor; try `mask != 0`"):
        Masks({"w": mask})


@pytest.mark.parametrize("masks", [None, 3, [torch.ones(2).bool()]])
def test_only_a_mapping_is_masks(masks):
    with pytest.raises(RequestError, match=r"masks: found .*, expected a mapping"):
        Masks(masks)


def test_names_are_strings():
    with pytest.raises(RequestError, match="masks: found the name 0, expected that of a parameter"):
        Masks({0: torch.ones(2, dtype=torch.bool)})


def test_lazy_weights_have_no_masks_until_they_have_a_shape():
    model = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2))
    mask = torch.ones(4, 3, dtype=torch.bool)
    for asked in (lambda: Masks.from_model(model), lambda: Masks({"0.weight": mask}).apply_(model)):
        with pytest.raises(RequestError, match=r"'0\.weight': found a lazy one without shape; call the model"):
            asked()
    Masks({"1.weight": torch.zeros(2, 4, dtype=torch.bool)}).apply_(model)
    model(torch.ones(1, 3))
    assert list(Masks.from_model(model)) == ["0.weight", "1.weight"]


@pytest.mark.parametrize("model", [None, {"0.weight": torch.ones(2, 2)}])
@pytest.mark.parametrize("use", [Masks.from_model, Masks.from_weights, A.apply_, A.weights_of])
def test_only_a_module_is_a_model(use, model):
    with pytest.raises(RequestError, match=r"model: found (NoneType|dict), expected a torch module"):
        use(model)


def test_numbers_are_not_taken_for_masks():
    with pytest.raises(RequestError, match=r"mask of 'w': found dtype torch.float32"):
        A & {name: torch.full(mask.shape, 0.5) for name, mask in A.items()}


def test_copies_are_equal_and_independent():
    copied = copy.deepcopy(A)
    assert copied == A
    assert copied["w"].data_ptr() != A["w"].data_ptr()


# ---- the algebra ----


def test_algebra_by_hand():
    both, either, one = A & B, A | B, A ^ B
    assert both == Masks({"w": as_bool([1, 0], [0, 0]), "v": as_bool(0, 0, 1)})
    assert either == Masks({"w": as_bool([1, 1], [1, 0]), "v": as_bool(1, 0, 1)})
    assert one == Masks({"w": as_bool([0, 1], [1, 0]), "v": as_bool(1, 0, 0)})
    assert A.overlap(B) == 2 / 5  # 2 in both, 5 in either


@settings(deadline=None, max_examples=60)
@given(some_masks(), st.integers(0, 999))
def test_algebra_is_that_of_sets(a, seed):
    source = torch.Generator().manual_seed(seed)
    b = Masks({name: torch.rand(mask.shape, generator=source) < 0.5 for name, mask in a.items()})
    nothing = a ^ a
    assert nothing.count == 0
    assert (a & b) | (a ^ b) == a | b
    assert (a & b).count + (a | b).count == a.count + b.count
    assert (a ^ b) ^ b == a
    assert a & a == a | a == a | nothing == a
    assert a.overlap(b) == b.overlap(a)
    assert 0 <= a.overlap(b) <= 1
    assert a.overlap(a) == nothing.overlap(nothing) == 1
    assert a.overlap(nothing) == (0 if a.count else 1)


def test_equal_needs_the_same_names_shapes_and_values():
    mask = torch.tensor([True, False])
    assert Masks({"w": mask}) != Masks({"v": mask})
    assert Masks({"w": mask}) != Masks({"w": ~mask})
    assert Masks({"w": mask}) != Masks({"w": mask[None]})
    assert Masks({"w": mask}) != {"w": mask}
    assert Masks({"w": mask, "v": mask}) == Masks({"v": mask, "w": mask})


@pytest.mark.parametrize("operation", [Masks.__and__, Masks.__or__, Masks.__xor__, Masks.overlap])
def test_masks_of_different_models_do_not_mix(operation):
    with pytest.raises(RequestError, match="masks of different models: 'v' is in one of the two only"):
        operation(A, Masks({"w": A["w"]}))
    with pytest.raises(RequestError, match=r"mask of 'v': shapes \(3,\) and \(1, 3\) differ"):
        operation(A, Masks({"w": A["w"], "v": A["v"][None]}))


def test_a_plain_mapping_combines_with_masks_and_nothing_else_does():
    assert A & dict(B) == A & B
    assert A.overlap(dict(B)) == A.overlap(B)
    for operation in (Masks.__and__, Masks.__or__, Masks.__xor__):
        assert operation(A, 3) is NotImplemented
    with pytest.raises(TypeError, match="unsupported operand"):
        A & None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_masks_on_another_device_are_combined_where_the_first_ones_are():
    there = B.to("cuda")
    assert A & there == A & B
    assert {mask.device.type for mask in (there | A).values()} == {"cuda"}
    assert there == B


def test_to_another_device_is_a_copy_with_the_same_values():
    moved = A.to("cpu")
    assert moved == A
    assert moved["w"].data_ptr() != A["w"].data_ptr()


# ---- of a model ----

LAYERS = {
    "Linear": (lambda: nn.Linear(2, 3), ["weight"]),
    "Bilinear": (lambda: nn.Bilinear(2, 3, 4), ["weight"]),
    "Conv1d": (lambda: nn.Conv1d(2, 3, 2), ["weight"]),
    "Conv2d": (lambda: nn.Conv2d(2, 4, 2, groups=2), ["weight"]),
    "Conv3d": (lambda: nn.Conv3d(1, 1, 1), ["weight"]),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 3, 2), ["weight"]),
    "RNN": (lambda: nn.RNN(2, 3, 2), ["weight_ih_l0", "weight_hh_l0", "weight_ih_l1", "weight_hh_l1"]),
    "GRU": (lambda: nn.GRU(2, 3), ["weight_ih_l0", "weight_hh_l0"]),
    "LSTM": (
        lambda: nn.LSTM(2, 3, bidirectional=True),
        ["weight_ih_l0", "weight_hh_l0", "weight_ih_l0_reverse", "weight_hh_l0_reverse"],
    ),
    "LSTMCell": (lambda: nn.LSTMCell(2, 3), ["weight_ih", "weight_hh"]),
    "attention": (lambda: nn.MultiheadAttention(4, 2), ["in_proj_weight", "out_proj.weight"]),
    "attention with other keys": (
        lambda: nn.MultiheadAttention(4, 2, kdim=2, vdim=3),
        ["q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"],
    ),
    "Embedding": (lambda: nn.Embedding(2, 3), []),
    "BatchNorm": (lambda: nn.BatchNorm2d(3), []),
    "LayerNorm": (lambda: nn.LayerNorm(3), []),
    "activation": (lambda: nn.PReLU(), []),
}


@pytest.mark.parametrize(("make", "names"), LAYERS.values(), ids=LAYERS)
def test_every_weight_matrix_and_no_bias(make, names):
    model = make()
    masks = Masks.from_model(model)
    assert list(masks) == names
    assert masks.density == 1.0
    assert {name: mask.shape for name, mask in masks.items()} == {n: model.get_parameter(n).shape for n in names}
    assert list(Masks.from_model(nn.Sequential(nn.ReLU(), nn.ModuleDict({"x": model})))) == [f"1.x.{n}" for n in names]


def tied():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    model[2].weight = model[0].weight
    return model


def test_a_tied_weight_appears_once():
    model = tied()
    assert list(maskable(model)) == ["0.weight", "1.weight"]
    masks = Masks({"0.weight": torch.eye(2).bool(), "1.weight": torch.ones(2, 2).bool()})
    masks.apply_(model)
    assert model[2].weight[0, 1] == 0
    # the other name of a tied weight is one of its names, too
    Masks({"2.weight": torch.zeros(2, 2).bool()}).apply_(model)
    assert model[0].weight.abs().sum() == 0


def test_from_weights_keeps_what_is_not_zero():
    layer = nn.Linear(4, 1)
    layer.weight.data.copy_(torch.tensor([[0.0, -0.0, 1e-45, float("nan")]]))
    assert Masks.from_weights(layer)["weight"].tolist() == [[False, False, True, True]]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999))
def test_from_weights_finds_what_was_applied(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, 4), nn.LSTM(4, 3))
    masks = Masks({name: torch.rand(weight.shape) < 0.5 for name, weight in maskable(model).items()})
    kept = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    assert masks.apply_(model) is model
    assert Masks.from_weights(model) == masks
    for name, weight in model.named_parameters():  # and nothing else was touched
        kept_here = masks[name] if name in masks else torch.ones_like(weight, dtype=torch.bool)
        assert torch.equal(weight[kept_here], kept[name][kept_here])


def test_apply_leaves_plain_zeros():
    layer = nn.Linear(3, 1)
    layer.weight.data.copy_(torch.tensor([[float("nan"), float("inf"), -1.0]]))
    Masks({"weight": torch.zeros(1, 3, dtype=torch.bool)}).apply_(layer)
    assert torch.equal(layer.weight.view(torch.int32), torch.zeros(1, 3, dtype=torch.int32))  # no NaN, no -0.0
    assert layer.weight.requires_grad
    assert layer.weight.is_leaf


@pytest.mark.parametrize(
    ("last", "error", "message"),
    [
        ({"2.wieght": torch.zeros(2, 4).bool()}, UnknownNameError, "named '2.wieght'; did you mean '2.weight'"),
        ({"2.weight": torch.zeros(4, 2).bool()}, RequestError, r"found shape \(4, 2\), expected \(2, 4\)"),
    ],
)
def test_what_does_not_fit_changes_nothing(last, error, message):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    before = copy.deepcopy(model.state_dict())
    masks = Masks({"0.weight": torch.zeros(4, 3).bool(), **last})
    with pytest.raises(error, match=message):
        masks.apply_(model)
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


# ---- files ----


@settings(deadline=None, max_examples=60)
@given(some_masks())
def test_a_file_gives_back_the_same_bits(tmp_path_factory, masks):
    path = tmp_path_factory.getbasetemp() / "some" / "masks.safetensors"
    masks.save(path)
    loaded = Masks.load(path)
    assert loaded == masks
    assert list(loaded) == list(masks)
    assert {name: mask.shape for name, mask in loaded.items()} == {name: mask.shape for name, mask in masks.items()}
    assert list(path.parent.iterdir()) == [path]  # nothing is left over


def test_a_weight_takes_one_bit(tmp_path):
    Masks({"w": torch.rand(1000, 800) < 0.5}).save(tmp_path / "m")
    assert (tmp_path / "m").stat().st_size < 800_000 / 8 + 500


def test_every_changed_byte_is_noticed_or_harmless(tmp_path):
    path = tmp_path / "m"
    masks = Masks({"w": A["v"]})
    masks.save(path)
    whole = path.read_bytes()
    with path.open("r+b") as file:
        for place, byte in enumerate(whole):
            for other in range(256):
                file.seek(place)
                file.write(bytes([other]))
                file.flush()
                try:
                    assert Masks.load(path) == masks, f"byte {place}, changed from {byte} to {other}, was not noticed"
                except CheckpointError as error:
                    assert str(path) in str(error)  # noqa: PT017
            file.seek(place)
            file.write(bytes([byte]))
    assert path.read_bytes() == whole


def test_every_cut_and_every_appendix_is_noticed(tmp_path):
    path = tmp_path / "m"
    A.save(path)
    whole = path.read_bytes()
    for content in [*(whole[:end] for end in range(len(whole))), whole + b"\0", whole + whole, b"\0" + whole]:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="m"):
            Masks.load(path)


def by_hand(path, packed, shapes):
    """A file with a checksum that is right."""
    text = shapes if isinstance(shapes, str) else json.dumps(shapes)
    save_file(packed, path, {"format": FORMAT, "shapes": text, "sha256": digest(packed, text)})
    return path


BYTE = {"w": np.array([0b10100000], dtype=np.uint8)}


def test_a_file_made_by_hand_may_be_right(tmp_path):
    assert Masks.load(by_hand(tmp_path / "m", BYTE, {"w": [3]}))["w"].tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("packed", "shapes"),
    [
        (BYTE, {"w": [9]}),
        (BYTE, {"w": [10**12]}),
        (BYTE, {"w": [2**40, 2**40]}),
        (BYTE, {"w": [0, 2**70]}),
        (BYTE, {"w": [-1]}),
        (BYTE, {"w": [2.5]}),
        (BYTE, {"w": [True]}),
        (BYTE, {"w": 8}),
        (BYTE, {"v": [8]}),
        (BYTE, {}),
        (BYTE, {"w": [8], "v": [8]}),
        (BYTE, "[]"),
        (BYTE, "{"),
        (BYTE, "[" * 100_000),
        ({"w": np.array([[255]], dtype=np.uint8)}, {"w": [8]}),
        ({"w": np.array([1.0])}, {"w": [8]}),
        ({"w": np.array([1], dtype=np.int8)}, {"w": [8]}),
    ],
    ids=str,
)
def test_shapes_made_by_hand_are_checked(tmp_path, packed, shapes):
    with pytest.raises(CheckpointError, match="m holds no masks: "):
        Masks.load(by_hand(tmp_path / "m", packed, shapes))


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04}q\x00.", b"\xff" * 64, b"PK\x03\x04" + b"\0" * 60])
def test_foreign_files_are_refused(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cannot read masks from .*m"):
        Masks.load(tmp_path / "m")


def test_checkpoints_of_weights_are_refused(tmp_path):
    save_file({"w": np.ones(3)}, tmp_path / "m")
    with pytest.raises(
        CheckpointError, match="holds no masks: its format is 'not stated', expected 'sparsewire-masks-1'"
    ):
        Masks.load(tmp_path / "m")
    torch.save({"w": torch.ones(3)}, tmp_path / "m")
    with pytest.raises(CheckpointError, match="cannot read masks from"):
        Masks.load(tmp_path / "m")


def test_what_would_take_long_or_much_memory_is_refused_unread(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="it is no regular file"):
        Masks.load(tmp_path / "pipe")
    (tmp_path / "long").write_bytes((17 << 20).to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError, match="its header takes 17,825,792 bytes"):
        Masks.load(tmp_path / "long")
    with pytest.raises(CheckpointError, match=r"its header takes .*; nothing was changed"):
        Masks({"w" * 300 + str(number): A["v"] for number in range(8_000)}).save(tmp_path / "wide")
    with pytest.raises(CheckpointError, match="more than 1,000,000 sizes"):
        Masks.load(by_hand(tmp_path / "many", BYTE, '{"w": [' + "0," * 10**6 + "0]}"))


def test_what_is_not_there_or_is_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match=r"no masks at .*none: there is no such file"):
        Masks.load(tmp_path / "none")
    with pytest.raises(CheckpointError, match="cannot read masks from"):
        Masks.load(tmp_path)
    with pytest.raises(CheckpointError, match="it is a folder; name a file"):
        A.save(tmp_path)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"cannot write .*m: .*nothing was changed"):
        A.save(tmp_path / "file" / "m")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk_at_the_last_moment_leaves_the_old_file(tmp_path, monkeypatch):
    A.save(tmp_path / "m")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"cannot write .*m: No space left on device; nothing was changed"):
        B.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == [tmp_path / "m"]
    assert Masks.load(tmp_path / "m") == A


def test_a_disk_that_fills_while_writing_leaves_the_old_file(tmp_path):
    A.save(tmp_path / "m")
    large = Masks({"w": torch.ones(1000, 1000, dtype=torch.bool)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # stands in for a full disk
    try:
        with pytest.raises(CheckpointError, match=r"cannot write .*m: .*nothing was changed"):
            large.save(tmp_path / "m")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [tmp_path / "m"]
    assert Masks.load(tmp_path / "m") == A
