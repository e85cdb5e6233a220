"""Single requests to the API server: read, create, replace, delete, and scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from kubectl_localize.cluster import kubectl
from kubectl_localize.errors import KubectlError, NotFoundError
from kubectl_localize.model import Connection

if TYPE_CHECKING:
    from kubectl_localize.cluster.exposing.values import WorkloadRef

REQUEST_SECONDS = 15.0
EXISTS_SECONDS = 10.0
PAGE_SIZE = 1000
FIELD_MANAGER = "kubectl-localize"

Json = dict[str, Any]


class Requests(Protocol):
    """The part of `cluster.transport.Transport` that this module uses."""

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float
    ) -> Json: ...


class Api:
    """Talks to one API server; every method raises a KubectlError (the subclass names the reason) if that fails.

    Args:
        connection: whose API server it is.
    """

    def __init__(self, connection: Connection, requests: Requests) -> None:
        self.connection = connection
        self._requests = requests

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        """Fetch one object, or a whole list at once."""
        return await self._requests.request("GET", _with(path, query or {}), timeout_seconds=REQUEST_SECONDS)

    async def find(self, path: str) -> Json | None:
        """One object; None if there is none of that name."""
        try:
            return await self.get(path)
        except NotFoundError:
            return None

    async def exists(self, path: str) -> bool:
        """Whether an object is there; True if the API server does not say."""
        try:
            await self._requests.request("GET", path, timeout_seconds=EXISTS_SECONDS)
        except NotFoundError:
            return False
        except KubectlError:
            return True
        return True

    async def pod_exists(self, namespace: str, pod: str) -> bool:
        """Whether a pod is there; True if the API server does not say."""
        return await self.exists(f"/api/v1/namespaces/{namespace}/pods/{pod}")

    async def namespace_exists(self, namespace: str) -> bool:
        """Whether a namespace exists; True if the API server does not say, for example because the user may not ask."""
        return await self.exists(f"/api/v1/namespaces/{namespace}")

    async def items(self, group_version: str, plural: str, namespace: str, selector: str = "") -> list[Json]:
        """The objects of a namespace (of the cluster, if it is empty) that match a label selector."""
        path = kubectl.raw_path(group_version, plural, namespace, {})
        query = {"limit": str(PAGE_SIZE), **({"labelSelector": selector} if selector else {})}
        items: list[Json] = []
        while True:
            page = await self.get(path, query)
            items += page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return items
            query["continue"] = token

    async def create(self, path: str, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Json:
        """POST to a collection (`/api/v1/namespaces/shop/pods`).

        Args:
            dry_run: have the API server check it, and change nothing.

        Returns:
            The object as it was made, or would have been.

        Raises:
            AlreadyExistsError: there is an object of this name.
            InvalidError: the API server refuses the object.
            KubectlError: anything else.
        """
        query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
        return await self._requests.request("POST", _with(path, query), manifest, timeout_seconds=REQUEST_SECONDS)

    async def replace(self, path: str, manifest: Mapping[str, Any]) -> Json:
        """PUT an object; one with a `resourceVersion` only if nobody has changed it since.

        Raises:
            ConflictError: somebody has changed it since.
            NotFoundError: it is gone.
            KubectlError: anything else.
        """
        path = _with(path, {"fieldManager": FIELD_MANAGER})
        return await self._requests.request("PUT", path, manifest, timeout_seconds=REQUEST_SECONDS)

    async def patch(self, path: str, change: Mapping[str, Any]) -> Json:
        """PATCH an object; with a `resourceVersion` in the change only if nobody has changed it since.

        Args:
            change: a merge patch (RFC 7386).

        Returns:
            The object as it is now.

        Raises:
            ConflictError: somebody has changed it since.
            NotFoundError: it is gone.
            KubectlError: anything else.
        """
        path = _with(path, {"fieldManager": FIELD_MANAGER})
        return await self._requests.request("PATCH", path, change, timeout_seconds=REQUEST_SECONDS)

    async def delete(self, path: str, *, uid: str = "", grace_seconds: int | None = None) -> bool:
        """DELETE an object.

        Args:
            uid: delete it only if it has this uid; empty for whichever has the name.
            grace_seconds: how long a pod may take to end; None leaves that to the pod.

        Returns:
            Whether it was there.

        Raises:
            ConflictError: another object has the name by now.
            KubectlError: anything else.
        """
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            await self._requests.request("DELETE", path, options, timeout_seconds=REQUEST_SECONDS)
        except NotFoundError:
            return False
        return True

    async def scale(self, ref: WorkloadRef, current: int, wanted: int, *, uid: str) -> int:
        """Scale a workload only if it has `current` replicas, as `kubectl scale --current-replicas` does.

        Args:
            uid: the workload's; another one of the same name is not touched.

        Returns:
            The replicas that it had: `current` if it was scaled, else what somebody else made of it.

        Raises:
            NotFoundError: it is gone, or another one has its name.
            ConflictError: it was changed at the same moment.
            KubectlError: anything else.
        """
        path = f"{ref.path}/scale"
        scale = await self.get(path)
        if scale["metadata"].get("uid") != uid:
            raise NotFoundError(f"{ref} has been deleted and made anew")
        replicas = int((scale.get("spec") or {}).get("replicas") or 0)
        if replicas == current:
            await self.replace(path, {**scale, "spec": {**(scale.get("spec") or {}), "replicas": wanted}})
        return replicas

    async def scale_as_seen(self, ref: WorkloadRef, wanted: int, *, uid: str, version: str) -> None:
        """Scale a workload only if nothing of it has changed, without looking at it once more.

        Args:
            version: the `resourceVersion` at which it was seen.

        Raises:
            ConflictError: it has changed since.
            KubectlError: anything else.
        """
        meta = {"name": ref.name, "namespace": ref.namespace, "uid": uid, "resourceVersion": version}
        bare = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": meta, "spec": {"replicas": wanted}}
        await self.replace(f"{ref.path}/scale", bare)


def _with(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
