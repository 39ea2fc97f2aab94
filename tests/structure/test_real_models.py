"""Models as others write them: masks attach, are trained, saved and loaded; a tied weight is pruned once."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparsewire.errors import UnknownNameError
from sparsewire.structure.masks import Masks, maskable
from sparsewire.structure.select import prune
from sparsewire.training.optimizer import SparseOptimizer

DENSITY = 0.3


class BasicBlock(nn.Module):
    """As torchvision's: two convolutions, and a third one where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """As torchvision's, with its names, and narrow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(4, 4, 1), BasicBlock(4, 4, 1))
        self.layer2 = nn.Sequential(BasicBlock(4, 8, 2), BasicBlock(8, 8, 1))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.avgpool(self.layer2(self.layer1(x))).flatten(1))


class LanguageModel(nn.Module):
    """A word's vector in, the next word's logits out, by one matrix for both."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Embedding(20, 8)
        self.rnn = nn.LSTM(8, 8, 2, batch_first=True)
        self.decoder = nn.Linear(8, 20)
        self.decoder.weight = self.encoder.weight

    def forward(self, words: Tensor) -> Tensor:
        return self.decoder(self.rnn(self.encoder(words))[0])


def bert() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=8,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return transformers.BertForMaskedLM(config)


def images(model: nn.Module, generator: torch.Generator) -> Tensor:
    return model(torch.rand(4, 3, 32, 32, generator=generator))


def vectors(model: nn.Module, generator: torch.Generator) -> Tensor:
    return model(torch.rand(4, 6, 8, generator=generator)).flatten(0, 1)


def words(model: nn.Module, generator: torch.Generator) -> Tensor:
    found = model(torch.randint(20, (4, 6), generator=generator))
    return getattr(found, "logits", found).flatten(0, 1)


class Case(NamedTuple):
    """A model, what it answers to random inputs, and the name that a weight has beside the one of its mask."""

    build: Callable[[], nn.Module]
    answer: Callable[[nn.Module, torch.Generator], Tensor]
    weights: int
    tied: tuple[str, str] | None = None


CASES = {
    "resnet": Case(ResNet, images, 1 + 4 + 5 + 1),
    "transformer": Case(
        lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), vectors, 4
    ),
    "transformers": Case(
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, enable_nested_tensor=False
        ),
        vectors,
        8,
    ),
    "language model": Case(LanguageModel, words, 4 + 1, ("encoder.weight", "decoder.weight")),
    "bert": Case(
        bert, words, 2 * 6 + 2, ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight")
    ),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request) -> Case:
    return CASES[request.param]


def built(case: Case, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():  # their constructors know only the global stream
        torch.manual_seed(seed)
        return case.build()


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trained(model: nn.Module, masks: Masks, case: Case, steps: int = 3) -> SparseOptimizer:
    optimizer = SparseOptimizer(torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1), model, masks)
    for step in range(steps):
        optimizer.zero_grad()
        logits = case.answer(model, random(step))
        labels = torch.randint(logits.shape[1], (len(logits),), generator=random(step))
        cross_entropy(logits, labels).backward()
        optimizer.step()
    return optimizer


def test_masks_attach_to_weights_and_to_nothing_else(case) -> None:
    model = built(case)
    masks = Masks.from_model(model)
    parameters = dict(model.named_parameters())
    assert len(masks) == case.weights
    assert all(masks[name].shape == parameters[name].shape and masks[name].all() for name in masks)
    assert not [name for name in masks if "bias" in name or "norm" in name.lower() or "bn" in name]


def test_exactly_so_many_stay(case) -> None:
    model = built(case)
    total = sum(weight.numel() for weight in maskable(model).values())
    for scope in ("blind", "uniform", "distributed", "erk"):
        masks = prune(model, score="magnitude", density=DENSITY, scope=scope)
        assert masks.count == int(DENSITY * total + 0.5)
        assert masks.total == total


def test_what_is_gone_stays_gone_in_training(case) -> None:
    model = built(case)
    masks = prune(model, score="magnitude", density=DENSITY, scope="uniform")
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    trained(model, masks, case)
    after = dict(model.named_parameters())
    for name, mask in masks.items():
        assert not after[name][~mask].any()
        assert not torch.equal(after[name][mask], before[name][mask])
    others = [name for name in before if name not in masks]
    assert any(not torch.equal(after[name], before[name]) for name in others)


def test_masks_and_weights_survive_saving_and_loading(case, tmp_path) -> None:
    model = built(case)
    masks = prune(model, score="magnitude", density=DENSITY)
    trained(model, masks, case)
    masks.save(tmp_path / "masks.safetensors")
    torch.save(model.state_dict(), tmp_path / "model.pt")

    other = built(case, seed=1)
    other.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    loaded = Masks.load(tmp_path / "masks.safetensors")
    assert loaded == masks
    assert all(not weight[~loaded[name]].any() for name, weight in loaded.weights_of(other).items())
    with torch.no_grad():
        expected = case.answer(model.eval(), random())
        assert torch.equal(case.answer(other.eval(), random()), expected)
        assert torch.equal(case.answer(loaded.apply_(other), random()), expected)
    # … and goes on being trained under them.
    optimizer = trained(other.train(), loaded, case, steps=1)
    assert optimizer.masks == masks


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.tied])
def test_a_tied_weight_is_pruned_once(name) -> None:
    case = CASES[name]
    model, (first, second) = built(case), case.tied
    masks = prune(model, score="magnitude", density=0.5, only=first)
    assert first in masks
    assert second not in masks
    weight = model.get_parameter(first)
    assert masks[first].count_nonzero() == weight.numel() // 2
    trained(model, masks, case)
    assert model.get_parameter(second) is weight
    assert torch.equal(model.get_parameter(second) != 0, masks[first])
    with pytest.raises(UnknownNameError, match=first):
        prune(model, score="magnitude", density=0.5, only=second)


@pytest.mark.parametrize(
    ("name", "only", "chosen"),
    [
        ("resnet", "layer1", ["layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1", "layer1.1.conv2"]),
        ("resnet", "*.downsample.*", ["layer2.0.downsample.0"]),
        ("resnet", ["fc", "conv1"], ["conv1", "fc"]),
        ("transformer", "attention", ["self_attn.in_proj", "self_attn.out_proj"]),
        ("transformer", "self_attn.in_proj_weight", ["self_attn.in_proj"]),
        ("transformer", "linear?.weight", ["linear1", "linear2"]),
        ("transformers", "layers.1:attention", ["layers.1.self_attn.in_proj", "layers.1.self_attn.out_proj"]),
        ("language model", "i2h", ["rnn.weight_ih_l0", "rnn.weight_ih_l1"]),
        ("language model", "h2h", ["rnn.weight_hh_l0", "rnn.weight_hh_l1"]),
        ("bert", "q_proj", [f"bert.encoder.layer.{layer}.attention.self.query" for layer in range(2)]),
        ("bert", "*.1.attention.self.*", [f"bert.encoder.layer.1.attention.self.{word}" for word in
                                         ("query", "key", "value")]),
        ("bert", "cls", ["cls.predictions.transform.dense"]),
    ],
)  # fmt: skip
def test_names_and_patterns_choose(name, only, chosen) -> None:
    model = built(CASES[name])
    masks = prune(model, score="magnitude", density=0.5, only=only)
    lost = {name.removesuffix(".weight").removesuffix("_weight") for name, own in masks.densities().items() if own < 1}
    assert sorted(lost) == sorted(chosen)
    assert all(masks.densities()[name] in (0.5, 1.0) for name in masks) or len(chosen) > 1


def test_a_name_of_nothing_offers_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="fc"):
        prune(built(CASES["resnet"]), score="magnitude", density=0.5, only="fcc")
