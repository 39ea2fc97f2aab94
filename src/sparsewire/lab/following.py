"""Trials that follow from what others found: which specs an experiment has come to, round by round."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sparsewire.errors import RequestError
from sparsewire.lab.spec import Spec, run_id

if TYPE_CHECKING:
    from sparsewire.lab.experiment import Experiment, Outcome


class Course(NamedTuple):
    """How far an experiment has come: `specs`, each once, begin with the `first`; others followed in `rounds` steps.

    `is_over` says that nothing follows any more: the trials of these specs are all there are.
    """

    first: tuple[Spec, ...]
    specs: tuple[Spec, ...]
    rounds: int
    is_over: bool


def course_of(experiment: "Experiment", first: Sequence[Spec]) -> Course:
    """The course before anything is done: the first specs, and no others where the experiment has no `follow`.

    Raises:
        RequestError: a spec is of another experiment.
    """
    each = tuple(_checked(experiment, first).values())
    return Course(each, each, 0, experiment.follow is None)


def go_on(experiment: "Experiment", course: Course, seeds: Sequence[int], outcomes: Sequence["Outcome"]) -> Course:
    """The course as far as the outcomes lead it.

    Once every spec of the course is done or has diverged with every seed, `follow` is asked what comes next. So it is
    asked at the same moments, and told the same in the same order, whoever did the trials, however often a run was
    stopped, and whatever else the store holds. A trial that failed is not there: the course waits until it is mended,
    because what failed by chance must not lead elsewhere than what is done by the next run.

    Args:
        experiment: whose `follow` is asked.
        course: where it is; it is not gone through again.
        seeds: those of each spec.
        outcomes: at least those of the course; which others there are makes no difference.

    Raises:
        RequestError: what follows is a spec of another experiment.
    """
    kept = {(run_id(outcome.spec), outcome.seed): outcome for outcome in outcomes if outcome.state != "failed"}
    known = {run_id(spec): spec for spec in course.specs}
    rounds, is_over = course.rounds, course.is_over
    while experiment.follow is not None and not is_over:
        trials = [(run, seed) for run in known for seed in sorted(seeds)]
        if not all(trial in kept for trial in trials):
            break
        further = _checked(experiment, experiment.follow(course.first, [kept[trial] for trial in trials]))
        is_over = further.keys() <= known.keys()
        rounds += not is_over
        known = {**known, **{run: spec for run, spec in further.items() if run not in known}}
    return Course(course.first, tuple(known.values()), rounds, is_over)


def found_of(
    experiment: "Experiment", first: Sequence[Spec], seeds: int, outcomes: Sequence["Outcome"]
) -> tuple[list["Outcome"], bool]:
    """The outcomes of these specs and of what followed from them, and whether these are all that there will be.

    Args:
        experiment: whose outcomes.
        first: specs; those of other experiments are left out.
        seeds: how many each spec should have. Where trials follow from others, the seeds that the first specs do have
            are tried too: what was run with more or fewer has taken another course.
        outcomes: of the store.
    """
    own = [spec for spec in first if spec.experiment == experiment.name]
    if experiment.follow is None or not own:
        wanted = {run_id(spec) for spec in own}
        found = [outcome for outcome in outcomes if run_id(outcome.spec) in wanted]
        return found, len(found) >= len(first) * seeds
    of_first = {run_id(spec) for spec in own}
    present = tuple(sorted({outcome.seed for outcome in outcomes if run_id(outcome.spec) in of_first}))
    courses = [
        (go_on(experiment, course_of(experiment, own), numbers, outcomes), numbers)
        for numbers in dict.fromkeys([tuple(range(seeds)), present or (0,)])
    ]
    course, numbers = max(courses, key=lambda one: (len(one[0].specs), one[0].is_over, len(one[1])))
    places = {run_id(spec): place for place, spec in enumerate(course.specs)}
    placed = [(places.get(run_id(outcome.spec)), outcome) for outcome in outcomes if outcome.seed in numbers]
    ordered = sorted(
        ((place, one.seed, one) for place, one in placed if place is not None), key=lambda found: found[:2]
    )
    return [one for _, _, one in ordered], course.is_over


def _checked(experiment: "Experiment", specs: Sequence[Spec]) -> dict[str, Spec]:
    for spec in specs:
        if type(spec) is not experiment.spec or spec.experiment != experiment.name:
            raise RequestError(f"spec: found one of {spec.experiment!r}, expected one of {experiment.name!r}")
    return {run_id(spec): spec for spec in specs}
