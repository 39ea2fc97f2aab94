"""evolve: better than chance, each candidate tried once, and the same end after every kill."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.search.digit_space import DIGITS, Digits, counting, near_seven
from tests.search.test_evolution import SEARCHES, named, value_of

from sparsewire.errors import CheckpointError, DivergedError, RequestError, UnknownNameError
from sparsewire.search.evolving import Search, evolve
from sparsewire.search.settings import METHODS, Settings
from sparsewire.search.spaces import genomes


def search(how: Settings, **more: Any) -> Search[Digits]:
    return evolve(**{"evaluate": lambda one: value_of(one, how), "space": DIGITS, "settings": how, **more})


@named
def test_each_is_tried_once(settings: Settings) -> None:
    asked: list[Digits] = []
    found = search(settings, evaluate=counting(asked, lambda one: value_of(one, settings)))
    assert len(asked) == len(set(asked)) == found.state.evaluations
    assert found.best.value == max(one.value for one in found.history if one.value is not None)
    assert found.best in found.front or len(settings.objectives) == 2
    assert all(one.tried for one in found.front)


@named
def test_stopped_at_every_call_it_ends_the_same(settings: Settings, tmp_path: Path) -> None:
    """An error ends the search at its first call, the same call goes on, an error ends it at the next one, …."""
    path, whole = tmp_path / "search.json", search(settings)
    asked: list[Digits] = []

    def fails_at_first(digits: Digits) -> Any:
        asked.append(digits)
        if len(asked) % 2:
            raise OSError("the power is gone")
        return value_of(digits, settings)

    for _ in range(whole.state.evaluations):
        with pytest.raises(OSError, match="the power is gone"):
            search(settings, evaluate=fails_at_first, checkpoints=path)
    assert search(settings, evaluate=fails_at_first, checkpoints=path).state == whole.state
    assert asked[::2] == asked[1::2]
    assert len(asked) == 2 * whole.state.evaluations


_KILLED = """
import sys
from sparsewire.search.evolving import evolve
from tests.search.digit_space import DIGITS, near_seven
def told(state):
    print(state.evaluations, flush=True)
found = evolve(
    evaluate=near_seven, space=DIGITS, population=8, generations=5, regressor="bayesian_ridge", least_tried=4,
    checkpoints=sys.argv[1], progress=told,
)
"""


def test_killed_at_any_moment_it_ends_the_same(tmp_path: Path) -> None:
    path, root = tmp_path / "search.json", Path(__file__).parents[2]
    for kill_after in (5, 12):
        process = subprocess.Popen(
            [sys.executable, "-c", _KILLED, str(path)], cwd=root, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= kill_after:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        process.wait(timeout=60)
    same: dict[str, Any] = {
        "evaluate": near_seven, "space": DIGITS, "population": 8, "generations": 5, "regressor": "bayesian_ridge",
        "least_tried": 4,
    }  # fmt: skip
    asked: list[Digits] = []
    found = evolve(**{**same, "evaluate": counting(asked), "checkpoints": path})
    assert len(asked) < found.state.evaluations
    assert found.state == evolve(**same).state


@pytest.mark.parametrize("method", [method for method in METHODS if method != "random"])
def test_every_method_is_better_than_chance(method: Any) -> None:
    """At as many trials, over three seeds together."""

    def best(**how: Any) -> float:
        found = (
            evolve(evaluate=near_seven, space=DIGITS, population=16, generations=None, evaluations=160, seed=seed,
                   regressor="bayesian_ridge", **how)
            for seed in range(3)
        )  # fmt: skip
        return sum(one.best.value or 0.0 for one in found)

    assert best(method=method) > best(method="random")


def test_nsga2_finds_the_whole_front() -> None:
    """Sum of digits and its opposite of the first: the front is known: all sums of the other digits are largest."""
    found = evolve(
        evaluate=lambda digits: (sum(digits[1:]) + digits[0], digits[0]), space=DIGITS, method="nsga2", population=20,
        generations=30, objectives=("max", "min"), crossover=0.5,
    )  # fmt: skip
    assert {one.genome[0] for one in found.front} == set(range(10))
    assert max(one.value or 0 for one in found.front) >= 50


def test_what_fails_is_not_tried_again() -> None:
    def fails(digits: Digits) -> Any:
        if digits[0] % 3 == 0:
            raise DivergedError("loss: nan at step 3")
        return float("nan") if digits[0] % 3 == 1 else torch.tensor(float(digits[0]))

    found = search(SEARCHES["genetic"], evaluate=fails)
    assert all(one.tried == (one.genome[0] % 3 == 2) for one in found.history if one.outcome != "foretold")
    nothing = search(SEARCHES["random"], evaluate=lambda digits: None)
    assert nothing.front == nothing.reasons() == ()
    with pytest.raises(RequestError, match=r"evaluate: all \d+ candidates failed"):
        _ = nothing.best


def test_graphs_are_searched_by_default() -> None:
    found = evolve(
        evaluate=lambda genome: sum(one.operation == "sum" for one in genome.vertices) - 0.1 * len(genome.edges),
        population=10, generations=4, regressor="bayesian_ridge", least_tried=8,
    )  # fmt: skip
    assert found.foresight.candidates > 0
    assert len(found.reasons()) == 10
    assert {one.outcome for one in found.history} == {"tried", "foretold"}


@pytest.mark.parametrize("kind", [torch.tensor, np.array, tuple, list])
def test_numbers_of_any_kind(kind: Any) -> None:
    settings = SEARCHES["nsga2"]
    found = search(settings, evaluate=lambda one: kind((float(sum(one)), float(one[0]))))
    assert all(one.values == (float(sum(one.genome)), float(one.genome[0])) for one in found.history)


def test_the_generator_gives_the_seed() -> None:
    one, same = (search(SEARCHES["random"], generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert one.state == same.state
    assert search(SEARCHES["random"], seed=one.state.seed).state == one.state


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"evaluate": 3}, RequestError, "evaluate: found 3, expected a function"),
        ({"progress": 3}, RequestError, "progress: found 3"),
        ({"settings": 3}, RequestError, "settings: found 3"),
        ({"space": 3}, RequestError, "space: found int"),
        ({"checkpoints": 3}, RequestError, "checkpoints: found 3, expected the path of a file"),
        ({"seed": 1.5}, RequestError, "seed: found 1.5"),
        ({"generator": 3}, RequestError, "generator: found 3"),
        ({"seed": 1, "generator": torch.Generator()}, RequestError, "seed: found 1 and a generator"),
        ({"populations": 3}, UnknownNameError, "did you mean 'population'"),
        ({"evaluate": lambda digits: "good"}, RequestError, "found 'good', expected 1 number"),
    ],
)
def test_mistakes(more: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        search(SEARCHES["random"], **more)


def test_what_cannot_be_kept_is_told_before_anything_is_tried(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    asked: list[Digits] = []
    with pytest.raises(CheckpointError, match="cannot write"):
        search(SEARCHES["random"], evaluate=counting(asked), checkpoints=tmp_path / "file" / "search.json")
    assert not asked


def test_another_search_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    search(SEARCHES["random"], checkpoints=path)
    with pytest.raises(RequestError, match="space: found int"):
        search(SEARCHES["random"], checkpoints=path, space=3)
    with pytest.raises(CheckpointError, match=r"its genome cannot be read .* is of another space"):
        search(SEARCHES["random"], checkpoints=path, space=genomes())
    with pytest.raises(RequestError, match="is of a search with population=12, found 13"):
        search(SEARCHES["random"], checkpoints=path, population=13)
    with pytest.raises(RequestError, match="is of the seed 0, found 1"):
        search(SEARCHES["random"], checkpoints=path, seed=1)
    text = path.read_text()
    for damaged in ("", "{}", text[:-100], text.replace('"living"', '"dying"'), "\x00" * 9):
        path.write_text(damaged)
        with pytest.raises(CheckpointError, match=r"search\.json"):
            search(SEARCHES["random"], checkpoints=path)
    with pytest.raises(CheckpointError, match="is no regular file"):
        search(SEARCHES["random"], checkpoints=tmp_path)
