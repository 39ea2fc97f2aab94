"""Asking the store for many: as seldom as will do, and always the store that is there."""

import asyncio
import shutil

import pytest

from sparsewire.errors import StoreError
from sparsewire.lab.dashboard.reader import Reader
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in
from sparsewire.lab.store import Store


def add(root, spec, seed):
    with Store.open(root) as store:
        store.enlist([spec])
        hand_in(root, spec, seed, Ending("done", None, None, 1.0, {}), Content({}, {}, {}), {})
        store.ingest()


@pytest.fixture
def asked():
    """Asks a reader one question after another, and counts how often the store was asked."""
    made = []

    class Asked:
        def __init__(self, root):
            self.reader, self.times = Reader(root), 0
            made.append(self.reader)

        def count(self, moment=0):
            return asyncio.run(self.reader.ask("count", self._count, moment))

        def _count(self, store):
            self.times += 1
            return store.count()

    yield Asked
    for reader in made:
        reader.close()


def test_the_same_question_is_asked_once(asked, folder):
    one = asked(folder)
    assert [one.count() for _ in range(3)] == [(12, 0.0)] * 3
    assert one.times == 1
    one.count(moment=1)
    assert one.times == 2


def test_an_old_answer_says_when_to_ask_again(asked, folder, specs, monkeypatch):
    monkeypatch.setattr("sparsewire.lab.dashboard.reader._SHARE", 1e9)
    one = asked(folder)
    assert one.count() == (12, 0.0)
    add(folder, specs[0], 50)
    value, again = one.count()
    assert (value, again > 0) == (12, True)
    monkeypatch.setattr("sparsewire.lab.dashboard.reader._SHARE", 0)
    one = asked(folder)
    one.count()
    add(folder, specs[0], 51)
    assert one.count() == (14, 0.0)


def test_a_store_that_is_gone_and_one_in_its_place(asked, folder, specs, tmp_path):
    one = asked(folder)
    assert one.count()[0] == 12
    shutil.rmtree(folder)
    with pytest.raises(StoreError, match="holds no store"):
        one.count()
    assert asyncio.run(one.reader.version()) is None
    add(folder, specs[0], 0)
    assert one.count()[0] == 1
    shutil.copytree(folder, tmp_path / "other")
    add(tmp_path / "other", specs[0], 1)
    (tmp_path / "other" / "store.sqlite").replace(folder / "store.sqlite")
    assert one.count()[0] == 2
