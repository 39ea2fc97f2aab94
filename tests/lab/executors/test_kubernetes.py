"""Kubernetes is tested as a manifest: there is none here to run pods on."""

import json

import pytest
from pydantic import ValidationError

from sparsewire.lab.executors.kubernetes import KubernetesOptions, manifest

OPTIONS = KubernetesOptions(image="registry.example/sparsewire:1", workers=8, name="sweep", memory="4Gi")


def test_the_manifest_says_how_many_pods_there_are_and_what_they_do() -> None:
    found = manifest(OPTIONS)
    assert (found["apiVersion"], found["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    assert found["metadata"] == {"name": "sweep"}
    assert found["spec"]["worker"]["replicas"] == 8
    [worker] = found["spec"]["worker"]["spec"]["containers"]
    command = " ".join(worker["args"])
    assert command.startswith("dask worker --name $(DASK_WORKER_NAME) --nthreads 1 --memory-limit 0")
    assert "--preload sparsewire.lab.executors.worker_start" in command
    assert {"name": "OMP_NUM_THREADS", "value": "1"} in worker["env"]
    [scheduler] = found["spec"]["scheduler"]["spec"]["containers"]
    assert {"name": "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "value": "1000000000"} in scheduler["env"]


def test_nothing_in_it_is_reachable_from_outside_the_cluster_or_has_rights_over_it() -> None:
    spec = manifest(OPTIONS)["spec"]
    assert spec["scheduler"]["service"]["type"] == "ClusterIP"
    assert spec["scheduler"]["service"]["selector"]["dask.org/cluster-name"] == "sweep"
    for part in ("worker", "scheduler"):
        pod = spec[part]["spec"]
        assert pod["automountServiceAccountToken"] is False
        [container] = pod["containers"]
        assert container["image"] == OPTIONS.image
        assert container["resources"]["limits"] == {"cpu": "1", "memory": "4Gi"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_it_is_json() -> None:
    assert json.loads(json.dumps(manifest(OPTIONS))) == manifest(OPTIONS)


@pytest.mark.parametrize(
    "wrong", [{"name": "No_Name"}, {"workers": 0}, {"image": "a b"}, {"memory": "much"}, {"gpu": 1}]
)
def test_wrong_options(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        KubernetesOptions.model_validate({"image": "sparsewire:1", "workers": 1, **wrong})
