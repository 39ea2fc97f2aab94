import ctypes
import platform

import pytest
import torch
from tests.search.genomes import EXAMPLES
from torch.nn import functional

from sparsewire.search import freed_pages
from sparsewire.search.building import phenotype
from sparsewire.search.freed_pages import pages_kept


def gradients(model, images):
    model.zero_grad()
    functional.cross_entropy(model(images), torch.zeros(len(images), dtype=torch.long)).backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def test_numbers_are_the_same_bit_for_bit():
    model = phenotype(EXAMPLES["deep"], (3, 16, 16), 4)
    images = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    usual = gradients(model, images)
    with pages_kept() as is_kept, pages_kept():
        assert is_kept == (platform.libc_ver()[0] == "glibc")
        kept = gradients(model, images)
    assert all(torch.equal(one, other) for one, other in zip(usual, kept, strict=True))


def test_an_error_inside_passes():
    with pytest.raises(ValueError, match="inside"), pages_kept():
        raise ValueError("inside")


def test_other_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert freed_pages._glibc() is None
    with pages_kept() as is_kept:
        assert not is_kept
