"""Small networks, a small task, and one row for each soft mask: a new member is a new row of METHODS."""

from typing import Any

import torch
from torch import Tensor, nn

from sparsewire.models.zoo import mlp
from sparsewire.training.soft.coins import Coins
from sparsewire.training.soft.contract import SoftMask
from sparsewire.training.soft.network import whole_weights
from sparsewire.training.soft.top_scores import TopScores, kept_counts

INPUTS = torch.rand(60, 6, generator=torch.Generator().manual_seed(0))
LABELS = INPUTS[:, :4].argmax(1)
DATA = INPUTS, LABELS


def chain() -> nn.Module:
    return mlp((6, 16, 12, 4), generator=torch.Generator().manual_seed(1))


def convolution() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3),
        nn.Flatten(), nn.Linear(24, 4),
    )  # fmt: skip


class Reader(nn.Module):
    """A recurrent network with an attention over what it read; its first and last layer are one weight."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.spread, self.cell = nn.Linear(4, 4, bias=False), nn.GRU(1, 4, batch_first=True)
        self.attention, self.out = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 4)
        self.out.weight = self.spread.weight

    def forward(self, inputs: Tensor) -> Tensor:
        read = self.spread(self.cell(inputs[..., None])[0])
        outputs: Tensor = self.out(self.attention(read, read, read)[0][:, -1])
        return outputs


NETWORKS = {"chain": chain, "convolution": convolution, "reader": Reader}


def top(model: nn.Module) -> SoftMask:
    return TopScores(kept_counts(whole_weights(model, None), 0.4))


def top_by_value(model: nn.Module) -> SoftMask:
    return TopScores(kept_counts(whole_weights(model, None), 0.3, "erk"), by="value")


METHODS: dict[str, Any] = {
    "top scores": top,
    "top scores by value": top_by_value,
    "coins": lambda model: Coins(),
    "expected coins": lambda model: Coins(sampled=False),
    "coins that end in a draw": lambda model: Coins(draw=True, start=0.5),
    "coins without rescaling": lambda model: Coins(rescale=False, start=1.0),
}


def adam(scores: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(scores, lr=0.05)


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
