"""Runs: specs in their order, with fields that can be asked for."""

from typing import Literal

from sparsewire.lab.spec import Part, Spec
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.runs import fields_text, mark, run_of
from sparsewire.lab.storage.spool import hand_in
from sparsewire.lab.store import Store


class Training(Part):
    epochs: int = 5


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    paths: int = 20
    training: Training = Training()


class Later(Toy):
    noise: float = 0.0


def test_fields_are_flat_and_hold_defaults():
    assert run_of(Toy()).fields == '{"paths":20,"training.epochs":5}'
    assert run_of(Toy()).spec == '{"experiment":"toy"}'
    assert fields_text({"a": {"b": {"c": None}}, "ü": [1, (2,)]}) == '{"a.b.c":null,"ü":[1,[2]]}'


def test_marks_add_up_without_overflow():
    assert mark(b"\xff" * 32) == 2**40 - 1
    assert mark(b"\xff" * 32) * 8_000_000 < 2**63


def test_known_specs_keep_their_place_and_get_new_fields(tmp_path):
    with Store.open(tmp_path) as store:
        store.enlist([Toy(paths=3), Toy()])
        for spec in (Toy(), Toy(paths=3)):
            hand_in(tmp_path, spec, 0, Ending("done", None, None, 0.5, {}), Content({}, {}, {}), {})
        store.ingest()
        store.enlist([Later(), Later(paths=3)])
        assert [row.fields for row in store.rows()] == [
            {"paths": 3, "training.epochs": 5, "noise": 0.0}, {"paths": 20, "training.epochs": 5, "noise": 0.0},
        ]  # fmt: skip
        assert [outcome.spec for outcome in store.outcomes("toy", {"toy": Toy})] == [Toy(paths=3), Toy()]


def test_a_parcel_brings_its_spec_but_changes_no_known_one(tmp_path):
    with Store.open(tmp_path) as store:
        store.enlist([Later()])
        for spec in (Toy(), Toy(paths=9)):
            hand_in(tmp_path, spec, 0, Ending("done", None, None, 0.5, {}), Content({}, {}, {}), {})
        store.ingest()
        assert [row.fields for row in store.rows()] == [
            {"paths": 20, "training.epochs": 5, "noise": 0.0}, {"paths": 9, "training.epochs": 5},
        ]  # fmt: skip
