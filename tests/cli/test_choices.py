import click
import pytest

from sparsewire.cli.choices import DATA_SCORES, SCOPES, SCORES, OneOf
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure import allocation, scores


def test_the_names_are_those_of_the_library():
    assert tuple(scores.SCORES) == SCORES
    assert tuple(scores.DATA_SCORES) == DATA_SCORES
    assert set(SCOPES) == set(allocation.SCOPES)


@pytest.mark.parametrize("name", DATA_SCORES)
def test_scores_that_need_data_are_known_and_say_why_not(name):
    word = OneOf("score", lambda: SCORES)
    with pytest.raises(RequestError, match=rf"--score: found '{name}', which asks for the model and data.* magnitude"):
        word.convert(name, None, None)
    assert [item.value for item in word.shell_complete(click.Context(click.Command("prune")), None, "")] == list(SCORES)


def test_other_names_are_corrected_and_right_ones_taken():
    word = OneOf("score", lambda: SCORES)
    assert word.convert("magnitude", None, None) == "magnitude"
    with pytest.raises(UnknownNameError, match="no score is named 'magnitud'; did you mean 'magnitude'"):
        word.convert("magnitud", None, None)
    with pytest.raises(UnknownNameError, match="no scope is named 'obd'"):
        OneOf("scope", lambda: SCOPES).convert("obd", None, None)
