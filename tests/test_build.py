"""How the native library is built: what hatch_build.py chooses, without a compiler being needed."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "hatch_build.py").exists(), reason="not a checkout")


@pytest.fixture(scope="module")
def hatch_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hatch_build"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_without_a_compiler_it_says_so(hatch_build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARSEWIRE_NATIVE_BUILD", raising=False)
    monkeypatch.setenv("CXX", "/nowhere/c++")
    with pytest.raises(hatch_build.NoCompilerError, match=r"no C\+\+ compiler runs here \(tried /nowhere/c\+\+\)"):
        hatch_build.compiler()
    monkeypatch.setenv("SPARSEWIRE_NATIVE_BUILD", "0")
    with pytest.raises(hatch_build.NoCompilerError, match="SPARSEWIRE_NATIVE_BUILD=0"):
        hatch_build.compiler()


def test_only_x86_has_the_wide_vectors(hatch_build: ModuleType) -> None:
    assert hatch_build.Compiler(["c++"], "", "#define __x86_64__ 1\n").widths == [16, 32, 64]
    assert hatch_build.Compiler(["c++"], "", "#define __aarch64__ 1\n").widths == [16]


def test_an_object_depends_on_its_own_headers_alone(hatch_build: ModuleType) -> None:
    names = [path.name for path in hatch_build._with_headers(hatch_build.SOURCES / "about.cpp")]
    assert names == ["about.cpp", "vectors.hpp"]


def test_a_failing_compiler_is_quoted(hatch_build: ModuleType, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('line 7: no such thing'); raise SystemExit(1)"]
    with pytest.raises(SystemExit, match=r"(?s)line 7: no such thing.*SPARSEWIRE_NATIVE_BUILD=0 installs"):
        hatch_build._make(tmp_path / "x.o", command)
    assert not list(tmp_path.iterdir())


def test_the_platform_of_a_wheel_can_be_named(hatch_build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSEWIRE_WHEEL_PLATFORM", "manylinux_2_17_aarch64")
    assert hatch_build.wheel_platform() == "manylinux_2_17_aarch64"
    monkeypatch.delenv("SPARSEWIRE_WHEEL_PLATFORM")
    assert not set(hatch_build.wheel_platform()) & set("-.")
