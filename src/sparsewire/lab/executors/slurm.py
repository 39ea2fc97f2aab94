"""Workers that are Slurm jobs, through dask-jobqueue."""

import asyncio
import re
import shutil
import signal
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from sparsewire.errors import RequestError
from sparsewire.lab.executors.own_cores import one_time_secrets
from sparsewire.lab.executors.quiet import ONE_THREAD, PRELOAD, connected
from sparsewire.lab.spec import Part

_Line = Annotated[str, Field(pattern=r"^[^\r\n]+$")]  # each becomes a line, or a part of one, of the job's script
_DAY = 86_400


class SlurmOptions(Part):
    """How many jobs there shall be and what Slurm is to give each; a job is one worker.

    Args:
        jobs: how many workers.
        memory: of one job, e.g. "4GB".
        walltime: of one job, "HH:MM:SS" or "D-HH:MM:SS"; a trial that outlives its job goes on in the next one.
        queue: the partition; None: Slurm's default.
        account: who pays; None: Slurm's default.
        cores: of one job; a trial computes on one thread, so more helps only data loading.
        interface: the network interface that machines see each other by, e.g. "ib0"; None: that of the default route.
        directives: further lines for sbatch, without "#SBATCH", e.g. "--constraint=zen4".
        prologue: lines of shell that a job begins with, e.g. "module load python".
        python: the interpreter on the nodes; None: this one.
        shared_folder: a folder that all machines see and only the user reads, for the cluster's certificates.
        log_folder: where jobs write what they print.
        insecure: goes without TLS; then whoever reaches this machine can run any code as its user.

    Example:
        >>> SlurmOptions(jobs=8, memory="4GB", walltime="12:00:00", queue="short").cores
        1
    """

    jobs: int = Field(ge=1, le=10_000)
    memory: Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?([kKMGT]i?)?B$")] = "4GB"
    walltime: Annotated[str, Field(pattern=r"^(\d+-)?\d{1,3}:\d\d:\d\d$")] = "01:00:00"
    queue: _Line | None = None
    account: _Line | None = None
    cores: int = Field(default=1, ge=1, le=1024)
    interface: _Line | None = None
    directives: tuple[_Line, ...] = ()
    prologue: tuple[_Line, ...] = ()
    python: _Line | None = None
    shared_folder: _Line = "~"
    log_folder: _Line = "sparsewire-slurm-logs"
    insecure: bool = False


class Slurm:
    """Workers as jobs; the scheduler is in this process, and listens where the jobs can reach it.

    Raises:
        RequestError: there is no Slurm here, or nothing to make certificates with.
    """

    patience = None  # jobs may wait in the queue for days

    def __init__(self, options: SlurmOptions) -> None:
        if shutil.which("sbatch") is None:
            raise RequestError("executor: slurm: there is no sbatch here; call this on a login node of the cluster")
        _load_jobqueue()
        self.size = options.jobs
        self.name = f"{options.jobs} Slurm job{'s' if options.jobs > 1 else ''}"
        self._options = options
        self._cluster: Any = None
        self._adaptive: Any = None

    async def open(self) -> Any:
        """Starts the scheduler and submits the jobs."""
        from dask_jobqueue import SLURMCluster  # loaded before, by __init__

        secrets = None if self._options.insecure else one_time_secrets()
        if secrets is None and not self._options.insecure:
            raise RequestError(
                "executor: slurm: without the package cryptography there is no TLS, and whoever reaches this machine "
                'could run any code as you: pip install "sparsewire[slurm]", or set insecure = true'
            )
        self._cluster = await SLURMCluster(asynchronous=True, security=secrets, **cluster_arguments(self._options))
        client = await connected(self._cluster)  # before there are jobs, for which it would wait
        self._cluster.scale(self.size)
        self._adaptive = self._cluster.adapt(minimum=self.size, maximum=self.size, interval="2s")
        return client

    async def shut(self) -> None:
        """Cancels the jobs and ends the scheduler."""
        if self._cluster is not None:
            if self._adaptive is not None:
                self._adaptive.stop()
            await asyncio.wait_for(self._cluster.close(), 8.0)

    def kill(self) -> None:
        """No process of it is on this machine."""


def cluster_arguments(options: SlurmOptions) -> dict[str, Any]:
    """What `dask_jobqueue.SLURMCluster` is called with, the certificates aside."""
    from distributed.utils import get_ip

    where = {"interface": options.interface} if options.interface else {"host": get_ip()}
    lifetime = _lifetime(options.walltime)
    return {
        "queue": options.queue,
        "account": options.account,
        "cores": options.cores,
        "processes": 1,
        "memory": options.memory,
        "walltime": options.walltime,
        "interface": options.interface,
        "python": options.python,
        "job_name": "sparsewire",
        "job_extra_directives": list(options.directives),
        "job_script_prologue": [*(f"export {name}={value}" for name, value in ONE_THREAD.items()), *options.prologue],
        "worker_extra_args": [
            "--nthreads", "1", "--memory-limit", "0", "--no-dashboard",
            "--preload", PRELOAD, "--preload-nanny", PRELOAD,
            # A worker that goes home before Slurm kills it is no lost worker.
            "--lifetime", f"{lifetime}s", "--lifetime-stagger", f"{min(60, lifetime // 20)}s",
        ],
        "log_directory": str(Path(options.log_folder).expanduser().absolute()),
        "shared_temp_directory": str(Path(options.shared_folder).expanduser().absolute()),
        "scheduler_options": {**where, "dashboard": False, "dashboard_address": "127.0.0.1:0"},
    }  # fmt: skip


def _load_jobqueue() -> None:
    """Imports dask_jobqueue, which takes Ctrl-C for itself when it is imported, and gives Ctrl-C back."""
    before = signal.getsignal(signal.SIGINT)
    import dask_jobqueue  # noqa: F401

    signal.signal(signal.SIGINT, before)


def _lifetime(walltime: str) -> int:
    """Seconds after which a worker ends by itself: a tenth, and at most five minutes, before its job does."""
    days, hours, minutes, seconds = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", walltime).groups("0")  # type: ignore[union-attr]
    total = int(days) * _DAY + int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return total - min(300, total // 10)
