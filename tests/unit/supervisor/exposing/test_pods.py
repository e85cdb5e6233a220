"""An exposure's objects: what is tried out and made, and what they are called."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kubectl_localize.cluster.api import Api
from kubectl_localize.errors import AlreadyExistsError, ForbiddenError, InvalidError, UnreachableError
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.exposing.local import LocalEnds
from kubectl_localize.supervisor.exposing.pods import ExposurePods
from kubectl_localize.supervisor.exposing.readiness import ReadinessServer
from kubectl_localize.supervisor.exposing.remote_forward import make_keys, remove_keys
from kubectl_localize.supervisor.exposing.tunnel import Tunnel
from tests.unit.cluster.exposure_plan import ABOUT, FAILSAFE, plan
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.cluster import CORE, Cluster
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.fakes.runtime import runtime

RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop"


async def pods(cluster: Cluster, directory: Path, **changes: Any) -> ExposurePods:
    """The exposure's objects, with keys; its ends listen nowhere."""
    reached = runtime(cluster, directory)
    made = ExposurePods(plan(**changes), reached, ABOUT, LocalEnds((), reached))
    made.remove_keys()
    await made.make_keys()
    return made


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


async def test_trying_out_makes_nothing(tmp_path: Path) -> None:
    cluster = Cluster()
    tried: list[dict[str, Any]] = []

    def admitted(body: dict[str, Any]) -> dict[str, Any]:
        tried.append(body)
        return body

    cluster.admitted = admitted  # type: ignore[method-assign]
    await (await pods(cluster, tmp_path, failsafe=FAILSAFE)).try_out()
    kinds = {one["kind"]: one for one in tried}
    assert sorted(kinds) == ["Pod", "Role", "Secret", "ServiceAccount"]
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


async def test_a_uid_that_admission_hands_out_is_taken(tmp_path: Path) -> None:
    cluster = refusing_our_uid({"securityContext": {"runAsUser": 1000650000}})

    made = await pods(cluster, tmp_path)
    await made.try_out()
    await made.make_secret()
    await made.make_pod()
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


async def test_each_pods_probe_succeeds_once_its_own_failsafe_has_asked_for_what_it_is_given(tmp_path: Path) -> None:
    cluster = Cluster()
    reached = runtime(cluster, tmp_path)
    ends = LocalEnds((), reached)
    await ends.listen()
    made = ExposurePods(plan(failsafe=FAILSAFE), reached, ABOUT, ends)
    await made.make_keys()
    await made.make_secret()
    await made.make_first()
    first = cluster.objects[f"{CORE}/pods/localize-cart-abc12"]
    (proof,) = (word for word in first["spec"]["containers"][1]["command"] if word.startswith("http://"))
    asked = [probe(first), urlsplit(proof).path, probe(first)]
    assert [await ask(ends.heartbeat, path) for path in asked] == [503, 200, 200]
    await made.make_pod()
    second = cluster.objects[f"{CORE}/pods/localize-cart-abc12-2"]
    assert await ask(ends.heartbeat, probe(second)) == 503
    assert await ask(ends.heartbeat, probe(first)) == 200, "it serves while it terminates"
    await ends.close()


async def test_without_a_failsafe_the_probe_succeeds_at_once(tmp_path: Path) -> None:
    cluster = Cluster()
    reached = runtime(cluster, tmp_path)
    ends = LocalEnds((), reached)
    await ends.listen()
    made = ExposurePods(plan(), reached, ABOUT, ends)
    await made.make_keys()
    await made.make_secret()
    await made.make_pod()
    assert await ask(ends.heartbeat, probe(cluster.objects[f"{CORE}/pods/localize-cart-abc12"])) == 200
    await ends.close()


async def test_a_refusal_for_another_reason_is_one(tmp_path: Path) -> None:
    with pytest.raises(ForbiddenError, match="unable to validate"):
        await (await pods(refusing_our_uid({}), tmp_path)).try_out()
    cluster = Cluster()
    cluster.fails = lambda now, method, path: 'The Secret "x" is invalid: no' if "secrets" in path else ""
    with pytest.raises(InvalidError):
        await (await pods(cluster, tmp_path)).try_out()


LIKE = {
    "replaced": {"metadata": {"labels": {"team": "payments"}}, "spec": {}},
    "example_spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "100m"}}}]},
}


async def test_the_pod_follows_the_replaced_ones_if_ours_is_refused(tmp_path: Path) -> None:
    def too_much(body: dict[str, Any]) -> str:
        containers = body["spec"]["containers"] if body["kind"] == "Pod" else ()
        many = any(container["resources"]["limits"]["cpu"] != "100m" for container in containers)
        return "maximum cpu usage per Container is 100m" if many else ""

    cluster = Cluster()
    cluster.refuses = too_much
    made = await pods(cluster, tmp_path, failsafe=FAILSAFE, **LIKE)
    await made.try_out()
    await made.make_secret()
    await made.make_pod()
    pod = cluster.objects[f"{CORE}/pods/localize-cart-abc12"]
    assert [one["resources"]["limits"]["cpu"] for one in pod["spec"]["containers"]] == ["100m", "100m"]
    assert "team" not in pod["metadata"]["labels"], "it follows no further than it has to"


async def test_all_objects_get_a_label_that_the_secret_needs(tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.refuses = lambda body: "" if "team" in body["metadata"]["labels"] else "a label team is missing"
    made = await pods(cluster, tmp_path, failsafe=FAILSAFE, **LIKE)
    await made.try_out()
    await made.make_secret()
    await made.make_first()
    assert len(cluster.objects) == 5
    assert {one["metadata"]["labels"]["team"] for one in cluster.objects.values()} == {"payments"}


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("Pod", "--limits"),
        ("Secret", "whoever made that"),
        ("Role", "--failsafe off"),
        ("ServiceAccount", "--failsafe-service-account"),
    ],
)
async def test_what_nothing_helps_against_is_our_own_refusal(tmp_path: Path, kind: str, hint: str) -> None:
    cluster = Cluster()
    count = itertools.count(1)
    cluster.refuses = lambda body: f"no, for the {next(count)}. time" if body["kind"] == kind else ""
    with pytest.raises(ForbiddenError, match=r"does not take an exposure pod: .*for the 1\. time") as error:
        await (await pods(cluster, tmp_path, failsafe=FAILSAFE, **LIKE)).try_out()
    assert hint in error.value.hint
    assert (cluster.story, cluster.objects) == ([], {})


async def test_the_secret_comes_first_and_owns_the_failsafe(tmp_path: Path) -> None:
    cluster = Cluster()

    made = await pods(cluster, tmp_path, failsafe=FAILSAFE)
    await made.make_secret()
    await made.make_first()
    name = FAILSAFE.service_account
    assert cluster.changes[0] == "POST secrets/localize-abc12"
    assert set(cluster.changes[1:3]) == {f"POST serviceaccounts/{name}", f"POST roles/{name}"}
    assert set(cluster.changes[3:]) == {f"POST rolebindings/{name}", "POST pods/localize-cart-abc12"}
    uid = cluster.objects[f"{CORE}/secrets/localize-abc12"]["metadata"]["uid"]
    for path in (f"{CORE}/serviceaccounts/{name}", f"{RBAC}/roles/{name}", f"{RBAC}/rolebindings/{name}"):
        assert [one["uid"] for one in cluster.objects[path]["metadata"]["ownerReferences"]] == [uid]


async def test_an_account_that_an_admin_made_gets_no_right_from_us(tmp_path: Path) -> None:
    cluster = Cluster()

    made = await pods(cluster, tmp_path, failsafe=replace(FAILSAFE, own=False))
    await made.make_secret()
    await made.make_first()
    assert cluster.changes == ["POST secrets/localize-abc12", "POST pods/localize-cart-abc12"]


@pytest.mark.parametrize("refused", ["roles", "rolebindings"])
async def test_what_fails_waits_for_what_is_still_being_made(tmp_path: Path, refused: str) -> None:
    """Or the way back would begin, and then there would be a ServiceAccount or a pod."""
    cluster = Cluster()
    cluster.fails = lambda now, method, path: FORBIDDEN if path.endswith(f"/{refused}") else ""

    class Slow:
        async def request(
            self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float = 0.0
        ) -> dict[str, Any]:
            if any(path.startswith(f"{CORE}/{plural}?") for plural in ("serviceaccounts", "pods")):
                await asyncio.sleep(0.05)
            return await cluster.request(method, path, body)

    cluster.api = Api(CONNECTION, Slow())

    async def make() -> None:
        made = await pods(cluster, tmp_path, failsafe=FAILSAFE)
        await made.make_secret()
        await made.make_first()

    with pytest.raises(ForbiddenError):
        await make()
    last = {"roles": f"serviceaccounts/{FAILSAFE.service_account}", "rolebindings": "pods/localize-cart-abc12"}
    assert cluster.changes[-1] == f"POST {last[refused]}"


@pytest.mark.parametrize("name", ["cart", "a" * 63, "a" * 45 + "-" * 10 + "b"])
async def test_pods_have_names_of_their_own_which_are_host_names(tmp_path: Path, name: str) -> None:
    cluster = Cluster()
    made: list[str] = []

    found = await pods(cluster, tmp_path, services=(ServiceKey("shop", name),))
    await found.make_secret()
    for _ in range(12):
        await found.make_pod()
        made.append(found.name)
    assert [f"POST pods/{one}" for one in made] == cluster.changes[1:]
    assert len(set(made)) == 12
    for one in made:
        assert len(one) <= 63
        assert one.startswith(f"localize-{name}"[:40])
        assert all(part for part in one.replace(".", "-").split("-")) or "-" * 10 in name
        assert "abc12" in one
    assert name != "cart" or made[:2] == ["localize-cart-abc12", "localize-cart-abc12-2"]


def answer_lost(cluster: Cluster) -> None:
    """The next pod is made, but the API server's answer does not come through."""
    lost = [True]

    class Losing:
        async def request(
            self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float = 0.0
        ) -> dict[str, Any]:
            answer = await cluster.request(method, path, body)
            if lost and path.startswith(f"{CORE}/pods?"):
                lost.pop()
                raise UnreachableError("the connection was closed")
            return answer

    cluster.api = Api(CONNECTION, Losing())


async def test_a_pod_whose_making_was_not_answered_is_not_made_twice(tmp_path: Path) -> None:
    cluster = Cluster()
    answer_lost(cluster)
    made = await pods(cluster, tmp_path)
    await made.make_secret()
    with pytest.raises(UnreachableError):
        await made.make_pod()
    await made.make_pod()
    assert cluster.changes == ["POST secrets/localize-abc12", "POST pods/localize-cart-abc12"]
    await made.make_pod(seen=True)
    assert made.name == "localize-cart-abc12-2"


async def test_one_that_was_seen_after_all_and_is_lost_is_replaced(tmp_path: Path) -> None:
    cluster = Cluster()
    answer_lost(cluster)
    made = await pods(cluster, tmp_path)
    await made.make_secret()
    with pytest.raises(UnreachableError):
        await made.make_pod()
    await made.make_pod(seen=True)
    assert cluster.changes[1:] == ["POST pods/localize-cart-abc12", "POST pods/localize-cart-abc12-2"]


async def test_a_pod_of_that_name_which_is_not_ours_is_an_error(tmp_path: Path) -> None:
    cluster = Cluster()
    made = await pods(cluster, tmp_path)
    await made.make_secret()
    strange = {"name": "sshd", "readinessProbe": {"httpGet": {"path": "/ready/another"}}}
    cluster.put(f"{CORE}/pods/localize-cart-abc12", {"spec": {"containers": [strange]}})
    with pytest.raises(AlreadyExistsError):
        await made.make_pod()


# -- the connections --------------------------------------------------------------------------------------------------
async def test_a_connection_that_does_not_end_well_keeps_no_other_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[Tunnel] = []

    async def end(tunnel: Tunnel) -> None:
        ended.append(tunnel)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Tunnel, "begin", lambda tunnel: None)
    monkeypatch.setattr(Tunnel, "end", end)
    made = await pods(Cluster(), tmp_path, ports=())
    for _ in range(2):
        await made.make_pod(seen=True)
        made.connect()
    with pytest.raises(PermissionError):
        await made.disconnect()
    assert len(set(ended)) == 2
