import math

import pytest

from sparsewire.errors import RequestError
from sparsewire.training.history import Epoch, Evaluation, History

FIRST = Epoch(1, 10, 2.0, 0.5, Evaluation(1.5, 0.5, 100), "update")
SECOND = Epoch(2, 10, 1.0, 1.5, Evaluation(1.2, 0.75, 100), "update")
THIRD = Epoch(3, 10, 0.5, 0.5, Evaluation(1.1, 0.75, 100), "autograd")
HISTORY = History((FIRST, SECOND, THIRD))


def test_series_are_over_the_epochs():
    assert HISTORY.loss == (2.0, 1.0, 0.5)
    assert HISTORY.seconds == (0.5, 1.5, 0.5)
    assert HISTORY.validation_loss == (1.5, 1.2, 1.1)
    assert HISTORY.validation_accuracy == (0.5, 0.75, 0.75)
    assert HISTORY.curves() == {
        "loss": HISTORY.loss,
        "validation loss": HISTORY.validation_loss,
        "validation accuracy": HISTORY.validation_accuracy,
    }
    assert (len(HISTORY), HISTORY.steps, HISTORY.steps_per_second) == (3, 30, 12.0)


def test_the_best_epoch_has_the_highest_accuracy_the_first_of_equals_with_less_loss():
    assert HISTORY.best is THIRD  # as accurate as the second, at a smaller loss
    equal = SECOND._replace(number=4)
    assert History((FIRST, SECOND, equal)).best is SECOND
    regression = [Epoch(n, 1, 1.0, 1.0, Evaluation(loss, math.nan, 5), "autograd") for n, loss in ((1, 3.0), (2, 1.0))]
    assert History(tuple(regression)).best is regression[1]


def test_without_validation_there_is_none():
    bare = History((FIRST._replace(validation=None),))
    assert bare.validation == bare.validation_loss == bare.validation_accuracy == ()
    assert bare.curves() == {"loss": (2.0,)}
    with pytest.raises(RequestError, match="give `validation` to fit"):
        _ = bare.best


def test_an_empty_history_is_one():
    assert (len(History()), History().steps, History().curves()) == (0, 0, {})
    assert math.isnan(History().steps_per_second)


def test_a_history_is_frozen_and_grows_by_making_a_new_one():
    grown = History((FIRST,)).followed_by(SECOND)
    assert grown == History((FIRST, SECOND))
    with pytest.raises(AttributeError):
        grown.epochs = ()


def test_it_prints_as_a_table():
    lines = str(History((FIRST, SECOND._replace(validation=None)))).splitlines()
    assert lines[0].split() == ["epoch", "steps", "loss", "seconds", "val.", "loss", "val.", "acc."]
    assert lines[1].split() == ["1", "10", "2", "0.50", "1.5", "50.00", "%"]
    assert lines[2].split() == ["2", "10", "1", "1.50"]


def test_an_evaluation_without_classes_prints_without_accuracy():
    assert str(Evaluation(0.5, math.nan, 1234)) == "loss 0.5 of 1,234"
    assert str(Evaluation(0.5, 0.125, 8)) == "loss 0.5, accuracy 12.50 % of 8"
