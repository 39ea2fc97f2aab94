"""A pytest plugin: `native.function` runs the kernels of another processor in an emulator (see scripts/arm64)."""

import os
import re
import struct
import subprocess
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from sparsewire.kernels import native

GUEST = Path(os.environ["SPARSEWIRE_GUEST"])
KERNELS = re.findall(r"KERNEL\((\w+)\)", (GUEST.parent / "kernels.inc").read_text())
COMMAND = ["setarch", "-R", "qemu-aarch64", str(GUEST)]  # without -R the emulator could lie where a tensor does
CALLS: dict[str, int] = {}


class Guest:
    """The emulated process, and one call at a time to it."""

    def __init__(self) -> None:
        memory = os.open("/proc/self/mem", os.O_RDWR)
        self.process = subprocess.Popen(
            [*COMMAND, str(memory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[memory], bufsize=0
        )
        self.lock = threading.Lock()

    def call(self, name: str, arguments: tuple[int | float, ...], signature: str) -> None:
        whole = [int(a or 0) for a, kind in zip(arguments, signature, strict=True) if kind == "i"]
        real = [float(a) for a, kind in zip(arguments, signature, strict=True) if kind == "d"]
        message = struct.pack(
            f"=3q{len(whole)}q{len(real)}d", KERNELS.index(name), len(whole), len(real), *whole, *real
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.lock:
            self.process.stdin.write(message)
            if self.process.stdout.read(1) != b"\0":
                pytest.exit(f"{name}: the emulated kernel died with status {self.process.wait()}", 3)
        CALLS[name] = CALLS.get(name, 0) + 1


@cache
def guest() -> Guest:
    return Guest()


def function(name: str, signature: str | None = None) -> Callable[..., None]:
    """Stands for `native.function`."""

    def call(*arguments: int | float) -> None:
        kinds = signature or "".join("d" if isinstance(a, float) else "i" for a in arguments)
        guest().call(name, arguments, kinds)

    return call


native.function = function  # type: ignore[assignment]
native.is_at_hand = lambda: True
native.vector_bytes = lambda: 16  # type: ignore[assignment]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what was emulated, and ends the emulator."""
    if CALLS:
        guest().process.communicate()
    terminalreporter.write_line(f"emulated calls: {CALLS}")
