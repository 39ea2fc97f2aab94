"""States: what is read off them."""

from sparsewire.search.states import Candidate, State


def test_candidates_are_put_in_their_place() -> None:
    one, two = Candidate("a", "one"), Candidate("b", "two")
    state = State(0, history=(one, two), new=("a", "b"))
    tried = Candidate("a", "one", outcome="tried", values=(1.0,))
    after = state.with_candidates(tried, Candidate("c", "three"))
    assert [candidate.key for candidate in after.history] == ["a", "b", "c"]
    assert after["a"] is tried
    assert "c" in after
    assert "c" not in state
    assert after.waiting == (two,)
    assert after.evaluations == 1


def test_the_best_was_really_tried() -> None:
    few = (
        Candidate("a", 1, outcome="tried", values=(1.0,)),
        Candidate("b", 2, outcome="tried", values=(0.5,)),
        Candidate("c", 3, outcome="foretold", predictions=(9.0,)),
        Candidate("d", 4, outcome="failed"),
        Candidate("e", 5, outcome="tried", values=(1.0,)),
    )
    most, least = State(0, history=few).best, State(0, objectives=("min",), history=few).best
    assert most is few[0]  # the older of equal ones
    assert least is few[1]
    assert State(0).best is None
    assert [one.fitness for one in few] == [(1.0,), (0.5,), (9.0,), None, (1.0,)]
