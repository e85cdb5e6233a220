"""Builds every kubectl command line, and reads kubectl's error messages."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote, urlencode

from kubectl_localize.errors import (
    AlreadyExistsError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubectlError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from kubectl_localize.model import Connection

OLDEST_MINOR = 27


def argv(connection: Connection, *arguments: str, namespace: str = "") -> list[str]:
    """The command line of a kubectl that cannot be moved to another cluster by a later `kubectl config use-context`.

    A kubeconfig of several files cannot be named by a flag; `environment` pins it then.
    """
    pinned = [connection.kubectl, *connection.kubectl_words]
    if len(connection.kubeconfig) == 1:
        pinned.append(f"--kubeconfig={connection.kubeconfig[0]}")
    for flag, value in (
        ("context", "" if connection.in_cluster else connection.context),
        ("cluster", connection.cluster),
        ("user", connection.user),
        ("as", connection.impersonate),
        *(("as-group", group) for group in connection.impersonate_groups),
        ("namespace", namespace),
    ):
        if value:
            pinned.append(f"--{flag}={value}")
    return [*pinned, *arguments]


def environment(connection: Connection, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a kubectl child: the user's own, without what may change kubectl's output or its cluster.

    KUBERC and KUBECTL_KUBERC switch kubectl's defaults file off, which from 1.34 on may add flags. A kubectl that only
    carries bytes is a quarter faster when Go does not hand them from one processor to another (GOMAXPROCS).
    A version manager's shim (asdf, mise) looks at PWD.
    """
    pwd = inherited.get("PWD", "")
    is_there = connection.directory in ("", pwd) or os.path.realpath(pwd) == os.path.realpath(connection.directory)
    return {
        "GOMAXPROCS": "1",
        **inherited,
        **({} if is_there else {"PWD": connection.directory}),
        **({"KUBECONFIG": os.pathsep.join(connection.kubeconfig)} if connection.kubeconfig else {}),
        "KUBERC": "off",
        "KUBECTL_KUBERC": "false",
    }


def port_forward(connection: Connection, namespace: str, pod: str, port: int) -> list[str]:
    """`kubectl port-forward` of one port of one pod to a loopback port of kubectl's choice."""
    return argv(
        connection, "port-forward", "--address=127.0.0.1", "--pod-running-timeout=10s", f"pod/{pod}", f":{port}",
        namespace=namespace,
    )  # fmt: skip


def raw_path(group_version: str, resource: str, namespace: str, query: Mapping[str, str]) -> str:
    """The path of a list or watch request, such as `/api/v1/namespaces/shop/services?limit=1`."""
    prefix = f"/api/{group_version}" if "/" not in group_version else f"/apis/{group_version}"
    middle = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{prefix}{middle}/{resource}" + (f"?{urlencode(query)}" if query else "")


def get_raw(connection: Connection, path: str, *, timeout_seconds: float) -> list[str]:
    """`kubectl get --raw PATH`: one request, for what has no supervisor's transport."""
    return argv(connection, "get", "--raw", path, f"--request-timeout={timeout_seconds:g}s")


# It passes bytes on and makes little garbage: to collect that sooner than Go would leaves 4 MB less.
# A connection on which nothing has come for 2 s is pinged, and is lost if there is no answer within 3 s. So no load
# balancer takes it for unused, and an instance of the API server that is frozen is left for another one soon. client-go
# reads these numbers; its own would be 30 and 15.
PROXY_VARIABLES = MappingProxyType(
    {"GOGC": "30", "HTTP2_READ_IDLE_TIMEOUT_SECONDS": "2", "HTTP2_PING_TIMEOUT_SECONDS": "3"}
)


def proxy(connection: Connection, socket: str) -> list[str]:
    """`kubectl proxy`, which lets this process make API requests through a Unix socket.

    Args:
        socket: the socket's path; one that is not absolute begins where kubectl is started.
    """
    return argv(connection, "proxy", f"--unix-socket={socket}")


_FORWARDING = re.compile(r"Forwarding from (?:127\.0\.0\.1|\[::1\]):(\d+) -> \d+")
_FAILED = "an error occurred forwarding"
_NOT_DIALLED = re.compile(
    r"connection refused|failed to (?:connect|dial)|\bdial tcp|failed to find sandbox|is closed\b|not running",
    re.IGNORECASE,
)


def forwarding_port(line: str) -> int | None:
    """The local port that `kubectl port-forward` says it listens on, None if the line says something else."""
    match = _FORWARDING.match(line)
    return int(match[1]) if match else None


def is_fatal(line: str) -> bool:
    """Whether a line of `kubectl port-forward`'s stderr says that one connection failed, which ends kubectl."""
    return _FAILED in line


def is_dial_failure(line: str) -> bool:
    """Whether such a line says that the pod could not even be dialled, so that it got nothing of that connection.

    A connection that the pod took and then reset is reported in the same way, up to the reason at the end.
    """
    return is_fatal(line) and _NOT_DIALLED.search(line) is not None


# A version manager's shim that has no kubectl to run where it is ends as a shell does; kubectl itself never ends so.
SHELL_FAILURES = (126, 127)
# What kubectl says of a kubeconfig that leads nowhere, and of a server or client whose certificate is not accepted.
MISCONFIGURED = re.compile(
    r"^(?:error: )?(?:stat \S.*: no such file or directory|open \S.*: permission denied)$|"
    r"\b(?:context|cluster|auth info|user) \"[^\"]*\" does not exist|error loading config file|invalid configuration:|"
    r"unable to (?:read|load) (?:client-cert|client-key|certificate-authority|root certificates|TLS certificates)|"
    r"\bx509: |remote error: tls: (?:bad|unknown|expired|revoked|unsupported) certificate|tls: certificate required|"
    r"tls: (?:failed to (?:verify|find any PEM|parse)|found a certificate rather than|private key)|"
    r"no Auth Provider found|illegal base64 data|\basn1: ",
    re.MULTILINE,
)
_REASONS: tuple[tuple[str, type[KubectlError]], ...] = (
    (r"\(Forbidden\)|is forbidden:|403 Forbidden", ForbiddenError),
    (r"\(Unauthorized\)|You must be logged in|the server has asked for the client to provide credentials|"
     r"getting credentials|Unauthorized", UnauthorizedError),
    (r"\(NotFound\)", NotFoundError),
    (r"\(AlreadyExists\)", AlreadyExistsError),
    (r"\(Conflict\)", ConflictError),
    (r"\(Invalid\)|is invalid:|admission webhook .* denied", InvalidError),
    (r"\(Expired\)|\(Gone\)|too old resource version", GoneError),
    (r"\(BadRequest\)", BadRequestError),
    (r"Unable to connect to the server|connection to the server .* was refused|i/o timeout|no such host|"
     r"context deadline exceeded|request canceled|Client\.Timeout|network is unreachable|connection refused|"
     r"ServiceUnavailable|TLS handshake timeout|EOF|connection reset|http2: client connection lost", UnreachableError),
)  # fmt: skip


def explain(stderr: Sequence[str], exit_code: int) -> KubectlError:
    """Turn the last lines of kubectl's stderr into an error.

    Args:
        stderr: the last lines that it wrote there, oldest first.
        exit_code: how it ended.
    """
    lines = [line.strip() for line in stderr if line.strip() and not _IS_NOISE.match(line)]
    text = "\n".join(lines)
    last = brief(lines[-1]) if lines else f"kubectl ended with exit code {exit_code}"
    if MISCONFIGURED.search(text) or exit_code in SHELL_FAILURES:
        return ConfigurationError(last)
    for pattern, kind in _REASONS:
        if re.search(pattern, text):
            return kind(last)
    return KubectlError(last)


_IS_NOISE = re.compile(r"[WI]\d{4} [\d:.]+ |Warning: |Handling connection ")  # klog's level and date: I1127 is November
_LOST = re.compile(r"http2: (?:client connection lost|server sent GOAWAY)|\bEOF\b|connection reset by peer|broken pipe")
_KLOG = re.compile(r"^[EWIF]\d{4} [\d:.]+\s+\d+ [\w.]+:\d+\] ")
_SERVER = re.compile(r"^(?:error: )?(?:Error from server(?: \(\w+\))?: |Unable to connect to the server: |error: )")


def brief(line: str) -> str:
    """A line of kubectl's stderr without its log header and its prefixes."""
    text = _KLOG.sub("", line.strip())
    quoted = re.match(r'"Unhandled Error" err="(.*)"(?: logger=.*)?$', text)
    if quoted:
        text = quoted[1].replace('\\"', '"')
    if is_fatal(text):
        if "connection refused" in text:
            return "the pod refuses connections on this port"
        if "connection reset by peer" in text:
            return "the pod has reset a connection on this port"
        return text.rpartition("error forwarding port ")[2]
    return _SERVER.sub("", text)


def is_lost_connection(message: str) -> bool:
    """Whether a request failed since its connection was lost; the next one uses another connection."""
    return _LOST.search(message) is not None


def plugin_words(stderr: Sequence[str]) -> str:
    """What a credential plugin said last on the stderr that it shares with kubectl; empty if it said nothing."""
    words = [line.strip() for line in stderr if line.strip() and not _KLOG.match(line.strip())]
    return words[-1] if words else ""


def client_minor(version: Mapping[str, object]) -> int:
    """The minor number in `kubectl version --client -o json`'s document; 0 if it has none."""
    client = version.get("clientVersion")
    minor = client.get("minor") if isinstance(client, dict) else None
    digits = re.match(r"\d+", str(minor or ""))
    return int(digits[0]) if digits else 0
