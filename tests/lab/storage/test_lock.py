"""The writer's lock: the second is refused and told who; a dead holder's lock is free."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from sparsewire.errors import StoreError
from sparsewire.lab.storage.lock import WriterLock

HOLD = """
import sys, time
from pathlib import Path
from sparsewire.lab.storage.lock import WriterLock
lock = WriterLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "lock"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_the_second_is_told_who_holds_it_and_a_dead_holder_does_not_hold(tmp_path, holder):
    with pytest.raises(StoreError, match=f"in use: process {holder.pid} on host {socket.gethostname()} writes in it"):
        WriterLock(tmp_path / "lock")
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert json.loads((tmp_path / "lock").read_text())["process"] == holder.pid  # what the dead one wrote
    lock = WriterLock(tmp_path / "lock")
    assert json.loads((tmp_path / "lock").read_text())["process"] == os.getpid()
    lock.release()
    assert (tmp_path / "lock").read_text() == ""


def test_the_same_process_is_refused_too(tmp_path):
    lock = WriterLock(tmp_path / "lock")
    with pytest.raises(StoreError, match=f"process {os.getpid()} on host"):
        WriterLock(tmp_path / "lock")
    lock.release()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"process": "x"}', '{"process": {}, "host": 1}'])
def test_a_holder_that_left_no_readable_name(tmp_path, content):
    lock = WriterLock(tmp_path / "lock")
    (tmp_path / "lock").write_text(content)
    with pytest.raises(StoreError, match="in use: another process writes in it"):
        WriterLock(tmp_path / "lock")
    lock.release()


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(StoreError, match=r"cannot write in .*No such file"):
        WriterLock(tmp_path / "none" / "lock")
