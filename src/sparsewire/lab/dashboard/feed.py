"""What happens in the store, told to everybody who watches: one look twice a second, for any number of viewers."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sparsewire.errors import StoreError
from sparsewire.lab.dashboard.live_tails import LiveTails, is_stopped
from sparsewire.lab.dashboard.plain_values import short
from sparsewire.lab.dashboard.reader import Reader
from sparsewire.lab.dashboard.single_trials import ended_of, key_of
from sparsewire.lab.trials.live import Running

SECONDS = 0.5  # between two looks
_SHARE = 10  # a look that took t seconds is followed by ten times t of rest
_KEEP_ALIVE = 10.0
_MOST_VIEWERS = 200
_TOLD = 300  # trials in one message; a page shows no more of them at once


@dataclass(frozen=True)
class Moment:
    """One look: the store's version (None where there is no store), the trials under way, and when it was.

    `stopped` are those that nobody does at present.
    """

    number: int = 0
    version: int | None = None
    live: Mapping[str, Running] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()
    seen: float = 0.0

    @property
    def running(self) -> int:
        """How many trials somebody does at present."""
        return len(self.live) - len(self.stopped)


class Feed:
    """Looks at the store while somebody watches, and at a request's bidding else.

    Args:
        reader: asks the store.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._tails = LiveTails(reader.root)
        self._now = Moment()
        self._stamps: dict[str, tuple[float, float, int]] = {}
        self._asked: tuple[int | None, Set[str]] = (None, frozenset())
        self._ended: set[str] = set()
        self._changed = asyncio.Condition()
        self._looking = asyncio.Lock()
        self._viewers = 0
        self._task: asyncio.Task[None] | None = None

    async def now(self) -> Moment:
        """The last look, if it is not older than the time between two, or else a new one."""
        async with self._looking:
            if time.monotonic() - self._now.seen >= SECONDS:
                await self._look()
        return self._now

    @property
    def is_full(self) -> bool:
        """Whether there are as many viewers as one server has ears for."""
        return self._viewers >= _MOST_VIEWERS

    async def messages(self, is_closing: Callable[[], bool] = lambda: False) -> AsyncIterator[str]:
        """Server-sent events: one at once, one after every change, and a sign of life where nothing changes.

        Args:
            is_closing: whether the stream shall end; asked after every look.
        """
        self._viewers += 1
        try:
            self._keep_watching()
            told = await self.now()
            yield f"retry: 1000\n{message(told)}"
            said = time.monotonic()
            while not is_closing():
                self._keep_watching()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SECONDS), self._changed:
                        await self._changed.wait_for(partial(self._is_past, told.number))
                if self._now.number != told.number:
                    told, said = self._now, time.monotonic()
                    yield message(told)
                elif time.monotonic() - said >= _KEEP_ALIVE:
                    said = time.monotonic()
                    yield "event: alive\ndata: {}\n\n"
        finally:
            self._viewers -= 1

    async def close(self) -> None:
        """Ends the watch."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _is_past(self, number: int) -> bool:
        return self._now.number != number

    def _keep_watching(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while self._viewers:
            begin = time.monotonic()
            async with self._looking:
                await self._look()
            await asyncio.sleep(max(SECONDS, _SHARE * (time.monotonic() - begin)))

    def _under_way(self, version: int | None) -> dict[str, Running]:
        """The trials under way, without those that the store has: their folders go a moment later."""
        live = self._tails.read()
        if (version, live.keys()) != self._asked:
            with contextlib.suppress(StoreError):
                self._ended = {str(key) for key in ended_of(self._reader.root, map(key_of, live))} if version else set()
            self._asked = (version, live.keys())
        return {key: one for key, one in live.items() if key not in self._ended}

    async def _look(self) -> None:
        version = await self._reader.version()
        live = await self._reader.aside(partial(self._under_way, version))
        before, stamps = self._now, _stamps(live)
        stopped = frozenset(key for key, one in live.items() if is_stopped(one))
        is_new = version != before.version or stamps != self._stamps or stopped != before.stopped
        self._now = Moment(before.number + is_new, version, live, stopped, time.monotonic())
        self._stamps = stamps
        if is_new:
            async with self._changed:
                self._changed.notify_all()


def _stamps(live: Mapping[str, Running]) -> dict[str, tuple[float, float, int]]:
    """What shows that a trial has told something; its series grow in place."""
    return {key: (one.touched, one.fraction, sum(map(len, one.series.values()))) for key, one in live.items()}


def message(moment: Moment) -> str:
    """The look as one server-sent event."""
    return f"event: moment\ndata: {json.dumps(told(moment), allow_nan=False)}\n\n"


def told(moment: Moment) -> dict[str, Any]:
    """The look as JSON: the store's version and, of the trials under way, how far they are."""
    now = time.time()
    live = {
        key: {
            "fraction": one.fraction, "note": short(one.note), "silent": max(now - one.touched, 0.0),
            "seconds": max(now - one.started, 0.0), "points": sum(map(len, one.series.values())),
        }
        for key, one in list(moment.live.items())[:_TOLD]
    }  # fmt: skip
    return {"version": moment.version, "live": live, "running": moment.running}
