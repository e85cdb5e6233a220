"""Which cluster a kubeconfig means."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cluster.kubeconfig import connection
from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import Connection

# kubectl config view -o json
VIEW: dict[str, Any] = {
    "kind": "Config",
    "apiVersion": "v1",
    "preferences": {},
    "clusters": [
        {"name": "dev", "cluster": {"server": "https://10.113.0.2:6443", "certificate-authority": "/ca.crt"}},
        {"name": "far", "cluster": {"server": "https://far:6443", "proxy-url": "socks5://localhost:1080"}},
        {"name": "empty", "cluster": {"server": ""}},
    ],
    "users": [{"name": "admin", "user": {"client-certificate": "/admin.crt", "client-key": "/admin.key"}}],
    "contexts": [
        {"name": "dev", "context": {"cluster": "dev", "user": "admin"}},
        {"name": "staging", "context": {"cluster": "far", "user": "admin", "namespace": "shop"}},
        {"name": "broken", "context": {"cluster": "nowhere", "user": "admin"}},
        {"name": "serverless", "context": {"cluster": "empty", "user": "admin"}},
        {"name": "null", "context": None},
    ],
    "current-context": "dev",
}
KUBECTL, CONFIG = "/usr/bin/kubectl", ("/a", "/b")


def test_the_current_context_and_what_it_leaves_out() -> None:
    assert connection(VIEW, kubectl=KUBECTL, kubeconfig=CONFIG) == Connection(
        kubectl=KUBECTL, kubeconfig=CONFIG, context="dev", namespace="default", server="https://10.113.0.2:6443"
    )


def test_a_named_context_with_namespace_and_proxy() -> None:
    found = connection(VIEW, kubectl=KUBECTL, kubeconfig=CONFIG, context="staging")
    assert (found.context, found.namespace, found.server) == ("staging", "shop", "https://far:6443")
    assert found.proxy == "socks5://localhost:1080"


def test_flags_go_before_the_context() -> None:
    found = connection(
        VIEW, kubectl=KUBECTL, kubeconfig=CONFIG, cluster="far", user="u", impersonate="i", impersonate_groups=["g"]
    )
    assert (found.context, found.server, found.cluster) == ("dev", "https://far:6443", "far")
    assert (found.user, found.impersonate, found.impersonate_groups) == ("u", "i", ("g",))


@pytest.mark.parametrize(
    ("view", "flags", "message", "hint"),
    [
        ({**VIEW, "contexts": None}, {}, "no cluster is configured in /a or /b", "KUBECONFIG"),
        ({**VIEW, "current-context": ""}, {}, "no context is chosen", "use-context"),
        (VIEW, {"context": "stagin"}, "there is no context stagin", "did you mean staging?"),
        (VIEW, {"context": "zzz"}, "there is no context zzz", "get-contexts"),
        (VIEW, {"context": "broken"}, "there is no cluster nowhere", "get-clusters"),
        (VIEW, {"context": "serverless"}, "there is no cluster empty with a server", "get-clusters"),
        (VIEW, {"context": "null"}, "there is no cluster (none)", "get-clusters"),
        (VIEW, {"cluster": "nope"}, "there is no cluster nope", "get-clusters"),
    ],
)
def test_what_is_missing_is_said(view: dict[str, Any], flags: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(LocalizeError) as failure:
        connection(view, kubectl=KUBECTL, kubeconfig=CONFIG, **flags)
    assert failure.value.message.startswith(message)
    assert hint in failure.value.hint
