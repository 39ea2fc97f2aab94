"""The paper on pre-defined sparsity, Figure 1 (a)–(c): CIFAR-10 with all connections and with some in a thousand."""

from collections.abc import Sequence
from typing import Final, Literal

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.predefined.cifar import cifar_findings, cifar_specs
from sparsewire.experiments.predefined.convolutional import CifarSpec, Question, run_convolutional
from sparsewire.experiments.predefined.published import CIFAR10_2, CIFAR10_3
from sparsewire.experiments.predefined.setup import Count, Counts
from sparsewire.experiments.predefined.sources import Source
from sparsewire.lab.experiment import Experiment, Outcome, Scale
from sparsewire.lab.reporting.findings import Section

NAME: Final = "predefined.cifar10"
QUESTION: Final = Question("Figure 1, CIFAR10", margin=1.0, is_ahead=True)


class Cifar10Spec(CifarSpec):
    """conv+2CLs; hidden (512, 256) makes it conv+3CLs."""

    experiment: Literal["predefined.cifar10"] = NAME
    data: Source = "cifar10"
    hidden: Counts = (512,)
    outputs: Count = 16


def specs(scale: Scale) -> Sequence[Cifar10Spec]:
    """As `cifar_specs` cuts them."""
    return cifar_specs(Cifar10Spec, scale, (CIFAR10_2, CIFAR10_3), ((1, 1), (1, 8)))


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figure 1 (a)–(c)."""
    return cifar_findings(NAME, outcomes, QUESTION)


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=Cifar10Spec,
    specs=specs,
    seeds={"smoke": 1, "desk": 2, "full": 5},
    trial=run_convolutional,
    findings=findings,
)
