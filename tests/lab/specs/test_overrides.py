"""Overrides and grids from texts: typed by the field, strict as files are, and clear about what is wrong."""

import enum
import math
from typing import Annotated, Any, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field

from sparsewire.errors import RequestError
from sparsewire.experiments import find
from sparsewire.lab.spec import Part, Spec, canonical, run_id
from sparsewire.lab.specs.overrides import apply_grid, apply_overrides, grid, override


class Rule(enum.StrEnum):
    SET = "set"
    RIGL = "rigl"


class Training(Part):
    epochs: int = 5
    rate: float = 0.1
    name: str | None = None


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    paths: Annotated[int, Field(ge=1)] = 20
    hidden: tuple[int, ...] = (300, 100)
    rate: float = 0.5
    name: str = ""
    noisy: bool = False
    data: Literal["digits", "mnist"] = "mnist"
    rule: Rule = Rule.SET
    mixed: int | str = 0
    limit: float | None = None
    densities: dict[str, float] = Field(default_factory=dict)
    names: dict[str, str] = Field(default_factory=dict)
    training: Training = Training(rate=0.7)
    last: Training | None = None


class Strict(Spec):
    experiment: Literal["strict"] = "strict"
    paths: int
    rate: float = 0.1


SET = [
    ("paths=7", {"paths": 7}),
    (" paths = 7 ", {"paths": 7}),
    ("paths=1_000", {"paths": 1000}),
    ("hidden=[30,20]", {"hidden": (30, 20)}),
    ("hidden=[]", {"hidden": ()}),
    ("rate=1", {"rate": 1.0}),
    ("rate=1e-3", {"rate": 0.001}),
    ("noisy=true", {"noisy": True}),
    ("data=digits", {"data": "digits"}),
    ('data="digits"', {"data": "digits"}),
    ("rule=rigl", {"rule": Rule.RIGL}),
    ("name=5", {"name": "5"}),
    ("name=", {"name": ""}),
    ("name=a=b # c", {"name": "a=b # c"}),
    ("name='a' # c", {"name": "a"}),
    ("name=true", {"name": "true"}),
    ("name=1979-05-27", {"name": "1979-05-27"}),
    ('name="', {"name": '"'}),
    ("name=1\nrate = 2", {"name": "1\nrate = 2"}),
    ("name=é \\u00e9", {"name": "é \\u00e9"}),
    ("mixed=5", {"mixed": 5}),
    ("mixed=x", {"mixed": "x"}),
    ('mixed="5"', {"mixed": "5"}),
    ("mixed=1979-05-27", {"mixed": "1979-05-27"}),
    ("limit=3", {"limit": 3.0}),
    ("densities.a=0.5", {"densities": {"a": 0.5}}),
    ("densities.'0.weight'=0.5", {"densities": {"0.weight": 0.5}}),
    ("names.a=5", {"names": {"a": "5"}}),
    ("training.epochs=9", {"training": Training(epochs=9, rate=0.7)}),
    ("training={epochs=9}", {"training": Training(epochs=9)}),
    ("training.name=x", {"training": Training(rate=0.7, name="x")}),
    ("last.epochs=9", {"last": Training(epochs=9)}),
]


@pytest.mark.parametrize(("text", "fields"), SET)
def test_a_field_is_set(text, fields):
    assert override(Toy, [text]) == Toy(**fields)
    assert override(Toy(), [text]) == Toy(**fields)
    [again] = apply_overrides([Toy(**fields)], [text])
    assert run_id(again) == run_id(Toy(**fields))


def test_all_other_fields_stay():
    spec = Toy(paths=3, rate=0.1, densities={"a": 0.1}, last=Training(name="x"), limit=0.30000000000000004)
    assert override(spec, ["training.epochs=1", "densities.b=0.2", "last.rate=0.3"]) == Toy(
        paths=3, rate=0.1, densities={"a": 0.1, "b": 0.2}, last=Training(name="x", rate=0.3), limit=0.30000000000000004,
        training=Training(epochs=1, rate=0.7),
    )  # fmt: skip
    assert override(spec, []) == spec


def test_what_has_no_default_must_be_set():
    assert override(Strict, ["paths=3"]) == Strict(paths=3)
    with pytest.raises(RequestError, match=r"^-s: field 'paths' is missing"):
        override(Strict, ["rate=3"])


FAULTY = [
    ("paths", "^-s 'paths': expected FIELD=VALUE, such as -s training.epochs=5"),
    ("", "-s '': expected FIELD=VALUE"),
    ("=3", "expected FIELD=VALUE"),
    ("a b=3", "expected FIELD=VALUE"),
    ("pahts=3", "^-s 'pahts=3': no field is named 'pahts'; did you mean 'paths'"),
    ("training.epohcs=3", "^-s 'training.epohcs=3': no field is named 'epohcs'; did you mean 'epochs'"),
    (
        "training.epochs.x=3",
        "^-s 'training.epochs.x=3': field 'training.epochs': found {'x': 3}, expected: a valid integer",
    ),
    ("paths=3.0", "field 'paths': found 3.0, expected: a valid integer"),
    ('paths="3"', "field 'paths': found '3', expected: a valid integer"),
    ("paths=", "field 'paths': found '', expected: a valid integer"),
    ("paths=0", "field 'paths': found 0, expected: greater than or equal to 1"),
    ("paths=three", "field 'paths': found 'three', expected: a valid integer"),
    ("paths=1\nrate=2", r"field 'paths': found '1\\nrate=2', expected: a valid integer"),
    ("hidden=300,100", "field 'hidden': found '300,100', expected: a valid array"),
    ("hidden=[300, 'x']", r"field 'hidden.1': found 'x', expected: a valid integer"),
    ("noisy=True", "field 'noisy': found 'True', expected: a valid boolean"),
    ("rate=nan", "field 'rate': found nan, expected: a finite number"),
    ("rate=1e999", "field 'rate': found inf, expected: a finite number"),
    ("data=digit", "field 'data': found 'digit', expected: 'digits' or 'mnist'"),
    ("rule=x", "field 'rule': found 'x', expected: 'set' or 'rigl'"),
    ("limit=1979-05-27", "field 'limit': found '1979-05-27', expected: a valid number"),
    ("experiment=other", "-s experiment: an experiment's spec cannot become another's"),
    ("name=\udcff", "it is not UTF-8 text"),
    ("paths=" + "[" * 5000, "found '\\[\\[\\["),
    ("paths=" + "9" * 5000, "found '999"),
    ("paths=0x" + "f" * 9000, "JSON cannot say|found"),
    ("x" * 9000 + "=1", "no field is named 'xxx"),
]


@pytest.mark.parametrize(("text", "message"), FAULTY, ids=range(len(FAULTY)))
def test_faults_name_the_option(text, message):
    with pytest.raises(RequestError, match=message) as caught:
        override(Toy, [text])
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    "texts", [["paths=1", "paths=2"], ["training={}", "training.epochs=2"], ["training.epochs=2", "training={}"]]
)
def test_a_field_is_set_once(texts):
    with pytest.raises(RequestError, match=r"--set '.*': field '.*' is set before; once"):
        override(Toy, texts, "--set")


def test_every_fault_names_its_text():
    with pytest.raises(RequestError, match=r"^-s 'paths=x': .*\n-s 'noisy=1': "):
        override(Toy, ["paths=x", "rate=1", "noisy=1"])


def test_specs_that_become_equal_are_one():
    specs = [Toy(rate=0.1), Toy(rate=0.2), Toy(rate=0.1, paths=3)]
    assert apply_overrides(specs, ["rate=0.5"]) == (Toy(), Toy(paths=3))
    assert apply_overrides(specs, []) == tuple(specs)


GRIDS = [
    ("paths=100,1000", ("paths",), (100, 1000)), ("hidden=[30,20],[300,100]", ("hidden",), ([30, 20], [300, 100])),
    ("hidden=[30,20]", ("hidden",), ([30, 20],)), ("data=digits, mnist", ("data",), ("digits", "mnist")),
    ("name=5,'a,b',c", ("name",), ("5", "a,b", "c")), ("training.rate=0.1,1", ("training", "rate"), (0.1, 1)),
    ("training={epochs=1,rate=0.5},{epochs=2}", ("training",), ({"epochs": 1, "rate": 0.5}, {"epochs": 2})),
    ("noisy=true,false", ("noisy",), (True, False)), ("paths=1,x", ("paths",), (1, "x")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "values"), GRIDS)
def test_a_grid_is_read(text, path, values):
    assert grid([text], Toy).grid == ((path, values),)


def test_a_grid_is_applied_to_each_spec():
    found = apply_grid([Toy(data="digits"), Toy()], ["paths=1,2", "hidden=[30],[40]"])
    assert [(spec.data, spec.paths, spec.hidden) for spec in found] == [
        (data, paths, hidden) for data in ("digits", "mnist") for paths in (1, 2) for hidden in ((30,), (40,))
    ]
    assert apply_grid([Toy(paths=1), Toy(paths=2)], ["paths=3,3,4"]) == (Toy(paths=3), Toy(paths=4))
    [spec] = apply_grid([Toy()], ["training.epochs=9"])
    assert spec.training == Training(epochs=9, rate=0.7)


GRID_FAULTS = [
    (["paths=1,2", "paths=3"], "-g 'paths=3': field 'paths' is set before"),
    (["paths=1,,2"], "-g 'paths=1,,2': a value is empty"),
    (["name="], "a value is empty"),
    (["paths"], "expected FIELD=VALUE"),
    (["paths=1,x"], "^-g 'paths=1,x': field 'paths': found 'x', expected: a valid integer"),
    (["pahts=1"], "^-g 'pahts=1': no field is named 'pahts'; did you mean 'paths'"),
    (["hidden=300,100"], "^-g 'hidden=300,100': field 'hidden': found 300, expected: a valid array"),
    (["experiment=a,b"], "-g experiment: an experiment's spec"),
    (
        [f"paths={','.join(map(str, range(1, 1002)))}", f"rate={','.join(map(str, range(1000)))}"],
        "^-g: the sweep makes 1,001,000 specs",
    ),
]


@pytest.mark.parametrize(("texts", "message"), GRID_FAULTS, ids=range(len(GRID_FAULTS)))
def test_faults_of_a_grid_name_the_option(texts, message):
    with pytest.raises(RequestError, match=message):
        apply_grid([Toy()], texts)


def test_every_field_of_every_experiment_can_be_set_to_what_another_scale_has():
    for experiment in find():
        [smoke, *_], [*full] = experiment.specs("smoke"), experiment.specs("full")
        for spec in full:
            texts = [f"{name}={_text(value)}" for name, value in spec if name != "experiment"]
            assert override(smoke, texts) == spec
            assert canonical(override(experiment.spec, texts)) == canonical(spec)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)) if isinstance(value, tuple) else str(value)


FIELDS = st.sampled_from([*Toy.model_fields, "training.epochs", "densities.a", "last.name", "pahts", "training.x"])
RIGHTS = st.text() | st.sampled_from(
    ["1", "0.5", "[1, 2]", "{}", "nan", "true", "digits", "{ epochs = 1 }", "1979-05-27"]
)


@given(st.lists(st.text() | st.builds("{}={}".format, FIELDS, RIGHTS), max_size=3))
@example(["name=\ud800"])
@example(["a." * 5000 + "a=1"])
@example(["hidden=" + "[" * 5000 + "]" * 5000])
@example(['names."a\\n"=x'])
@settings(deadline=None, max_examples=400)
def test_any_texts_are_specs_or_a_request_error(texts):
    for do in (
        lambda: [override(Toy, texts)],
        lambda: apply_overrides([Toy()], texts),
        lambda: apply_grid([Toy()], texts),
    ):
        found, refusal = (), ""
        try:
            found = do()
        except RequestError as error:
            refusal = str(error)
        assert bool(found) != refusal.startswith(("-s", "-g"))
        assert all(len(run_id(spec)) == 16 and math.isfinite(spec.rate) for spec in found)
