"""The command that says of graphs which would make the best network, before any is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sparsewire.cli.choices import Number
from sparsewire.cli.helping import Command
from sparsewire.cli.screen import give_json, progress, say, table
from sparsewire.errors import RequestError

if TYPE_CHECKING:
    from sparsewire.analysis.prediction.predictors import Predictor
    from sparsewire.analysis.topology.properties import GraphProperties

FILE = click.Path(path_type=Path)
_NAMED = 4  # properties in a line of remarks


class Coverage(Number):
    """A share above 0 and below 1."""

    name = "FRACTION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if not 0 < number < 1:
            raise RequestError(f"--coverage: found {value!r}, expected a share between 0 and 1, such as 0.9")
        return number


class _Ranked(NamedTuple):
    graph: Path
    properties: "GraphProperties"
    predicted: float
    spread: float
    low: float
    high: float
    outside: tuple[str, ...]


@click.command(
    cls=Command,
    example="""sparsewire predict graph.graphml --predictor gru.safetensors
sparsewire predict first.graphml second.edges --predictor gru.safetensors --json""",
)
@click.argument("graphs", type=FILE, nargs=-1, required=True, metavar="GRAPH...")
@click.option("--predictor", "source", type=FILE, required=True, metavar="FILE", help="A saved predictor.")
@click.option("--coverage", type=Coverage(), default=0.9, show_default=True,
              help="The share of networks that shall lie in the interval shown.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def predict(graphs: tuple[Path, ...], source: Path, coverage: float, as_json: bool) -> None:
    """Rank graphs by the accuracy that a network wired like them would reach.

    GRAPH is GraphML (.graphml, .xml) or a list of edges (.edges, .edgelist, .txt, .tsv, .csv). The predictor learnt
    from graphs whose networks were trained; it knows a graph by the properties of its structure alone, and what it says
    holds for graphs like those. Written by Predictor.save; nothing in the files is ever run.
    """
    from sparsewire.analysis.prediction.predictors import Predictor

    predictor = Predictor.load(source)
    found = _looked_at(graphs, predictor, source)
    ranked = _ranked(graphs, found, predictor, coverage)
    if as_json:
        give_json(_as_dict(source, predictor, coverage, ranked))
        return
    _show(ranked, coverage)
    _remark(ranked, predictor, coverage)


def _looked_at(graphs: Sequence[Path], predictor: "Predictor", source: Path) -> "list[GraphProperties]":
    from sparsewire.analysis.topology.properties import graph_properties
    from sparsewire.structure.graph_files import read_graph

    found: list[GraphProperties] = []
    with progress("predict") as tell:
        for done, path in enumerate(graphs):
            tell(done / len(graphs), str(path), False)
            found.append(graph_properties(read_graph(path)))
            unknown = [name for name in predictor.names if name not in found[-1]]
            if unknown:
                raise RequestError(
                    f"--predictor: {source} needs {unknown[0]!r}, which is no property of a graph; expected one that "
                    "was fitted on those of sparsewire.graph_properties"
                )
    return found


def _ranked(
    graphs: Sequence[Path], found: "Sequence[GraphProperties]", predictor: "Predictor", coverage: float
) -> list[_Ranked]:
    """The graphs, the best first; among equals in the order in which they were named."""
    told = predictor.predict({name: [one[name] for one in found] for name in predictor.names}, coverage)
    numbers = zip(told.mean.tolist(), told.spread.tolist(), told.low.tolist(), told.high.tolist(), strict=True)
    rows = zip(graphs, found, numbers, told.outside, strict=True)
    ranked = [_Ranked(graph, properties, *four, outside) for graph, properties, four, outside in rows]
    return sorted(ranked, key=lambda one: -one.predicted)


def _show(ranked: list[_Ranked], coverage: float) -> None:
    columns = ("", "graph", "predicted", f"{100 * coverage:g} % from", "to", "nodes", "edges", "layers")
    rows = [
        (place, str(one.graph), one.predicted, one.low, one.high,
         *(int(one.properties[name]) for name in ("nodes", "edges", "layers")))
        for place, one in enumerate(ranked, start=1)
    ]  # fmt: skip
    table(columns, rows)


def _remark(ranked: list[_Ranked], predictor: "Predictor", coverage: float) -> None:
    mean, low, high = predictor.r2
    notes = "".join(f", {name} {text}" for name, text in predictor.notes.items())
    say(
        f"Predicted by: {predictor.regressor} of {len(predictor.misses):,} networks{notes}. On networks held back its "
        f"R² is {mean:.2f} ({low:.2f} to {high:.2f})."
    )
    most = len(predictor.misses) / (len(predictor.misses) + 1)
    if coverage > most:
        say(f"note: {len(predictor.misses):,} networks cannot tell of more than {100 * most:.3g} %; that is shown")
    for one in ranked:
        if one.outside:
            say(f"note: {one.graph} is unlike what it learnt from: {_listed(one.outside)}; do not rely on it")
        if set(one.properties.estimated) & set(predictor.names):
            say(f"note: {one.graph} is large: paths were followed from {one.properties.sources:,} of its nodes")


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more properties" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _as_dict(source: Path, predictor: "Predictor", coverage: float, ranked: list[_Ranked]) -> dict[str, Any]:
    about = {
        "file": str(source), "regressor": predictor.regressor, "networks": len(predictor.misses),
        "r2": predictor.r2._asdict(), "notes": dict(predictor.notes),
    }  # fmt: skip
    graphs = [
        {
            "rank": place,
            **(one._asdict() | {"graph": str(one.graph), "properties": dict(one.properties)}),
            "estimated": list(one.properties.estimated),
        }
        for place, one in enumerate(ranked, start=1)
    ]
    return {"predictor": about, "coverage": coverage, "graphs": graphs}
