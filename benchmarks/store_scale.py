"""A large store: how long it takes to list, filter and report its trials, each from a fresh start of Python.

    python benchmarks/store_scale.py            # 5,000 trials, 500,000 points
    python benchmarks/store_scale.py --long     # 100,000 trials, 10 million points

It builds a store through the store's own way of writing rows and prints, for each question, the seconds from opening
the store to the answer (the median of five processes, and the slowest; where other programs keep the machine busy, the
seconds of the processor say more), and the overhead of one small trial: handed in
and taken alone, and two hundred together.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

from sparsewire.lab.spec import Part, Spec
from sparsewire.lab.storage.curves import packed
from sparsewire.lab.storage.database import transaction
from sparsewire.lab.storage.rows import Content, Ending, insert
from sparsewire.lab.storage.runs import checked_run, enlist
from sparsewire.lab.storage.spool import hand_in
from sparsewire.lab.store import Store

SEEDS, CURVES, POINTS = 10, 5, 20
QUESTIONS = {
    "list": "found = store.experiments()",
    "filter": "found = store.rows('scale', where=[condition('accuracy>=0.5'), condition('training.epochs=5')], "
    "sort='loss', limit=50)",
    "count": "found = store.count('scale', [condition('accuracy>=0.9')])",
    "report": "found = findings(store.outcomes('scale', {'scale': Scale}))",
    "one curve": "found = store.outcomes('scale', {'scale': Scale})[-1].series['loss']",
    "50 curves": "found = store.curves([row.trial for row in store.rows(limit=50)], ['loss'])",
}
QUESTION = """
import sys, time
from statistics import fmean
from store_scale import Scale
from sparsewire.lab.storage.conditions import condition
from sparsewire.lab.store import Store
def findings(outcomes):
    groups = {{}}
    for outcome in outcomes:
        groups.setdefault((outcome.spec.width, outcome.spec.training.epochs), []).append(outcome.metrics["accuracy"])
    return {{key: fmean(group) for key, group in groups.items()}}
begin, processor = time.perf_counter(), time.process_time()
with Store.open(sys.argv[1], write=False) as store:
    {question}
print(time.perf_counter() - begin, time.process_time() - processor)
"""


class Training(Part):
    """A group of fields, as specs have."""

    epochs: int = 5
    rate: float = 0.001


class Scale(Spec):
    """Of an experiment that nobody does."""

    experiment: Literal["scale"] = "scale"
    width: int = 20
    density: float = 0.5
    training: Training = Training()


def build(folder: Path, trials: int) -> float:
    """Writes a store of so many trials and returns the seconds that it took."""
    machine = {
        "started": "2026-11-01T12:00:00+00:00",
        "sparsewire": "1.0",
        "torch": "2.13",
        "cpu": "a processor of a usual name, AVX2",
        "threads": "1",
    }
    steps = range(0, POINTS * 10, 10)
    begin = time.perf_counter()
    with Store.open(folder) as store:
        for start in range(0, trials // SEEDS, 500):
            numbers = range(start, min(start + 500, trials // SEEDS))
            runs = [checked_run(Scale(width=20 + number % 50, density=(number + 1) / trials)) for number in numbers]
            with transaction(store._connection, folder / "store.sqlite"):
                enlist(store._connection, runs)
                for number, run in zip(numbers, runs, strict=True):
                    for seed in range(SEEDS):
                        draw = (number * 7919 + seed * 104729) % 9973 / 9973
                        ending = Ending(
                            "done", None, None, 1 + draw, machine | {"started": "2026-11-01T12:00:00+00:00"}
                        )
                        names = ("accuracy", "loss", "density", "train_seconds", "epoch")
                        metrics = {name: draw + place for place, name in enumerate(names)}
                        curves = {name: packed([(step, draw + step) for step in steps]) for name in names[:CURVES]}
                        artefacts = {"network": f"{number:064x}"}
                        insert(store._connection, run.run, seed, ending, metrics, curves, artefacts)
    return time.perf_counter() - begin


def ask(folder: Path, question: str) -> list[tuple[float, float]]:
    """The seconds, and those of the processor, that five processes took for a question."""
    command = [sys.executable, "-c", QUESTION.format(question=question), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    found = []
    for _ in range(5):
        said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        seconds, processor = map(float, said.split())
        found.append((seconds, processor))
    return found


def overhead(folder: Path, together: int, times: int) -> float:
    """Seconds for each small trial, handed in and taken so many together."""
    ending = Ending("done", None, None, 0.1, {"cpu": "abacus", "started": "2026-11-01T12:00:00+00:00"})
    content = Content({"accuracy": 0.9, "loss": 0.1}, {"loss": [(step, 1 / (step + 1)) for step in range(20)]}, {})
    with Store.open(folder) as store:
        store.enlist([Scale()])
        begin = time.perf_counter()
        for batch in range(times):
            for seed in range(together):
                hand_in(folder, Scale(), batch * together + seed, ending, content, {})
            assert len(store.ingest()) == together
        return (time.perf_counter() - begin) / times / together


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="100,000 trials, 10 million points")
    parser.add_argument("--folder", type=Path, help="where to keep the store, and find it again")
    arguments = parser.parse_args()
    trials = 100_000 if arguments.long else 5_000
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch) / "large"
        if not (folder / "store.sqlite").exists():
            seconds = build(folder, trials)
            print(f"built in {seconds:.1f} s, {1e6 * seconds / trials:.0f} µs a trial")
        size = (folder / "store.sqlite").stat().st_size
        print(f"{trials:,} trials, {trials * CURVES * POINTS:,} points, {size / 1e6:.0f} MB")
        for name, question in QUESTIONS.items():
            times, processor = zip(*ask(folder, question), strict=True)
            print(
                f"{name:10} {statistics.median(times):6.3f} s (slowest {max(times):.3f} s), "
                f"of which the processor {statistics.median(processor):.3f} s"
            )
        begin = time.perf_counter()
        Store.open(folder).close()
        print(f"{'open to write':10} {time.perf_counter() - begin:6.3f} s")
        print(f"one trial alone: {1e3 * overhead(Path(scratch) / 'alone', 1, 50):.1f} ms")
        print(f"one of 200 together: {1e3 * overhead(Path(scratch) / 'together', 200, 3):.1f} ms")


if __name__ == "__main__":
    main()
