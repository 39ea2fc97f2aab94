from sparsewire.training.progress import reporting


def test_nothing_is_reported_unless_asked_for():
    for progress in (None, False):
        with reporting(progress, 3) as report:
            assert report is None


def test_a_function_is_handed_on():
    seen = []
    with reporting(lambda *now: seen.append(now), 3) as report:
        report(1, 2, None, 0.5)
    assert seen == [(1, 2, None, 0.5)]


def test_the_bar_takes_known_and_unknown_lengths_and_goes_away(capsys):
    for steps in (5, None):
        with reporting(True, 2) as report:
            for epoch in (1, 2):
                for step in range(1, 6):
                    report(epoch, step, steps, 0.5)
    assert "loss" not in capsys.readouterr().out.rpartition("\n")[2]
