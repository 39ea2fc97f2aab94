"""What a run says of itself when it has ended."""

from sparsewire.lab.trials.summary import Summary


def summary(*failures: str) -> str:
    return str(Summary("demo", 9, 9 - len(failures), 0, len(failures), 0, False, 1.0, failures))


def test_trials_that_failed_for_one_reason_are_one_line() -> None:
    missing = "DataError: cifar100 is not here: run fetch"
    text = summary(
        f"run a, seed 0: {missing}",
        "run b, seed 0: ValueError: no",
        f"run a, seed 1: {missing}",
        f"run c, seed 0: {missing}",
    )
    assert text.splitlines()[1:] == [
        f"failed: run a, seed 0 and 2 more: {missing}",
        "failed: run b, seed 0: ValueError: no",
    ]


def test_of_many_reasons_the_first_five_are_shown() -> None:
    text = summary(*(f"run a, seed {seed}: reason {seed}" for seed in range(7)))
    assert text.count("failed: ") == 5
    assert "reason 4" in text
    assert "reason 5" not in text


def test_where_others_may_follow_the_number_of_trials_is_that_of_now() -> None:
    text = str(Summary("demo", 4, 4, 0, 0, 0, False, 1.0, (), out_of_time=True, is_open=True))
    assert text.splitlines() == [
        "demo: 4 done of 4 trials so far in 1.0 seconds", "the time is used up: run the same command again to go on",
    ]  # fmt: skip
    assert "waits" in str(Summary("demo", 4, 3, 0, 1, 0, False, 1.0, ("run 1: no",), is_open=True))
    assert "waits" not in str(Summary("demo", 4, 3, 0, 1, 0, False, 1.0, ("run 1: no",)))
