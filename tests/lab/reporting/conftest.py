"""A headless Chromium that is asked over a pipe: what a page shows, logs and wants from elsewhere."""

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--remote-debugging-pipe",
)  # fmt: skip


def chromium() -> str | None:
    """Where the browser is, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One browser with one page; `logged` and `requests` grow while it is asked."""

    def __init__(self, folder: Path) -> None:
        command_read, self._write = os.pipe()
        self._read, command_write = os.pipe()

        def wire() -> None:  # Chromium takes commands from 3 and answers on 4
            read, write = os.dup(command_read), os.dup(command_write)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self._process = subprocess.Popen(
            [str(chromium()), *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            preexec_fn=wire, pass_fds=(3, 4), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(command_read)
        os.close(command_write)
        self._rest = b""
        self._number = 0
        self.logged: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> Any:
        """The answer to one command of the page."""
        return self._send(method, self._session, **parameters)

    def show(self, address: str, *, width: int = 1280, height: int = 2400, dark: bool = False) -> None:
        """Opens an address on light or dark paper."""
        self.size(width, height)
        self.paper(dark=dark)
        self.do("Page.navigate", url=address)
        self.wait(f"document.readyState == 'complete' && location.href == {json.dumps(address)}")

    def size(self, width: int, height: int) -> None:
        """Sets the window's size in pixels."""
        self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )  # fmt: skip

    def paper(self, *, dark: bool) -> None:
        """Sets what the reader prefers."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.do("Emulation.setEmulatedMedia", features=features)

    def value(self, script: str) -> Any:
        """What an expression of the page is worth; a promise is waited for."""
        found = self.do("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 60.0) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + seconds
        while not self.value(script):
            assert time.monotonic() < end, f"still not: {script}; logged: {self.logged}"
            time.sleep(0.05)

    def picture(self, path: Path) -> None:
        """Writes the whole page as PNG."""
        found = self.do("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def paged(self, path: Path) -> None:
        """Writes what would be printed, as PDF."""
        path.write_bytes(base64.b64decode(self.do("Page.printToPDF", printBackground=False)["data"]))

    def close(self) -> None:
        """Ends the browser and all its processes."""
        os.close(self._write)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._read)

    def _send(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        while True:
            found = self._next()
            if found.get("id") == self._number:
                assert "error" not in found, found
                return found["result"]
            self._note(found.get("method"), found.get("params", {}))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._read, 1 << 20)
            assert part, "the browser has ended"
            self._rest += part
        one, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(one)
        return found

    def _note(self, method: str | None, about: dict[str, Any]) -> None:
        if method == "Runtime.consoleAPICalled":
            self.logged.append(f"{about['type']}: {[part.get('value') for part in about['args']]}")
        elif method == "Runtime.exceptionThrown":
            self.logged.append(f"exception: {about['exceptionDetails']}")
        elif method == "Log.entryAdded":
            self.logged.append(f"{about['entry']['level']}: {about['entry']['text']}")
        elif method == "Network.requestWillBeSent" and not about["request"]["url"].startswith("data:"):
            self.requests.append(about["request"]["url"])
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(about["message"])
            self._send("Page.handleJavaScriptDialog", self._session, accept=True)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests; they are skipped where there is none."""
    if chromium() is None:
        pytest.skip("there is no Chromium to show the report in")
    opened = Browser(tmp_path_factory.mktemp("chromium"))
    try:
        yield opened
    finally:
        opened.close()
