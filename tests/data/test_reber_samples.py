import pytest
import torch

from sparsewire.data.reber_codes import code_lengths, decoded
from sparsewire.data.reber_grammar import is_reber
from sparsewire.data.reber_samples import reber_set
from sparsewire.data.reber_strings import reber
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.models.sequence_classifier import SequenceClassifier
from sparsewire.training.loop import fit


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("code", ["ascii", "compact"])
@pytest.mark.parametrize("options", [{}, {"false": "perturbed", "edits": 2}, {"embedded": True, "longest": 30}])
def test_a_set_is_the_strings_split(code: str, options: dict[str, object]) -> None:
    data = reber_set(150, 50, code=code, generator=seeded(), **options)  # type: ignore[arg-type]
    strings, valid = reber(200, generator=seeded(), **options)  # type: ignore[arg-type]
    parts = [decoded(part.inputs, code=code) for part in (data.train, data.test)]  # type: ignore[arg-type]
    assert parts == [strings[:150], strings[150:]]
    assert torch.equal(torch.cat([data.train.labels, data.test.labels]), valid.long())
    assert data.input_shape == (max(map(len, strings)),)
    assert {data.train.inputs.dtype, data.train.labels.dtype} == {torch.int64}
    assert (data.name, data.classes) == ("embedded_reber" if options.get("embedded") else "reber", 2)


def test_the_papers_set_is_the_default() -> None:
    data = reber_set(generator=seeded())
    assert (len(data.train.labels), len(data.test.labels)) == (18_750, 6_250)
    assert int(data.train.labels.sum() + data.test.labels.sum()) == 12_500
    assert abs(int(data.train.labels.sum()) - 9375) < 140  # one random split, four deviations; the paper's: 9339
    assert int(code_lengths(data.train.inputs).min()) == 11
    assert not set(decoded(data.train.inputs)) & set(decoded(data.test.inputs))
    found = decoded(data.test.inputs)
    assert all(is_reber(string) == bool(label) for string, label in zip(found, data.test.labels, strict=True))


@pytest.mark.parametrize("reads", [False, True])
def test_one_can_train_on_it(reads: bool) -> None:
    data = reber_set(64, 16, longest=14, generator=seeded())
    model = SequenceClassifier(
        "gru", 4, hidden=6, layers=1, symbols=128, padding=0, reads_padding=reads, generator=seeded()
    )
    history = fit(
        model, data.train, optimizer=lambda some: torch.optim.Adam(some, lr=0.01), batch_size=16, epochs=2,
        generator=seeded(),
    )  # fmt: skip
    assert len(history.loss) == 2
    assert model(data.test.inputs).shape == (16, 2)


def test_impossible_requests_are_named() -> None:
    for wrong in (0, -1, 1.5, True, None):
        with pytest.raises(RequestError, match=r"train: found .*, expected a whole number of at least 1"):
            reber_set(wrong, 1, generator=seeded())  # type: ignore[arg-type]
        with pytest.raises(RequestError, match=r"test: found .*, expected a whole number of at least 1"):
            reber_set(1, wrong, generator=seeded())  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"no code of Reber strings is named 'unicode'"):
        reber_set(1, 1, code="unicode", generator=seeded())  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"no kind of false strings is named 'easy'"):
        reber_set(1, 1, false="easy", generator=seeded())  # type: ignore[typeddict-item]
    with pytest.raises(RequestError, match=r"generator: found None"):
        reber_set(1, 1, generator=None)  # type: ignore[arg-type]
