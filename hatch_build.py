"""Builds the native library: hatchling calls it for wheels and editable installs; `python hatch_build.py` by hand.

It needs a C++ compiler and nothing else. Each source is compiled once per vector width, all into one shared library.
Compiled objects are kept in build/native (or SPARSEWIRE_BUILD_CACHE) under a key made of all that they depend on.

CXX names the compiler (its flags may follow), CXXFLAGS and LDFLAGS add flags, SPARSEWIRE_NATIVE_BUILD=0 goes without
the library, SPARSEWIRE_BUILD_WIDTHS=machine leaves out the vectors that this machine does not use and that are not
compiled yet, SPARSEWIRE_WHEEL_PLATFORM names the platform of a wheel that was compiled for another machine.
"""

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand, where hatchling is not installed
    BuildHookInterface = object

ROOT = Path(__file__).resolve().parent
SOURCES = ROOT / "src/sparsewire/kernels/native"
LIBRARY = ROOT / "src/sparsewire/kernels/_sparsewire_kernels.so"
CACHE = Path(os.environ.get("SPARSEWIRE_BUILD_CACHE", ROOT / "build/native")).absolute()

FLAGS = ["-O3", "-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti", "-fno-math-errno"]
FLAGS += ["-fno-trapping-math", "-ffp-contract=fast", "-Wall", "-Wextra", "-Wno-psabi"]
WIDTHS = {16: [], 32: ["-mavx2", "-mfma", "-mf16c"]}
WIDTHS[64] = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c", "-mprefer-vector-width=512"]
# What a width calls of a narrower one: who asks the processor must run on any, and 64 bytes leave small batches to 32.
BORROWED = {(32, 16): {"about"}, (64, 16): {"about"}}
BORROWED[64, 32] = {"chain_forward", "chain_backward", "products", "gradients"}


class NoCompilerError(Exception):
    """There is nothing to build the library with; the message says why."""


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler, and what it compiles for."""

    command: list[str]
    version: str
    macros: str

    @property
    def widths(self) -> list[int]:
        """The vector widths in bytes that its machine may have."""
        return [16, 32, 64] if "#define __x86_64__ 1" in self.macros else [16]

    @property
    def own_width(self) -> int:
        """The widest that the machine has on which this runs, as the compiler sees it."""
        if self.widths == [16]:
            return 16
        here = _output([*self.command, "-march=native", "-dM", "-E", "-x", "c++", os.devnull])
        kinds = {64: ("AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL"), 32: ("AVX2", "FMA", "F16C")}
        fits = (width for width, names in kinds.items() if all(f"#define __{name}__ 1" in here for name in names))
        return next(fits, 16)


def compiler() -> Compiler:
    """The compiler that CXX names, or else the first of c++, g++ and clang++ that runs."""
    if os.environ.get("SPARSEWIRE_NATIVE_BUILD", "1") == "0":
        raise NoCompilerError("SPARSEWIRE_NATIVE_BUILD=0")
    if sys.platform == "win32":
        raise NoCompilerError("the library is not built for Windows yet")
    named = shlex.split(os.environ.get("CXX", ""))
    for command in [named] if named else [["c++"], ["g++"], ["clang++"]]:
        try:
            version = _output([*command, "--version"])
            macros = _output([*command, "-dM", "-E", "-x", "c++", os.devnull])
        except (OSError, subprocess.CalledProcessError):
            continue
        if "#define __SIZEOF_POINTER__ 8" in macros:
            return Compiler(command, version, macros)
        raise NoCompilerError(f"{command[0]} compiles for a machine of less than 64 bits")
    raise NoCompilerError(f"no C++ compiler runs here (tried {named[0] if named else 'c++, g++, clang++'})")


def build(target: Path, found: Compiler) -> None:
    """Compiles what changed, links, and moves the library to `target` in one step, if it is not there already."""
    extra = shlex.split(os.environ.get("CXXFLAGS", ""))
    jobs: dict[Path, list[str]] = {}
    narrowed = os.environ.get("SPARSEWIRE_BUILD_WIDTHS", "all") == "machine"
    for width in (0, *found.widths):
        own = _jobs(found, width, extra)
        if narrowed and width not in (0, found.own_width) and not all(made.exists() for made in own):
            borrowed = BORROWED.get((found.own_width, width), set())
            own = {made: command for made, command in own.items() if made.name.split(".")[0] in borrowed}
        jobs |= own
    CACHE.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_make, jobs, jobs.values()))
    # Nothing of the C++ library is used, so that none is needed where this runs; macOS links so by itself.
    link = ["-shared", *([] if sys.platform == "darwin" else ["-static-libgcc", "-Wl,--as-needed"]), *extra]
    link += shlex.split(os.environ.get("LDFLAGS", ""))
    library = CACHE / f"library.{_key(found, *link, *(made.name for made in jobs))}.so"
    _make(library, [*found.command, *map(str, jobs), *link])
    if not target.exists() or target.read_bytes() != library.read_bytes():
        scratch = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copy2(library, scratch)
        scratch.replace(target)
    _forget([*jobs, library])


def _jobs(found: Compiler, width: int, extra: list[str]) -> dict[Path, list[str]]:
    """The objects of a width of vectors, or of what depends on none (0), and the commands that make them."""
    jobs = {}
    flags = [*FLAGS, *(WIDTHS[width] if width else []), *([f"-DSW_BYTES={width}"] if width else []), *extra]
    for source in sorted(SOURCES.glob("*.cpp")):
        if (source.stem == "library") == (width == 0):
            key = _key(found, *flags, *(f"{path.name}\n{path.read_text()}" for path in _with_headers(source)))
            jobs[CACHE / f"{source.stem}.{width}.{key}.o"] = [*found.command, *flags, "-c", str(source)]
    return jobs


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _key(found: Compiler, *parts: str) -> str:
    text = "\0".join([*found.command, found.version, found.macros, *parts])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _with_headers(source: Path) -> list[Path]:
    """The source and every header of ours that it includes, at any depth."""
    found = [source]
    for path in found:  # grows on the way
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), flags=re.MULTILINE):
            if (SOURCES / name) not in found:
                found.append(SOURCES / name)
    return found


def _make(result: Path, command: list[str]) -> None:
    """Runs a compiler that writes `result`, unless it is there; shows the compiler's words if it fails."""
    if result.exists():
        result.touch()
        return
    scratch = result.with_name(f"{result.name}.{os.getpid()}")
    done = subprocess.run([*command, "-o", str(scratch)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(
            f"{shlex.join(command)}\n{done.stdout}\nsparsewire's native library could not be compiled: the compiler's "
            "words are above. SPARSEWIRE_NATIVE_BUILD=0 installs sparsewire without it; it then runs on plain torch."
        )
    sys.stderr.write(done.stdout)
    scratch.replace(result)


def _forget(used: list[Path]) -> None:
    """Deletes all but the 400 objects that were used last."""
    old = sorted(set(CACHE.iterdir()) - set(used), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in old[400:]:
        path.unlink(missing_ok=True)


def wheel_platform() -> str:
    """The last part of a wheel's name: the machine that this Python runs on, unless the environment names another."""
    here = sysconfig.get_platform().replace("universal2", platform.machine())
    return os.environ.get("SPARSEWIRE_WHEEL_PLATFORM") or re.sub(r"[-.]", "_", here)


class NativeBuildHook(BuildHookInterface):
    """What hatchling calls before it packs a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the library: beside its loader for an editable install, otherwise straight into the wheel."""
        try:
            found = compiler()
        except NoCompilerError as error:
            self.app.display_warning(f"sparsewire is built without its native kernels: {error}")
            return
        target = LIBRARY if version == "editable" else CACHE / LIBRARY.name
        CACHE.mkdir(parents=True, exist_ok=True)
        build(target, found)
        if version != "editable":
            build_data["force_include"][str(target)] = f"sparsewire/kernels/{LIBRARY.name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{wheel_platform()}"


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else LIBRARY, compiler())
    except NoCompilerError as error:
        print(f"sparsewire is used without its native kernels: {error}", file=sys.stderr)
