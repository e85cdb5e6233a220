"""Which program is kubectl, and what a pod has instead of a kubeconfig."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_localize.cli.in_cluster import in_cluster_connection
from kubectl_localize.cli.kubectl_program import KubectlProgram, find_kubectl
from kubectl_localize.errors import LocalizeError

IN_POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory in PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)


@pytest.mark.parametrize(
    ("names", "words", "brings"),
    [
        (("kubectl", "k3s", "microk8s"), ["kubectl"], False),
        (("microk8s", "oc"), ["microk8s", "kubectl"], True),
        (("microk8s.kubectl", "microk8s"), ["microk8s.kubectl"], True),
        (("k3s",), ["k3s", "kubectl"], True),
        (("k0s",), ["k0s", "kubectl"], True),
        (("minikube",), ["minikube", "kubectl", "--"], True),
        (("oc",), ["oc"], False),
    ],
)
def test_kubectl_goes_first_and_then_what_brings_one(
    search: Path, names: tuple[str, ...], words: list[str], brings: bool
) -> None:
    install(search, *names)
    kubectl = find_kubectl()
    assert (kubectl.argv, kubectl.brings_kubeconfig) == ([f"{search}/{words[0]}", *words[1:]], brings)


@pytest.mark.parametrize("name", ["kubectl1.31", "kubectl-v1.33.2", "kubectl_1.30", "kubecolor"])
def test_one_that_has_another_name_is_named(search: Path, name: str) -> None:
    install(search, name, "kubectl-localize", "kubectl-krew")
    with pytest.raises(LocalizeError, match=f"kubectl is not in PATH, but {search}/{name} is") as raised:
        find_kubectl()
    assert f"ln -s {search}/{name} " in raised.value.hint


def test_none_at_all(search: Path) -> None:
    install(search, "kubectl-localize", "kubectx")
    with pytest.raises(LocalizeError, match=r"^kubectl is not in PATH$") as raised:
        find_kubectl()
    assert "alias" in raised.value.hint


def test_a_pods_credentials(tmp_path: Path) -> None:
    for name, text in (("token", "secret\n"), ("ca.crt", "CA\n"), ("namespace", "shop\n")):
        (tmp_path / name).write_text(text)
    kubectl = KubectlProgram("/bin/k3s", ("kubectl",))
    connection = in_cluster_connection(kubectl, IN_POD, tmp_path)
    assert connection is not None
    assert (connection.kubectl, connection.kubectl_words, connection.kubeconfig) == ("/bin/k3s", ("kubectl",), ())
    assert (connection.server, connection.namespace, connection.in_cluster) == ("https://10.96.0.1:443", "shop", True)
    assert connection.identity.startswith("ca:")
    assert "secret" not in repr(connection)
    six = in_cluster_connection(kubectl, {**IN_POD, "KUBERNETES_SERVICE_HOST": "fd00::1"}, tmp_path)
    assert six is not None
    assert six.server == "https://[fd00::1]:443"


def test_what_is_no_pod(tmp_path: Path) -> None:
    kubectl = KubectlProgram("/bin/kubectl")
    assert in_cluster_connection(kubectl, IN_POD, tmp_path) is None
    (tmp_path / "token").write_text("secret")
    assert in_cluster_connection(kubectl, {}, tmp_path) is None
    bare = in_cluster_connection(kubectl, IN_POD, tmp_path)
    assert bare is not None
    assert (bare.namespace, bare.identity) == ("default", "host:10.96.0.1")
