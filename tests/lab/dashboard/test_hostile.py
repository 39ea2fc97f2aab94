"""Names, reasons and notes are data: 200 strings that would like to be more, shown as text and nothing else."""

import contextlib
import json
import re
from typing import Literal

import pytest

from sparsewire.lab.dashboard.app import application
from sparsewire.lab.dashboard.guard import Door
from sparsewire.lab.spec import Spec, canonical, run_id
from sparsewire.lab.storage.curves import packed
from sparsewire.lab.storage.database import connect, transaction
from sparsewire.lab.storage.rows import Ending, insert
from sparsewire.lab.storage.runs import enlist, run_of
from sparsewire.lab.store import Store
from sparsewire.lab.trials.live import LiveStream, work_folder

pytest.importorskip("starlette", reason="the dashboard is made with starlette")

BREAKOUTS = ["{}", '"{}', "'{}", "`{}`", "</td>{}", "</script>{}", "-->{}", "]]>{}", '\\"{}', "\u2028{}"]
SCRIPTS = [
    "<script>hacked()</script>", "<img src=x onerror=hacked()>", "<svg/onload=hacked()>", "javascript:hacked()",
    '"onmouseover="hacked()', "<iframe srcdoc='<script>parent.hacked()</script>'>", "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>", "<style>*{display:none}</style>", "${hacked()}",
    "<a href=javascript:hacked() autofocus onfocus=hacked()>x", "<form action=//evil.example><button autofocus>",
    "<math><mtext><table><mglyph><style><img src onerror=hacked()>", "{{constructor.constructor('hacked()')()}}",
    "<template><script>hacked()</script></template>", "<object data=data:text/html,<script>hacked()</script>>",
    "__proto__", "constructor",
]  # fmt: skip
CURIOUS = [
    "\x00", "a\x00b", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b31m", "\u202egnp.exe", "\u2066x\u2069",
    "\u200b\u200d\ufeff", "../../../etc/passwd", "%2e%2e%2fetc%2fpasswd", "..\\..\\x", "/etc/passwd",
    "file:///etc/passwd", "//evil.example/x", "a\nb", "a\r\nSet-Cookie: x=1", "\t\t", " ", "Z\u0351\u036b\u0343" * 40,
    "\U000e0041\U000e0042", "\ufdfd" * 20, "\U0001f469\u200d\U0001f469", "' OR 1=1 --", "'; DROP TABLE trials; --",
    "null", "NaN", "true", "[object Object]", "%s%s%n", "\\u003cscript\\u003e",
]  # fmt: skip
STRINGS = [frame.format(script) for script in SCRIPTS for frame in BREAKOUTS] + SCRIPTS + CURIOUS
STRINGS += ["<b>" + "x" * 1_000_000, "\u202e" * 500]


class Wild(Spec):
    experiment: Literal["<script>hacked()</script>"] = "<script>hacked()</script>"
    text: str = ""
    more: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A store whose every text is one of these, as far as the store takes it."""
    root = tmp_path_factory.mktemp("hostile") / "runs"
    Store.open(root).close()
    # past the checks of what trials hand in: such a store may come from anybody
    connection = connect(root / "store.sqlite", write=True)
    with contextlib.closing(connection), transaction(connection, root / "store.sqlite"):
        for index, text in enumerate(STRINGS):
            spec = Wild(text=text, more={text[:500]: text})
            enlist(connection, [run_of(spec)])
            ending = Ending(("done", "failed", "diverged")[index % 3], text, text, 1.0, {text: text, "started": text})
            curves = {text: packed([(1, 1.0), (2, 0.5)])}
            insert(connection, run_id(spec), index, ending, {text: 1.0}, curves, {text: "0" * 64})
    for index, text in enumerate([*CURIOUS, *SCRIPTS]):
        spec = Wild(text=text)
        head = {"run": run_id(spec), "experiment": text, "spec": canonical(spec), "seed": 1000 + index}
        stream = LiveStream(work_folder(root, run_id(spec), 1000 + index), head)
        stream.record(text, 0.5, 1)
        stream.progress(0.5, text)
        stream.close()
    return root


def test_there_are_two_hundred():
    assert len(set(STRINGS)) >= 200


def test_answers_are_bounded_and_exact(visit, hostile):
    visitor = visit(application(hostile, Door(8765)))
    seen = set()
    for offset in range(0, 400, 100):
        answer = visitor.get("/api/trials", params={"offset": offset, "limit": 100})
        assert answer.status_code == 200
        assert len(answer.content) < 2_000_000
        assert answer.content.isascii()
        seen |= {row["fields"].get("text") for row in answer.json()["rows"]}
    assert {text for text in STRINGS if len(text) <= 200} <= seen
    for path in ("overview", "columns", "groups?by=text&name=x"):
        assert len(visitor.get(f"/api/{path}").content) < 2_000_000


def test_facets_ask_for_what_they_show(visit, hostile):
    visitor = visit(application(hostile, Door(8765)))
    for facet in visitor.json("columns")["facets"]:
        for value in facet["values"]:
            assert visitor.get("/api/trials", params={"where": value["filter"]}).status_code in (200, 422)


def test_every_trial_has_its_page(visit, hostile):
    visitor = visit(application(hostile, Door(8765)))
    with Store.open(hostile, write=False) as store:
        rows = store.rows()
    for row in rows[::7]:
        answer = visitor.get("/api/trial", params={"run": row.run, "seed": row.seed})
        assert answer.status_code == 200, answer.text[:500]
        assert len(answer.content) < 500_000


def test_nothing_runs_in_a_browser(browser, served, hostile):
    _, address = served(hostile)
    browser.do("Page.addScriptToEvaluateOnNewDocument", source="window.hacked = () => { window.wasHacked = true; };")
    browser.open(address)
    browser.until("document.querySelectorAll('#table tbody:nth-of-type(2) tr.running').length > 5")
    pages = browser.value(
        "fetch('api/trials?limit=200').then((answer) => answer.json()).then((found) => found.rows)"
        ".then((rows) => rows.filter((row, index) => index % 9 === 0).map((row) => `#/trial/${row.run}/${row.seed}`))"
    )
    for offset in (0, 1500, 3000, 6000):
        browser.value(f"document.querySelector('#table').scrollTop = {offset}; 1")
        browser.until("!document.querySelector('#table tr.waiting')")
    for page in pages:
        browser.value(f"location.hash = {json.dumps(page)}; 1")
        browser.until("document.querySelector('#trial .pairs')")
    tags = set(browser.value("[...new Set([...document.querySelectorAll('body *')].map((one) => one.localName))]"))
    assert not tags & {"script", "iframe", "object", "style", "base", "math", "template", "meta", "embed", "svg"}
    assert browser.value("window.wasHacked === undefined && location.pathname === '/'")
    shown = browser.value("document.body.innerText")
    assert not re.search("[\x00-\x08\x1b\x9b\u202a-\u202e\u2066-\u2069\u200b-\u200f]", shown)
    assert all(url.startswith((address, "data:")) for url in browser.requests())
    assert [told for told in browser.complaints() if "favicon" not in told] == []
