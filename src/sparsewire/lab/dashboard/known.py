"""What is known of the store as it is now, so that trials under way can move without asking it again."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sparsewire.lab.store import Store

T = TypeVar("T")
_MOST = 100


class Known:
    """Answers that depend on the store alone; forgotten when it changes. For one thread.

    Example:
        >>> import tempfile
        >>> with Store.open(tempfile.mkdtemp()) as store:
        ...     known = Known()
        ...     [known.of(store, "trials", lambda: print("asked") or store.count()) for _ in range(2)]
        asked
        [0, 0]
    """

    def __init__(self) -> None:
        self._version = -1
        self._answers: dict[Hashable, Any] = {}

    def of(self, store: Store, name: Hashable, question: Callable[[], T]) -> T:
        """The answer to a question.

        Args:
            store: whose version says whether an answer still holds.
            name: what tells the question from all others.
            question: is asked where the answer is not known.
        """
        version = store.version()
        if version != self._version or len(self._answers) >= _MOST:
            self._version, self._answers = version, {}
        if name not in self._answers:
            self._answers[name] = question()
        answer: T = self._answers[name]
        return answer
