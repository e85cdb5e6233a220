"""`expose --keep`: a Service is switched to the local process and back, and its pods neither stop nor restart."""

from __future__ import annotations

import pytest

from tests.real.cluster import Cluster
from tests.real.exposing import Local, check_nothing_left, failed
from tests.real.exposing_rounds import Case, client_of, prepare, there_and_back
from tests.real.exposure_pod import restricted
from tests.real.manifests import deployment, service
from tests.real.sandbox import Sandbox
from tests.real.traffic import Figure

ROUNDS = 3


@pytest.mark.alone
@pytest.mark.timeout(240)
def test_a_service_is_switched_there_and_back_without_a_failure(
    cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure
) -> None:
    case = Case((restricted(deployment("web", 2)), service("web")))
    prepare(cluster, namespace, case)
    pods = cluster.pods(namespace, "web")
    with Local(sandbox) as local, client_of(cluster, namespace, case) as client:
        for number in range(ROUNDS):
            once = there_and_back(sandbox, client, local, "--keep", *case.argv(namespace, local))
            figure(once.says(f"switched, round {number + 1}"))
            assert not failed(once.attempts), failed(once.attempts)
    assert cluster.pods(namespace, "web") == pods
    check_nothing_left(cluster, namespace)
