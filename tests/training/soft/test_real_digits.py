"""Edge-popup on the real MNIST: an untrained LeNet-300-100 with half of its weights."""

import os
from pathlib import Path

import pytest
import torch
from tests.training.soft.small_supermasks import source

from sparsewire.data.images import mnist
from sparsewire.data.sources import VARIABLE
from sparsewire.models.zoo import mlp
from sparsewire.training.judging import evaluate
from sparsewire.training.soft.top_scores import edge_popup


def test_an_untrained_lenet_reaches_85_percent_after_one_pass_over_a_third_of_the_images():
    folder = os.environ.get(VARIABLE)
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip(f"the real MNIST is not here: {VARIABLE} names no folder with mnist/")
    digits = mnist().flat()
    model = mlp((784, 300, 100, 10), generator=source())
    before = [parameter.detach().clone() for parameter in model.parameters()]
    found = edge_popup(
        model, (digits.train[0][:20_000], digits.train[1][:20_000]), density=0.5, init="signed_constant", scaled=True,
        generator=source(), optimizer=lambda scores: torch.optim.SGD(scores, lr=0.1, momentum=0.9), epochs=1,
        batch_size=128, validation=digits.test,
    )  # fmt: skip
    assert found.judged.accuracy > 0.85  # 0.9065 when it was written
    assert found.masks.densities() == {"0.weight": 0.5, "2.weight": 0.5, "4.weight": 0.5}
    signs = zip(before, model.parameters(), strict=True)
    assert all(torch.equal(one.sign(), other.sign()) for one, other in signs)
    assert evaluate(found.masks.apply_(model), digits.test) == found.judged
