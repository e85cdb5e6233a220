"""Command lines for kubectl, and what is understood of its words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_localize.cluster import kubectl
from kubectl_localize.errors import (
    BadRequestError,
    ConfigurationError,
    ForbiddenError,
    GoneError,
    KubectlError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from tests.unit.cluster import samples
from tests.unit.cluster.samples import CONNECTION


def test_every_command_line_is_pinned_to_one_cluster() -> None:
    everything = replace(
        CONNECTION, cluster="other", user="ada", impersonate="bob", impersonate_groups=("ops", "dev")
    )  # fmt: skip
    assert kubectl.argv(everything, "get", "pods", namespace="shop") == [
        "/usr/bin/kubectl",
        "--kubeconfig=/home/ada/.kube/config",
        "--context=dev",
        "--cluster=other",
        "--user=ada",
        "--as=bob",
        "--as-group=ops",
        "--as-group=dev",
        "--namespace=shop",
        "get",
        "pods",
    ]


def test_several_kubeconfig_files_are_pinned_by_the_environment() -> None:
    several = replace(CONNECTION, kubeconfig=("/a", "/b"))
    assert kubectl.argv(several, "version") == ["/usr/bin/kubectl", "--context=dev", "version"]
    inherited = {"HOME": "/home/ada", "KUBECONFIG": "/elsewhere", "KUBERC": "on"}
    assert kubectl.environment(several, inherited) == {
        "GOMAXPROCS": "1",
        "HOME": "/home/ada",
        "KUBECONFIG": "/a:/b",
        "KUBERC": "off",
        "KUBECTL_KUBERC": "false",
    }


def test_a_kubectl_that_comes_with_another_program_and_finds_its_kubeconfig_by_itself() -> None:
    k3s = replace(CONNECTION, kubectl="/bin/k3s", kubectl_words=("kubectl",), kubeconfig=(), context="dev")
    assert kubectl.argv(k3s, "get", "pods")[:3] == ["/bin/k3s", "kubectl", "--context=dev"]
    assert "KUBECONFIG" not in kubectl.environment(k3s, {})
    assert kubectl.argv(replace(k3s, in_cluster=True), "get", "pods") == ["/bin/k3s", "kubectl", "get", "pods"]


def test_port_forward_names_pod_and_namespace_and_leaves_the_local_port_to_kubectl() -> None:
    assert kubectl.port_forward(CONNECTION, "shop", "web-1", 8080)[3:] == [
        "--namespace=shop",
        "port-forward",
        "--address=127.0.0.1",
        "--pod-running-timeout=10s",
        "pod/web-1",
        ":8080",
    ]


@pytest.mark.parametrize(
    ("group_version", "namespace", "query", "path"),
    [
        ("v1", "", {}, "/api/v1/services"),
        ("v1", "shop", {"limit": "1"}, "/api/v1/namespaces/shop/services?limit=1"),
        (
            "discovery.k8s.io/v1",
            "shop",
            {"labelSelector": "tier in (a,b)"},
            "/apis/discovery.k8s.io/v1/namespaces/shop/services?labelSelector=tier+in+%28a%2Cb%29",
        ),
        ("v1", "a/b?", {}, "/api/v1/namespaces/a%2Fb%3F/services"),
    ],
)
def test_raw_paths(group_version: str, namespace: str, query: dict[str, str], path: str) -> None:
    assert kubectl.raw_path(group_version, "services", namespace, query) == path


def test_the_proxy_and_a_single_request() -> None:
    single = kubectl.get_raw(CONNECTION, "/api/v1/services?limit=500", timeout_seconds=15.0)
    assert single[3:] == ["get", "--raw", "/api/v1/services?limit=500", "--request-timeout=15s"]
    assert kubectl.proxy(CONNECTION, "api-1.sock")[3:] == ["proxy", "--unix-socket=api-1.sock"]


@pytest.mark.parametrize(
    ("line", "port"),
    [
        ("Forwarding from 127.0.0.1:46311 -> 9999\n", 46311),
        ("Forwarding from [::1]:46311 -> 9999\n", 46311),
        ("Handling connection for 46311\n", None),
        ("", None),
    ],
)
def test_forwarding_port(line: str, port: int | None) -> None:
    assert kubectl.forwarding_port(line) == port


@pytest.mark.parametrize(
    ("line", "fatal", "not_dialled", "words"),
    [
        (samples.REFUSED_27, True, True, "the pod refuses connections on this port"),
        (samples.REFUSED_33, True, True, "the pod refuses connections on this port"),
        (samples.RESET_33, True, False, "the pod has reset a connection on this port"),
        (
            samples.POD_GONE_33,
            True,
            True,
            '9003 to pod 9bcb2fafe2fd, uid : network namespace for sandbox "9bcb2fafe2fd" is closed',
        ),
        (samples.LOST, False, False, "lost connection to pod"),
        (samples.NO_POD, False, False, 'pods "gone" not found'),
    ],
)
def test_what_port_forward_says_of_a_connection(line: str, fatal: bool, not_dialled: bool, words: str) -> None:
    assert kubectl.is_fatal(line) == fatal
    assert kubectl.is_dial_failure(line) == not_dialled
    assert kubectl.brief(line) == words


@pytest.mark.parametrize(
    ("lines", "kind", "message"),
    [
        ([samples.NO_POD], NotFoundError, 'pods "gone" not found'),
        ([samples.NO_NAMESPACE], NotFoundError, 'namespaces "nosuch" not found'),
        ([samples.FORBIDDEN], ForbiddenError, 'services is forbidden: User "nobody" cannot list resource "services"'),
        ([samples.UNAUTHORIZED], UnauthorizedError, "You must be logged in to the server (Unauthorized)"),
        ([samples.PLUGIN_FAILED], UnauthorizedError, "getting credentials: exec: executable false failed"),
        ([samples.CLOSED_PORT], UnreachableError, "The connection to the server 127.0.0.1:1 was refused"),
        ([samples.NO_ROUTE], UnreachableError, "dial tcp 10.113.0.77:6443: i/o timeout"),
        ([samples.NO_ANSWER], UnreachableError, "net/http: request canceled while waiting for connection"),
        ([samples.NO_HOST], UnreachableError, "dial tcp: lookup nosuch.invalid"),
        ([samples.BAD_SELECTOR], BadRequestError, "unable to parse requirement: found 'b'"),
        ([samples.EXPIRED], GoneError, "The resourceVersion for the provided list is too old."),
        ([samples.LOST], KubectlError, "lost connection to pod"),
        (["Warning: v1 Foo is deprecated", ""], KubectlError, "kubectl ended with exit code 3"),
        ([], KubectlError, "kubectl ended with exit code 3"),
        ([samples.LOST, "W1127 01:22:29.168934   18596 warnings.go:70] deprecated"], KubectlError, "lost connection"),
        ([samples.LOST, "I1127 01:22:29.168934   18596 round_trippers.go:45] 200 OK"], KubectlError, "lost connection"),
        ([samples.LOST, "I0123 01:22:29.168934   18596 round_trippers.go:45] 200 OK"], KubectlError, "lost connection"),
        (["error: stat /tmp/kubie-config: no such file or directory"], ConfigurationError, "stat /tmp/kubie-config"),
        (
            ["error: tls: found a certificate rather than a key in the PEM for the private key"],
            ConfigurationError,
            "tls: found a certificate rather than a key in the PEM for the private key",
        ),
        (
            ["error: tls: private key does not match public key"],
            ConfigurationError,
            "tls: private key does not match public key",
        ),
        (
            ["error: illegal base64 data at input byte 4"],
            ConfigurationError,
            "illegal base64 data at input byte 4",
        ),
        (['error: context "dev" does not exist'], ConfigurationError, 'context "dev" does not exist'),
        (['error: auth info "me" does not exist'], ConfigurationError, 'auth info "me" does not exist'),
        (['error: cluster "c" does not exist'], ConfigurationError, 'cluster "c" does not exist'),
        (['error: error loading config file "c": yaml: line 1: did'], ConfigurationError, "error loading config file"),
        (["error: unable to read client-cert /me for me due to open /me: no"], ConfigurationError, "unable to read"),
        (
            ["Unable to connect to the server: tls: failed to verify certificate: x509: certificate has expired"],
            ConfigurationError,
            "tls: failed to verify certificate: x509: certificate has expired",
        ),
        (["Web login failed: getting credentials"], UnauthorizedError, "Web login failed"),
        ([samples.UNAUTHORIZED, "", "Handling connection for 80"], UnauthorizedError, "You must be logged in"),
    ],
)
def test_explain(lines: list[str], kind: type[KubectlError], message: str) -> None:
    error = kubectl.explain(lines, 3)
    assert type(error) is kind
    assert error.message.startswith(message)


@pytest.mark.parametrize(
    ("version", "minor"),
    [
        ({"clientVersion": {"major": "1", "minor": "33", "gitVersion": "v1.33.1"}}, 33),
        ({"clientVersion": {"major": "1", "minor": "27+"}}, 27),
        ({"clientVersion": {"major": "", "minor": ""}}, 0),
        ({"clientVersion": None}, 0),
        ({}, 0),
    ],
)
def test_client_minor(version: dict[str, object], minor: int) -> None:
    assert kubectl.client_minor(version) == minor


@pytest.mark.parametrize("exit_code", [126, 127])
def test_a_shim_without_a_version_fails_for_good(exit_code: int) -> None:
    error = kubectl.explain(["No version is set for command kubectl"], exit_code)
    assert isinstance(error, ConfigurationError)
    assert error.message == "No version is set for command kubectl"


@pytest.mark.parametrize(
    ("pwd", "directory", "given"),
    [
        ("/", "", "/"),
        ("/bin", "/bin", "/bin"),
        ("/proc/self/root/usr", "/usr", "/proc/self/root/usr"),
        ("/", "/usr", "/usr"),
    ],
)
def test_pwd_is_where_kubectl_is_started(pwd: str, directory: str, given: str) -> None:
    """A logical path stays, as shells have it."""
    assert kubectl.environment(replace(CONNECTION, directory=directory), {"PWD": pwd})["PWD"] == given


def test_go_uses_one_processor_unless_the_user_says_otherwise() -> None:
    assert kubectl.environment(CONNECTION, {})["GOMAXPROCS"] == "1"
    assert kubectl.environment(CONNECTION, {"GOMAXPROCS": "4"})["GOMAXPROCS"] == "4"
