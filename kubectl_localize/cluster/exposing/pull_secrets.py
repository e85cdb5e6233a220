"""With which Secrets the images of the replaced pods are pulled: those of the exposure pod may need them, too.

Admission gives a pod its ServiceAccount's pull secrets, but the exposure pod has another ServiceAccount.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubectl_localize.cluster.api import Api
from kubectl_localize.errors import KubectlError

DEFAULT_ACCOUNT = "default"

Json = dict[str, Any]


async def pull_secrets(api: Api, namespace: str, pods: Sequence[Json], account: str = "") -> tuple[str, ...]:
    """The names of the pull secrets of some pods, of their ServiceAccounts, and of the namespace's default one.

    The last would be the exposure pod's own if it had none of these. A ServiceAccount that may not be read is left out:
    its secrets stand in the pods that were made with it.

    Args:
        account: one more ServiceAccount; empty for none.
    """
    accounts = {DEFAULT_ACCOUNT, *filter(None, (account, *(pod["spec"].get("serviceAccountName") for pod in pods)))}
    read = await asyncio.gather(*(_account(api, namespace, name) for name in sorted(accounts)))
    return tuple(dict.fromkeys(_names([*(pod["spec"] for pod in pods), *read])))


async def _account(api: Api, namespace: str, name: str) -> Json:
    try:
        return await api.find(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}") or {}
    except KubectlError:
        return {}


def _names(holders: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """The names that pods' specs or ServiceAccounts refer to; a reference may be empty."""
    for holder in holders:
        for reference in holder.get("imagePullSecrets") or ():
            if reference.get("name"):
                yield reference["name"]
