"""Whether a workload's pods would be taken once more."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cluster.exposing.readmission import as_pod, refused_now
from kubectl_localize.cluster.exposing.values import Workload, WorkloadRef
from kubectl_localize.errors import ForbiddenError, InvalidError, KubectlError

SPEC: dict[str, Any] = {"containers": [{"name": "main"}], "volumes": [{"name": "tmp", "emptyDir": {}}]}
TEMPLATE = {"metadata": {"labels": {"app": "db"}, "annotations": {"a": "b"}}, "spec": SPEC}
OWNER = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "uid", "controller": True}
EXAMPLE = {
    "metadata": {
        "labels": {"app": "db", "controller-revision-hash": "db-1", "role": "primary"},
        "ownerReferences": [{**OWNER, "blockOwnerDeletion": True}],
    }
}


def workload(**spec: Any) -> Workload:
    item = {"metadata": {"name": "db"}, "spec": {"template": TEMPLATE, **spec}}
    return Workload(WorkloadRef("apps/v1", "StatefulSet", "shop", "db"), "uid", 2, item)


def test_the_pod_is_made_as_the_controller_makes_it() -> None:
    made = as_pod(workload(volumeClaimTemplates=[{"metadata": {"name": "data"}}]), EXAMPLE)
    assert made["metadata"] == {
        "generateName": "db-",
        "namespace": "shop",
        "labels": {"app": "db", "controller-revision-hash": "db-1"},
        "annotations": {"a": "b"},
        "ownerReferences": [OWNER],
    }
    assert made["spec"]["volumes"] == [
        {"name": "tmp", "emptyDir": {}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}},
    ]
    assert len(SPEC["volumes"]) == 1, "the template itself is left alone"


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (ForbiddenError('pods "db-x" is forbidden: violates PodSecurity "restricted:latest"'), True),
        (InvalidError('admission webhook "a.b" denied the request: no'), True),
        (KubectlError('Internal error occurred: failed calling webhook "a.b": timeout'), True),
        (ForbiddenError("exceeded quota: full, requested: pods=1, used: pods=2, limited: pods=2"), False),
        (KubectlError("etcd is away"), False),
    ],
)
def test_what_is_refused_now(error: KubectlError, refused: bool) -> None:
    blocker = refused_now(workload(), error)
    assert (blocker is not None) is refused
    if blocker is not None:
        assert blocker.message == f"the pods of StatefulSet shop/db would not come back: {error.message}"
        assert blocker.forcible
