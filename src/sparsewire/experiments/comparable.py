"""With what a run may be compared: which specs are a paper's own, and which outcomes belong together."""

from collections.abc import Callable, Sequence
from typing import Any

from sparsewire.lab.experiment import Outcome
from sparsewire.lab.spec import Spec, run_id


def as_published(spec: Spec, *free: str) -> bool:
    """Whether a spec is the paper's own setup, which its defaults are, in all but the fields named by `free`.

    Only then is there a published number to compare with: a smaller network or a shorter training has none.
    """
    fields = type(spec).model_fields
    return all(getattr(spec, name) == field.default for name, field in fields.items() if name not in free)


def by_spec(outcomes: Sequence[Outcome], name: Callable[[Spec], str] = lambda _: "") -> dict[str, list[Outcome]]:
    """The outcomes of each spec under its name, and where several specs have the same name, also the run's id.

    A store may hold runs of several specs; means are over seeds of one.
    """
    runs: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        runs.setdefault(run_id(outcome.spec), []).append(outcome)
    names = [name(group[0].spec) for group in runs.values()]
    labels = [
        label if names.count(label) == 1 else f"{label}, run {run}".removeprefix(", ")
        for run, label in zip(runs, names, strict=True)
    ]
    return dict(zip(labels, runs.values(), strict=True))


def paired(a: Sequence[Outcome], b: Sequence[Outcome], value: Callable[[Outcome], float]) -> tuple[float, ...]:
    """Value of b − value of a, one number for each seed that both have, in the order of the seeds.

    Trials of one seed see the same data in the same order, so that their difference varies less than they do.

    Args:
        a: outcomes of one spec.
        b: outcomes of another.
        value: the number of an outcome.
    """
    of_a, of_b = ({outcome.seed: outcome for outcome in group} for group in (a, b))
    return tuple(value(of_b[seed]) - value(of_a[seed]) for seed in sorted(of_a.keys() & of_b.keys()))


def families(
    outcomes: Sequence[Outcome], *varied: str, name: Callable[[Any], str] = lambda _: ""
) -> dict[str, list[Outcome]]:
    """The outcomes whose specs agree in all but the fields `varied`, under a name that tells the families apart.

    A figure shows one family; where a store holds runs of several setups they must not be mixed.
    """
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        fields = type(outcome.spec).model_fields
        plain = outcome.spec.model_copy(update={field: fields[field].default for field in varied})
        found.setdefault(run_id(plain), []).append(outcome)
    names = [name(group[0].spec) for group in found.values()]
    labels = [
        label if names.count(label) == 1 else f"{label}, as {run}".removeprefix(", ")
        for run, label in zip(found, names, strict=True)
    ]
    return dict(zip(labels, found.values(), strict=True))
