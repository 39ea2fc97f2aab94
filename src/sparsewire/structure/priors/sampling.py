"""Samples of graphs whose parameters are drawn, too."""

import inspect
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import torch

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import checked_generator, whole
from sparsewire.structure.graphs import NetGraph

Drawing = Callable[..., NetGraph]


def sample_graphs(draw: Drawing, count: int, *, generator: torch.Generator, **parameters: Any) -> list[NetGraph]:
    """So many graphs of a family, each with parameters of its own.

    Args:
        draw: the family, such as `watts_strogatz`: a function of the parameters and of `generator`.
        count: how many graphs, at least 0.
        generator: where all draws come from, graph after graph: the first graphs of a larger sample are those of a
            smaller one.
        parameters: for each parameter a value, or a pair (least, most): of whole numbers, one from least to most, or of
            others, a number between them, all equally probable; or a function of the parameters before it, by name.

    Raises:
        RequestError: a pair is no range, `draw` has no such parameter, or what is drawn is impossible; then the message
            names what was drawn.

    Example: the samples of the paper, 100 graphs each (for n from 10 to 50).
        >>> from sparsewire.structure.priors.attachment import barabasi_albert
        >>> from sparsewire.structure.priors.small_worlds import watts_strogatz
        >>> generator = torch.Generator().manual_seed(0)
        >>> small = sample_graphs(watts_strogatz, 5, n=(10, 50), k=lambda n: n // 5, generator=generator)
        >>> grown = sample_graphs(barabasi_albert, 5, n=(10, 50), m=lambda n: n // 10, generator=generator)
        >>> [sum(graph.sizes) // 10 == graph.sizes[0] for graph in grown]
        [True, True, True, True, True]

    Reference:
        Stier and Granitzer, "Properties of the hidden structures of sparse networks", section 4.3; the paper does not
        state the ranges, its stored code does.
    """
    count = whole("count", count, least=0)
    if not callable(draw):
        raise RequestError(f"draw: found {draw!r}, expected a function such as watts_strogatz")
    checked_generator(generator)
    _check_parameters(draw, parameters)
    graphs = []
    for _ in range(count):
        drawn = drawn_parameters(parameters, generator)
        try:
            graphs.append(draw(**drawn, generator=generator))
        except RequestError as cause:
            shown = ", ".join(f"{name}={value!r}" for name, value in drawn.items())
            raise RequestError(f"{cause} (with {shown})") from cause
    return graphs


def drawn_parameters(parameters: Mapping[str, Any], generator: torch.Generator) -> dict[str, Any]:
    """One value for each parameter, drawn in their order as `sample_graphs` says.

    Raises:
        RequestError: a pair is no range.

    Example:
        >>> drawn_parameters({"n": (20, 20), "k": lambda n: n // 5, "p": 0.5}, torch.Generator())
        {'n': 20, 'k': 4, 'p': 0.5}
    """
    drawn: dict[str, Any] = {}
    for name, value in parameters.items():
        if callable(value):
            wanted = inspect.signature(value).parameters
            if missing := [one for one, kind in wanted.items() if one not in drawn and kind.default is kind.empty]:
                raise RequestError(
                    f"{name}: found a function of {missing[0]!r}, expected one of the parameters before it: "
                    f"{', '.join(drawn) or 'none'}"
                )
            drawn[name] = value(**{one: drawn[one] for one in wanted if one in drawn})
        else:
            drawn[name] = _from_range(name, value, generator) if isinstance(value, tuple) else value
    return drawn


def _from_range(name: str, pair: tuple[Any, ...], generator: torch.Generator) -> int | float:
    if len(pair) != 2 or not all(isinstance(end, Real) and not isinstance(end, bool) for end in pair):
        raise RequestError(f"{name}: found {pair!r}, expected a value or a range (least, most)")
    least, most = pair
    if not -(2**62) < least <= most < 2**62:
        raise RequestError(f"{name}: found the range {pair!r}, expected (least, most) with least <= most")
    device = generator.device
    if isinstance(least, Integral) and isinstance(most, Integral):
        return int(torch.randint(int(least), int(most) + 1, (), generator=generator, device=device))
    share = float(torch.rand((), generator=generator, dtype=torch.float64, device=device))
    return float(least + (most - least) * share)


def _check_parameters(draw: Drawing, parameters: Mapping[str, Any]) -> None:
    known = inspect.signature(draw).parameters
    given = {*parameters, "generator"}
    for name, one in known.items():
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY) and one.default is one.empty and name not in given:
            raise RequestError(f"{name}: found none, but the family needs it; give a value or a range")
    if any(one.kind is one.VAR_KEYWORD for one in known.values()):
        return
    if "generator" not in known:
        raise RequestError(f"draw: found {getattr(draw, '__name__', draw)}, which takes no generator: nothing is drawn")
    for name in parameters:
        if name not in known:
            possible = ", ".join(one for one in known if one != "generator")
            raise RequestError(f"{name}: the family has no such parameter, expected one of {possible}")
