"""Malicious files, made here and now, given to every reader: the corpus is that of benchmarks/hostile_files.py."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "hostile_files.py"


@pytest.fixture(scope="module")
def corpus() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hostile_files", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning", "ignore:The PyTorch API of nested tensors:UserWarning")
def test_no_file_runs_anything_in_any_reader(corpus: ModuleType) -> None:
    """In a child process that Python's own audit watches; how long and how large is the benchmark's matter."""
    found, wrong = corpus.judged(False, kinds=("pickle", "tensor"))
    assert not wrong
    assert len({line["file"] for line in found if line["file"].startswith("pickle")}) > 250
    assert {line["ended"] for line in found} == {"refused"}
    assert all("\n" not in line["told"] for line in found)
