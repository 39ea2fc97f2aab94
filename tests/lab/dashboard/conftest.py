"""Stores to look at, visitors without a browser, and Chromium where there is one."""

import asyncio
import base64
import contextlib
import json
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from sparsewire.lab.spec import Spec, canonical, run_id
from sparsewire.lab.storage.artefacts import write_arrays
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in
from sparsewire.lab.store import Store
from sparsewire.lab.trials.live import LiveStream, work_folder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)  # fmt: skip
NETWORK = {
    "sizes": np.array([3, 2, 1]), "rows_0_1": np.array([0, 1, 1]), "columns_0_1": np.array([0, 1, 2]),
    "values_0_1": np.array([0.5, -1.0, 2.0]), "rows_1_2": np.array([0, 0]), "columns_1_2": np.array([0, 1]),
    "values_1_2": np.array([1.0, -1.5]),
}  # fmt: skip


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    strength: float = 0.5
    rule: str = "static"


def keep(root, specs):
    """A store in which every spec has done its seeds 0 and 1; of the first spec seed 1 failed."""
    with Store.open(root) as store:
        store.enlist(specs)
        for index, spec in enumerate(specs):
            for seed in (0, 1):
                ending = Ending(
                    "done", None, None, 1.5, {"cpu": "abacus", "started": f"2026-01-01T00:0{seed}:00+00:00"}
                )
                if (index, seed) == (0, 1):
                    ending = ending._replace(state="failed", reason="ValueError: no", traceback="Traceback:\n  no")
                curve = [(step, spec.strength + seed + 1 / step) for step in range(1, 11)]
                found = {"loss": curve[-1][1], "accuracy": 1 - spec.strength / 4}
                kept = {}
                if not index:
                    kept["network"] = write_arrays(root / "made" / "network.safetensors", NETWORK)
                hand_in(root, spec, seed, ending, Content(found, {"loss": curve}, {}), kept)
        store.ingest()


SPECS = [Toy(strength=strength, rule=rule) for strength in (0.25, 0.5, 0.75) for rule in ("static", "set")]


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """A store of twelve trials that nobody changes."""
    root = tmp_path_factory.mktemp("dashboard") / "runs"
    keep(root, SPECS)
    return root


@pytest.fixture
def folder(kept, tmp_path):
    """The same, to be changed."""
    shutil.copytree(kept, tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def specs():
    """The specs of these stores."""
    return SPECS


@pytest.fixture
def begin():
    """Begins a trial: (store's folder, spec, seed) → what it tells through."""

    def made(root, spec, seed):
        head = {"run": run_id(spec), "experiment": spec.experiment, "spec": canonical(spec), "seed": seed}
        return LiveStream(work_folder(root, run_id(spec), seed), head)

    return made


class Visit:
    """An application asked without a server: one request after another in one event loop."""

    def __init__(self, app, host="127.0.0.1:8765"):
        httpx = pytest.importorskip("httpx", reason="httpx asks applications without a server")
        self._loop = asyncio.new_event_loop()
        self._transport = httpx.ASGITransport(app=app)
        self._client = httpx.AsyncClient(transport=self._transport, base_url=f"http://{host}")

    def get(self, path, method="GET", **more):
        return self._loop.run_until_complete(self._client.request(method, path, **more))

    def json(self, path, **params):
        answer = self.get(f"/api/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def close(self):
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()


@pytest.fixture
def visit():
    """Makes visits, and ends them."""
    with contextlib.ExitStack() as ends:

        def made(app, host="127.0.0.1:8765"):
            visitor = Visit(app, host)
            ends.callback(visitor.close)
            return visitor

        yield made


@pytest.fixture
def served():
    """Starts dashboards as processes of their own: (store, more arguments) → (process, address)."""
    started = []

    def start(root, *more):
        command = [sys.executable, "-m", "sparsewire", "dashboard", "--store", str(root), "--port", "0", *more]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"http://\S+", line)
        assert address, line + process.communicate(timeout=10)[1]
        return process, address[0]

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=10)


class Socket:
    """As much of a web socket's client as talking to Chromium takes."""

    def __init__(self, address):
        host, port, path = re.fullmatch(r"ws://([^:/]+):(\d+)(/.*)", address).groups()
        self._socket = socket.create_connection((host, int(port)), timeout=60)
        key = base64.b64encode(b"0123456789abcdef").decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._file = self._socket.makefile("rb")
        while self._file.readline() != b"\r\n":
            pass

    def send(self, text):
        content = text.encode()
        length = struct.pack("!BBH" if len(content) < 65_536 else "!BBQ", 0x81,
                             0x80 | (126 if len(content) < 65_536 else 127), len(content))  # fmt: skip
        self._socket.sendall(length + bytes(4) + content)  # masked with zeros

    def receive(self):
        whole = b""
        while True:
            first, length = self._file.read(2)
            if length >= 126:
                length = int.from_bytes(self._file.read(2 if length == 126 else 8), "big")
            whole += self._file.read(length)
            if first & 0x80:
                return whole.decode()

    def close(self):
        self._file.close()
        self._socket.close()


class Browser:
    """One page of a headless Chromium, told what to do over its debugging socket."""

    def __init__(self, width=1280, height=900):
        if CHROMIUM is None:
            pytest.skip("there is no Chromium here")
        self._home = tempfile.mkdtemp()
        command = [CHROMIUM, *QUIET, f"--user-data-dir={self._home}", f"--window-size={width},{height}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port()}/json", timeout=20) as answer:
                [page, *_] = [tab for tab in json.load(answer) if tab["type"] == "page"]
            self._socket = Socket(page["webSocketDebuggerUrl"])
        except BaseException:
            self._end()
            raise
        self._count, self.events = 0, []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.do(f"{domain}.enable")

    def _port(self):
        file = Path(self._home) / "DevToolsActivePort"
        for _ in range(600):
            if file.exists() and "\n" in file.read_text():
                return file.read_text().split()[0]
            time.sleep(0.05)
        raise AssertionError("Chromium did not start in 30 seconds")

    def do(self, method, **params):
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.receive())
            if told.get("id") == self._count:
                assert "error" not in told, told
                return told["result"]
            self.events.append(told)

    def value(self, script):
        found = self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, address):
        self.do("Page.navigate", url=address)

    def until(self, script, seconds=20.0):
        """Waits until the script's value is true; a guard against hanging."""
        end = time.monotonic() + seconds
        while not self.value(f"(() => {{ try {{ return Boolean({script}); }} catch {{ return false; }} }})()"):
            assert time.monotonic() < end, f"{script} did not come true in {seconds} seconds"
            time.sleep(0.02)

    def complaints(self):
        """What the page's console was told: errors, refused resources, exceptions."""
        self.value("1")
        found = [
            told["params"] for told in self.events if told["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")
        ]
        return [json.dumps(one)[:500] for one in found]

    def requests(self):
        """The addresses that were asked."""
        return [
            told["params"]["request"]["url"] for told in self.events if told["method"] == "Network.requestWillBeSent"
        ]

    def picture(self, path):
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        self._socket.close()
        self._end()

    def _end(self):
        self._process.terminate()
        self._process.wait(timeout=20)
        shutil.rmtree(self._home, ignore_errors=True)


@pytest.fixture
def browser():
    """A headless Chromium; tests that need one are skipped where there is none."""
    opened = Browser()
    yield opened
    opened.close()
