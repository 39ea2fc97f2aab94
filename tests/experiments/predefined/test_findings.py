"""What the findings claim of made-up outcomes: verdicts by interval, pairs by seed, nothing where none is due."""

import pytest

from sparsewire.experiments.predefined import (
    cifar10,
    mnist_conv,
    mnist_dense,
    morse_density,
    morse_split,
    scatter_accuracy,
)
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Grid, Note
from sparsewire.structure.junction_allocation import split_of

SPREAD = (-0.05, 0.0, 0.05)  # of three seeds
# Accuracy by (a, b), with fan-outs 16 a and b.
AS_IN_THE_PAPER = {
    (1, 31): 36.0, (8, 24): 80.0, (16, 16): 78.0, (24, 8): 74.0, (31, 1): 67.0,
    (1, 63): 36.0, (16, 48): 86.0, (32, 32): 85.0, (48, 16): 80.0, (63, 1): 75.0,
}  # fmt: skip


def outcomes(spec, accuracy: float, sizes=None, spread=SPREAD, **metrics: float) -> list[Outcome]:
    """Trials of three seeds with these accuracies and what else a trial records."""
    densities = {"density": 100.0}
    if spec.fan_outs:
        split = split_of(sizes or spec.sizes, fan_outs=spec.fan_outs)
        densities = {"density": 100 * float(split.density)}
        densities |= {f"density of junction {place}": 100 * float(own) for place, own in enumerate(split.densities, 1)}
    found = []
    for seed, more in enumerate(spread):
        best = accuracy + more
        numbers = densities | {"best_accuracy": best, "best after 1": best, "seconds of training": 1.0} | metrics
        found.append(Outcome(spec, seed, "done", None, 1.0, numbers, {"accuracy": [(1, best - 1), (2, best)]}))
    return found


def verdicts(section) -> dict[str, str]:
    return {claim.label: claim.verdict for _, claim in section.claims()}


def notes(section) -> list[str]:
    return [block.text for block in section.blocks if isinstance(block, Note)]


class TestConvolutions:
    SIZES = (4096, 512, 16)

    def found(self, sparse: float, **fields) -> dict[str, str]:
        full = outcomes(cifar10.Cifar10Spec(**fields), 80.0)
        return verdicts(
            cifar10.findings([*outcomes(cifar10.Cifar10Spec(fan_outs=(1, 1), **fields), sparse, self.SIZES), *full])
        )

    @pytest.mark.parametrize(
        ("sparse", "end", "start"),
        [
            (79.5, "reproduced", "differs"),
            (78.0, "differs", "differs"),
            (81.0, "reproduced", "reproduced"),
        ],
    )
    def test_a_point_is_nothing_and_sparse_networks_start_ahead(self, sparse, end, start) -> None:
        name = "0.219 % (1,1)"
        assert self.found(sparse) == {f"FC − {name}, best of all epochs": end, f"{name} − FC, after epoch 1": start}

    def test_shorter_trainings_are_judged_and_other_images_are_not(self) -> None:
        assert set(self.found(81.0, epochs=5, images=4096).values()) == {"reproduced"}
        assert set(self.found(81.0, data="digits").values()) == {"no published number"}

    def test_without_the_full_network_nothing_is_claimed(self) -> None:
        spec = cifar10.Cifar10Spec(fan_outs=(1, 1))
        assert verdicts(cifar10.findings(outcomes(spec, 80.0, self.SIZES))) == {}

    def test_what_is_less_than_in_the_paper_is_said(self) -> None:
        [note] = notes(cifar10.findings(outcomes(cifar10.Cifar10Spec(epochs=5, images=4096), 80.0)))
        assert "only 4,096 training images, 5 epochs" in note

    def test_networks_of_two_and_three_layers_are_apart(self) -> None:
        section = cifar10.findings(
            [*outcomes(cifar10.Cifar10Spec(), 80.0), *outcomes(cifar10.Cifar10Spec(hidden=(512, 256)), 70.0)]
        )
        assert [block.title for block in section.blocks if isinstance(block, Chart)] == [
            "Figure 1, CIFAR10: conv+2CLs",
            "Figure 1, CIFAR10: conv+3CLs",
        ]

    def test_on_mnist_only_the_densest_is_said_to_be_equal(self) -> None:
        sizes = (3136, 784, 10)
        found = [
            one
            for fan_outs, accuracy in (((), 99.0), ((1, 5), 97.0), ((16, 10), 98.9))
            for one in outcomes(mnist_conv.MnistConvSpec(fan_outs=fan_outs), accuracy, sizes)
        ]
        assert verdicts(mnist_conv.findings(found)) == {"FC − 2.35 % (16,10), best of all epochs": "reproduced"}


class TestMnist:
    def circled(self, accuracies, **fields) -> list[Outcome]:
        points = zip(mnist_dense.CIRCLED.items(), accuracies, strict=True)
        return [
            one
            for (hidden, fan_outs), accuracy in points
            for one in outcomes(mnist_dense.MnistSpec(sizes=(784, hidden, 10), fan_outs=fan_outs, **fields), accuracy)
        ]

    def test_the_circled_points_in_order(self) -> None:
        found = verdicts(mnist_dense.findings(self.circled((98.0, 97.0, 96.0, 94.0))))
        assert list(found) == [
            "224 hidden at 12.5 % − 112 at 25 %",
            "112 hidden at 25 % − 56 at 50 %",
            "56 hidden at 50 % − 28 at 100 %",
            "224 hidden at 12.5 % − 28 at 100 %",
        ]
        assert set(found.values()) == {"reproduced"}

    def test_the_circled_points_out_of_order(self) -> None:
        found = verdicts(mnist_dense.findings(self.circled((98.0, 98.5, 96.0, 94.0))))
        assert list(found.values()) == ["differs", "reproduced", "reproduced", "reproduced"]

    def test_trainings_of_two_lengths_are_not_compared(self) -> None:
        short, long = self.circled((94.0, 93.0, 92.0, 91.0), epochs=50), self.circled((98.0, 97.0, 96.0, 95.0))
        found = verdicts(mnist_dense.findings([*long[:3], *short, *long[3:]]))
        assert len(found) == 2 * 4
        assert set(found.values()) == {"reproduced"}

    @pytest.mark.parametrize(("half", "verdict"), [(97.9, "reproduced"), (97.0, "differs"), (97.7, "reproduced")])
    def test_half_of_the_connections(self, half, verdict) -> None:
        spec = mnist_dense.MnistSpec()
        found = [*outcomes(spec, 98.0), *outcomes(spec.model_copy(update={"fan_outs": (112, 10)}), half)]
        assert verdicts(mnist_dense.findings(found)) == {"FC − half, 784-224-10": verdict}

    def test_seeds_that_scatter_leave_it_open(self) -> None:
        spec = mnist_dense.MnistSpec()
        half = outcomes(spec.model_copy(update={"fan_outs": (112, 10)}), 97.7, spread=(-1.0, 0.0, 1.0))
        assert set(verdicts(mnist_dense.findings([*outcomes(spec, 98.0), *half])).values()) == {"inconclusive"}

    def test_digits_have_no_published_number(self) -> None:
        spec = mnist_dense.MnistSpec(data="digits", sizes=(64, 32, 10))
        found = [*outcomes(spec, 98.0), *outcomes(spec.model_copy(update={"fan_outs": (16, 10)}), 98.0)]
        assert set(verdicts(mnist_dense.findings(found)).values()) == {"no published number"}


class TestMorse:
    def test_half_and_an_eighth(self) -> None:
        spec = morse_density.MorseDensitySpec(per_class=1000)
        found = [
            one
            for fan_outs, accuracy in (((), 95.0), ((512, 32), 94.5), ((128, 8), 70.0))
            for one in outcomes(spec.model_copy(update={"fan_outs": fan_outs}), accuracy)
        ]
        section = morse_density.findings(found)
        assert verdicts(section) == {"FC − 50 %": "reproduced", "50 % − 12.5 %": "reproduced"}
        assert notes(section) == ["With 1,000 training frames a class and 30 epochs; the paper has 5,000 and 30."]

    def splits(self, accuracies: dict[tuple[int, int], float], **fields) -> dict[str, str]:
        return verdicts(
            morse_split.findings(
                [
                    one
                    for (a, b), accuracy in accuracies.items()
                    for one in outcomes(morse_split.MorseSplitSpec(fan_outs=(16 * a, b), **fields), accuracy)
                ]
            )
        )

    def test_the_paper_itself_is_reproduced(self) -> None:
        found = self.splits(AS_IN_THE_PAPER)
        assert set(found.values()) == {"reproduced"}
        assert len(found) == 2 * (3 + 1 + 2) + 1
        assert "25 %: sparsest first" in found
        assert "50 %: 25/75 − equal" in found

    def test_shorter_trainings_are_held_to_the_order_alone(self) -> None:
        found = self.splits(AS_IN_THE_PAPER, per_class=1000)
        assert set(found.values()) == {"reproduced"}
        assert len(found) == 2 * (3 + 1) + 1

    def test_a_seed_that_lacks_a_split_has_no_peak(self) -> None:
        spec = morse_split.MorseSplitSpec(per_class=1000)
        found = [
            one
            for (a, b), accuracy in AS_IN_THE_PAPER.items()
            for one in outcomes(spec.model_copy(update={"fan_outs": (16 * a, b)}), accuracy)
            if (a, b, one.seed) != (8, 24, 0)
        ]
        [peaks] = [
            claim for _, claim in morse_split.findings(found).claims() if claim.label.startswith("25 %: density of")
        ]
        assert peaks.ours == (12.5, 12.5)

    def test_a_peak_at_the_equal_split_is_not_left_of_it(self) -> None:
        level = AS_IN_THE_PAPER | {(16, 16): 81.0, (32, 32): 87.0}
        found = self.splits(level)
        assert found["25 %: density of junction 1 at the peak"] == "differs"
        assert found["50 %: density of junction 1 at the peak"] == "differs"

    def test_a_peak_on_the_right_differs(self) -> None:
        mirrored = {(b, a): accuracy for (a, b), accuracy in AS_IN_THE_PAPER.items()}
        found = self.splits(mirrored)
        assert found["25 %: density of junction 1 at the peak"] == "differs"
        assert found["50 %: 25/75 − equal"] == "differs"
        assert found["50 %: sparsest last − sparsest first"] == "differs"
        assert found["25 %: sparsest first"] == "differs"


class TestScatter:
    ROWS = (("clustered", 0.0, 0.2), ("clustered", 0.5, 0.5), ("fixed_degree", 0.0, 0.62), ("planned", 0.0, 1.0))

    def found(self, accuracies, **fields):
        return scatter_accuracy.findings(
            [
                one
                for (pattern, fraction, scatter), accuracy in zip(self.ROWS, accuracies, strict=True)
                for one in outcomes(
                    scatter_accuracy.ScatterSpec(pattern=pattern, fraction=fraction, **fields),
                    accuracy,
                    scatter=scatter,
                    **{"scatter S1f": scatter, "scatter S1b": 1.0},
                )
            ]
        )

    def test_accuracy_that_rises_with_scatter(self) -> None:
        section = self.found((50.0, 60.0, 65.0, 80.0))
        found = verdicts(section)
        assert list(found) == [
            "Pearson correlation",
            "Spearman correlation",
            "random − clustered",
            "planned − random",
            "planned − clustered",
        ]
        assert {verdict for label, verdict in found.items() if "Spearman" not in label} == {"reproduced"}
        grids = [block for block in section.blocks if isinstance(block, Grid)]
        assert [row[0] for row in grids[0].rows] == ["clustered", "clustered, 50 % mixed", "random", "planned"]
        assert "they rise together" in grids[1].note

    def test_accuracy_that_falls(self) -> None:
        found = verdicts(self.found((80.0, 65.0, 60.0, 50.0)))
        assert found["Pearson correlation"] == found["planned − random"] == "differs"

    def test_a_seed_that_lacks_a_pattern_has_no_correlation(self) -> None:
        """Its patterns have another range of scatter."""
        whole = [
            one
            for pattern, fraction, measured in self.ROWS
            for one in outcomes(
                scatter_accuracy.ScatterSpec(pattern=pattern, fraction=fraction), 50 * measured, scatter=measured
            )
        ]
        claims = [claim for _, claim in scatter_accuracy.findings(whole[:-1]).claims()]
        assert [len(claim.ours) for claim in claims] == [2, 2, 3, 2, 2]

    def test_that_the_papers_numbers_are_lost_is_said(self) -> None:
        assert "are not in the text" in notes(self.found((50.0, 60.0, 65.0, 80.0)))[-1]

    def test_small_networks_of_a_test_claim_nothing(self) -> None:
        assert set(verdicts(self.found((50.0, 60.0, 65.0, 80.0), per_class=8)).values()) == {"no published number"}
