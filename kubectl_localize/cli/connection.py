"""Which cluster a command means, found out by asking kubectl."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kubectl_localize.cluster import kubeconfig
from kubectl_localize.cluster.kubectl import OLDEST_MINOR, client_minor
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, RunPaths, context_key
from kubectl_localize.model import Connection

if TYPE_CHECKING:
    from kubectl_localize.cli.arguments import Arguments

KUBECTL_SECONDS = 60  # one that asks the server first may have a credential plugin ask its user


def resolve(args: Arguments) -> Connection:
    """The connection that kubectl would make with these flags, pinned from now on.

    Raises: LocalizeError where there is no usable kubectl, kubeconfig, context or cluster.
    """
    kubectl = find_kubectl()
    files = kubeconfig_files(args.kubeconfig, os.environ)
    for file in files if args.kubeconfig else ():
        if not os.path.exists(file):
            raise LocalizeError(f"there is no kubeconfig {file}", "check --kubeconfig")
    environment = {**os.environ, "KUBECONFIG": os.pathsep.join(files), "KUBERC": "off", "KUBECTL_KUBERC": "false"}
    version, view = _ask(kubectl, environment)
    if 0 < client_minor(version) < OLDEST_MINOR:
        raise LocalizeError(
            f"{kubectl} is version 1.{client_minor(version)}; kubectl localize needs 1.{OLDEST_MINOR} or later",
            "install a newer kubectl, or put one first in PATH",
        )
    found = kubeconfig.connection(
        view,
        kubectl=kubectl,
        kubeconfig=files,
        context=args.context,
        cluster=args.cluster,
        user=args.user,
        impersonate=args.impersonate,
        impersonate_groups=args.impersonate_groups,
    )
    return found if found.proxy else _with_proxy(found, os.environ)


def run_paths(connection: Connection) -> RunPaths:
    """Where the supervisor of a connection's context keeps its files."""
    paths = Paths.from_env(os.environ)
    return paths.run(context_key(connection.context, connection.server, os.getuid(), paths.root))


def current_run(args: Arguments) -> RunPaths:
    """Where the supervisor of the context that these flags mean keeps its files.

    Raises: LocalizeError as `resolve` does.
    """
    return run_paths(resolve(args))


def find_kubectl() -> str:
    """Absolute path of the kubectl in PATH.

    Raises: LocalizeError where there is none.
    """
    found = shutil.which("kubectl")
    if found is None:
        raise LocalizeError("kubectl is not in PATH", "install it: https://kubernetes.io/docs/tasks/tools/")
    return os.path.abspath(found)


def kubeconfig_files(flag: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Absolute paths of the kubeconfig files that kubectl would merge, in its order."""
    if flag:
        return (os.path.abspath(flag),)
    named = [path for path in environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    return tuple(os.path.abspath(path) for path in named) or (os.path.expanduser("~/.kube/config"),)


def _ask(kubectl: str, environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What kubectl says of its version and of its kubeconfig.

    One after the other: the kubectl that comes with Google's SDK asks the server even for these, and so may run a
    credential plugin, which shall not ask its user twice.
    """
    import sh

    command = sh.Command(kubectl)
    common: dict[str, Any] = {"_tty_out": False, "_env": dict(environment), "_timeout": KUBECTL_SECONDS}
    try:
        version = json.loads(str(command("version", "--client", "-o", "json", **common)))
        view = json.loads(str(command("config", "view", "-o", "json", **common)))
    except sh.ErrorReturnCode as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        raise LocalizeError(
            f"kubectl cannot be used: {lines[-1].removeprefix('error: ')}", "`kubectl config view` has to work first"
        ) from error
    except sh.TimeoutException as error:
        raise LocalizeError(
            f"{kubectl} did not answer within {KUBECTL_SECONDS} s", "`kubectl config view` has to work first"
        ) from error
    except (sh.SignalException, ValueError, OSError) as error:
        raise LocalizeError(
            f"{kubectl} does not answer as kubectl does", "`kubectl version --client -o json` has to work first"
        ) from error
    return version, view


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
