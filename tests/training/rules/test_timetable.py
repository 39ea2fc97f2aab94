import math

import pytest

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.training.rules.timetable import DECAYS, Timetable


@pytest.mark.parametrize("decay", DECAYS)
def test_the_fraction_falls_from_the_first_to_zero_at_the_last(decay):
    table = Timetable(steps=5, until=40, fraction=0.4, decay=decay)
    fractions = [table.fraction_at(step) for step in range(41)]
    assert fractions[0] == 0.4
    assert fractions == sorted(fractions, reverse=True)
    assert fractions[-1] == (0.4 if decay == "constant" else 0)
    acting = [step for step in range(100) if table.acts_at(step)]
    assert acting == [*range(5, 40, 5), *([40] if decay == "constant" else [])]


def test_the_cosine_is_that_of_the_equation():
    table = Timetable(steps=1, until=30, fraction=0.3, decay="cosine")
    for step in range(31):
        assert table.fraction_at(step) == pytest.approx(0.3 / 2 * (1 + math.cos(math.pi * step / 30)))


def test_without_a_last_step_it_goes_on():
    table = Timetable(steps=7, until=None, fraction=0.3, decay="constant")
    assert table.acts_at(7 * 10**9)
    assert table.fraction_at(7 * 10**9) == 0.3


def test_a_fraction_of_zero_moves_nothing():
    assert not any(Timetable(1, 9, 0, "constant").acts_at(step) for step in range(20))


GOOD = {"steps": 10, "until": 100, "fraction": 0.3, "decay": "cosine"}
BAD = {
    "no steps": ({"steps": 0}, "steps: found 0, expected a whole number of at least 1"),
    "half a step": ({"steps": 1.5}, "steps: found 1.5"),
    "truth": ({"steps": True}, "steps: found True"),
    "until zero": ({"until": 0}, "until: found 0"),
    "until NaN": ({"until": math.nan}, "until: found nan"),
    "until None": ({"until": None}, r"until: found None, but a fraction that decays \('cosine'\)"),
    "above 1": ({"fraction": 1.1}, "fraction: found 1.1, expected a number from 0 to 1"),
    "below 0": ({"fraction": -0.1}, "fraction: found -0.1"),
    "NaN": ({"fraction": math.nan}, "fraction: found nan"),
    "fraction None": ({"fraction": None}, "fraction: found None"),
    "decay None": ({"decay": None}, "no decay is named 'None'"),
    "decay list": ({"decay": ["cosine"]}, r"no decay is named"),
    "what it is of": ({"fraction": 7}, "expected a number from 0 to 1, of the connections that exist"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(RequestError, match=message):
        Timetable(**{**GOOD, **change})


def test_the_nearest_decay_is_offered():
    with pytest.raises(UnknownNameError, match="no decay is named 'cosinus'; did you mean 'cosine'"):
        Timetable(**{**GOOD, "decay": "cosinus"})
