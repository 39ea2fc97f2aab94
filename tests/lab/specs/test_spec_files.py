"""Files of specs: they read back equal, and what is wrong is named with its line and the nearest field."""

import re
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field

from sparsewire.errors import RequestError
from sparsewire.experiments import find, kinds
from sparsewire.lab.spec import Part, Spec, canonical, run_id
from sparsewire.lab.specs.spec_files import SpecFile, read_spec, write_spec


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

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


TOYS = st.builds(
    Toy, paths=st.integers(1, 2**70), sizes=st.lists(st.integers()).map(tuple), rate=FLOATS, name=TEXTS,
    noisy=st.booleans(), scope=st.sampled_from(["blind", "uniform"]), limit=st.none() | FLOATS,
    densities=st.dictionaries(TEXTS, FLOATS, max_size=3), training=st.builds(Training, epochs=st.integers(),
                                                                             rate=FLOATS),
)  # fmt: skip
SEEDS = (
    st.none()
    | st.integers(1, 1_000_000)
    | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, unique=True).map(tuple)
)


@given(TOYS)
@settings(deadline=None, max_examples=60)
def test_toml_and_canonical_text_read_back_equal(tmp_path_factory, spec):
    file = tmp_path_factory.mktemp("specs") / "spec.toml"
    file.write_text(write_spec(spec), encoding="utf-8")
    assert read_spec(file, KINDS) == SpecFile((spec,), None)
    again = Toy.model_validate_json(canonical(spec))
    assert again == spec
    assert run_id(again) == run_id(spec)


@given(st.lists(TOYS, min_size=1, max_size=5, unique_by=canonical).map(tuple), SEEDS)
@settings(deadline=None, max_examples=60)
def test_several_specs_and_seeds_read_back_equal(tmp_path_factory, specs, seeds):
    file = tmp_path_factory.mktemp("specs") / "spec.toml"
    file.write_text(write_spec(SpecFile(specs, seeds)), encoding="utf-8")
    assert read_spec(file, KINDS) == SpecFile(specs, seeds)


@pytest.mark.parametrize("scale", ["smoke", "desk", "full"])
@pytest.mark.parametrize("experiment", find(), ids=lambda experiment: experiment.name)
def test_all_that_the_experiments_plan_reads_back_equal(tmp_path, experiment, scale):
    file = SpecFile(tuple(experiment.specs(scale)), experiment.seeds[scale])
    (tmp_path / "a.toml").write_text(write_spec(file))
    assert read_spec(tmp_path / "a.toml", kinds()) == file


def test_several_specs_are_written_as_what_they_share_and_a_list():
    text = write_spec(SpecFile((Strict(paths=1), Strict(paths=2)), (0, 5)))
    lists = "[[sweep.list]]\npaths = 1\n\n[[sweep.list]]\npaths = 2\n"
    assert text == f'experiment = "strict"\nseeds = [0, 5]\n\n[spec]\n\n{lists}'


@pytest.mark.parametrize(("specs", "found"), [((), "none"), ((Toy(), Strict(paths=1)), "strict, toy")])
def test_only_specs_of_one_experiment_make_a_file(specs, found):
    with pytest.raises(RequestError, match=f"specs: found {found}, expected those of one experiment"):
        write_spec(SpecFile(specs))


def test_the_file_shows_defaults_but_no_none():
    text = write_spec(Toy(training=Training(epochs=2)))
    assert 'experiment = "toy"\n\n[spec]\npaths = 20\n' in text
    assert "training = { epochs = 2, rate = 0.1 }" in text
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
    ('experiment = "toy"\nseeds = [0, 5, 7]', Toy(), (0, 5, 7)),
    ('experiment = "toy"\nspec.sizes = [3, 2]\nspec.rate = 1', Toy(sizes=(3, 2), rate=1.0), None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "spec", "seeds"), READABLE)
def test_files_are_read(tmp_path, text, spec, seeds):
    (tmp_path / "a.toml").write_text(text)
    assert read_spec(tmp_path / "a.toml", KINDS) == SpecFile((spec,), seeds)


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
    (
        'experiment = "toy"\nseeds = 1000001',
        "line 2: seeds: found 1000001, expected a number of 1 or more .up to 1,000,000",
    ),
    ('experiment = "toy"\nseeds = []', "line 2: seeds: found .., expected"),
    ('experiment = "toy"\nseeds = [0, 1.5]', "line 2: seeds: found .0, 1.5., expected"),
    ('experiment = "toy"\nseeds = [9223372036854775808]', "line 2: seeds: found"),
    ('experiment = "toy"\nseeds = [0, 5, 0]', "line 2: seeds: found .0, 5, 0., expected each seed once"),
    ('experiment = "strict"\n[spec]', "line 2: field 'paths' is missing"),
    ('experiment = "strict"', "a.toml: field 'paths' is missing; it has no default"),
    ('experiment = "toy"\npaths = = 3', "is not TOML: .*line 2"),
    ('experiment = "toy"\npaths = 1\npaths = 2', "is not TOML: Cannot overwrite a value"),
    ('experiment = "toy"\nsizes = ' + "[" * 5000, "nested too deeply"),
    ('experiment = "toy"\n' + "a." * 5000 + "a = 1", "nested too deeply"),
    ('experiment = "toy"\n' + "a." * 400_000 + "a = 1", "nested too deeply"),
    ('experiment = "toy"\nname = {' + "' ' ." * 50_000 + "a = 1}", "nested too deeply"),
    ('experiment = "toy"\n[sweep.grid]\n' + "\n".join(f"x{n} = [1]" for n in range(30_000)), "no field is named 'x0'"),
    ('experiment = "toy"\npaths = ' + "9" * 5000, "digits"),
    ("x" * (1 << 21), "larger than 1 MB"),
]


@pytest.mark.parametrize(("text", "message"), FAULTY, ids=range(len(FAULTY)))
def test_faults_are_named_with_their_line(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(RequestError, match=message) as caught:
        read_spec(tmp_path / "a.toml", KINDS)
    assert len(str(caught.value)) < 2_000


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


TOML = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
GOOD = {
    "paths": ["3", "7"], "sizes": ["[]", "[1, 2]"], "rate": ["0.5", "1"], "name": ['"x"', "'y'"], "noisy": ["true"],
    "scope": ['"blind"'], "limit": ["-1"], "densities": ["{ a = 1 }"], "training": ["{ epochs = 2 }"],
    "training.epochs": ["8"], 'densities."0.weight"': ["0.3"],
}  # fmt: skip
BAD = ["1e999", "nan", "1979-05-27", "0x" + "f" * 4000, "{}", "[[3]]", "-1", '"log"', "{ low = 1, high = 2 }"]
NAMES = st.sampled_from([*GOOD] * 4 + ["pahts", "training.x", "experiment"])


@st.composite
def tables(draw: st.DrawFn, header: str, form: str = "{}") -> str:
    """A table whose fields and values are mostly right."""
    names = draw(st.lists(NAMES, max_size=2, unique_by=lambda name: name.split(".")[0]))
    values = [draw(st.sampled_from(GOOD.get(name, BAD) * 6 + BAD[draw(st.integers(0, 8)) :][:1])) for name in names]
    forms = [draw(st.sampled_from([form] * 9 + ["{}"])) for _ in names]
    return "\n".join(
        [header, *(f"{n} = {f.replace('{}', v)}" for n, v, f in zip(names, values, forms, strict=True)), ""]
    )


RANDOM = st.sampled_from(["{ choices = [{}] }", "{ low = {}, high = 9 }", '{ low = 1, high = {}, scale = "log" }'])
SECTIONS = st.tuples(
    st.sampled_from(["", "seeds = 3", "seeds = [0, 5]", "seeds = 0"]), tables("[spec]"),
    st.lists(tables("[[sweep.list]]"), max_size=2).map("".join), tables("[sweep.grid]", "[{}]"),
    st.just("") | RANDOM.flatmap(lambda form: tables("[sweep.random]\nsamples = 3", form)),
).map(lambda parts: "\n".join(['experiment = "toy"', *parts]))  # fmt: skip


@given(TOML | SECTIONS)
@example('experiment = "toy"\n[sweep.random]\nsamples = 2\nrate = { low = 1e-320, high = 1e308, scale = "log" }')
@example('experiment = "toy"\n[sweep.random]\nsamples = 2\npaths = { low = 1, high = 1' + "0" * 400 + " }")
@settings(deadline=None, max_examples=400)
def test_any_text_is_specs_or_a_request_error(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(text, encoding="utf-8")
    specs, refusal = (), ""
    try:
        specs = read_spec(file, KINDS).specs
    except RequestError as error:
        refusal = str(error)
    assert bool(specs) != refusal.startswith(str(file))
    assert len(refusal) < 6_000
    assert all(type(spec) in KINDS.values() for spec in specs)
