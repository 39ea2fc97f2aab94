"""Chains of junctions whose connections reach all windows, junction by junction and from the inputs to the outputs."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import Array, checked_generator
from sparsewire.structure.degrees import Degrees, degrees
from sparsewire.structure.priors.chain_climbing import NEGLIGIBLE, climbed, end_scatter
from sparsewire.structure.priors.chain_labels import Windows, labelled_patterns
from sparsewire.structure.priors.chain_planting import with_thin_chain
from sparsewire.structure.priors.planned_junctions import even_pattern, windows_of
from sparsewire.structure.priors.trades import number_stream
from sparsewire.structure.splits import Split, checked_chain, one_each
from sparsewire.structure.windows import Layout, layout_of


def planned_patterns(
    sizes: Sequence[int],
    fan_outs: Sequence[int],
    *,
    layouts: Sequence[Layout | None] | None = None,
    generator: torch.Generator,
) -> list[Tensor]:
    """Regular patterns of a chain whose single junctions and input–output junction have the highest scatter.

    Guaranteed: degrees are exact, and each junction alone has the scatter of `planned`, the highest that there is.
    Guaranteed too: where the inputs divide into Π fan-in windows of one size, every entry of the scatter vector is 1.
    (With a layout of the first layer, if each of these windows is inside one of the first junction's, or if those that
    overlap these alike can be shared out evenly; likewise at the outputs. Layers in between lie in a row.)

    Best effort is the input–output junction of all others. With more paths than inputs, edges of a thinner chain that
    has one path from each input to each output are put into the blocks, where there is such a chain; then, and in all
    other cases, connections are joined anew inside blocks as long as this helps, up to a fixed amount of work, two or
    three seconds of one core. `highest_scatter` is the bound with which to compare; from 0.8 of it to all of it is
    usual.

    Args:
        sizes: neurons per layer, inputs first; at least two layers.
        fan_outs: edges per left neuron, one number a junction.
        layouts: how the neurons of each layer lie; None, for all or for one: in a row.
        generator: where the draws come from; one seed is drawn from it.

    Returns:
        bool tensors of shape (out, in), one a junction.

    Raises:
        RequestError: degrees that do not divide or do not fit, another number of fan-outs or layouts than there should
            be, or a layout of other neurons than its layer.

    Example:
        >>> first, second = planned_patterns((8, 4, 4), (1, 2), generator=torch.Generator().manual_seed(0))
        >>> paths = second.int() @ first.int()
        >>> paths.view(4, 4, 2).sum(-1).tolist()  # from each of the 4 input windows to each output: one path
        [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]

    Reference:
        Dey, Huang, Beerel and Chugg 2018, sections 3, 3.1 and appendix 5.2: the measure; the construction is ours.
    """
    asked = _checked_chain(sizes, fan_outs)
    windows, ends = chain_windows(asked, layouts)
    numbers = number_stream(checked_generator(generator))
    fans = [(junction.fan_in[0], junction.fan_out[0]) for junction in asked]
    if len(fans) > 1:
        # On the frame, padding included: what reaches each window of it once reaches as many real neurons as can be.
        frames = None if layouts is None else [_without_padding(layout) for layout in layouts]
        labelled = labelled_patterns(*chain_windows(asked, frames), fans, numbers)
        if labelled is not None:
            return [torch.from_numpy(pattern) for pattern in labelled]
    patterns = [
        even_pattern(windows[at][1], windows[at + 1][0], fan_in, numbers) for at, (fan_in, _) in enumerate(fans)
    ]
    most = sum(highest_scatter(sizes, fan_outs, layouts=layouts)[-2:])
    for improved in (with_thin_chain, climbed) if len(fans) > 1 else ():
        if end_scatter(patterns, ends) < most - NEGLIGIBLE:
            patterns = improved(patterns, windows, ends, most, numbers)
    return [torch.from_numpy(pattern) for pattern in patterns]


def _without_padding(layout: Layout | None) -> Layout | None:
    return Layout(layout.shape, layout.order) if isinstance(layout, Layout) else layout


def highest_scatter(
    sizes: Sequence[int], fan_outs: Sequence[int], *, layouts: Sequence[Layout | None] | None = None
) -> tuple[float, ...]:
    """What no regular patterns can exceed: forward and backward scatter of each junction, then from inputs to outputs.

        forward ≤ Σ_w min(outputs, |w| · Π fan-out) / (windows · outputs)        over the windows w of the inputs

    and backward likewise; for a single junction the products have one factor. It is 1 for windows of one size, and
    below 1 where these do not divide: then some windows have too few neurons to reach everything.

    Args:
        sizes: as in `planned_patterns`.
        fan_outs: as there.
        layouts: as there.

    Raises:
        RequestError: as there.

    Example:
        >>> highest_scatter((8, 4, 4), (1, 2)), highest_scatter((10, 10), (4,))
        ((1.0, 1.0, 1.0, 1.0, 1.0, 1.0), (0.9, 0.9))
    """
    asked = _checked_chain(sizes, fan_outs)
    windows, ends = chain_windows(asked, layouts)
    pairs = [(windows[at][1], windows[at + 1][0]) for at in range(len(asked))]
    fans = [(junction.fan_in[0], junction.fan_out[0]) for junction in asked]
    if len(asked) > 1:
        pairs.append(ends)
        fans.append((math.prod(fan_in for fan_in, _ in fans), math.prod(fan_out for _, fan_out in fans)))
    found = []
    for (left, right), (fan_in, fan_out) in zip(pairs, fans, strict=True):
        found += [_most(left, fan_out, right), _most(right, fan_in, left)]
    return tuple(found)


def chain_windows(
    chain: Sequence[Degrees], layouts: Sequence[Layout | None] | None
) -> tuple[Windows, tuple[Array, Array]]:
    """Of each layer, its windows as a right layer and as a left layer; and those of both ends in the whole chain.

    Raises:
        RequestError: another number of layouts than of layers, or one of other neurons than its layer.
    """
    sizes = [chain[0].n_in, *(junction.n_out for junction in chain)]
    layouts = checked_layouts(layouts, sizes)
    fan_ins = [junction.fan_in[0] for junction in chain] + [1]
    fan_outs = [1] + [junction.fan_out[0] for junction in chain]
    windows = [
        (
            windows_of(f"layouts[{layer}]", layouts[layer], neurons, fan_outs[layer]),
            windows_of(f"layouts[{layer}]", layouts[layer], neurons, fan_ins[layer]),
        )
        for layer, neurons in enumerate(sizes)
    ]
    first = windows_of("layouts[0]", layouts[0], sizes[0], math.prod(fan_ins))
    return windows, (first, windows_of("layouts[-1]", layouts[-1], sizes[-1], math.prod(fan_outs)))


def checked_layouts(layouts: object, sizes: Sequence[int]) -> list[Layout | None]:
    """One layout, or None for a row, for each layer.

    Raises:
        RequestError: another number of layouts than of layers, or one of other neurons than its layer.
    """
    if layouts is None:
        return [None] * len(sizes)
    if not isinstance(layouts, Sequence) or len(layouts) != len(sizes):
        found = len(layouts) if isinstance(layouts, Sequence) else repr(layouts)
        raise RequestError(f"layouts: found {found}, expected {len(sizes)}, one a layer, or None for plain rows")
    for layer, (layout, size) in enumerate(zip(layouts, sizes, strict=True)):
        layout_of(f"layouts[{layer}]", layout, size)
    return list(layouts)


def _checked_chain(sizes: Sequence[int], fan_outs: Sequence[int]) -> list[Degrees]:
    split = Split(checked_chain(sizes), tuple(one_each("fan_outs", fan_outs, checked_chain(sizes))))
    return [
        degrees(n_in, n_out, fan_out=fan_out)
        for (n_in, n_out), fan_out in zip(pairwise(split.sizes), split.fan_outs, strict=True)
    ]


def _most(windows: Array, fan: int, opposite: Array) -> float:
    sizes = np.bincount(windows[windows >= 0])
    sizes = sizes[sizes > 0]
    others = np.count_nonzero(opposite >= 0)
    return sum(min(int(others), int(size) * fan) for size in sizes) / (sizes.size * int(others))
