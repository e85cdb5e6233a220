"""Which cluster a command means: from its flags, the environment and the kubeconfig files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kubectl_localize.cli.file_cache import FileCache
from kubectl_localize.cli.kubectl_program import KubectlProgram, find_kubectl
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, RunPaths, context_key

if TYPE_CHECKING:
    from kubectl_localize.cli.arguments import Arguments
    from kubectl_localize.model import Connection

KUBECTL_SECONDS = 60.0  # a kubectl that asks the server first may have a credential plugin ask its user
# All that is remembered of a kubeconfig; a cluster's or a context's other fields could hold anything.
_CONTEXT_FIELDS = ("cluster", "user", "namespace")
_CLUSTER_FIELDS = ("server", "proxy-url", "certificate-authority", "certificate-authority-data")


def resolve(args: Arguments, cache: FileCache | None = None) -> Connection:
    """The connection that kubectl would make with these flags, pinned from now on.

    The kubeconfig is read directly. kubectl is asked for its version, and only if it has changed since; and for its
    own view of the kubeconfig if ours leads to no cluster, so that the error is in kubectl's words.

    Args:
        args: the command's flags.
        cache: remembers both; the caller saves it. None: nothing new is remembered.

    Raises:
        LocalizeError: there is no usable kubectl, kubeconfig, context or cluster.
    """
    cache = cache or FileCache(Paths.from_env(os.environ).root)
    kubectl = find_kubectl()
    files = kubeconfig_files(args.kubeconfig, os.environ)
    if kubectl.brings_kubeconfig and not args.kubeconfig and not os.environ.get("KUBECONFIG"):
        files = ()
    for file in files if args.kubeconfig else ():
        if not os.path.exists(file):
            raise LocalizeError(f"there is no kubeconfig {file}", "check --kubeconfig")
    _refuse_pipes(files)
    environment = {**os.environ, "KUBERC": "off", "KUBECTL_KUBERC": "false"}
    if files:
        environment["KUBECONFIG"] = os.pathsep.join(files)
    _check_version(kubectl, environment, cache)
    view = kubeconfig_view(cache, files)
    in_pod = _in_pod(args, kubectl) if not view["contexts"] else None
    if in_pod is not None:
        return in_pod
    try:
        connection = _connection(args, kubectl, files, view)
    except LocalizeError:
        view = _ask_kubectl(kubectl, ["config", "view", "-o", "json"], environment)
        connection = _connection(args, kubectl, files, view)
    return connection if connection.proxy else _with_proxy(connection, os.environ)


def _refuse_pipes(files: Sequence[str]) -> None:
    """Raise LocalizeError if a kubeconfig is a pipe, such as `<(…)` makes one: every child of ours reads it, too."""
    import stat

    for file in files:
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.stat(file).st_mode):
                raise LocalizeError(
                    f"the kubeconfig {file} is a pipe, which can be read only once", "write it to a file"
                )


def run_paths(connection: Connection) -> RunPaths:
    """Where the supervisor of a connection's context keeps its files."""
    paths = Paths.from_env(os.environ)
    return paths.run(context_key(connection.context, connection.identity, os.getuid(), paths.root))


def current_run(args: Arguments) -> RunPaths:
    """Where the supervisor of the context that these flags mean keeps its files.

    Raises:
        LocalizeError: as `resolve`.
    """
    return run_paths(resolve(args))


def kubeconfig_files(flag: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Absolute paths of the kubeconfig files that kubectl would merge, in its order."""
    if flag:
        return (os.path.abspath(flag),)
    paths = [path for path in environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    return tuple(os.path.abspath(path) for path in paths) or (os.path.expanduser("~/.kube/config"),)


def kubeconfig_view(cache: FileCache, files: Sequence[str]) -> dict[str, Any]:
    """Contexts, clusters and the names of users in these files, as `kubectl config view -o json` has them."""

    def read() -> dict[str, Any]:
        from kubectl_localize.cluster.kubeconfig import read_view  # with YAML, which takes 20 ms to import

        return _without_secrets(read_view(files))

    return cache.get("kubeconfig", files, read)


def _without_secrets(view: dict[str, Any]) -> dict[str, Any]:
    contexts = [
        {"name": entry["name"], "context": _texts(entry["context"], _CONTEXT_FIELDS)} for entry in view["contexts"]
    ]
    clusters = [
        {"name": entry["name"], "cluster": _texts(entry["cluster"], _CLUSTER_FIELDS)} for entry in view["clusters"]
    ]
    for entry in clusters:
        if "@" in entry["cluster"].get("proxy-url", ""):  # a password; only kubectl needs it
            entry["cluster"]["proxy-url"] = _without_userinfo(entry["cluster"]["proxy-url"])
    users = view["users"]  # `read_view` has left their credentials out
    return {
        "current-context": view["current-context"], "contexts": contexts, "clusters": clusters, "users": users,
    }  # fmt: skip


def _texts(fields: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    return {name: fields[name] for name in names if isinstance(fields.get(name), str)}


def _without_userinfo(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _connection(args: Arguments, kubectl: KubectlProgram, files: Sequence[str], view: Mapping[str, Any]) -> Connection:
    from kubectl_localize.cluster import kubeconfig

    return kubeconfig.connection(
        view,
        kubectl=kubectl.path,
        kubectl_words=kubectl.words,
        kubeconfig=files,
        context=args.context,
        cluster=args.cluster,
        user=args.user,
        impersonate=args.impersonate,
        impersonate_groups=args.impersonate_groups,
        directory=_working_directory(),
    )


def _in_pod(args: Arguments, kubectl: KubectlProgram) -> Connection | None:
    """The connection of a pod without a kubeconfig; None if this is none, or a flag asks for something else."""
    if args.kubeconfig or args.context or args.cluster or args.user:
        return None
    from dataclasses import replace

    from kubectl_localize.cli.in_cluster import in_cluster_connection

    connection = in_cluster_connection(kubectl, os.environ)
    if connection is None:
        return None
    return replace(
        connection,
        directory=_working_directory(),
        impersonate=args.impersonate,
        impersonate_groups=tuple(args.impersonate_groups),
    )


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it has been deleted
        return ""


# -- kubectl ----------------------------------------------------------------------------------------------------------
def _check_version(kubectl: KubectlProgram, environment: Mapping[str, str], cache: FileCache) -> None:
    """Check that kubectl is one, and new enough.

    Raises:
        LocalizeError: it is not.
    """

    def ask() -> dict[str, Any]:
        from kubectl_localize.cluster.kubectl import OLDEST_MINOR, client_minor

        version = _ask_kubectl(kubectl, ["version", "--client", "-o", "json"], environment)
        minor = client_minor(version)
        if 0 < minor < OLDEST_MINOR:
            raise LocalizeError(
                f"{kubectl} is version 1.{minor}; kubectl localize needs 1.{OLDEST_MINOR} or later",
                "install a newer kubectl, or put one first in PATH",
            )
        return {"minor": minor}

    # A version manager's shim runs another kubectl in another directory.
    files = [kubectl.path, *([_working_directory() or "/"] if _is_script(kubectl.path) else [])]
    cache.get("kubectl", files, ask)


def _is_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _ask_kubectl(kubectl: KubectlProgram, arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """The JSON object that a kubectl command prints.

    Raises:
        LocalizeError: it fails, prints something else, or does not end within KUBECTL_SECONDS.
    """
    import subprocess  # and not sh: the first start takes this way, too, and sh needs 70 ms to be imported

    from kubectl_localize.json_text import parse_json

    try:
        done = subprocess.run(
            [*kubectl.argv, *arguments], stdin=subprocess.DEVNULL, capture_output=True, env=dict(environment),
            timeout=KUBECTL_SECONDS, check=True,
        )  # fmt: skip
        answer = parse_json(done.stdout)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        raise LocalizeError(
            f"kubectl cannot be used: {lines[-1].removeprefix('error: ')}", "`kubectl config view` has to work first"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LocalizeError(
            f"{kubectl} did not answer within {KUBECTL_SECONDS:g} s", "`kubectl config view` has to work first"
        ) from error
    except (ValueError, OSError) as error:
        raise _no_kubectl(kubectl) from error
    if not isinstance(answer, dict):
        raise _no_kubectl(kubectl)
    return answer


def _no_kubectl(kubectl: KubectlProgram) -> LocalizeError:
    return LocalizeError(
        f"{kubectl} does not answer as kubectl does", "`kubectl version --client -o json` has to work first"
    )


# -- proxies ----------------------------------------------------------------------------------------------------------
def _with_proxy(connection: Connection, environ: Mapping[str, str]) -> Connection:
    """The connection with the proxy that the environment names for its server, as Go's HTTP client reads it."""
    if not any(name.lower() in ("https_proxy", "http_proxy") for name in environ):
        return connection
    from dataclasses import replace
    from urllib.request import getproxies, proxy_bypass

    url = urlsplit(connection.server)
    proxies = getproxies()
    host = url.hostname or ""
    if host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(host) or _in_range(host, proxies.get("no", "")):
        return connection
    proxy = proxies.get(url.scheme, "")
    return replace(connection, proxy=f"http://{proxy}" if proxy and "://" not in proxy else proxy)


def _in_range(host: str, no_proxy: str) -> bool:
    """Whether a host is an address within one of NO_PROXY's networks, which Go knows and Python does not."""
    import ipaddress

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for entry in no_proxy.split(","):
        with contextlib.suppress(ValueError):
            if "/" in entry and address in ipaddress.ip_network(entry.strip(), strict=False):
                return True
    return False
