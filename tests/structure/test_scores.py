import math

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.scores import (
    DATA_SCORES,
    SCORES,
    ModelScore,
    NeuronNorm,
    Question,
    Random,
    answers,
    magnitude,
    needs_data,
)

WEIGHTS = {"a": torch.tensor([[3.0, -4.0], [0.0, 1.0]]), "b": torch.tensor([[-2.0]])}
LIVE = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in WEIGHTS.items()}
ROWS = {"a": (2,), "b": (1,)}


def question(weights=WEIGHTS, live=LIVE, units=ROWS, **more):
    return Question(weights, live, units, **more)


@pytest.mark.parametrize("score", SCORES)
def test_every_named_score_answers_with_finite_numbers(score):
    found = answers(score, question(generator=torch.Generator().manual_seed(0)))
    assert list(found) == ["a", "b"]
    for name, scores in found.items():
        assert scores.shape in (WEIGHTS[name].shape, ROWS[name])
        assert scores.isfinite().all()
        assert (scores >= 0).all()


def test_magnitude_by_hand():
    assert magnitude(WEIGHTS["a"]).tolist() == [[3.0, 4.0], [0.0, 1.0]]


def test_norms_by_hand():
    assert NeuronNorm(2)(question())["a"].tolist() == [5.0, 1.0]
    assert NeuronNorm(1)(question())["a"].tolist() == [7.0, 1.0]
    assert NeuronNorm(math.inf)(question())["a"].tolist() == [4.0, 1.0]


def test_norms_leave_out_what_is_not_live():
    live = {**LIVE, "a": torch.tensor([[True, False], [True, True]])}
    assert NeuronNorm(2)(question(live=live))["a"].tolist() == [3.0, 1.0]


def test_norms_take_all_gates_of_a_neuron():
    # two gates of two neurons, and a kernel: neuron 0 has rows 0 and 2
    weight = torch.tensor([[3.0], [1.0], [4.0], [0.0]]).view(4, 1, 1)
    found = NeuronNorm(2)(question({"w": weight}, {"w": weight == weight}, {"w": (2,)}))
    assert found["w"].tolist() == [5.0, 1.0]


def test_norms_need_neurons():
    with pytest.raises(RequestError, match=r"score: norms of neurons need the pattern Neurons"):
        NeuronNorm()(question(units={"a": (2, 2), "b": (1, 1)}))


def test_random_draws_one_number_for_each_unit():
    first = Random()(question(generator=torch.Generator().manual_seed(3)))
    again = Random()(question(generator=torch.Generator().manual_seed(3)))
    other = Random()(question(generator=torch.Generator().manual_seed(4)))
    assert {name: tuple(scores.shape) for name, scores in first.items()} == ROWS
    assert all(torch.equal(first[name], again[name]) for name in ROWS)
    assert not torch.equal(first["a"], other["a"])
    assert all(((scores >= 0) & (scores < 1)).all() for scores in first.values())


def test_random_is_uniform_and_leaves_the_global_seed_alone():
    before = torch.get_rng_state()
    scores = Random()(question(units={"a": (100_000,)}, generator=torch.Generator().manual_seed(0)))["a"]
    assert scores.mean() == pytest.approx(0.5, abs=0.005)  # deviation of the mean: 0.0009
    assert scores.var() == pytest.approx(1 / 12, abs=0.002)
    assert torch.equal(torch.get_rng_state(), before)


def test_random_needs_a_generator():
    for given in (None, 0):
        with pytest.raises(RequestError, match=rf"generator: found {given}.*manual_seed"):
            answers("random", question(generator=given))


def test_a_function_of_a_weight_is_a_score():
    assert answers(torch.square, question())["b"].tolist() == [[4.0]]
    assert answers(lambda weight: -weight, question())["b"].tolist() == [[2.0]]


def test_a_function_may_use_gradients_and_gives_none():
    weights = {"a": nn.Parameter(torch.ones(1, 1))}
    assert not answers(lambda weight: weight * 2, question(weights))["a"].requires_grad


def test_a_mapping_is_a_score_and_may_have_more():
    given = {"b": torch.tensor([7.0]), "a": torch.tensor([1.0, 2.0]), "c": torch.tensor(0.0)}
    found = answers(given, question())
    assert list(found) == ["a", "b"]
    assert found["a"].tolist() == [1.0, 2.0]


def test_a_model_score_sees_the_whole_question():
    class SeesAll(ModelScore):
        def __call__(self, question):
            scale = float(question.model.weight.detach().sum()) * question.data * question.loss(2.0)
            return {name: weight * scale for name, weight in question.weights.items()}

    model = nn.Linear(1, 1)
    model.weight.data.fill_(2.0)
    found = answers(SeesAll(), question(model=model, data=3.0, loss=lambda x: x + 3))
    assert found["b"].tolist() == [[-2.0 * 2 * 3 * 5]]


@pytest.mark.parametrize(
    ("score", "error", "message"),
    [
        ("magnitud", UnknownNameError, "no score is named 'magnitud'; did you mean 'magnitude'"),
        ({"a": torch.ones(2)}, UnknownNameError, "no weight with a score is named 'b'"),
        (lambda weight: weight.tolist(), RequestError, "score: found list for 'a', expected a tensor"),
        (lambda weight: weight * 1j, RequestError, r"score: found torch.complex64 for 'a'"),
        (3, RequestError, r"score: found 3, expected a name \(magnitude, random"),
        (None, RequestError, "score: found None, expected a name"),
    ],
)
def test_what_is_no_score_is_refused(score, error, message):
    with pytest.raises(error, match=message):
        answers(score, question())


@pytest.mark.parametrize("score", [*DATA_SCORES, *DATA_SCORES.values()])
def test_scores_that_need_data_say_so_and_refuse_weights_alone(score):
    assert needs_data(score)
    with pytest.raises(RequestError, match=r"model: found weights by name, but the score looks at the (loss|network)"):
        answers(score, question(data=(torch.ones(1, 2), torch.zeros(1))))
    with pytest.raises(RequestError, match=r"data: found none, but the score (looks|needs) .*; pass data=\(inputs"):
        answers(score, question(model=nn.Linear(2, 2)))


@pytest.mark.parametrize("score", [*SCORES, *SCORES.values(), lambda weight: weight, {}, "obt", None])
def test_other_scores_need_none(score):
    assert not needs_data(score)


def test_the_names_are_different():
    assert not SCORES.keys() & DATA_SCORES.keys()
