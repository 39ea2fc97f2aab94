"""Workers that are pods of Kubernetes, through the operator of dask-kubernetes. Tested as a manifest only."""

import asyncio
import inspect
from typing import Annotated, Any

from pydantic import Field

from sparsewire.lab.executors.quiet import ONE_THREAD, PRELOAD, connected
from sparsewire.lab.spec import Part

_Name = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,40}[a-z0-9])?$")]


class KubernetesOptions(Part):
    """How many pods there shall be and what each is given; a pod is one worker.

    Args:
        image: a container image with this version of sparsewire and of dask.
        workers: how many.
        name: of the cluster of pods.
        namespace: None: that of the current context.
        cpu: of one pod, e.g. "1" or "500m"; a trial computes on one thread.
        memory: of one pod, e.g. "2Gi".

    Example:
        >>> KubernetesOptions(image="registry.example/sparsewire:1", workers=8).memory
        '2Gi'
    """

    image: Annotated[str, Field(pattern=r"^[^\s]+$")]
    workers: int = Field(ge=1, le=10_000)
    name: _Name = "sparsewire"
    namespace: _Name | None = None
    cpu: Annotated[str, Field(pattern=r"^\d+(\.\d+)?m?$")] = "1"
    memory: Annotated[str, Field(pattern=r"^\d+(\.\d+)?([kKMGT]i?)?$")] = "2Gi"


class Kubernetes:
    """Workers as pods; the scheduler is a pod too, and is reached through a forwarded port."""

    patience = None  # pods may wait for room

    def __init__(self, options: KubernetesOptions) -> None:
        self.size = options.workers
        self.name = f"{options.workers} pod{'s' if options.workers > 1 else ''} of Kubernetes"
        self._options = options
        self._cluster: Any = None

    async def open(self) -> Any:
        """Asks the operator for a cluster and connects to it."""
        from dask_kubernetes.operator import KubeCluster

        options = self._options
        self._cluster = await KubeCluster(
            custom_cluster_spec=manifest(options), namespace=options.namespace, asynchronous=True, quiet=True
        )
        adapted = self._cluster.adapt(minimum=options.workers, maximum=options.workers)
        if inspect.isawaitable(adapted):
            await adapted
        return await connected(self._cluster)

    async def shut(self) -> None:
        """Deletes the cluster of pods."""
        if self._cluster is not None:
            closing = self._cluster.close(timeout=8)
            if inspect.isawaitable(closing):
                await asyncio.wait_for(closing, 9.0)

    def kill(self) -> None:
        """No process of it is on this machine."""


def manifest(options: KubernetesOptions) -> dict[str, Any]:
    """The resource of kind DaskCluster that the operator makes pods from.

    Example:
        >>> found = manifest(KubernetesOptions(image="registry.example/sparsewire:1", workers=8))
        >>> found["kind"], found["spec"]["worker"]["replicas"]
        ('DaskCluster', 8)
    """
    labels = {"dask.org/cluster-name": options.name, "dask.org/component": "scheduler"}
    ports = [("tcp-comm", 8786), ("http-dashboard", 8787)]  # by these names the operator looks for them
    health = {"httpGet": {"port": "http-dashboard", "path": "/health"}}
    scheduler = {
        **_container(options, "scheduler", ["dask", "scheduler", "--host", "0.0.0.0", "--no-show"]),
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports],
        "readinessProbe": {**health, "periodSeconds": 1, "timeoutSeconds": 300},
        "livenessProbe": {**health, "initialDelaySeconds": 15, "periodSeconds": 20},
    }
    command = [
        "dask", "worker", "--name", "$(DASK_WORKER_NAME)", "--nthreads", "1", "--memory-limit", "0",
        "--no-dashboard", "--preload", PRELOAD, "--preload-nanny", PRELOAD,
    ]  # fmt: skip
    service = [{"name": name, "port": port, "targetPort": name, "protocol": "TCP"} for name, port in ports]
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": {"name": options.name},
        "spec": {
            "worker": {
                "replicas": options.workers,
                "spec": {"containers": [_container(options, "worker", command)], **_POD},
            },
            "scheduler": {
                "spec": {"containers": [scheduler], **_POD},
                "service": {"type": "ClusterIP", "selector": labels, "ports": service},
            },
        },
    }


# Trials come from specs, which need no rights over the cluster.
_POD = {"automountServiceAccountToken": False}


def _container(options: KubernetesOptions, name: str, command: list[str]) -> dict[str, Any]:
    settings = {**ONE_THREAD, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(10**9)}
    amounts = {"cpu": options.cpu, "memory": options.memory}
    return {
        "name": name,
        "image": options.image,
        "args": command,
        "env": [{"name": variable, "value": value} for variable, value in settings.items()],
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
