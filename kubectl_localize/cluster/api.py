"""Single requests to the API server through `kubectl … --raw`: what is read, made, replaced and deleted.

`--raw` sends exactly one request and no discovery before it, so a call costs one short-lived kubectl.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from kubectl_localize.cluster import kubectl
from kubectl_localize.cluster.exposing.values import WorkloadRef
from kubectl_localize.cluster.running import Running, output
from kubectl_localize.errors import ConflictError, KubectlError, NotFoundError
from kubectl_localize.model import Connection

GET_TIMEOUT_SECONDS = 15.0
FIELD_MANAGER = "kubectl-localize"

Json = dict[str, Any]
Run = Callable[[list[str], bytes | None], Awaitable[Running]]  # starts a kubectl with this on its stdin


class Api:
    """Talks to one API server.

    Args:
        run: starts a kubectl, with these bytes on its stdin where there are any.
    """

    def __init__(self, connection: Connection, run: Run) -> None:
        self.connection = connection
        self._run = run

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        """One object, or a list.

        Raises: KubectlError (a subclass that names the reason).
        """
        argv = kubectl.get_raw(self.connection, _with(path, query or {}), timeout_seconds=GET_TIMEOUT_SECONDS)
        return await self._send(argv, None)

    async def find(self, path: str) -> Json | None:
        """One object, None where there is none of that name; raises as `get`."""
        try:
            return await self.get(path)
        except NotFoundError:
            return None

    async def items(self, group_version: str, plural: str, namespace: str, selector: str = "") -> list[Json]:
        """The objects of a namespace (of the cluster where it is empty), by labels; raises as `get`."""
        path = kubectl.raw_path(group_version, plural, namespace, {})
        items: list[Json] = (await self.get(path, {"labelSelector": selector} if selector else {})).get("items") or []
        return items

    async def create(self, path: str, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Json:
        """POST to a collection (`/api/v1/namespaces/shop/pods`); the object as it was made, or would have been.

        Raises: KubectlError, AlreadyExistsError and InvalidError among its subclasses.
        """
        query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
        return await self._send(kubectl.send_raw(self.connection, "create", _with(path, query)), manifest)

    async def replace(self, path: str, manifest: Mapping[str, Any]) -> Json:
        """PUT an object; one with a `resourceVersion` only if nobody has changed it since.

        Raises: KubectlError, ConflictError and NotFoundError among its subclasses.
        """
        query = {"fieldManager": FIELD_MANAGER}
        return await self._send(kubectl.send_raw(self.connection, "replace", _with(path, query)), manifest)

    async def delete(self, path: str, *, uid: str = "", grace_seconds: int | None = None) -> bool:
        """DELETE an object, with a uid only this very one; whether it was there.

        Raises: KubectlError, ConflictError (another one has the name by now) among its subclasses.
        """
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            await self._send(kubectl.send_raw(self.connection, "delete", path), options)
        except NotFoundError:
            return False
        return True

    async def scale(self, ref: WorkloadRef, current: int, wanted: int, *, uid: str, version: str = "") -> int:
        """Scale a workload only if it has `current` replicas, as `kubectl scale --current-replicas` does.

        Args:
            uid: the workload's; another one of the same name is not touched.
            version: the `resourceVersion` at which it was seen to have `current`; while it has that there is no need
                to look once more.

        Returns: the replicas that it had: `current` where it was scaled, else what somebody else made of it.
        Raises: KubectlError, NotFoundError and ConflictError among its subclasses.
        """
        path = f"{ref.path}/scale"
        if version:
            meta = {"name": ref.name, "namespace": ref.namespace, "uid": uid, "resourceVersion": version}
            scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": meta, "spec": {"replicas": wanted}}
            try:
                await self.replace(path, scale)
                return current
            except ConflictError:  # it has changed since, perhaps not its count
                pass
        found = await self.get(path)
        if found["metadata"].get("uid") != uid:
            raise NotFoundError(f"{ref} is another one by now")
        replicas = int((found.get("spec") or {}).get("replicas") or 0)
        if replicas == current:
            await self.replace(path, {**found, "spec": {**(found.get("spec") or {}), "replicas": wanted}})
        return replicas

    async def _send(self, argv: list[str], body: Mapping[str, Any] | None) -> Json:
        start = self._run(argv, json.dumps(body).encode() if body is not None else None)
        text = await output(start, kubectl.SEND_TIMEOUT_SECONDS + 5)
        try:
            answer: Json = json.loads(text)
        except ValueError as error:
            raise KubectlError("kubectl's answer is no JSON") from error
        return answer


def _with(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
