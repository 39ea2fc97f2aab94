"""What pages are answered."""

import json
import math
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from sparsewire.lab.dashboard.app import application
from sparsewire.lab.dashboard.feed import SECONDS
from sparsewire.lab.dashboard.guard import Door
from sparsewire.lab.spec import run_id
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in
from sparsewire.lab.store import Store

pytest.importorskip("starlette", reason="the dashboard is made with starlette")


@pytest.fixture
def ask(visit, kept):
    return visit(application(kept, Door(8765))).json


def test_the_head_of_the_page(ask, kept):
    found = ask("overview")
    assert (found["store"], found["running"], found["missing"]) == (str(kept), 0, None)
    assert found["experiments"] == [
        {"name": "toy", "filter": "experiment=toy", "states": {"done": 11, "failed": 1}, "running": 0}
    ]


@pytest.mark.parametrize("exists", [False, True])
def test_no_store_is_no_failure(visit, tmp_path, exists):
    if exists:
        (tmp_path / "runs").mkdir()
    visitor = visit(application(tmp_path / "runs", Door(8765)))
    found = visitor.json("overview")
    assert "holds no store" in found["missing"]
    assert (found["experiments"], found["again"]) == ([], 2.0)
    assert visitor.get("/api/trials").status_code == 503
    assert visitor.get("/").status_code == 200


def test_a_store_that_comes_later_is_found(visit, tmp_path):
    visitor = visit(application(tmp_path, Door(8765)))
    assert visitor.json("overview")["missing"]
    with Store.open(tmp_path) as store:
        store.ingest()
    assert visitor.json("overview")["missing"] is None
    assert visitor.json("trials")["total"] == 0


def test_columns_are_what_differs(ask):
    found = ask("columns")
    assert (found["fields"], found["metrics"], found["series"]) == (
        ["strength", "rule"],
        ["loss", "accuracy"],
        ["loss"],
    )
    assert [facet["name"] for facet in found["facets"]] == ["strength", "rule"]
    assert found["facets"][1]["values"][0] == {"label": "set", "filter": "rule=set"}
    assert ask("columns", where="rule=set")["fields"] == ["strength"]


def test_done_comes_before_failed_and_the_newest_first(ask):
    found = ask("trials")
    assert [row["state"] for row in found["rows"]] == ["done"] * 11 + ["failed"]
    assert [row["seed"] for row in found["rows"][:6]] == ["1"] * 5 + ["0"]
    pages = [row for offset in (0, 5, 10) for row in ask("trials", offset=offset, limit=5)["rows"]]
    assert pages == found["rows"]


@pytest.mark.parametrize("column", ["loss", "strength", "rule", "state", "seed", "experiment", "seconds", "started"])
@pytest.mark.parametrize("descending", ["", "1"])
def test_sorted_by_any_column(ask, column, descending):
    rows = ask("trials", sort=column, descending=descending)["rows"]
    values = [{**row, **row["fields"], **row["metrics"]}[column] for row in rows]
    assert values == sorted(values, reverse=bool(descending))


def test_filtered(ask):
    assert ask("trials", where="strength>=0.5 rule=set seed=1")["total"] == 2
    [row] = ask("trials", where="state=failed")["rows"]
    assert row["reason"] == "ValueError: no"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("trials?where=nonsense", "condition"), ("trials?where=nothing%3D1", "no column is named"),
        ("trials?sort=nothing", "no column is named"), ("trials?limit=1000", "limit"), ("trials?offset=-1", "offset"),
        ("trials?limit=%D9%A3", "limit"), ("curves?key=x", "trial"), ("curves?columns=0", "columns"),
        ("curves?low=nan", "low"), ("curves?low=x", "low"), ("trial?run=x&seed=1", "trial"),
        ("trial?run=0000000000000000&seed=99999999999999999999", "trial"),
        ("curves?" + "&".join(f"name=n{index}" for index in range(30)), "name"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_told_so(visit, kept, path, told):
    answer = visit(application(kept, Door(8765))).get(f"/api/{path}")
    assert answer.status_code == 422
    assert told in answer.json()["error"]


def test_curves_are_those_of_the_store(ask, kept):
    with Store.open(kept, write=False) as store:
        rows = store.rows()
        expected = store.curves([row.trial for row in rows])
    found = ask("curves", key=[f"{row.run}-{row.seed}" for row in rows], name=["loss", "none"])["curves"]
    for row in rows:
        assert [tuple(point) for point in found[f"{row.run}-{row.seed}"]["loss"]] == expected[row.trial]["loss"]
    part = ask("curves", key=f"{rows[0].run}-{rows[0].seed}", name="loss", low=3, high=5)["curves"]
    assert [step for step, _ in part[f"{rows[0].run}-{rows[0].seed}"]["loss"]] == [2, 3, 4, 5, 6]


def test_groups_have_means_and_bands(ask):
    found = ask("groups", by="strength", name="loss")
    assert [(group["name"], group["trials"]) for group in found["groups"]] == [("0.25", 4), ("0.5", 4), ("0.75", 4)]
    assert found["groups"][1]["bands"]["loss"][0] == [1, 2.0, 1.5, 2.5, 4]
    [one] = ask("groups", by="experiment", name="loss", where="rule=set")["groups"]
    assert (one["name"], one["trials"]) == ("toy", 6)


def test_a_trials_own_page(ask, visit, kept):
    failed = ask("trials", where="state=failed")["rows"][0]
    page = ask("trial", run=failed["run"], seed=failed["seed"])
    assert (page["reason"], page["traceback"], page["fields"]) == (
        "ValueError: no", "Traceback:\n  no", {"strength": 0.25, "rule": "static"}
    )  # fmt: skip
    assert page["environment"] == {"cpu": "abacus"}
    assert page["series"] == ["loss"]
    assert page["picture"] is None
    done = ask("trial", run=failed["run"], seed=0)
    assert list(done["artefacts"]) == ["network"]
    assert done["picture"]
    answer = visit(application(kept, Door(8765))).get(f"/api/trial?run={failed['run']}&seed=77")
    assert answer.status_code == 404


def test_trials_under_way_come_first_and_move(visit, folder, specs, begin):
    visitor = visit(application(folder, Door(8765)))
    assert visitor.json("trials")["total"] == 12
    stream = begin(folder, specs[0], 7)
    stream.record("loss", 0.5, 1)
    stream.progress(0.25, "epoch 1")
    stream.close()
    time.sleep(SECONDS)  # a look is not older than that
    found = visitor.json("trials")
    assert (found["total"], found["running"]) == (13, 1)
    row = found["rows"][0]
    assert (row["state"], row["fraction"], row["fields"], row["metrics"]) == (
        "running", 0.25, {"strength": 0.25, "rule": "static"}, {"loss": 0.5}
    )  # fmt: skip
    key = f"{run_id(specs[0])}-7"
    assert visitor.json("curves", key=key, name="loss") | {"again": 0} == {
        "curves": {key: {"loss": [[1, 0.5]]}}, "live": [key], "again": 0
    }  # fmt: skip
    assert visitor.json("trials", where="state=running")["total"] == 1
    assert visitor.json("trials", where="state!=running", sort="loss")["total"] == 12
    assert visitor.json("trial", run=run_id(specs[0]), seed=7)["note"] == "epoch 1"
    assert visitor.json("overview")["running"] == 1


def test_what_is_not_finite_is_shown_as_what_it_is(visit, folder, specs):
    content = Content({"loss": math.nan, "bound": -math.inf}, {"loss": [(1, math.nan), (2, math.inf), (3, 1.0)]}, {})
    with Store.open(folder) as store:
        hand_in(folder, specs[0], 9, Ending("diverged", "the loss was nan", None, 1.0, {}), content, {})
        store.ingest()
    visitor = visit(application(folder, Door(8765)))
    [row] = visitor.json("trials", where="state=diverged")["rows"]
    assert row["metrics"] == {"loss": "nan", "bound": "-inf"}
    assert visitor.json("curves", key=row["key"], name="loss")["curves"][row["key"]]["loss"] == [
        [1, None],
        [2, None],
        [3, 1.0],
    ]


def test_answers_are_strict_json(visit, kept):
    def refuse(constant):
        raise AssertionError(constant)

    visitor = visit(application(kept, Door(8765)))
    for path in ("overview", "columns", "trials", "groups?by=rule&name=loss"):
        answer = visitor.get(f"/api/{path}")
        assert answer.headers["content-type"] == "application/json"
        json.loads(answer.content.decode("ascii"), parse_constant=refuse)


def test_a_trial_that_has_ended_is_not_under_way(visit, folder, specs, begin):
    visitor = visit(application(folder, Door(8765)))
    for seed in (0, 1, 9):  # of the first spec 0 is done, 1 failed, 9 is new
        begin(folder, specs[0], seed).close()
    found = visitor.json("trials")
    assert {row["seed"] for row in found["rows"] if row["state"] == "running"} == {"1", "9"}
    assert found["total"] == 14


def test_a_killed_trial_is_stopped(visit, folder, specs, begin):
    begin(folder, specs[0], 9).close()
    head = folder / "work" / f"{run_id(specs[0])}-9" / "head.json"
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    head.write_text(json.dumps(json.loads(head.read_text()) | {"process": gone.pid}))
    visitor = visit(application(folder, Door(8765)))
    row = visitor.json("trials")["rows"][0]
    assert (row["state"], row["seed"]) == ("stopped", "9")
    overview = visitor.json("overview")
    assert (overview["running"], overview["stopped"], overview["rate"]) == (0, 1, None)
    assert visitor.json("trial", run=row["run"], seed=9)["state"] == "stopped"
    assert visitor.json("trials", where="state=stopped")["total"] == 1


def test_the_rate_and_what_is_left(visit, folder, specs, begin):
    now = datetime.now(UTC)
    with Store.open(folder) as store:
        for seed in range(10, 20):
            began = (now - timedelta(seconds=100 - 10 * (seed - 10))).isoformat()
            ending = Ending("done", None, None, 1.0, {"started": began})
            hand_in(folder, specs[0], seed, ending, Content({}, {}, {}), {})
        store.ingest()
    begin(folder, specs[0], 20).close()
    (folder / "work" / "sweep-1.run").write_text(json.dumps({"total": 40, "behind": 8, "held": 20}))
    found = visit(application(folder, Door(8765))).json("overview")
    assert found["rate"] == pytest.approx(0.1, rel=0.2)
    assert (found["planned"], found["ended"]) == (40, 10)
    assert found["seconds_left"] == pytest.approx(300, rel=0.2)


def test_the_curves_of_one_trial_at_a_time_stand_in_memory(ask, specs, monkeypatch):
    asked = []

    def counted(store, trials, names=None):
        asked.append(len(trials))
        return curves(store, trials, names)

    curves = Store.curves
    monkeypatch.setattr(Store, "curves", counted)
    keys = [f"{run_id(spec)}-0" for spec in specs]
    assert set(ask("curves", key=keys, name="loss")["curves"]) == set(keys)
    assert sum(group["trials"] for group in ask("groups", by="rule", name="loss")["groups"]) == 12
    assert asked == [1] * (len(keys) + 12)
