"""The base executor: orders are done in this process, one after another."""

from collections import deque
from collections.abc import Sequence

from sparsewire.lab.executors.contract import Ended, Order, Work


class Here:
    """Does each order in the calling thread when `ended` asks for one; nothing runs between two calls.

    Args:
        work: does one order; what it raises, `ended` raises.

    Example:
        >>> from sparsewire.lab.executors.contract import Receipt
        >>> here = Here(lambda order: Receipt("b32df87e9aae13e4", order.seed, "done"))
        >>> here.submit(Order("demo", '{"experiment":"demo"}', seed=3, root="/runs"))
        >>> [(order, receipt, loss)] = here.ended(timeout=1.0)
        >>> receipt.seed, receipt.state, here.ended(timeout=1.0)
        (3, 'done', [])
    """

    name = "this process"
    capacity = 1

    def __init__(self, work: Work) -> None:
        self._work = work
        self._waiting: deque[Order] = deque()

    def submit(self, order: Order) -> None:
        """Keeps the order for `ended`."""
        self._waiting.append(order)

    def ended(self, timeout: float) -> Sequence[Ended]:
        """Does the oldest order and returns it, however long that takes; nothing if there is none."""
        if not self._waiting:
            return []
        order = self._waiting.popleft()
        return [Ended(order, self._work(order))]

    def close(self, grace: float) -> None:
        """Forgets what was not begun."""
        self._waiting.clear()
