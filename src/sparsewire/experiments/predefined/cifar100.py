"""The paper on pre-defined sparsity, Figure 1 (d)–(f): CIFAR-100 with all connections and with some in a thousand."""

from collections.abc import Sequence
from typing import Final, Literal

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.predefined.cifar import cifar_findings, cifar_specs
from sparsewire.experiments.predefined.convolutional import CifarSpec, Question, run_convolutional
from sparsewire.experiments.predefined.published import CIFAR100_2, CIFAR100_3
from sparsewire.experiments.predefined.setup import Count, Counts
from sparsewire.experiments.predefined.sources import Source
from sparsewire.lab.experiment import Experiment, Outcome, Scale
from sparsewire.lab.reporting.findings import Section

NAME: Final = "predefined.cifar100"
QUESTION: Final = Question("Figure 1, CIFAR100", margin=1.0, is_ahead=True)


class Cifar100Spec(CifarSpec):
    """conv+2CLs; hidden (512, 256) makes it conv+3CLs."""

    experiment: Literal["predefined.cifar100"] = NAME
    data: Source = "cifar100"
    hidden: Counts = (512,)
    outputs: Count = 128


def specs(scale: Scale) -> Sequence[Cifar100Spec]:
    """As `cifar_specs` cuts them."""
    return cifar_specs(Cifar100Spec, scale, (CIFAR100_2, CIFAR100_3), ((1, 1), (1, 32)))


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figure 1 (d)–(f)."""
    return cifar_findings(NAME, outcomes, QUESTION)


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=Cifar100Spec,
    specs=specs,
    seeds={"smoke": 1, "desk": 2, "full": 5},
    trial=run_convolutional,
    findings=findings,
)
