"""Slurm, with stand-ins for sbatch and scancel; benchmarks/slurm_for_real.py has the real ones."""

import contextlib
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from pydantic import ValidationError

from sparsewire.errors import RequestError
from sparsewire.lab.executors.cluster import Cluster
from sparsewire.lab.executors.slurm import SlurmOptions, _lifetime, cluster_arguments

pytest.importorskip("distributed")

OPTIONS = SlurmOptions(
    jobs=8, memory="3GB", walltime="10:00:00", queue="short", account="ab12", directives=("--constraint=zen4",),
    prologue=("module load python",), interface="lo", log_folder="logs", shared_folder="/shared/me",
)  # fmt: skip


def test_what_dask_jobqueue_is_told() -> None:
    found = cluster_arguments(OPTIONS)
    assert (found["cores"], found["processes"], found["memory"]) == (1, 1, "3GB")
    assert found["scheduler_options"]["interface"] == "lo"
    assert "host" not in found["scheduler_options"]
    assert found["job_script_prologue"][-1] == "module load python"
    assert "export OMP_NUM_THREADS=1" in found["job_script_prologue"]
    without = cluster_arguments(SlurmOptions(jobs=1))
    assert without["scheduler_options"]["host"], "one address, not all of them"


def test_the_script_of_a_job(tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGINT)
    jobqueue = pytest.importorskip("dask_jobqueue.slurm")
    signal.signal(signal.SIGINT, handler)  # it takes Ctrl-C for itself
    arguments = cluster_arguments(OPTIONS.model_copy(update={"log_folder": str(tmp_path)}))
    for name in ("scheduler_options", "shared_temp_directory"):
        del arguments[name]
    script = jobqueue.SLURMJob("tls://10.1.2.3:8786", name="one", **arguments).job_script()
    for line in ("-p short", "-A ab12", "--cpus-per-task=1", "-t 10:00:00", "--constraint=zen4", "-J sparsewire"):
        assert f"#SBATCH {line}\n" in script
    command = script.strip().splitlines()[-1]
    assert command.startswith(f"{sys.executable} -m distributed.cli.dask_worker tls://10.1.2.3:8786")
    assert "--nthreads 1 --memory-limit 0 --no-dashboard --preload sparsewire.lab.executors.worker_start" in command
    assert "--preload-nanny sparsewire.lab.executors.worker_start" in command
    assert "--lifetime 35700s --lifetime-stagger 60s" in command


@pytest.mark.parametrize(
    ("walltime", "seconds"), [("01:00:00", 3300), ("00:10:00", 540), ("1-00:00:00", 86_100), ("100:00:00", 359_700)]
)
def test_a_worker_goes_home_before_its_job_is_killed(walltime: str, seconds: int) -> None:
    assert _lifetime(walltime) == seconds


@pytest.mark.parametrize("wrong", [{"jobs": 0}, {"memory": "3"}, {"walltime": "1h"}, {"queue": "a\nb"}, {"node": 1}])
def test_wrong_options(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SlurmOptions.model_validate({"jobs": 1, **wrong})


def test_without_slurm(tools: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="there is no sbatch here; call this on a login node"):
        Cluster.slurm(OPTIONS, tools.work)


def test_jobs_do_orders_and_are_cancelled(
    tools: SimpleNamespace, nothing_left: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    try:
        pytest.importorskip("dask_jobqueue")
    finally:
        signal.signal(signal.SIGINT, handler)
    programs = {
        "sbatch": 'cp "$1" "$1.job"; setsid sh "$1.job" > /dev/null 2>&1 &\necho "Submitted batch job $!"',
        "scancel": f'echo "$1" >> {tmp_path}/cancelled; kill -9 "-$1"',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    options = SlurmOptions(jobs=2, memory="1GB", interface="lo", log_folder=str(tmp_path), insecure=True)
    cluster = Cluster.slurm(options, tools.work)
    try:
        assert (cluster.name, cluster.capacity) == ("2 Slurm jobs", 2)
        for seed in range(6):
            cluster.submit(tools.order("slow", seed))
        assert {ended.order.seed for ended in tools.gather(cluster, 6)} == set(range(6))
        cluster.submit(tools.order("poison", 9))
        [lost] = tools.gather(cluster, 1)
        assert (lost.order.seed, lost.receipt) == (9, None)
    finally:
        cluster.close(0.0)
    assert signal.getsignal(signal.SIGINT) is handler
    jobs = (tmp_path / "cancelled").read_text().split()
    assert len(jobs) == 2
    tools.wait_for(lambda: not any(_is_alive(int(job)) for job in jobs), "no job is left")


def _is_alive(session: int) -> bool:
    """Whether any process of this session lives."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False
