"""The plan, measured once on this machine: a layer runs sparse where that is faster."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.execution.contenders import largest_gain, measured
from sparsewire.execution.machine import Facts, machine
from sparsewire.execution.measuring import Timing
from sparsewire.execution.plan_cache import Timings, add_timings, cache_file, read_timings
from sparsewire.execution.plans import Choice, Plan, PlanRow
from sparsewire.execution.runs import MaskedRun, RunSubject, masked_runs
from sparsewire.execution.subjects import MaskedLayer, Subject, masked_layers
from sparsewire.structure.masks import Masks

MARGIN = 1.1  # a layer has to be so many times faster: noise never chooses sparse where it loses
# A training step of fewer samples is mostly overhead: beside larger batches, sparse only must not lose there.
FEW, NO_LOSS = 8, 1.05
BATCHES = (1, 32, 256)
# Seconds of a layer or a run for each of some batch sizes, in training or not.
Measure = Callable[[Subject | RunSubject, Sequence[int], bool], Sequence[Timing]]


def plan(
    model: nn.Module, masks: Mapping[str, Tensor], batch: int | Sequence[int] | None = None, training: bool = True
) -> Plan:
    """Which layers of a masked model run faster sparse on this machine; what `sparsify` obeys.

    Each kind of layer is measured side by side with the dense one, at each batch size, and runs sparse only if it is at
    least 1.1 times as fast at every one of them, and 1.05 times at training batches below 8 beside larger ones. Who
    knows the batch size says it, and gains more. What was measured is kept in a file in the user's cache, or in the
    folder that SPARSEWIRE_CACHE names, for this processor, number of threads, versions and build, and asked for again
    by kind, shape, class of density (steps of 5 %), dtype, batch and training; so the second plan comes at once.

    Sparse linear layers that follow each other in an `nn.Sequential` are one call. Where it would not be wholly sparse,
    such a run is measured as a whole too: all of it sparse, and the layers that pay by themselves. What is faster
    counts, if it is faster than dense by the same margin.

    The masks' values do not matter, only how many weights they keep. Sequences are taken to be 20 steps long and
    images 16 × 16 pixels large, as a model does not say it.

    Args:
        model: the dense model; it is not changed.
        masks: parameter name → bool tensor.
        batch: the batch size, or several, that it will meet, each at least 1; None: 1, 32 and 256.
        training: measure forward and backward; else the forward pass alone.

    Returns:
        A frozen table with a row for each masked weight, one for all of a recurrent layer.

    Raises:
        RequestError: no such batch size, or masks that do not fit the model.

    Example:
        >>> layer = nn.Linear(4, 2)
        >>> print(plan(layer, Masks.from_model(layer)))
        weight  shape  density  batch  dense ms  sparse ms  ratio  runs   why
        weight  2×4    1                                           dense  nothing to gain: every weight is kept
        (training step: forward and backward; ...)
    """
    facts = machine()
    return plan_by(with_cache(measured, facts), model, masks, batch, training, told(facts))


def plan_by(
    measure: Measure,
    model: nn.Module,
    masks: Mapping[str, Tensor],
    batch: int | Sequence[int] | None = None,
    training: bool = True,
    machine: str = "",
) -> Plan:
    """`plan` with any way to measure.

    Args:
        measure: (subject, batch sizes, training) → a timing for each of them.
        model: see `plan`.
        masks: see `plan`.
        batch: see `plan`.
        training: see `plan`.
        machine: what the plan says about where it was measured.

    Example:
        >>> import torch
        >>> masks = {"weight": torch.eye(2, 4).bool()}
        >>> thrice = lambda subject, batches, training: [Timing(batch, 3e-3, 1e-3, 3.0) for batch in batches]
        >>> print(plan_by(thrice, nn.Linear(4, 2), masks, batch=8, machine="abacus"))
        weight  shape  density  batch  dense ms  sparse ms  ratio  runs    why
        weight  2×4    0.25     8      3         1          3      sparse  3.0× faster
        (training step: forward and backward; abacus)
    """
    masks = masks if isinstance(masks, Masks) else Masks(masks)
    masks.weights_of(model)
    batches = _batches(batch)
    layers = masked_layers(model, masks)
    rows = {layer.name: _row(layer, measure, batches, training) for layer in layers}
    for run in masked_runs(model, layers):
        rows |= _as_a_whole(run, rows, measure, batches, training)
    return Plan(tuple(rows.values()), training, machine)


def with_cache(measure: Measure, facts: Facts) -> Measure:
    """The same way to measure, asked only for what the machine's cache file does not know yet."""
    path = cache_file(facts)
    known: Timings | None = None

    def ask(subject: Subject | RunSubject, batches: Sequence[int], training: bool) -> list[Timing]:
        nonlocal known
        known = read_timings(path, facts) if known is None else known
        keys = {size: f"{subject.key}, {'training' if training else 'inference'} of {size}" for size in batches}
        if missing := [size for size, key in keys.items() if key not in known]:
            fresh = {keys[one.batch]: one for one in measure(subject, missing, training)}
            known |= fresh
            most = largest_gain(subject.density)
            add_timings(path, facts, {key: one for key, one in fresh.items() if one.ratio <= most})
        return [known[keys[size]] for size in batches]

    return ask


def verdict(timings: Sequence[Timing], training: bool = False) -> tuple[Choice, str]:
    """What some comparisons say: the choice, and why.

    Example:
        >>> verdict([Timing(32, 3e-3, 1e-3, 3.0)]), verdict([Timing(1, 1e-3, 2e-3, 0.5), Timing(32, 3e-3, 1e-3, 3.0)])
        (('sparse', '3.0× faster'), ('dense', 'dense is faster: 0.5× at batch 1'))
        >>> verdict([Timing(32, 1.099e-3, 1e-3, 1.099)])
        ('dense', 'too little to gain: 1.09×')
        >>> verdict([Timing(1, 1.05e-3, 1e-3, 1.05), Timing(32, 2e-3, 1e-3, 2.0)], training=True)
        ('sparse', 'at least 2.0× faster from batch 32 on')
    """
    large = [one for one in timings if one.batch >= FEW] if training else []
    small = [one for one in timings if large and one.batch < FEW]
    judged = timings if any(one.ratio < NO_LOSS for one in small) else large or timings
    least = min(judged, key=lambda one: one.ratio)
    where = f" at batch {least.batch}" if len(timings) > 1 else ""
    if least.ratio >= MARGIN:
        onwards = f" from batch {min(one.batch for one in large)} on" if small else ""
        return "sparse", f"{'at least ' if where else ''}{_shown(least.ratio)}× faster{onwards}"
    if least.ratio >= 1:
        return "dense", f"too little to gain: {_shown(least.ratio)}×{where}"
    return "dense", f"dense is faster: {_shown(least.ratio)}×{where}"


def told(facts: Facts) -> str:
    """The machine in a few words.

    Example:
        >>> told({"processor": "abacus", "threads": 1, "vector_bytes": 32, "torch": "3.0"})
        'abacus, 1 thread, vectors of 32 bytes, torch 3.0'
    """
    threads = f"{facts['threads']} thread{'s' * (facts['threads'] != 1)}"
    vectors = f"vectors of {facts['vector_bytes']} bytes" if facts["vector_bytes"] else "plain torch"
    return f"{facts['processor']}, {threads}, {vectors}, torch {facts['torch']}"


def _row(layer: MaskedLayer, measure: Measure, batches: Sequence[int], training: bool) -> PlanRow:
    if layer.subject is None:
        return PlanRow(layer.name, layer.weights, layer.shape, layer.density, "dense", layer.why_not)
    timings = tuple(measure(layer.subject, batches, training))
    if any(one.ratio > largest_gain(layer.subject.density) for one in timings):
        why = "the machine was too busy to measure it; ask again"
        return PlanRow(layer.name, layer.weights, layer.shape, layer.density, "dense", why, timings)
    choice, why = verdict(timings, training)
    return PlanRow(layer.name, layer.weights, layer.shape, layer.density, choice, why, timings)


def _as_a_whole(
    run: MaskedRun, rows: Mapping[str, PlanRow], measure: Measure, batches: Sequence[int], training: bool
) -> dict[str, PlanRow]:
    """The rows of a run's layers once the run has been measured; none where every layer pays by itself."""
    own = {name: rows[name] for name, free in zip(run.names, run.free, strict=True) if free}
    alone = tuple(name in own and own[name].choice == "sparse" for name in run.names)
    if alone == run.free:
        return {}
    best, least, why = (False,) * len(alone), 1.0, ""
    for sparse in dict.fromkeys((run.free, alone)):
        if any(sparse):
            subject = run.subject(sparse)
            timings = measure(subject, batches, training)
            choice, reason = verdict(timings, training)
            slowest = min(one.ratio for one in timings)
            if max(one.ratio for one in timings) > largest_gain(subject.density):
                choice, reason = "dense", "the machine was too busy to measure it; ask again"
            why = why or reason
            if choice == "sparse" and slowest > least:
                best, least, why = sparse, slowest, reason
    told = f"with the layers beside it: {why}"
    return {
        name: dataclasses.replace(own[name], choice="sparse" if chosen else "dense", why=told)
        for name, chosen, before in zip(run.names, best, alone, strict=True)
        if name in own and chosen != before
    }


def _batches(batch: int | Sequence[int] | None) -> tuple[int, ...]:
    if batch is None:
        return BATCHES
    found = tuple(batch) if isinstance(batch, Sequence) else (batch,)
    if not found or not all(type(size) is int and size >= 1 for size in found):
        raise RequestError(f"batch: found {batch!r}, expected a whole number of at least 1, several of them, or None")
    return tuple(dict.fromkeys(found))


def _shown(ratio: float) -> str:
    """Rounded down, so that 1.0999 does not look like the margin that it missed."""
    digits = 2 if ratio < 0.1 or 1 <= ratio < 1.2 else 1
    return f"{math.floor(ratio * 10**digits) / 10**digits:.{digits}f}"
