"""What the three experiments in many steps say of one spec: the text's claims, and the curves behind them."""

from collections.abc import Callable, Sequence

from sparsewire.experiments.comparable import as_published
from sparsewire.experiments.hidden_structures.claims import labelled, near_base, order_at
from sparsewire.experiments.hidden_structures.figures import Ways, blocks
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.findings import Block, ClaimTable


def descent_blocks(
    title: str,
    label: str,
    outcomes: Sequence[Outcome],
    ways: Ways,
    field: str,
    of_blind: Callable[[str, bool], ClaimTable],
) -> list[Block]:
    """The claims at 90 % and near the base, after those on the class-blind method where it took part; then the curves.

    Args:
        title: of the curves.
        label: tells the claims from those of another spec in the same report.
        outcomes: of one spec.
        ways: the methods and the kinds of steps; claims are on the first kind, the smallest steps.
        field: of the spec, what a step removes; other steps than the paper's are compared with it nevertheless.
        of_blind: the claims on the class-blind method, from its name and from whether the spec is the paper's.
    """
    names, compared = ways.names(ways.kinds[0]), as_published(outcomes[0].spec, "methods", field)
    tables = [of_blind(names["blind"], compared)] if "blind" in names else []
    tables += [order_at(outcomes, names, 90, compared), near_base(outcomes, names, compared)]
    return [*labelled(tables, label), *blocks(title, outcomes, ways)]
