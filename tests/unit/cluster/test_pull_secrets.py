"""With which Secrets images are pulled."""

from __future__ import annotations

import asyncio
from typing import Any

from kubectl_localize.cluster.exposing.pull_secrets import pull_secrets
from tests.unit.fakes.cluster import CORE, Cluster


def pod(account: str, *secrets: str) -> dict[str, Any]:
    return {"spec": {"serviceAccountName": account, "imagePullSecrets": [{"name": secret} for secret in secrets]}}


def account(cluster: Cluster, name: str, *secrets: str) -> None:
    cluster.put(f"{CORE}/serviceaccounts/{name}", {"imagePullSecrets": [{"name": secret} for secret in secrets]})


def test_those_of_pods_accounts_and_the_default_account() -> None:
    cluster = Cluster()
    account(cluster, "default", "all", "")
    account(cluster, "cart", "new", "own")
    account(cluster, "admins", "curl")
    pods = [pod("cart", "own"), pod("cart", "own", "older"), {"spec": {}}]
    found = asyncio.run(pull_secrets(cluster.api, "shop", pods, "admins"))
    assert found == ("own", "older", "curl", "new", "all")


def test_accounts_that_may_not_be_read_are_left_out() -> None:
    cluster = Cluster()
    cluster.fails = lambda now, method, path: "Error from server (Forbidden): no" if "serviceaccounts" in path else ""
    assert asyncio.run(pull_secrets(cluster.api, "shop", [pod("cart", "own")])) == ("own",)
    assert asyncio.run(pull_secrets(Cluster().api, "shop", [])) == ()
