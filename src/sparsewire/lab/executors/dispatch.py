"""Which worker of a dask cluster does which order: one order a worker, so that a lost worker accuses one order alone.

dask itself would queue several tasks on a worker and blame each of them when it dies. Here an order is bound to one
worker that has nothing else of ours, and the loss of that worker ends it; dask never does anything again by itself.
A receipt is fetched as soon as there is one, and its task forgotten.
"""

import asyncio
import contextlib
import hashlib
import itertools
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sparsewire.errors import SparsewireError
from sparsewire.lab.executors.contract import Ended, Order, Receipt, Work
from sparsewire.lab.executors.worker_start import obey

_LOOK = 1.0  # seconds between two looks at the list of workers; events tell sooner


@dataclass
class _Worker:
    """A worker that the scheduler knows; `lost` says, once it is set, how it left."""

    address: str
    busy: bool = False
    lost: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Dispatcher:
    """Hands orders to workers and reports what became of them; lives in one event loop.

    Args:
        client: an asynchronous `distributed.Client`, connected.
        work: does one order, on the worker.
        report: is told of each order that has ended.
        patience: for how many seconds there may be no worker at all; None: for ever.
    """

    def __init__(self, client: Any, work: Work, report: Callable[[Ended], None], patience: float | None) -> None:
        self._client = client
        self._work = work
        self._report = report
        self._patience = patience
        self._waiting: deque[Order] = deque()
        self._workers: dict[str, _Worker] = {}
        self._following: set[asyncio.Task[None]] = set()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number = itertools.count()
        self._news = 0
        self._seen = time.monotonic()

    @property
    def workers(self) -> int:
        """How many there are at this moment."""
        return len(self._workers)

    def take(self, order: Order) -> None:
        """Gives the order to a free worker, now or when there is one."""
        self._waiting.append(order)
        self._deal()

    async def run(self) -> None:
        """Keeps the list of workers right, until it is cancelled.

        Raises:
            SparsewireError: an order's work raised an error, the scheduler is gone, or no worker comes.
        """
        self._client.subscribe_topic("all", self._hear)
        while True:
            await self._look()
            await asyncio.wait({self._broken}, timeout=_LOOK)
            if self._broken.done():
                self._broken.result()
            if self._workers:
                self._seen = time.monotonic()
            elif self._patience is not None and time.monotonic() - self._seen > self._patience:
                raise SparsewireError(
                    f"no worker has started within {self._patience:.0f} s; `--executor here` does the trials in this "
                    "process, and would show what is wrong"
                )

    async def finish(self, grace: float) -> None:
        """Forgets what was not begun, waits for the rest at most `grace` seconds, and then gives that up too."""
        self._waiting.clear()
        if self._following:
            await asyncio.wait(self._following, timeout=grace)
        for task in self._following:
            task.cancel()

    async def _look(self) -> None:
        news = self._news
        found = set(await self._client.nthreads())
        if news != self._news:
            return  # the answer may be older than what was heard meanwhile
        for address in self._workers.keys() - found:
            self._remove(address, "is gone")
        for address in found - self._workers.keys():
            self._add(address)

    def _hear(self, event: tuple[float, Any]) -> None:
        message = event[1]
        action = message.get("action") if isinstance(message, dict) else None
        if action not in ("add-worker", "remove-worker"):
            return
        self._news += 1
        if action == "add-worker":
            self._add(message["worker"])
        else:
            # "expected": it was sent home, by its time limit for instance, which is no fault of its order
            self._remove(message["worker"], "" if message.get("expected") else "was killed, or its machine was lost")

    def _add(self, address: str) -> None:
        if address not in self._workers:
            self._workers[address] = _Worker(address)
            self._deal()

    def _remove(self, address: str, how: str) -> None:
        worker = self._workers.pop(address, None)
        if worker is not None:
            worker.lost.set_result(how)

    def _deal(self) -> None:
        for worker in self._workers.values():
            if not self._waiting:
                return
            if not worker.busy:
                worker.busy = True
                task = asyncio.ensure_future(self._follow(self._waiting.popleft(), worker))
                self._following.add(task)
                task.add_done_callback(self._following.discard)

    async def _follow(self, order: Order, worker: _Worker) -> None:
        """Sees one order through on one worker."""
        try:
            await self._see_through(order, worker)
        except Exception as error:  # noqa: BLE001 - raised by `run`, and so by the runner
            if not self._broken.done():
                self._broken.set_exception(error)
        worker.busy = False
        self._deal()

    async def _see_through(self, order: Order, worker: _Worker) -> None:
        future = self._client.submit(
            obey, self._work, order, key=self._key(order), pure=False, workers=[worker.address]
        )
        result = asyncio.ensure_future(_receipt(future))
        either: set[asyncio.Future[Any]] = {result, worker.lost}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if result.done():
                self._report(_ended(order, worker, result))
            elif worker.lost.result():
                self._report(Ended(order, None, f"its worker {worker.address} {worker.lost.result()}"))
            else:
                self._waiting.appendleft(order)
        finally:
            result.cancel()
            if not future.done():
                with contextlib.suppress(Exception):  # the scheduler may be gone
                    await asyncio.wait_for(future.cancel(), 5.0)
            future.release()

    def _key(self, order: Order) -> str:
        """A name for the task, which says whose it is; the number lets a trial that was stopped be done again."""
        run = hashlib.sha256(f"{order.spec}\n{order.root}".encode()).hexdigest()[:16]
        # dask keeps statistics for ever under what stands before the first "-"
        return f"{order.experiment}-{run}/{order.seed}/{next(self._number)}/{self._client.id}"


async def _receipt(future: Any) -> Receipt:
    receipt: Receipt = await future
    return receipt


def _ended(order: Order, worker: _Worker, result: "asyncio.Task[Receipt]") -> Ended:
    """What a task that is over says; what the work raised is raised."""
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    try:
        return Ended(order, result.result())
    except KilledWorker:  # the scheduler of somebody else, which counts losses itself
        return Ended(order, None, f"its worker {worker.address} was killed")
    except (FutureCancelledError, asyncio.CancelledError):
        raise SparsewireError("the scheduler is gone, or somebody cancelled the trials under way") from None
