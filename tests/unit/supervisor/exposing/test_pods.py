"""An exposure's objects: what is tried out and made, and what they are called."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kubectl_localize.cluster.api import Api
from kubectl_localize.errors import ForbiddenError, InvalidError
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.exposing.means import Means
from kubectl_localize.supervisor.exposing.pods import ExposurePods
from kubectl_localize.supervisor.exposing.readiness import ReadinessServer
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from kubectl_localize.supervisor.exposing.tunnel import make_keys, remove_keys
from kubectl_localize.supervisor.probe import ApiServerProbe
from kubectl_localize.supervisor.processes.port_forward import PortForwarder
from kubectl_localize.supervisor.processes.process import Spawner
from kubectl_localize.supervisor.traffic.buffer import ReadBuffer
from kubectl_localize.supervisor.traffic.server import Admission, RefusalLog
from kubectl_localize.timing import Notifier
from tests.unit.cluster.exposure_plan import ABOUT, FAILSAFE, plan
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.cluster import CORE, Cluster
from tests.unit.fakes.groups import Groups
from tests.unit.fakes.peers import NamedPeers
from tests.unit.fakes.requests import FORBIDDEN, NoRequests
from tests.unit.supervisor.exposing.samples import NOW

RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop"


async def no_address(host: str) -> list[str]:
    return []


def means(cluster: Cluster, directory: Path, listens: bool | None = True) -> Means:
    """What an exposure reaches a cluster in memory by."""
    changed = Notifier()
    spawner = Spawner(Groups(), os.environ)
    return Means(
        connection=CONNECTION,
        api=cluster.api,
        transport=NoRequests(),
        kubectl_spawner=spawner,
        ssh_spawner=spawner,
        forwarder=PortForwarder(CONNECTION, spawner),
        link=ApiServerProbe(("", 1), resolve=no_address, boot_ahead=lambda: 0.0, changed=changed, renewed=lambda: None),
        changed=changed,
        clock=cluster.clock,
        now=lambda: NOW,
        advice=lambda held: "",
        buffer=ReadBuffer(),
        admission=Admission(NamedPeers(1000), 1000),
        refusals=RefusalLog(),
        listens=lambda host, port: listens,
        directory=directory,
        record=SessionLedger(directory / "exposures.json", directory.parent / "exposures.lock"),
    )


def pods(cluster: Cluster, directory: Path, heartbeat: ReadinessServer | None = None, **changes: Any) -> ExposurePods:
    remove_keys(directory, "abc12")
    keys = make_keys(directory, "abc12")
    return ExposurePods(plan(**changes), means(cluster, directory), keys, ABOUT, {}, heartbeat or ReadinessServer())


# -- what is made -----------------------------------------------------------------------------------------------------
def test_keys_are_for_this_user_only_and_the_pods_private_half_stays_in_memory(tmp_path: Path) -> None:
    keys = make_keys(tmp_path, "abc12")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["known-abc12", "ssh-abc12", "ssh-abc12.pub"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (keys.identity, keys.known_hosts))
    assert keys.host.private.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert keys.host.public != keys.client.public
    assert keys.known_hosts.read_text().split()[:2] == ["localize-abc12", "ssh-ed25519"]
    assert keys.known_hosts.read_text().split()[2] in keys.host.public
    remove_keys(tmp_path, "abc12")
    assert list(tmp_path.iterdir()) == []
    remove_keys(tmp_path, "abc12")


def test_trying_out_makes_nothing(tmp_path: Path) -> None:
    cluster = Cluster()
    tried: list[dict[str, Any]] = []

    def admitted(body: dict[str, Any]) -> dict[str, Any]:
        tried.append(body)
        return body

    cluster.admitted = admitted  # type: ignore[method-assign]
    asyncio.run(pods(cluster, tmp_path, failsafe=FAILSAFE).try_out())
    kinds = {one["kind"]: one for one in tried}
    assert sorted(kinds) == ["Pod", "Secret"]
    assert "serviceAccountName" not in kinds["Pod"]["spec"], "it is not there yet, and admission would refuse the pod"
    assert (cluster.story, cluster.objects) == ([], {})


def refusing_our_uid(answer: Mapping[str, Any]) -> Cluster:
    """A cluster that refuses pods with a uid of ours, and adds this to the spec of others."""
    cluster = Cluster()

    def admitted(body: dict[str, Any]) -> Any:
        if body["kind"] != "Pod":
            return body
        if "runAsUser" in (body["spec"].get("securityContext") or {}):
            return 'Error from server (Forbidden): pods "x" is forbidden: unable to validate against any policy'
        return {**body, "spec": {**body["spec"], **answer}}

    cluster.admitted = admitted  # type: ignore[method-assign]
    return cluster


def test_a_uid_that_admission_hands_out_is_taken(tmp_path: Path) -> None:
    cluster = refusing_our_uid({"securityContext": {"runAsUser": 1000650000}})

    async def run() -> None:
        made = pods(cluster, tmp_path)
        await made.try_out()
        await made.make_secret()
        await made.make_pod()

    asyncio.run(run())
    spec = cluster.objects[f"{CORE}/pods/localize-cart-abc12"]["spec"]
    assert spec["securityContext"]["runAsUser"] == 1000650000


async def ask(heartbeat: ReadinessServer, path: str) -> int:
    """The status of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", heartbeat.number)
    with contextlib.closing(writer):
        writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        return int((await reader.readline()).split()[1])


def probe(pod: dict[str, Any]) -> str:
    """The path that the kubelet asks for."""
    path: str = pod["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"]
    return path


def test_each_pods_probe_succeeds_once_its_own_failsafe_has_asked_for_what_it_is_given(tmp_path: Path) -> None:
    cluster, heartbeat = Cluster(), ReadinessServer()

    async def run() -> None:
        await heartbeat.listen()
        made = pods(cluster, tmp_path, heartbeat, failsafe=FAILSAFE)
        await made.make_secret()
        await made.make_first()
        first = cluster.objects[f"{CORE}/pods/localize-cart-abc12"]
        (proof,) = (word for word in first["spec"]["containers"][1]["command"] if word.startswith("http://"))
        asked = [probe(first), urlsplit(proof).path, probe(first)]
        assert [await ask(heartbeat, path) for path in asked] == [503, 200, 200]
        await made.make_pod()
        second = cluster.objects[f"{CORE}/pods/localize-cart-abc12-2"]
        assert await ask(heartbeat, probe(second)) == 503
        assert await ask(heartbeat, probe(first)) == 200, "it serves while it terminates"
        heartbeat.close()

    asyncio.run(run())


def test_without_a_failsafe_the_probe_succeeds_at_once(tmp_path: Path) -> None:
    cluster, heartbeat = Cluster(), ReadinessServer()

    async def run() -> None:
        await heartbeat.listen()
        made = pods(cluster, tmp_path, heartbeat)
        await made.make_secret()
        await made.make_pod()
        assert await ask(heartbeat, probe(cluster.objects[f"{CORE}/pods/localize-cart-abc12"])) == 200
        heartbeat.close()

    asyncio.run(run())


def test_a_refusal_for_another_reason_is_one(tmp_path: Path) -> None:
    with pytest.raises(ForbiddenError, match="unable to validate"):
        asyncio.run(pods(refusing_our_uid({}), tmp_path).try_out())
    cluster = Cluster()
    cluster.fails = lambda now, method, path: 'The Secret "x" is invalid: no' if "secrets" in path else ""
    with pytest.raises(InvalidError):
        asyncio.run(pods(cluster, tmp_path).try_out())


def test_the_secret_comes_first_and_owns_the_failsafe(tmp_path: Path) -> None:
    cluster = Cluster()

    async def run() -> None:
        made = pods(cluster, tmp_path, failsafe=FAILSAFE)
        await made.make_secret()
        await made.make_first()

    asyncio.run(run())
    name = FAILSAFE.service_account
    assert cluster.changes[0] == "POST secrets/localize-abc12"
    assert set(cluster.changes[1:3]) == {f"POST serviceaccounts/{name}", f"POST roles/{name}"}
    assert set(cluster.changes[3:]) == {f"POST rolebindings/{name}", "POST pods/localize-cart-abc12"}
    uid = cluster.objects[f"{CORE}/secrets/localize-abc12"]["metadata"]["uid"]
    for path in (f"{CORE}/serviceaccounts/{name}", f"{RBAC}/roles/{name}", f"{RBAC}/rolebindings/{name}"):
        assert [one["uid"] for one in cluster.objects[path]["metadata"]["ownerReferences"]] == [uid]


def test_an_account_that_an_admin_made_gets_no_right_from_us(tmp_path: Path) -> None:
    cluster = Cluster()

    async def run() -> None:
        made = pods(cluster, tmp_path, failsafe=replace(FAILSAFE, own=False))
        await made.make_secret()
        await made.make_first()

    asyncio.run(run())
    assert cluster.changes == ["POST secrets/localize-abc12", "POST pods/localize-cart-abc12"]


@pytest.mark.parametrize("refused", ["roles", "rolebindings"])
def test_what_fails_waits_for_what_is_still_being_made(tmp_path: Path, refused: str) -> None:
    """Or the way back would begin, and then there would be a ServiceAccount or a pod."""
    cluster = Cluster()
    cluster.fails = lambda now, method, path: FORBIDDEN if path.endswith(f"/{refused}") else ""

    class Slow:
        async def request(
            self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float = 0.0
        ) -> dict[str, Any]:
            if path.startswith(tuple(f"{CORE}/{plural}?" for plural in ("serviceaccounts", "pods"))):
                for _ in range(20):  # the refusal comes first
                    await asyncio.sleep(0)
            return await cluster.request(method, path, body)

    cluster.api = Api(CONNECTION, Slow())

    async def make() -> None:
        made = pods(cluster, tmp_path, failsafe=FAILSAFE)
        await made.make_secret()
        await made.make_first()

    async def run() -> None:
        with pytest.raises(ForbiddenError):
            await make()
        last = {"roles": f"serviceaccounts/{FAILSAFE.service_account}", "rolebindings": "pods/localize-cart-abc12"}
        assert cluster.changes[-1] == f"POST {last[refused]}"

    asyncio.run(run())


@pytest.mark.parametrize("name", ["cart", "a" * 63, "a" * 45 + "-" * 10 + "b"])
def test_pods_have_names_of_their_own_which_are_host_names(tmp_path: Path, name: str) -> None:
    cluster = Cluster()
    made: list[str] = []

    async def run() -> None:
        found = pods(cluster, tmp_path, services=(ServiceKey("shop", name),))
        await found.make_secret()
        for _ in range(12):
            await found.make_pod()
            made.append(found.name)

    asyncio.run(run())
    assert [f"POST pods/{one}" for one in made] == cluster.changes[1:]
    assert len(set(made)) == 12
    for one in made:
        assert len(one) <= 63
        assert one.startswith(f"localize-{name}"[:40])
        assert all(part for part in one.replace(".", "-").split("-")) or "-" * 10 in name
        assert "abc12" in one
    assert name != "cart" or made[:2] == ["localize-cart-abc12", "localize-cart-abc12-2"]


def test_a_pod_whose_making_was_not_answered_is_the_one(tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.put(f"{CORE}/pods/localize-cart-abc12", {})
    found = pods(cluster, tmp_path)
    asyncio.run(found.make_pod())
    assert found.name == "localize-cart-abc12"
