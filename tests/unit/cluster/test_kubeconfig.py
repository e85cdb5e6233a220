"""Which cluster a kubeconfig means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.cluster.kubeconfig import REDACTED, cluster_identity, connection, merge, read_view
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


def test_a_name_that_fits_into_no_command_line() -> None:
    view = {
        "current-context": "a\0b",
        "contexts": [{"name": "a\0b", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://dev"}}],
    }
    with pytest.raises(LocalizeError, match="null byte"):
        connection(view, kubectl="/usr/bin/kubectl", kubeconfig=("/config",))


def test_the_current_context_and_what_it_leaves_out() -> None:
    assert connection(VIEW, kubectl=KUBECTL, kubeconfig=CONFIG) == Connection(
        kubectl=KUBECTL,
        kubeconfig=CONFIG,
        context="dev",
        namespace="default",
        server="https://10.113.0.2:6443",
        identity="host:10.113.0.2",
    )


def test_a_named_context_with_namespace_and_proxy() -> None:
    result = connection(VIEW, kubectl=KUBECTL, kubeconfig=CONFIG, context="staging")
    assert (result.context, result.namespace, result.server) == ("staging", "shop", "https://far:6443")
    assert result.proxy == "socks5://localhost:1080"


def test_flags_go_before_the_context() -> None:
    result = connection(
        VIEW, kubectl=KUBECTL, kubeconfig=CONFIG, cluster="far", user="u", impersonate="i", impersonate_groups=["g"]
    )
    assert (result.context, result.server, result.cluster) == ("dev", "https://far:6443", "far")
    assert (result.user, result.impersonate, result.impersonate_groups) == ("u", "i", ("g",))


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


def test_a_cluster_is_known_by_its_ca_at_any_address(tmp_path: Path) -> None:
    """`minikube stop; start` changes the port; kind and others write the CA into the kubeconfig, or name its file."""
    (tmp_path / "ca.crt").write_text("ABC\n")
    data = {"server": "https://127.0.0.1:1", "certificate-authority-data": "QUJD"}
    assert cluster_identity(data) == cluster_identity({**data, "server": "https://127.0.0.1:2"})
    assert cluster_identity(data) == cluster_identity({"certificate-authority": str(tmp_path / "ca.crt")})
    assert cluster_identity(data) != cluster_identity({**data, "certificate-authority-data": "WFla"})


@pytest.mark.parametrize(
    "cluster",
    [
        {"server": "https://10.0.0.1:6443"},
        {"server": "https://10.0.0.1:7443", "insecure-skip-tls-verify": True},
        {"server": "https://10.0.0.1:6443", "certificate-authority": "/nowhere/ca.crt"},
        {"server": "https://10.0.0.1:6443", "certificate-authority-data": REDACTED},
        {"server": "https://10.0.0.1:6443", "certificate-authority-data": "A"},
    ],
)
def test_without_a_ca_a_cluster_is_known_by_its_host(cluster: dict[str, Any]) -> None:
    assert cluster_identity(cluster) == "host:10.0.0.1"


def test_a_ca_file_is_named_relative_to_its_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "clusters: [{name: c, cluster: {server: 'https://c', certificate-authority: ca.crt}}]"
    )
    (entry,) = read_view([str(tmp_path / "config")])["clusters"]
    assert entry["cluster"]["certificate-authority"] == str(tmp_path / "ca.crt")


# -- files -------------------------------------------------------------------------------------------------------------
FIRST = """
apiVersion: v1
kind: Config
current-context: dev
contexts:
- {name: dev, context: {cluster: here, user: me, namespace: shop}}
clusters:
- {name: here, cluster: {server: 'https://here:6443', certificate-authority-data: AAAA}}
users:
- {name: me, user: {token: SECRET}}
"""
SECOND = """
current-context: prod
contexts:
- {name: dev, context: {cluster: there, namespace: other}}
- {name: prod, context: {cluster: there}}
clusters:
- {name: there, cluster: {server: 'https://there'}}
"""


def _files(directory: Path, *texts: str) -> list[str]:
    paths = [directory / f"config-{number}" for number, _ in enumerate(texts)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return [str(path) for path in paths]


def test_the_first_file_wins(tmp_path: Path) -> None:
    view = read_view([str(tmp_path / "missing"), *_files(tmp_path, FIRST, SECOND)])
    assert view["current-context"] == "dev"
    assert [(entry["name"], entry["context"].get("cluster")) for entry in view["contexts"]] == [
        ("dev", "here"),
        ("prod", "there"),
    ]
    assert [entry["name"] for entry in view["clusters"]] == ["here", "there"]


def test_it_is_what_a_connection_is_made_of(tmp_path: Path) -> None:
    files = _files(tmp_path, FIRST, SECOND)
    result = connection(read_view(files), kubectl="kubectl", kubeconfig=files)
    assert (result.context, result.server, result.namespace) == ("dev", "https://here:6443", "shop")
    result = connection(read_view(files), kubectl="kubectl", kubeconfig=files, context="prod")
    assert (result.server, result.namespace) == ("https://there", "default")


def test_credentials_are_not_kept(tmp_path: Path) -> None:
    view = read_view(_files(tmp_path, FIRST))
    assert view["users"] == [{"name": "me", "user": {}}]
    assert "SECRET" not in str(view)


@pytest.mark.parametrize("text", ["", "clusters: [", "- a", "\x00", "contexts: 3", "a: !!python/object:os.system {}"])
def test_what_is_no_kubeconfig_counts_as_empty(tmp_path: Path, text: str) -> None:
    assert read_view(_files(tmp_path, text, FIRST)) == read_view(_files(tmp_path, FIRST))


@pytest.mark.parametrize(
    "document",
    [{"contexts": [None, 3, {}, {"name": 3}, {"name": "x", "context": []}]}, {"current-context": ["x"]}, None, [1]],
)
def test_entries_of_another_shape_are_left_out(document: Any) -> None:
    view = merge([document])
    assert view["current-context"] == ""
    assert view["contexts"] in ([], [{"name": "x", "context": {}}])
