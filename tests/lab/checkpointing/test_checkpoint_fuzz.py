"""Mutated files of every kind: read as they were, or refused; the cases are those of benchmarks/checkpoint_fuzz.py."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "checkpoint_fuzz.py"


@pytest.fixture(scope="module")
def fuzz() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("checkpoint_fuzz", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


KINDS = ("folder", "masks", "compact", "plan", "safetensors", "torch zip", "torch legacy")


def test_every_kind_of_file_is_here(fuzz: ModuleType) -> None:
    assert set(KINDS) == set(fuzz.KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_refused_or_gives_the_same_numbers(fuzz: ModuleType, kind: str, tmp_path: Path) -> None:
    found, wrong, _ = fuzz.fuzzed(kind, 1, range(300), tmp_path)
    assert not wrong
    assert sum(found.values()) == 300
    assert found["refused"] > 20
    assert kind != "folder" or found["the state before"] > 20
