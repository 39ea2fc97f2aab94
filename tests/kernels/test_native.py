"""The native library's loader: what is found, what is refused, and that nothing of it can crash or nag."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch

from sparsewire.errors import FileError
from sparsewire.kernels import native

ASK = """
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from sparsewire.kernels import native
    print(native.is_at_hand(), native.is_at_hand(), native.vector_bytes())
print(*(warning.message for warning in said), sep="\\n")
"""
needs_library = pytest.mark.skipif(
    not native.is_at_hand(), reason="the native library was not built, or is switched off"
)


def run_alone(code: str, *options: str, arguments: Sequence[str] = (), **environment: str) -> list[str]:
    """The lines that Python prints for this code with these environment variables; it has to end well."""
    kept = {
        name: value for name, value in os.environ.items() if name not in {"SPARSEWIRE_NATIVE", "SPARSEWIRE_LIBRARY"}
    }
    done = subprocess.run(
        [sys.executable, *options, "-c", code, *arguments],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_switched_off_it_says_nothing() -> None:
    assert run_alone(ASK, SPARSEWIRE_NATIVE="0") == ["False False 0", ""]


def test_a_missing_library_is_said_once(tmp_path: Path) -> None:
    answer, *said = run_alone(ASK, SPARSEWIRE_LIBRARY=str(tmp_path / "none.so"))
    assert answer == "False False 0"
    assert len(said) == 1
    for words in ["plain torch", "none.so is not there", "Install g++ or clang++", "SPARSEWIRE_NATIVE=0 hides"]:
        assert words in said[0]


# One process looks at many files: most of its time is torch's import.
ASK_EACH = """
import sys, warnings
from pathlib import Path
from sparsewire.kernels import native
for file in sys.argv[1:]:
    native.FILE = Path(file)
    native.library.cache_clear()
    native.vector_bytes.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        print(native.is_at_hand(), native.is_at_hand(), native.vector_bytes(), *(warning.message for warning in said))
"""


def test_a_file_that_is_no_library_is_said_once(tmp_path: Path) -> None:
    whole = native.FILE.read_bytes() if native.is_at_hand() else b""
    contents = [b"", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(200), b"no library at all " * 9]
    contents += [whole[: int(part * len(whole))] for part in (0.001, 0.1, 0.5, 0.9, 0.999) if whole]
    files = [tmp_path / f"broken{place}.so" for place in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    for file, said in zip(files, run_alone(ASK_EACH, arguments=[str(file) for file in files]), strict=True):
        assert said.startswith("False False 0 sparsewire runs on plain torch")
        assert said.count("plain torch") == 1
        assert file.name in said


def test_a_foreign_library_is_refused() -> None:
    """Another library that surely is there: it loads, and has none of our functions."""
    answer, *said = run_alone(ASK, SPARSEWIRE_LIBRARY=torch._C.__file__)
    assert answer == "False False 0"
    assert len(said) == 1
    assert "of another version of sparsewire" in said[0]


@needs_library
def test_a_library_with_another_interface_is_refused() -> None:
    code = "from sparsewire.kernels import native; native.INTERFACE = 77\n" + ASK
    answer, *said = run_alone(code, SPARSEWIRE_LIBRARY=str(native.FILE))
    assert answer == "False False 0"
    assert f"(interface {native.INTERFACE}; 77 is wanted)" in said[0]


def test_an_import_opens_nothing_and_warns_of_nothing(tmp_path: Path) -> None:
    """Even where every warning is an error."""
    code = (
        "import sparsewire, sparsewire.structure.masks; from sparsewire.kernels import native, junctions; print('well')"
    )
    assert run_alone(code, "-W", "error", SPARSEWIRE_LIBRARY=str(tmp_path / "none.so")) == ["well"]


@needs_library
def test_a_narrower_width_can_be_asked_for() -> None:
    run = partial(run_alone, SPARSEWIRE_LIBRARY=str(native.FILE))
    code = "from sparsewire.kernels import native; print(native.vector_bytes())"
    assert run(code, SPARSEWIRE_VECTOR_BYTES="16") == ["16"]
    assert run(code, SPARSEWIRE_VECTOR_BYTES="64")[0] in {"16", "32", "64"}
    code = "from sparsewire.kernels import native\ntry: native.vector_bytes()\nexcept ValueError as error: print(error)"
    assert run(code, SPARSEWIRE_VECTOR_BYTES="24") == ["SPARSEWIRE_VECTOR_BYTES is '24'; it takes 16, 32 or 64"]


@needs_library
def test_a_library_of_some_widths_is_used_or_says_what_it_lacks() -> None:
    """As if it had been built for this machine alone, or for another."""
    run = partial(run_alone, SPARSEWIRE_LIBRARY=str(native.FILE))
    code = "from sparsewire.kernels import native\nnative._widths = lambda found: [32]\n"
    ask = "try: print(native.vector_bytes())\nexcept ValueError as error: print(error)"
    assert run(code + ask) == ["32"]
    assert run(code + ask, SPARSEWIRE_VECTOR_BYTES="32") == ["32"]
    [refused] = run(code + ask, SPARSEWIRE_VECTOR_BYTES="16")
    assert "was built for wider vectors only: `python hatch_build.py`" in refused
    answer, *said = run(code.replace("[32]", "[]") + ASK)
    assert answer == "False False 0"
    assert "was built for another processor alone" in said[0]


@needs_library
@pytest.mark.parametrize("signature", [None, "ii"])
def test_a_function_takes_addresses(signature: str | None) -> None:
    numbers = torch.zeros(2, dtype=torch.int64)
    call = native.function("about", signature)
    call(numbers.data_ptr(), numbers.data_ptr() + 8)
    assert numbers[0] == native.INTERFACE
    assert numbers[1] >= native.vector_bytes()


@needs_library
def test_a_function_refuses_what_does_not_fit() -> None:
    with pytest.raises(ctypes.ArgumentError):
        native.function("about", "ii")(0.5, 0.5)
    with pytest.raises(FileError, match=r"has no function sw_nothing_v\d\d: it is older than this package"):
        native.function("nothing")


def test_threads_are_those_of_torch() -> None:
    assert native.threads() == torch.get_num_threads()


def test_addresses() -> None:
    x = torch.zeros(3)
    assert native.address(x) == x.data_ptr()
    assert native.address(None) == 0


@needs_library
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_computes_serially() -> None:
    """A pool of threads does not survive a fork: a child that waited for it would wait for ever."""
    code = """
import os, signal, torch
from sparsewire.kernels import bracket
torch.set_num_threads(2)
numbers = torch.arange(1 << 20, dtype=torch.float32)
found = bracket.threshold_of(numbers, 1000)
child = os.fork()
if child == 0:
    signal.alarm(60)  # a child that waits for ever is killed, and its status says so
    os._exit(int(bracket.threshold_of(numbers, 1000) != found))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run_alone(code, SPARSEWIRE_LIBRARY=str(native.FILE)) == ["0"]
