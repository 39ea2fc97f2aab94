"""Tables 1 and 2 of the paper on pre-defined sparsity, counted from the networks themselves; nothing is trained."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.predefined.networks import NETWORKS, cost_of, example_of
from sparsewire.experiments.predefined.published import TABLE_1, TABLE_2, Net, decimals
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart, Series
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Grid, Note, Section
from sparsewire.lab.spec import Spec
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.predefined_masks import predefined

NAME: Final = "predefined.tables"
MILLION, BILLION = 1e6, 1e9

# Column of Table 2 → (the metric, the unit).
COLUMNS: Final = {
    "conv_params": ("conv params", "M"),
    "conv_ops": ("conv ops", "B"),
    "full": ("FC CL params", "M"),
    "sparse": ("sparse CL params", "M"),
    "param_reduction": ("param reduction", "%"),
    "op_reduction": ("op reduction", "%"),
}
NOTES: Final = (
    "CIFAR100 conv+3CLs at 1,1,16 is 8,704 of 2,260,992 connections, 0.385 %, which rounds to 0.38; the printed 0.39 "
    "is what the same fan-outs give with 16 outputs.",
    "Which fan-outs a row of Table 2 is about the paper does not say. We take those whose weights give its sparse CL "
    "params: Morse 512,32; MNIST CL 112,5 (88,928 weights are exactly half; 112,10 of Table 1 would be 0.090 and save "
    "49.4 %); MNIST conv 16,10; CIFAR10 1,1; CIFAR100 1,32, and with 3 CLs 1,2,32. The 0.009 of CIFAR10 conv+3CLs is "
    "no row of Table 1: 1,1,8 would be 0.007. Of what would give it, 1,1,16 (8,704 weights, 0.39 %) also gives the "
    "printed reduction of 65.83 %, while 1,2,16 (9,216) gives 65.82 %.",
    "Conv Ops of MNIST, printed 0.1, are 0.0107: 10,662,400 multiply-adds and 37,632 additions of biases. The paper's "
    "own reduction of 18.29 % needs 0.0107 as well; with 0.1 it would be 2.35 %.",
    "Counted are weights and biases of the convolutions, not those of the normalisation, and weights of the connected "
    "layers. Of the printed parameter reductions 64.63 and 65.99 then differ by one in the last digit. They lie "
    "between what is found with biases of the convolutions (64.62, 65.98) and without (64.64, 66.00), and no count "
    "that we tried gives all of the column.",
    "Layers are convolutions, normalisations, poolings and connected layers: 17 = 6 + 6 + 3 + 2.",
)


class TablesSpec(Spec):
    """All networks of both tables."""

    experiment: Literal["predefined.tables"] = NAME


def specs(_: Scale) -> Sequence[TablesSpec]:
    """The same at every scale: a second or two."""
    return [TablesSpec()]


def run(_: TablesSpec, trial: Trial) -> None:
    """Builds each network, takes connections away as the tables say, and counts."""
    for done, (net, (build, _shape)) in enumerate(NETWORKS.items(), start=1):
        model = build(trial.generator("weights"))
        configurations = dict.fromkeys([*(row.fan_outs for row in TABLE_1[net]), TABLE_2[net].fan_outs])
        for fan_outs in configurations:
            masks = predefined(model, fan_outs=fan_outs, generator=trial.generator("pattern"))
            cost, label = cost_of(model, masks, example_of(net)), _label(net, fan_outs)
            for place, own in enumerate(masks.densities().values(), start=1):
                trial.record(f"{label} density {place}", 100 * own)
            trial.record(f"{label} density", 100 * cost.sparse / cost.full)
            trial.record(f"{label} conv params", cost.conv_params / MILLION)
            trial.record(f"{label} conv ops", cost.conv_ops / BILLION)
            trial.record(f"{label} FC CL params", cost.full / MILLION)
            trial.record(f"{label} sparse CL params", cost.sparse / MILLION)
            trial.record(f"{label} param reduction", cost.param_reduction)
            trial.record(f"{label} op reduction", cost.op_reduction)
            trial.record(f"{label} connected layers", cost.connected)
            trial.record(f"{label} layers", cost.layers)
        trial.show(NetGraph.from_model(model, masks))
        trial.report(done / len(NETWORKS), net)


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Both tables number by number, and how much of a network its connections are."""
    blocks: list[Block] = [
        ClaimTable("Table 1: densities", tuple(_table_1(outcomes)), "Fan-outs of the junctions → densities."),
        ClaimTable("Table 2: savings", tuple(_table_2(outcomes)), "Each row names the fan-outs it was counted with."),
        _layers(outcomes[0]),
        Chart(
            "What sparse connected layers save",
            "Of all parameters, convolutions included; a line for each network, a point for each row of the tables.",
            "density of the connected layers, %",
            "parameters saved, %",
            tuple(_savings(net, outcomes[0]) for net in NETWORKS),
            log_x=True,
        ),
        *map(Note, NOTES),
    ]
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        "Counted from the networks that the other experiments train; a number agrees if it is the printed one when it "
        "is rounded to as many digits.",
        tuple(blocks),
    )


def _table_1(outcomes: Sequence[Outcome]) -> Iterator[Claim]:
    for net, rows in TABLE_1.items():
        for row in rows:
            label = _label(net, row.fan_outs)
            for place, printed in enumerate(row.junctions, start=1):
                yield _claim(f"{label}: junction {place}", printed, outcomes, f"{label} density {place}", "%")
            yield _claim(f"{label}: overall", row.overall, outcomes, f"{label} density", "%")


def _table_2(outcomes: Sequence[Outcome]) -> Iterator[Claim]:
    for net, row in TABLE_2.items():
        label = _label(net, row.fan_outs)
        for column, (metric, unit) in COLUMNS.items():
            yield _claim(f"{label}: {metric}", getattr(row, column), outcomes, f"{label} {metric}", unit)
        for metric, printed in zip(("connected layers", "layers"), row.layers.split("/"), strict=True):
            yield _claim(f"{label}: {metric}", printed, outcomes, f"{label} {metric}", "")


def _claim(label: str, printed: str, outcomes: Sequence[Outcome], metric: str, unit: str) -> Claim:
    """Equal if it is the printed number when rounded to as many digits."""
    ours = tuple(outcome.metrics[metric] for outcome in outcomes)
    return Claim(label, float(printed), ours, unit=unit, digits=decimals(printed))


def _layers(outcome: Outcome) -> Grid:
    """Weights in whole numbers, which the tables print in millions."""
    rows = []
    for net, row in TABLE_2.items():
        label = _label(net, row.fan_outs)
        full, sparse = (
            round(outcome.metrics[f"{label} {of} CL params"] * MILLION) for of in ("FC", "sparse")
        )  # fmt: skip
        rows.append((net, _text(row.fan_outs), f"{full:,}", f"{sparse:,}", f"{full / sparse:.1f}"))
    columns = ("network", "fan-outs", "connections, FC", "sparse", "times fewer")
    return Grid("Connections of the networks of Table 2", columns, tuple(rows))


def _savings(net: Net, outcome: Outcome) -> Series:
    rows = dict.fromkeys([*(row.fan_outs for row in TABLE_1[net]), TABLE_2[net].fan_outs])
    points = sorted(
        (outcome.metrics[f"{label} density"], outcome.metrics[f"{label} param reduction"])
        for label in (_label(net, fan_outs) for fan_outs in rows)
    )
    xs, ys = zip(*points, strict=True)
    return Series(net, xs, ys)


def _label(net: Net, fan_outs: Sequence[int]) -> str:
    return f"{net}, {_text(fan_outs)}"


def _text(fan_outs: Sequence[int]) -> str:
    return ",".join(map(str, fan_outs))


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=TablesSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 1, "full": 1},
    trial=run,
    findings=findings,
)
