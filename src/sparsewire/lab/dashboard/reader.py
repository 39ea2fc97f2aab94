"""The store as the dashboard asks it: one thread, one connection, and answers that are kept for a while."""

import asyncio
import contextlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sparsewire.errors import StoreError
from sparsewire.lab.store import Store

T = TypeVar("T")
Question = Callable[[Store], T]

_ANSWERS = 48
_HEAD, _VERSION = 64, slice(60, 64)  # where SQLite keeps the version of the tables in its file
_SHARE = 10  # an answer that took t seconds is not asked for again before ten times t have passed


@dataclass(frozen=True)
class _Answer:
    version: tuple[int, int]
    value: Any
    fresh_until: float


class Reader:
    """Asks the store for as many viewers as there are, without keeping a running sweep from its work.

    A question is asked anew when the store has changed, but never so often that it takes more than a tenth of a core:
    until then the last answer has to do.

    Args:
        root: the store's folder; it may come into being later, and be replaced.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._store: Store | None = None
        self._identity: tuple[int, int, bytes] | None = None
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()

    async def ask(self, name: Hashable, question: Question[T], moment: int = 0) -> tuple[T, float]:
        """The answer to a question, and after how many seconds it may be asked again: 0 where it is of this moment.

        Args:
            name: what tells it from all others; answers are kept under it.
            question: is given the open store, in the reader's own thread.
            moment: what changes with everything else that the answer depends on.

        Raises:
            StoreError: there is no store, or it cannot be read.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._answer, name, question, moment)

    async def version(self) -> int | None:
        """A number that changes with the store; None where there is none that can be read."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._version)

    async def aside(self, work: Callable[[], T]) -> T:
        """Does work on files in the same thread, so that one core at most is ever busy with watching."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Lets go of the store."""
        self._thread.submit(self._let_go).result()
        self._thread.shutdown()

    def _version(self) -> int | None:
        try:
            return self._opened().version()
        except StoreError:
            self._let_go()
            return None

    def _answer(self, name: Hashable, question: Question[T], moment: int) -> tuple[T, float]:
        try:
            store = self._opened()
            version = (store.version(), moment)
            kept = self._answers.get(name)
            now = time.monotonic()
            if kept is None or (kept.version != version and now >= kept.fresh_until):
                value = question(store)
                end = time.monotonic()
                kept = _Answer(version, value, end + _SHARE * (end - now))
                self._answers[name] = kept
        except StoreError:
            self._let_go()
            raise
        self._answers.move_to_end(name)
        while len(self._answers) > _ANSWERS:
            self._answers.popitem(last=False)
        return kept.value, 0.0 if kept.version == version else max(kept.fresh_until - now, 0.1)

    def _opened(self) -> Store:
        """The store, opened again where another file has taken its place or it was brought to another version."""
        identity = _identity(self.root / "store.sqlite")
        if self._store is None or identity != self._identity:
            self._let_go()
            self._store = Store.open(self.root, write=False)
            self._identity = identity
        return self._store

    def _let_go(self) -> None:
        if self._store is not None:
            with contextlib.suppress(StoreError):
                self._store.close()
        self._store, self._identity = None, None
        self._answers.clear()


def _identity(path: Path) -> tuple[int, int, bytes] | None:
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            # an older store is read from a copy in memory, which would never change
            return about.st_dev, about.st_ino, file.read(_HEAD)[_VERSION]
    except OSError:
        return None
