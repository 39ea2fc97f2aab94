"""Workers on this machine: an embedded cluster that listens on the loopback interface alone."""

import asyncio
import contextlib
import importlib.util
import logging
import os
import signal
from typing import Any

from sparsewire.lab.executors.quiet import ONE_THREAD, PRELOAD, connected

_LOOK = 0.5  # seconds between two looks at the nannies
_PATIENCE = 20  # looks


class OwnCores:
    """Local workers, each a process of one thread, for as long as this process lives.

    Args:
        size: how many.
    """

    patience = 120.0

    def __init__(self, size: int) -> None:
        self.size = size
        self.name = f"{size} local worker{'s' if size > 1 else ''}"
        self._cluster: Any = None
        self._adaptive: Any = None
        self._nannies: list[Any] = []  # each starts one worker, and a new one when it dies
        self._starting = 0  # how many nannies are about to have a process
        self._over = False
        self._watch: asyncio.Task[None] | None = None

    async def open(self) -> Any:
        """Starts the scheduler and begins to start workers."""
        from distributed import LocalCluster, Nanny

        ground = self

        class OurNanny(Nanny):  # type: ignore[misc]
            """Known from its birth, so that `kill` finds it however far it has come."""

            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                ground._nannies.append(self)

            async def instantiate(self) -> Any:
                if ground._over:
                    raise RuntimeError("this cluster is about to end")
                ground._starting += 1
                try:
                    return await super().instantiate()
                finally:
                    ground._starting -= 1

        self._cluster = await LocalCluster(
            n_workers=0, threads_per_worker=1, worker_class=OurNanny, asynchronous=True, host="127.0.0.1",
            memory_limit=None, security=one_time_secrets(), silence_logs=logging.CRITICAL,
            # A laptop that sleeps, or a clock that jumps, is no death; a process that dies closes its connection.
            scheduler_kwargs={"worker_ttl": None, "dashboard": False, "dashboard_address": "127.0.0.1:0"},
            preload=[PRELOAD],
            env=ONE_THREAD,
        )  # fmt: skip
        client = await connected(self._cluster)  # before there are workers, for which it would wait
        self._cluster.scale(self.size)
        # Never a static cluster: it loses workers for good (dask/distributed #3955, #7312) …
        self._adaptive = self._cluster.adapt(minimum=self.size, maximum=self.size, interval="500ms")
        self._watch = asyncio.ensure_future(self._replace())
        return client

    async def shut(self) -> None:
        """Ends all workers and the scheduler."""
        from distributed.core import Status

        self._over = True
        if self._cluster is None:
            return
        if self._adaptive is not None:
            self._adaptive.stop()
        if self._watch is not None:
            self._watch.cancel()
        for nanny in self._nannies:
            if nanny.status == Status.running:
                nanny.close_gracefully()  # it starts no other worker
        await self._none_starting()
        closing = asyncio.ensure_future(self._cluster.close())
        while not closing.done():  # a worker in native code would not listen; and none has anything to lose
            self.kill()
            await asyncio.wait({closing}, timeout=0.05)
        if closing.exception() is not None:
            await self._cluster.scheduler.close()

    async def _none_starting(self) -> None:
        """A nanny that is closed while it starts a process forgets that process."""
        self._cluster.scale(0)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if not self._starting:
                return
            self.kill()

    async def _replace(self) -> None:
        """… and the adaptive one still counts on a nanny that gave up because its worker died while it started."""
        from distributed.core import Status

        without: dict[Any, int] = {}  # nanny → for how many looks it has had no process
        while True:
            await asyncio.sleep(_LOOK)
            nannies = dict(self._cluster.workers)
            without = {nanny: without.get(nanny, 0) + 1 for nanny in nannies.values() if nanny.pid is None}
            gone = [
                name
                for name, nanny in nannies.items()
                if nanny.status in (Status.closed, Status.failed) or without.get(nanny, 0) > _PATIENCE
            ]
            if gone:
                with contextlib.suppress(Exception):  # the next one may die while it starts, too: look again
                    await self._cluster.scale_down(gone)
                self._cluster.scale(self.size)

    def kill(self) -> None:
        """Kills every worker process that is there."""
        for nanny in self._nannies:
            with contextlib.suppress(Exception):  # it may be starting or ending one at this moment
                if nanny.pid is not None:
                    os.kill(nanny.pid, signal.SIGKILL)


def one_time_secrets() -> Any:
    """TLS with a key that lives as long as the cluster, so that other users of the machine cannot reach it.

    Without the package cryptography it is None: then whoever may open a connection to 127.0.0.1 may give orders.
    """
    from distributed import Security

    return Security.temporary() if importlib.util.find_spec("cryptography") else None
