"""How the dashboard bears load, against the limits that it was given.

Makes a store (10,000 trials with a curve of 1,000 points each, unless told otherwise), serves it, and prints: how long
the server takes to start; how long headless Chromium takes to the first paint, to the first row and to the first curve;
how long requests take (median, 95 and 99 of 100) while 20 viewers ask once a second and hold their streams, and a
trial a second comes into the store; the server's memory; the sockets on which it listens; the addresses that the page
asked. `--long` is 10,000 trials and a minute; the short form is 1,000 trials and ten seconds.
"""

import argparse
import contextlib
import http.client
import importlib.util
import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from sparsewire.lab.spec import Spec, run_id
from sparsewire.lab.storage.curves import packed
from sparsewire.lab.storage.database import connect, transaction
from sparsewire.lab.storage.rows import Content, Ending, insert
from sparsewire.lab.storage.runs import enlist, run_of
from sparsewire.lab.storage.spool import hand_in
from sparsewire.lab.store import Store

VIEWERS = 20
BROWSER = Path(__file__).parent.parent / "tests" / "lab" / "dashboard" / "conftest.py"
LIMITS = {"first paint": 2.0, "request, 95 of 100": 0.2, "memory": 300.0}


class Load(Spec):
    """What the trials of this benchmark are of."""

    experiment: Literal["load"] = "load"
    strength: float = 0.5
    rule: str = "static"


def ending(index: int) -> Ending:
    started = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(1_790_000_000 + index))
    if index % 50 == 7:
        return Ending("failed", "RuntimeError: out of memory", "Traceback: …", 1.0, {"cpu": "x", "started": started})
    return Ending("done", None, None, 5.0, {"cpu": "x", "torch": "2", "started": started})


def fill(root: Path, trials: int, points: int) -> list[Load]:
    """A store with so many trials, written in one transaction."""
    seeds = 5
    specs = [
        Load(strength=round(0.1 + index / trials, 6), rule=("static", "set", "rigl")[index % 3])
        for index in range(trials // seeds)
    ]
    Store.open(root).close()
    chance = random.Random(0)
    curves = [
        packed([(step, 2 * math.exp(-step / 200) + 0.1 * chance.random()) for step in range(points)]) for _ in range(50)
    ]
    connection = connect(root / "store.sqlite", write=True)
    with contextlib.closing(connection), transaction(connection, root / "store.sqlite"):
        enlist(connection, [run_of(spec) for spec in specs])
        for index in range(trials):
            metrics = {"loss": chance.random(), "accuracy": chance.random()}
            curve = {"loss": curves[index % len(curves)]}
            insert(connection, run_id(specs[index // seeds]), index % seeds, ending(index), metrics, curve, {})
    return specs


def start(root: Path) -> tuple[subprocess.Popen[str], int, float]:
    """The server, its port, and the seconds until it said so."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "sparsewire", "dashboard", "--store", str(root), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    line = server.stdout.readline()
    found = re.search(r":(\d+)/", line)
    if found is None:
        raise SystemExit(f"the server did not start: {line}")
    return server, int(found[1]), time.perf_counter() - begin


def get(port: int, path: str) -> tuple[float, bytes]:
    """The seconds that an answer took, and the answer."""
    begin = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {content[:300]!r}")
    return time.perf_counter() - begin, content


class Viewer(threading.Thread):
    """Holds a stream and asks once a second for what a page asks."""

    def __init__(self, port: int, number: int, total: int, until: float) -> None:
        super().__init__()
        self.taken: list[tuple[float, str]] = []
        self._port, self._total, self._until = port, total, until
        self._chance = random.Random(number)

    def run(self) -> None:
        """Until the time is over."""
        stream = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        stream.request("GET", "/events")
        answer = stream.getresponse()
        answer.readline()
        time.sleep(self._chance.random())
        while time.monotonic() < self._until:
            path = self._path()
            seconds, _ = get(self._port, path)
            self.taken.append((seconds, path.partition("?")[0]))
            time.sleep(max(1.0 - seconds, 0.0))
        stream.close()

    def _path(self) -> str:
        where = self._chance.choice(["", "rule=set", "loss<0.5 state=done", f"strength>{self._chance.random():.2f}"])
        asked = f"where={quote(where)}"
        kind = self._chance.choices(["trials", "overview", "columns", "curves", "groups"], [8, 4, 2, 5, 1])[0]
        if kind == "trials":
            sort = self._chance.choice(["", "", "loss", "strength"])
            return f"/api/trials?{asked}&sort={sort}&offset={100 * self._chance.randrange(self._total // 400)}"
        if kind == "curves":
            _, page = get(self._port, f"/api/trials?limit=8&offset={self._chance.randrange(self._total - 8)}")
            keys = "&".join(f"key={row['key']}" for row in json.loads(page)["rows"])
            return f"/api/curves?name=loss&columns=560&{keys}"
        return f"/api/{kind}?{asked}&by=rule&name=loss&columns=560" if kind == "groups" else f"/api/{kind}?{asked}"


def sweep(root: Path, specs: list[Load], until: float) -> int:
    """A trial a second comes in."""
    count = 0
    with Store.open(root) as store:
        while time.monotonic() < until:
            curve = [(step, 1 / (step + 1)) for step in range(1000)]
            content = Content({"loss": 0.5, "accuracy": 0.5}, {"loss": curve}, {})
            hand_in(root, specs[count % len(specs)], 100 + count // len(specs), ending(count)._replace(
                state="done", reason=None, traceback=None), content, {})  # fmt: skip
            store.ingest()
            count += 1
            time.sleep(1.0)
    return count


def memory(process: int) -> dict[str, float]:
    """The process's memory now and at most, in MB."""
    text = Path(f"/proc/{process}/status").read_text()
    return {name: int(re.search(rf"{name}:\s+(\d+)", text)[1]) / 1000 for name in ("VmRSS", "VmHWM")}  # type: ignore[index]


def processor_seconds(process: int) -> float:
    """The time that the process has computed so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sockets(process: int) -> tuple[list[str], list[str]]:
    """Where the process listens, and with whom beyond the loopback it talks."""
    own = {str(handle.readlink())[8:-1] for handle in Path(f"/proc/{process}/fd").iterdir() if handle.is_symlink()}
    listening, foreign = [], []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in own:
                address = f"{table} {fields[1]}"
                if fields[3] == "0A" or table.startswith("udp"):
                    listening.append(address)
                elif not fields[2].startswith("0100007F"):
                    foreign.append(f"{table} {fields[2]}")
    return listening, foreign


def browser_seconds(port: int) -> tuple[dict[str, float], list[str]]:
    """What headless Chromium saw of the page and when, and the addresses that it asked."""
    found = importlib.util.spec_from_file_location("dashboard_conftest", BROWSER)
    assert found is not None
    assert found.loader is not None
    tests = importlib.util.module_from_spec(found)
    found.loader.exec_module(tests)
    browser = tests.Browser()
    try:
        browser.open("about:blank")
        watch = """
            const began = performance.now();
            const look = () => {
              const seen = (name, there) => { if (there && !window[name]) window[name] = performance.now() - began; };
              seen("rowSeen", document.querySelector("#table tbody:nth-of-type(2) tr a"));
              seen("curveSeen", document.querySelectorAll("#legend li").length);
              requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
        """
        browser.do("Page.addScriptToEvaluateOnNewDocument", source=watch)
        browser.open(f"http://127.0.0.1:{port}/")
        browser.until("window.rowSeen && window.curveSeen", seconds=60)
        first = browser.value("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        seconds = {
            "first paint": first / 1000,
            "first row": browser.value("window.rowSeen") / 1000,
            "first curve": browser.value("window.curveSeen") / 1000,
        }
        return seconds, browser.requests()
    finally:
        browser.close()


def told(name: str, value: float, unit: str) -> None:
    """Prints a figure, and whether it keeps its limit."""
    limit = LIMITS.get(name)
    verdict = "" if limit is None else f"  (limit {limit:g} {unit}: {'kept' if value <= limit else 'MISSED'})"
    print(f"{name:28} {value:10.3f} {unit}{verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="10,000 trials, a minute of viewers")
    parser.add_argument("--trials", type=int, help="how many trials")
    parser.add_argument("--points", type=int, default=1000, help="points of each trial's curve")
    parser.add_argument("--seconds", type=float, help="how long the viewers ask")
    options = parser.parse_args()
    trials = options.trials or (10_000 if options.long else 1_000)
    seconds = options.seconds or (60.0 if options.long else 10.0)
    with tempfile.TemporaryDirectory() as home:
        root = Path(home) / "runs"
        specs = fill(root, trials, options.points)
        size = (root / "store.sqlite").stat().st_size / 1e6
        print(
            f"{trials:,} trials with {options.points:,} points each, {size:,.0f} MB; {VIEWERS} viewers, {seconds:g} s"
        )
        server, port, began = start(root)
        try:
            told("server's start", began, "s")
            measure(server.pid, port, root, specs, trials, seconds)
        finally:
            server.terminate()
            server.wait(timeout=30)


def measure(process: int, port: int, root: Path, specs: list[Load], trials: int, seconds: float) -> None:
    """Prints everything that is measured on a running server."""
    for turn in ("cold", "warm"):
        seen, asked = browser_seconds(port)
        for name, value in seen.items():
            told(name if turn == "cold" else f"{name}, second visit", value, "s")
        away = [url for url in asked if not url.startswith((f"http://127.0.0.1:{port}/", "data:", "about:"))]
        print(f"the page asked {len(asked)} addresses, {len(away)} of them elsewhere {away[:3]}")
    until, spent = time.monotonic() + seconds, processor_seconds(process)
    viewers = [Viewer(port, number, trials, until) for number in range(VIEWERS)]
    for viewer in viewers:
        viewer.start()
    added = sweep(root, specs, until)
    for viewer in viewers:
        viewer.join()
    taken = [one for viewer in viewers for one in viewer.taken]
    every = sorted(value for value, _ in taken)
    print(f"{len(every):,} requests while {added} trials came in")
    told("request, median", statistics.median(every), "s")
    told("request, 95 of 100", every[int(0.95 * len(every))], "s")
    told("request, 99 of 100", every[int(0.99 * len(every))], "s")
    for kind in sorted({kind for _, kind in taken}):
        some = sorted(value for value, one in taken if one == kind)
        told(f"  {kind}, 95 of 100", some[int(0.95 * len(some))], "s")
    spent = processor_seconds(process) - spent
    told("processor time a request", spent / len(taken), "s")
    told("cores busy with watching", spent / seconds, "")
    used = memory(process)
    told("memory", used["VmHWM"], "MB")
    listening, foreign = sockets(process)
    print(f"listens on {listening}; connections beyond the loopback: {foreign or 'none'}")


if __name__ == "__main__":
    main()
