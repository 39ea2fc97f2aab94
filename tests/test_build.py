"""How the native library is built: what hatch_build.py chooses, without a compiler being needed."""

import importlib.util
import subprocess
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


@pytest.mark.parametrize(
    ("names", "width"),
    [
        (("AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL", "AVX2", "FMA", "F16C"), 64),
        (("AVX512F", "AVX512BW", "AVX2", "FMA", "F16C"), 32),
        (("AVX2", "FMA"), 16),
    ],
)
def test_the_compiler_says_what_the_machine_has(
    names: tuple[str, ...], width: int, hatch_build: ModuleType, tmp_path: Path
) -> None:
    code = "".join(f"print('#define __{name}__ 1');" for name in names)
    command = tmp_path / "c++"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}"\n')
    command.chmod(0o755)
    assert hatch_build.Compiler([str(command)], "", "#define __x86_64__ 1\n").own_width == width
    assert hatch_build.Compiler(["/nowhere"], "", "#define __aarch64__ 1\n").own_width == 16


def test_a_library_for_this_machine_leaves_out_what_is_not_compiled_yet(
    hatch_build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make(result: Path, command: list[str]) -> None:
        made.append(result.name)
        result.write_text("object")

    monkeypatch.setattr(hatch_build, "CACHE", tmp_path / "objects")
    monkeypatch.setattr(hatch_build, "_make", make)
    monkeypatch.setattr(hatch_build.Compiler, "own_width", 64)
    monkeypatch.setenv("SPARSEWIRE_BUILD_WIDTHS", "machine")
    found = hatch_build.Compiler(["c++"], "", "#define __x86_64__ 1\n")
    target = tmp_path / "library.so"

    def widths() -> dict[str, int]:
        counts = {"0": 0, "16": 0, "32": 0, "64": 0}
        for name in made:
            if name.endswith(".o"):
                counts[name.split(".")[1]] += 1
        made.clear()
        return counts

    hatch_build.build(target, found)
    sources = len(list(hatch_build.SOURCES.glob("*.cpp"))) - 1
    assert widths() == {"0": 1, "16": 1, "32": 4, "64": sources}
    monkeypatch.delenv("SPARSEWIRE_BUILD_WIDTHS")
    hatch_build.build(target, found)
    assert widths() == {"0": 1, "16": sources, "32": sources, "64": sources}
    monkeypatch.setenv("SPARSEWIRE_BUILD_WIDTHS", "machine")  # what is there already stays in
    hatch_build.build(target, found)
    assert widths() == {"0": 1, "16": sources, "32": sources, "64": sources}


@pytest.mark.skipif(sys.platform != "linux", reason="the linker is told in the words of Linux")
@pytest.mark.parametrize("own", [16, 32, 64])
def test_a_library_for_one_machine_lacks_nothing_that_it_calls(
    own: int, hatch_build: ModuleType, tmp_path: Path
) -> None:
    try:
        found = hatch_build.compiler()
    except hatch_build.NoCompilerError as error:
        pytest.skip(str(error))
    made: list[str] = []
    for width in (0, *found.widths):
        objects = hatch_build._jobs(found, width, [])
        borrowed = hatch_build.BORROWED.get((own, width), set())
        made += [str(one) for one in objects if width in (0, own) or one.name.split(".")[0] in borrowed]
    if own not in found.widths or not all(Path(one).exists() for one in made):
        pytest.skip("this library was not compiled here")
    link = [*found.command, *made, "-shared", "-Wl,-z,defs", "-o", str(tmp_path / "library.so")]
    done = subprocess.run(link, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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
