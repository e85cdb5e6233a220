"""A workload that does not come back: it is said in a line of its own, and the exit code says it, too."""

from __future__ import annotations

import json
import re

import pytest

from tests.real.cluster import Cluster
from tests.real.exposing import Expose, Local, check_nothing_left
from tests.real.manifests import deployment, service
from tests.real.product import Product


@pytest.mark.timeout(300)
def test_pods_that_do_not_get_ready_are_no_success(cluster: Cluster, namespace: str, product: Product) -> None:
    """While it is exposed, somebody gives it an image that nobody has."""
    cluster.apply(namespace, deployment("web", 2), service("web"))
    cluster.wait_ready(namespace, "deployment/web")
    with Local(product.sandbox) as local, Expose(product.sandbox, f"{namespace}/web", f"--map={local.port}") as command:
        command.wait_exposed()
        broken = {"spec": {"template": {"spec": {"containers": [{"name": "http", "image": "localhost/nothing:1"}]}}}}
        cluster.kubectl("patch", "deployment", "web", f"--namespace={namespace}", f"--patch={json.dumps(broken)}")
        command.press_ctrl_c()
        assert command.wait(200) == 1
        text = command.terminal.text
    assert re.search(r"✗ Deployment \S+/web: only 0 of 2 pods Ready after 120 s; going on \(1\d\d\.\d s\)", text), text
    (deleted,) = re.findall(r"✓ exposure pod deleted \(([\d.]+) s\)", text)
    assert float(deleted) < 30, "the wait for the pods is not hidden in it"
    assert f"error: {namespace}/web is put back, but not all of its pods are Ready" in text
    assert f"hint: `kubectl describe -n {namespace} deployment/web` says why" in text
    assert "is back," not in text
    check_nothing_left(cluster, namespace)
