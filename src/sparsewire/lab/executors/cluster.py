"""The executor for everything but one process: dask.distributed, behind orders and receipts."""

import asyncio
import contextlib
import queue
import signal
import threading
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sparsewire.lab.executors.contract import Ended, Order, Work
from sparsewire.lab.executors.dispatch import Dispatcher
from sparsewire.lab.executors.quiet import quiet

if TYPE_CHECKING:
    from sparsewire.lab.executors.kubernetes import KubernetesOptions
    from sparsewire.lab.executors.slurm import SlurmOptions

T = TypeVar("T")

_FAREWELL = 10.0  # seconds that dask gets for closing what it opened


class Ground(Protocol):
    """Where workers come from: started by us, or found at an address."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def size(self) -> int | None:
        """How many workers there shall be; None: as many as others have started."""

    @property
    def patience(self) -> float | None:
        """For how many seconds there may be no worker; None: for ever."""

    async def open(self) -> Any:
        """A connected asynchronous `distributed.Client`; workers may come later."""

    async def shut(self) -> None:
        """Ends what `open` started, the client aside; may be called in any state."""

    def kill(self) -> None:
        """Ends the processes on this machine that are still there, at once; may be called from any thread."""


class Cluster:
    """Does orders on the workers of a dask cluster, which starts while the caller goes on.

    One thread holds all that belongs to dask: its event loop, the scheduler where it is ours, the connections.

    Args:
        ground: where workers come from.
        work: does one order, on a worker; it travels by its name, or by value where workers cannot import it.
    """

    def __init__(self, ground: Ground, work: Work) -> None:
        # Not in the thread: the caller may be importing torch meanwhile, and imports of two threads may collide.
        import distributed  # noqa: F401

        self._ground = ground
        self._work = work
        self._out: queue.SimpleQueue[Ended | None] = queue.SimpleQueue()  # None: it is over, see _error
        self._error: BaseException | None = None
        self._early: list[Order] = []
        self._dispatcher: Dispatcher | None = None
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._grace = 0.0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._live, name="sparsewire-cluster", daemon=True)
        self._thread.start()

    @classmethod
    def local(cls, workers: int | None, work: Work) -> "Cluster":
        """On this machine.

        Args:
            workers: how many processes of one thread; None: as many as cores may be used.
            work: see the class.
        """
        from dask.system import cpu_count

        from sparsewire.lab.executors.own_cores import OwnCores

        return cls(OwnCores(workers or cpu_count()), work)

    @classmethod
    def at(cls, address: str, work: Work, *, insecure: bool = False) -> "Cluster":
        """On the workers of a scheduler that others have started, see `Address`."""
        from sparsewire.lab.executors.address import Address

        return cls(Address(address, insecure=insecure), work)

    @classmethod
    def slurm(cls, options: "SlurmOptions", work: Work) -> "Cluster":
        """As jobs of Slurm, submitted from this machine."""
        from sparsewire.lab.executors.slurm import Slurm

        return cls(Slurm(options), work)

    @classmethod
    def kubernetes(cls, options: "KubernetesOptions", work: Work) -> "Cluster":
        """As pods of the current Kubernetes context."""
        from sparsewire.lab.executors.kubernetes import Kubernetes

        return cls(Kubernetes(options), work)

    @property
    def name(self) -> str:
        """For people, e.g. "2 local workers"."""
        return self._ground.name

    @property
    def capacity(self) -> int:
        """How many workers there are or shall be; at least 1."""
        if self._ground.size is not None:
            return self._ground.size
        return max(1, self._dispatcher.workers if self._dispatcher else 0)

    def submit(self, order: Order) -> None:
        """Takes an order; it waits here until a worker is free."""
        with self._lock:
            if self._dispatcher is None:
                self._early.append(order)
                return
        with contextlib.suppress(RuntimeError):  # closed: `ended` says why
            self._loop.call_soon_threadsafe(self._dispatcher.take, order)

    def ended(self, timeout: float) -> Sequence[Ended]:
        """The orders that have ended since the last call; waits for one at most `timeout` seconds.

        Raises:
            SparsewireError: no worker starts, or the scheduler is gone.
            Exception: what the work itself raised, such as a `StoreError`.
        """
        found: list[Ended] = []
        with contextlib.suppress(queue.Empty):
            item = self._out.get(timeout=timeout)
            while item is not None:
                found.append(item)
                item = self._out.get_nowait()
            self._out.put(None)  # for the next call
            if self._error is not None and not found:
                raise self._error
        return found

    def close(self, grace: float) -> None:
        """Waits at most `grace` seconds for what is under way, then ends every process and connection; never hangs."""
        self._grace = grace
        with contextlib.suppress(RuntimeError):  # it ended by itself
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(grace + 2 * _FAREWELL)
        self._ground.kill()

    def _live(self) -> None:
        """The thread: everything of dask happens in here."""
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()  # now, because on its start it lets this thread hear signals again
        # What this thread starts inherits the mask: Ctrl-C reaches no worker, not even one that is being born.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda _loop, _context: None)  # dask leaves failures behind that nobody awaits
        try:
            with quiet():
                self._loop.run_until_complete(self._main())
        except BaseException as error:  # noqa: BLE001 - raised by `ended`, in the caller's thread
            self._error = error
        finally:
            self._out.put(None)
            self._ground.kill()
            with contextlib.suppress(Exception):
                self._loop.run_until_complete(_cancel_the_rest())
            self._loop.close()

    async def _main(self) -> None:
        client = None
        try:
            # What is half open cannot be shut, so closing waits for it a little.
            client = await self._unless_closing(self._ground.open(), _FAREWELL / 2)
            if client is not None:
                await self._serve(client)
        finally:
            if client is not None:
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(client.close(), _FAREWELL / 2)
                client.status = "closed"  # without a scheduler it does not come so far, and would complain later
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._ground.shut(), _FAREWELL)

    async def _serve(self, client: Any) -> None:
        dispatcher = Dispatcher(client, self._work, self._out.put, self._ground.patience)
        with self._lock:
            self._dispatcher = dispatcher
        for order in self._early:
            dispatcher.take(order)
        await self._unless_closing(dispatcher.run(), 0.0)
        await dispatcher.finish(self._grace)

    async def _unless_closing(self, work: Coroutine[Any, Any, T], seconds: float) -> T | None:
        """What `work` returns, or None if that takes longer than so many seconds after `close` was called."""
        task, closing = asyncio.ensure_future(work), asyncio.ensure_future(self._closing.wait())
        either: set[asyncio.Future[Any]] = {task, closing}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({task}, timeout=seconds)
        closing.cancel()
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)
        return None


async def _cancel_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=1.0)
