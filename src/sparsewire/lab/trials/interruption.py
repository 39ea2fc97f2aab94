"""Ctrl-C: once asks for a clean end, twice ends at once."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

GRACE = 4.0  # seconds that a clean end may take


class Interruption:
    """Whether somebody has asked the run to end."""

    def __init__(self) -> None:
        self.asked = False


@contextlib.contextmanager
def interruptible(on_ask: Callable[[], None]) -> Iterator[Interruption]:
    """Inside, the first SIGINT or SIGTERM is a request; a second one, or too slow an answer, is a KeyboardInterrupt.

    Args:
        on_ask: called at the request, in the main thread between two of its instructions.

    Yields:
        What says whether the request was made. Outside of the main thread, where no signal arrives, it never is.
    """
    state = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield state
        return
    late: list[threading.Timer] = []
    main = threading.main_thread().ident
    assert main is not None

    def ask(number: int, frame: FrameType | None) -> None:
        if state.asked:
            raise KeyboardInterrupt
        state.asked = True
        # to the main thread itself: another thread's signal would not wake it from a sleep
        late.append(threading.Timer(GRACE, signal.pthread_kill, (main, signal.SIGINT)))
        late[0].daemon = True
        late[0].start()
        on_ask()

    before: dict[int, Any] = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield state
    finally:
        for timer in late:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
