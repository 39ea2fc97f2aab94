"""In this process: one after another, in their order."""

import pytest

from sparsewire.errors import StoreError
from sparsewire.lab.executors.contract import Ended, Executor, Order, Receipt
from sparsewire.lab.executors.here import Here


def order(seed: int) -> Order:
    return Order("demo", "{}", seed, "/unused")


def test_an_order_is_done_when_the_end_of_one_is_asked_for() -> None:
    done: list[int] = []

    def work(order: Order) -> Receipt:
        done.append(order.seed)
        return Receipt("r", order.seed, "done")

    here: Executor = Here(work)
    assert (here.name, here.capacity, here.ended(5.0)) == ("this process", 1, [])
    for seed in (3, 1, 2):
        here.submit(order(seed))
    assert done == []
    assert here.ended(0.0) == [Ended(order(3), Receipt("r", 3, "done"))]
    assert done == [3]
    here.ended(0.0)
    here.close(0.0)
    assert (here.ended(0.0), done) == ([], [3, 1])


def test_what_the_work_raises_is_raised_and_the_rest_goes_on() -> None:
    def work(order: Order) -> Receipt:
        if order.seed == 0:
            raise StoreError("the disk is full")
        return Receipt("r", order.seed, "done")

    here = Here(work)
    here.submit(order(0))
    here.submit(order(1))
    with pytest.raises(StoreError, match="the disk is full"):
        here.ended(0.0)
    [ended] = here.ended(0.0)
    assert ended.order.seed == 1
