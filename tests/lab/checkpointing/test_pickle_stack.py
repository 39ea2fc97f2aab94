"""The stack of a pickle, followed without running it: honest pickles pass, what would hang is seen."""

import pickle
import pickletools
from collections import Counter, OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.lab.checkpointing.pickle_stack import PickleStack, Refusal

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text())
trees = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4) | st.tuples(inner, inner),
)


def follow(pickled: bytes) -> None:
    stack = PickleStack()
    for operation, argument, _ in pickletools.genops(pickled):
        stack.follow(operation, argument)


@given(trees)
def test_what_a_training_program_keeps_passes(tree: Any) -> None:
    follow(pickle.dumps(tree, 2))


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize(
    "tree",
    [OrderedDict(a=1), Counter({30: 1}), {1, 2}, {(1, 2), (3, 4)}, b"bytes", [(k, 0.5) for k in range(10_000)],
     {(k, k): k for k in range(5_000)}, [2**63 - 1] * 2, list(range(-1000, 1000)), {str(k): () for k in range(20_000)}],
    ids=lambda tree: f"{tree!s:.20}",
)  # fmt: skip
def test_collections_pass(tree: Any, protocol: int) -> None:
    follow(pickle.dumps(tree, protocol))


def doubled(times: int) -> tuple[Any, ...]:
    whole: tuple[Any, ...] = ()
    for _ in range(times):
        whole = (whole, whole)
    return whole


@pytest.mark.parametrize(
    "pickled",
    [
        b"}" + pickle.dumps(doubled(40), 2)[2:-1] + b"Ns.",
        b"}(" + pickle.dumps(doubled(40), 2)[2:-1] + b"Nu.",
        b"(" + pickle.dumps(doubled(40), 2)[2:-1] + b"Nd.",
        b"\x8f(" + pickle.dumps(doubled(40), 2)[2:-1] + b"\x90.",
        b"(" + pickle.dumps(doubled(40), 2)[2:-1] + b"\x91.",
        b"cbuiltins\nset\n]" + pickle.dumps(doubled(40), 2)[2:-1] + b"a\x85R.",
        b"ccollections\nCounter\n(" + pickle.dumps(doubled(40), 2)[2:-1] + b"l\x85R.",
        b"ccollections\nOrderedDict\n(" + pickle.dumps(doubled(40), 2)[2:-1] + b"t\x85R.",
        b"cbuiltins\nset\n]q\xff(" + pickle.dumps(doubled(40), 2)[2:-1] + b"e0h\xff\x85R.",
        b"}ctorch\nSize\n" + pickle.dumps(doubled(40), 2)[2:-1] + b"\x85RNs.",
        pickle.dumps({(k, -k): 0 for k in range(10_000)}, 2),
        pickle.dumps(dict.fromkeys(range(2**61, 2**61 + 2_000)), 2),
    ],
)
def test_what_would_be_hashed_for_ever_is_refused(pickled: bytes) -> None:
    with pytest.raises(Refusal, match="looks up more tuples or large numbers"):
        follow(pickled)


def test_more_is_not_taken_than_is_there() -> None:
    for pickled in (b"0.", b"}s.", b"u.", b"}(Nsu.", b"(t\x86.", b"t."):
        with pytest.raises(Refusal, match="corrupt"):
            follow(pickled)
