"""Specs: frozen ids, texts that read back equal, and messages that name the line and the nearest field."""

import re
import subprocess
import sys
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from sparsewire.errors import RequestError
from sparsewire.lab.spec import Part, Spec, SpecFile, canonical, read_spec, run_id, write_spec


class Training(Part):
    epochs: int = 5
    rate: float = 0.1


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    paths: int = Field(default=20, ge=1)
    sizes: tuple[int, ...] = (784, 300, 10)
    rate: float = 0.5
    name: str = ""
    noisy: bool = False
    scope: Literal["blind", "uniform"] = "blind"
    limit: float | None = None
    densities: dict[str, float] = Field(default_factory=dict)
    training: Training = Training()


class Strict(Spec):
    experiment: Literal["strict"] = "strict"
    paths: int


KINDS: dict[str, type[Spec]] = {"toy": Toy, "strict": Strict}


# Frozen for ever: a change here would make every result that anyone has kept impossible to find.
FROZEN = [
    (Toy(), "1fba814c38f9c2a5"),
    (Toy(paths=30), "6fac091d7be77e3b"),
    (Toy(sizes=(2, 1), rate=1e-7, name='é "x"', noisy=True, limit=3.0), "e5d35dd3e935dc44"),
    (Toy(densities={"2.weight": 0.1, "0.weight": 0.3}, training=Training(epochs=1)), "ed0537630da6674d"),
    (Strict(paths=1), "c9fa625a9a6eba73"),
]


@pytest.mark.parametrize(("spec", "identity"), FROZEN)
def test_run_ids_are_frozen(spec, identity):
    assert run_id(spec) == identity


def test_the_canonical_text_is_sorted_and_leaves_out_defaults():
    assert canonical(Toy()) == '{"experiment":"toy"}'
    assert canonical(Toy(paths=20, training=Training(epochs=5))) == canonical(Toy())
    spec = Toy(training=Training(rate=0.30000000000000004), rate=1, densities={"b": 1e-5, "a": 2.0})
    expected = '{"densities":{"a":2.0,"b":1e-05},"experiment":"toy","rate":1.0,"training":{"rate":0.30000000000000004}}'
    assert canonical(spec) == expected


def test_equal_specs_have_equal_ids():
    for one, other in [(Toy(rate=0.0), Toy(rate=-0.0)), (Toy(rate=2), Toy(rate=2.0)), (Toy(densities={"a": -0.0}),
                       Toy(densities={"a": 0.0}))]:  # fmt: skip
        assert one == other
        assert run_id(one) == run_id(other)
    assert run_id(Toy(noisy=True)) != run_id(Toy(paths=1))


def test_what_has_no_single_text_is_refused():
    class Loose(Spec):
        experiment: Literal["loose"] = "loose"
        names: frozenset[str] = frozenset()

    with pytest.raises(RequestError, match="'names' holds frozenset, which has no single text"):
        canonical(Loose(names=frozenset({"a"})))


@pytest.mark.parametrize(
    "fields", [{"paths": "3"}, {"paths": 3.0}, {"paths": True}, {"rate": float("nan")}, {"rate": float("inf")},
               {"pahts": 3}, {"experiment": "other"}, {"noisy": 1}, {"training": {"epochs": 1.5}}],
)  # fmt: skip
def test_wrong_fields_are_refused(fields):
    with pytest.raises(ValidationError):
        Toy(**fields)


def test_specs_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Toy().paths = 3


def test_words_of_the_file_cannot_be_fields():
    with pytest.raises(TypeError, match="cannot have a field 'seeds'"):

        class Wrong(Spec):
            seeds: int = 1


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.builds(
        Toy, paths=st.integers(1, 2**70), sizes=st.lists(st.integers()).map(tuple), rate=FLOATS, name=TEXTS,
        noisy=st.booleans(), scope=st.sampled_from(["blind", "uniform"]), limit=st.none() | FLOATS,
        densities=st.dictionaries(TEXTS, FLOATS, max_size=3), training=st.builds(Training, epochs=st.integers(),
                                                                                 rate=FLOATS),
    )
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_toml_and_canonical_text_read_back_equal(tmp_path_factory, spec):
    file = tmp_path_factory.mktemp("specs") / "spec.toml"
    file.write_text(write_spec(spec), encoding="utf-8")
    assert read_spec(file, KINDS) == SpecFile(spec, None)
    again = Toy.model_validate_json(canonical(spec))
    assert again == spec
    assert run_id(again) == run_id(spec)


def test_the_file_shows_defaults_but_no_none():
    text = write_spec(Toy(training=Training(epochs=2)))
    assert 'experiment = "toy"\n\n[spec]\n"paths" = 20\n' in text
    assert '"training" = { "epochs" = 2, "rate" = 0.1 }' in text
    assert "limit" not in text


def test_none_that_is_no_default_has_no_toml():
    class Backwards(Spec):
        experiment: Literal["backwards"] = "backwards"
        limit: float | None = 1.0

    with pytest.raises(RequestError, match="'limit' holds None, which TOML cannot say"):
        write_spec(Backwards(limit=None))


READABLE = [
    ('experiment = "toy"', Toy(), None),
    ('experiment = "toy"\nseeds = 3\npaths = 7', Toy(paths=7), 3),
    ('experiment = "toy"\nseeds = 2\n[spec]\npaths = 7\n[spec.training]\nepochs = 1', Toy(paths=7,
     training=Training(epochs=1)), 2),
    ('experiment = "toy"\nspec.sizes = [3, 2]\nspec.rate = 1', Toy(sizes=(3, 2), rate=1.0), None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "spec", "seeds"), READABLE)
def test_files_are_read(tmp_path, text, spec, seeds):
    (tmp_path / "a.toml").write_text(text)
    assert read_spec(tmp_path / "a.toml", KINDS) == SpecFile(spec, seeds)


FAULTY = [
    ("", "a.toml names no experiment; begin it with .* There are: strict, toy"),
    ("experiment = 3", "names no experiment"),
    ('\nexperiment = "tyo"', "line 2: no experiment is named 'tyo'; did you mean 'toy'"),
    ('experiment = "toy"\n\npahts = 3', r"a\.toml, line 3: no field is named 'pahts'; did you mean 'paths'"),
    ('experiment = "toy"\nseed = 3', "line 2: no field is named 'seed'; did you mean 'seeds'"),
    ('experiment = "toy"\n[spec]\npaths = 3\nsizs = []', "line 4: no field is named 'sizs'; did you mean 'sizes'"),
    ('experiment = "toy"\n[spec.training]\nepohcs = 3', "line 3: no field is named 'epohcs'; did you mean 'epochs'"),
    ('experiment = "toy"\n[spec]\ntraining = {epohcs = 3}', "line 3: no field is named 'epohcs'"),
    ('experiment = "toy"\n[spec]\npaths = "3"', "line 3: field 'paths': found '3', expected: a valid integer"),
    ('experiment = "toy"\n[spec]\npaths = 0', "line 3: field 'paths': found 0, expected: greater than or equal to 1"),
    ('experiment = "toy"\nrate = nan', "line 2: field 'rate': found nan, expected: a finite number"),
    ('experiment = "toy"\nsizes = [1, "a"]', "line 2: field 'sizes.1': found 'a', expected: a valid integer"),
    ('experiment = "toy"\nscope = "x"', "line 2: field 'scope': found 'x', expected: 'blind' or 'uniform'"),
    ('experiment = "toy"\nname = 1979-05-27', "no dates and times"),
    ('experiment = "toy"\npaths = 3\n[spec]\nrate = 1', "line 2: no entry beside .spec. is named 'paths'"),
    ('experiment = "toy"\nspec = 3', "line 2: spec: found 3, expected a table"),
    ('experiment = "toy"\nseeds = 0', "line 2: seeds: found 0, expected a number of 1 or more"),
    ('experiment = "toy"\nseeds = true', "line 2: seeds: found True"),
    ('experiment = "strict"', "a.toml: field 'paths' is missing; it has no default"),
    ('experiment = "toy"\npaths = = 3', "is not TOML: .*line 2"),
    ('experiment = "toy"\npaths = 1\npaths = 2', "is not TOML: Cannot overwrite a value"),
    ('experiment = "toy"\nsizes = ' + "[" * 5000, "nested too deeply"),
    ('experiment = "toy"\n' + "a." * 5000 + "a = 1", "nested too deeply|is not TOML|no field is named 'a'"),
    ('experiment = "toy"\npaths = ' + "9" * 5000, "digits"),
    ("x" * (1 << 21), "larger than 1 MB"),
]


@pytest.mark.parametrize(("text", "message"), FAULTY, ids=range(len(FAULTY)))
def test_faults_are_named_with_their_line(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(RequestError, match=message) as caught:
        read_spec(tmp_path / "a.toml", KINDS)
    assert len(str(caught.value)) < 600


def test_every_fault_gets_a_line(tmp_path):
    (tmp_path / "a.toml").write_text('experiment = "toy"\npahts = 3\nrate = "x"')
    with pytest.raises(RequestError, match=re.compile("line [23]: .*\n.*line [23]: ")):
        read_spec(tmp_path / "a.toml", KINDS)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(RequestError, match=r"cannot read the spec .*No such file"):
        read_spec(tmp_path / "none.toml", KINDS)
    with pytest.raises(RequestError, match=r"cannot read the spec .*directory"):
        read_spec(tmp_path, KINDS)
    (tmp_path / "a.toml").write_bytes(b'experiment = "\xff"')
    with pytest.raises(RequestError, match="byte 14 is not UTF-8"):
        read_spec(tmp_path / "a.toml", KINDS)


def test_specs_and_experiments_load_without_torch():
    code = "import sys, sparsewire.lab.spec, sparsewire.lab.experiment; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
