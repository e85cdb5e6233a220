"""A cluster that stands in for the real one: objects by path, a controller that follows the replicas, and a clock.

Requests come in through an `Api` whose transport it stands in for. Time moves only when somebody sleeps.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubectl_localize.cluster.api import Api
from kubectl_localize.timing import Clock
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.requests import Answer, give

Json = dict[str, Any]

APPS = "/apis/apps/v1/namespaces/shop"
CORE = "/api/v1/namespaces/shop"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
CONFLICT = "Error from server (Conflict): the object has been modified"
EXISTS = "Error from server (AlreadyExists): it already exists"
NOT_FOUND = "Error from server (NotFound): not found"


class Cluster:
    """One namespace, shop.

    Attributes:
        objects: by path.
        story: what was changed, with the second at which it was: `PUT deployments/cart/scale`.
        fails: takes the second, the method and the path of a request; a failure in kubectl's
            words, empty if it is to succeed.
        refuses: takes an object that is to be made; what admission says against it, empty if nothing.
        ready_seconds: how long the pods of a workload take.
        leaving_seconds: how long a deleted pod stays.
        rules: what the user may do, as a SelfSubjectRulesReview says it.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.story: list[tuple[float, str]] = []
        self.fails: Callable[[float, str, str], str] = lambda now, method, path: ""
        self.refuses: Callable[[Json], str] = lambda body: ""
        self.ready_seconds = 3.0
        self.leaving_seconds = 3.0
        self.rules: list[Json] = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        self.now = 0.0
        self.api = Api(CONNECTION, self)
        self.clock = Clock(lambda: self.now, self._sleep)
        self._versions = itertools.count(1)
        self._wanted_since: dict[str, float] = {}

    # -- what is there ------------------------------------------------------------------------------------------------
    def put(self, path: str, item: Mapping[str, Any]) -> Json:
        """Add or change an object; its metadata gets what a server adds."""
        there = self.objects.get(path, {}).get("metadata", {})
        meta = {"namespace": "shop", "name": path.rpartition("/")[2], **(item.get("metadata") or {})}
        meta["uid"] = there.get("uid") or meta.get("uid") or f"uid-{next(self._versions)}"
        meta["resourceVersion"] = str(next(self._versions))
        self.objects[path] = {**copy.deepcopy(dict(item)), "metadata": meta}
        return self.objects[path]

    def workload(self, name: str, replicas: int, *, kind: str = "deployments") -> str:
        """A workload whose pods are Ready already; its path."""
        path = f"{APPS}/{kind}/{name}"
        self.put(path, {"metadata": {"uid": f"{name}-uid"}, "spec": {"replicas": replicas}})
        self._follow(path, replicas)
        return path

    def scale(self, path: str, replicas: int) -> None:
        """Somebody scales a workload."""
        self.objects[path]["spec"]["replicas"] = replicas
        self.objects[path]["metadata"]["resourceVersion"] = str(next(self._versions))
        self._wanted_since[path] = self.now

    def slice(self, service: str) -> None:
        """The EndpointSlice of a Service: pods of the Deployment of that name, and the exposure's."""
        self.put(f"{SLICES}/{service}", {"metadata": {"labels": {"kubernetes.io/service-name": service}}})
        self._publish()

    def replicas(self, path: str) -> int:
        """What a workload is to have."""
        return int(self.objects[path]["spec"]["replicas"])

    def left(self, session: str) -> list[str]:
        """What there is of a session."""
        return [path for path, one in self.objects.items() if session in (one["metadata"].get("labels") or {}).values()]

    @property
    def changes(self) -> list[str]:
        """The story without its times."""
        return [what for _, what in self.story]

    def at(self, change: str) -> float:
        """When a change was made."""
        return next(second for second, what in self.story if what == change)

    # -- what controllers do ------------------------------------------------------------------------------------------
    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        for path, one in list(self.objects.items()):
            wanted = self.replicas(path) if path.startswith(APPS) else 0
            waited = self.now - self._wanted_since.get(path, 0.0)
            if path.startswith(APPS) and wanted != one["status"]["readyReplicas"] and waited >= self.ready_seconds:
                self._follow(path, wanted)
            deleted = one["metadata"].get("deletionTimestamp")
            if deleted is not None and self.now >= deleted:
                del self.objects[path]
        self._publish()
        await asyncio.sleep(0)

    def _follow(self, path: str, replicas: int) -> None:
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), replicas)
        self.objects[path]["status"] = {**counts, "observedGeneration": 1}

    def _publish(self) -> None:
        ours = [
            path.rpartition("/")[2]
            for path, one in self.objects.items()
            if path.startswith(f"{CORE}/pods/localize-")
            and _is_ready(one)
            and "deletionTimestamp" not in one["metadata"]
        ]
        for path, one in list(self.objects.items()):
            if not path.startswith(SLICES):
                continue
            service = one["metadata"]["labels"]["kubernetes.io/service-name"]
            workload = self.objects.get(f"{APPS}/deployments/{service}")
            ready = workload["status"]["readyReplicas"] if workload else 0
            endpoints = [
                {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": name}}
                for name in [*(f"{service}-{number}" for number in range(ready)), *ours]
            ]
            if one.get("endpoints") != endpoints:
                self.put(path, {**one, "endpoints": endpoints})
                self.story.append((self.now, f"endpoints of {service}: {ready} and {len(ours)} of ours"))

    # -- the API ------------------------------------------------------------------------------------------------------
    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float = 0.0
    ) -> Json:
        """Stand in for the transport."""
        url = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        await asyncio.sleep(0)
        failure = self.fails(self.now, method, url.path)
        return copy.deepcopy(give(failure or self._answer(method, url.path, query, json.loads(json.dumps(body or {})))))

    def _answer(self, method: str, path: str, query: Mapping[str, str], body: Json) -> Answer:
        if method == "POST":
            return self._create(path, body, dry_run="dryRun" in query)
        scaled = path.removesuffix("/scale")
        if scaled not in self.objects and method == "PUT" and path.startswith(LEASES):
            # Measured on Kubernetes 1.35: a PUT makes a Lease that is not there, unless it has a uid.
            return CONFLICT if "uid" in body["metadata"] else self._create(LEASES, body, dry_run=False)
        if scaled not in self.objects:
            return self._list(path, query.get("labelSelector", "")) if method == "GET" else NOT_FOUND
        one = self.objects[scaled]
        if method == "GET":
            return (
                {"metadata": one["metadata"], "spec": {"replicas": one["spec"]["replicas"]}} if scaled != path else one
            )
        if method == "PUT":
            return self._replace(path, scaled, body)
        if method == "PATCH":
            return self._patch(path, body)
        uid = (body.get("preconditions") or {}).get("uid", one["metadata"]["uid"])
        if uid != one["metadata"]["uid"]:
            return CONFLICT
        self._delete(path, body.get("gracePeriodSeconds"))
        return {"kind": "Status", "status": "Success"}

    def _list(self, path: str, selector: str) -> Answer:
        inner = path.partition("/namespaces/")[2]
        if inner and inner.count("/") != 1:
            return NOT_FOUND
        plural = path.rpartition("/")[2]
        inside = path if "/namespaces/" in path else ""
        items = [
            one
            for where, one in self.objects.items()
            if where.split("/")[-2] == plural and where.startswith(inside) and _matches(one, selector)
        ]
        return {"items": items, "metadata": {"resourceVersion": "1"}}

    def _create(self, path: str, body: Json, *, dry_run: bool) -> Answer:
        if "/selfsubject" in path:
            return {"status": {"userInfo": {"username": "ada"}, "resourceRules": self.rules, "allowed": False}}
        if words := self.refuses(body):
            return f'Error from server (Forbidden): "{body["kind"]}" is forbidden: {words}'
        if dry_run:
            return self.admitted(body)
        where = f"{path}/{body['metadata']['name']}"
        if where in self.objects:
            return EXISTS
        self._note("POST", where)
        return self.put(where, body)

    def admitted(self, body: Json) -> Json:
        """What admission makes of an object that is only tried out."""
        return body

    def _replace(self, path: str, scaled: str, body: Json) -> Answer:
        one = self.objects[scaled]
        if body["metadata"].get("resourceVersion") != one["metadata"]["resourceVersion"]:
            return CONFLICT
        self._note("PUT", path)
        if path == scaled:
            return self.put(path, body)
        self.scale(scaled, body["spec"]["replicas"])
        return self.put(scaled, one)

    def _patch(self, path: str, body: Json) -> Answer:
        """A merge patch of `spec`, two levels deep, which its manager owns then; or of `managedFields`."""
        one, meta = self.objects[path], body.get("metadata") or {}
        if any(meta.get(name, one["metadata"][name]) != one["metadata"][name] for name in ("uid", "resourceVersion")):
            return CONFLICT
        self._note("PATCH", path)
        if "managedFields" in meta:
            return self.put(path, {**one, "metadata": {**one["metadata"], "managedFields": meta["managedFields"]}})
        spec = dict(one["spec"])
        for name, value in body["spec"].items():
            spec[name] = {**(spec.get(name) or {}), **value} if isinstance(value, dict) else value
        managers = [*(one["metadata"].get("managedFields") or ()), {"manager": "kubectl-localize"}]
        return self.put(path, {**one, "metadata": {**one["metadata"], "managedFields": managers}, "spec": spec})

    def _delete(self, path: str, grace: int | None) -> None:
        self._note("DELETE", path)
        one = self.objects[path]
        if path.startswith(f"{CORE}/pods/"):
            one["metadata"].setdefault(
                "deletionTimestamp", self.now + (self.leaving_seconds if grace is None else grace)
            )
            self._publish()
        else:
            del self.objects[path]

    def _note(self, method: str, path: str) -> None:
        self.story.append((self.now, f"{method} {path.partition('/namespaces/shop/')[2]}"))


def _is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _matches(item: Json, selector: str) -> bool:
    """Whether labels match `a=b,c=d` or `a in (b,c)`."""
    labels = item["metadata"].get("labels") or {}
    if " in (" in selector:
        name, _, values = selector.partition(" in (")
        return labels.get(name) in values.rstrip(")").split(",")
    return all(
        labels.get(name) == value for name, _, value in (one.partition("=") for one in selector.split(",") if one)
    )
