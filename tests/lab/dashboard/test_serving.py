"""The server as a process: where it listens, what it loads, how it ends."""

import signal
import socket
import subprocess
import sys
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from sparsewire.errors import RequestError
from sparsewire.lab.dashboard.serving import door_of, serve

pytest.importorskip("uvicorn", reason="the dashboard is served by uvicorn")


def listeners(process):
    """The addresses on which a process listens, from Linux's own tables."""
    inodes = set()
    for handle in Path(f"/proc/{process}/fd").iterdir():
        name = str(handle.readlink()) if handle.exists() or handle.is_symlink() else ""
        if name.startswith("socket:["):
            inodes.add(name[8:-1])
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and (fields[3] == "0A" or table.startswith("udp")):
                found.append(f"{table} {fields[1]}")
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the sockets of a process are listed in Linux's /proc")
def test_it_listens_on_the_loopback_alone(served, kept):
    process, address = served(kept)
    port = int(address.rstrip("/").rpartition(":")[2])
    with urllib.request.urlopen(f"{address}api/overview", timeout=30) as answer:
        assert answer.status == 200
    assert listeners(process.pid) == [f"tcp 0100007F:{port:04X}"]


def test_it_ends_within_its_time_when_asked_while_somebody_watches(served, kept):
    process, address = served(kept)
    with urllib.request.urlopen(f"{address}events", timeout=30) as events:
        assert events.readline()
        process.send_signal(signal.SIGINT)
        out, complaint = process.communicate(timeout=20)
    assert process.returncode in (0, 130)
    assert "Traceback" not in out + complaint


def test_a_token_where_it_is_asked_for(served, kept):
    _, address = served(kept, "--token")
    assert "?token=" in address
    plain = address.partition("?")[0]
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(plain, timeout=30)
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    for one in (address, plain, f"{plain}api/overview"):
        with opener.open(one, timeout=30) as answer:
            assert answer.status == 200


def test_others_may_only_ask_with_a_token():
    for host in ("0.0.0.0", "192.168.0.7", "::", "example.org"):
        door = door_of(host, 8765, False)
        assert door.token
        assert not door.knows("evil.example:8765")
    assert door_of("0.0.0.0", 8765, False).knows("192.168.0.7:8765")
    assert not door_of("127.0.0.1", 8765, False).knows("192.168.0.7:8765")
    assert door_of("localhost", 8765, False).token is None


def test_a_port_that_is_taken(tmp_path):
    refused = pytest.raises(RequestError, match=r"cannot listen on 127\.0\.0\.1")
    with socket.create_server(("127.0.0.1", 0)) as taken, refused:
        serve(tmp_path, "127.0.0.1", taken.getsockname()[1], False, print)


def test_it_starts_without_what_trials_need():
    script = (
        "import sys; import sparsewire.cli.watching, sparsewire.lab.dashboard.serving as s, uvicorn\n"
        "from pathlib import Path; from sparsewire.lab.dashboard.guard import Door\n"
        "s.application(Path('x'), Door(1))\n"
        "print(*sorted({'torch', 'matplotlib', 'scipy', 'networkx'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == ""
