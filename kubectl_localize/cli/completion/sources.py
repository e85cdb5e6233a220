"""Where completion has its names from: the kubeconfig, the state files of what runs, the cluster, and PATH."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from kubectl_localize.cli.arguments import ConnectionFlags
from kubectl_localize.cli.completion.asking import Asking
from kubectl_localize.cli.completion.cache import NameCache
from kubectl_localize.cli.completion.candidates import Running
from kubectl_localize.cli.completion.line import Line
from kubectl_localize.cli.context import find_kubectl, kubeconfig_files
from kubectl_localize.cli.state_files import read_states
from kubectl_localize.cluster import kubeconfig
from kubectl_localize.cluster.kubeconfig_files import read_view
from kubectl_localize.cluster.kubectl import raw_path
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, context_key
from kubectl_localize.host.process import owner
from kubectl_localize.model import Connection


def connection_flags(line: Line) -> ConnectionFlags:
    """The connection flags that stand on a line, as a shell would hand them over."""
    path = line.value("kubeconfig")
    return ConnectionFlags(
        kubeconfig=os.path.expanduser(os.path.expandvars(path)) if path else "",
        context=line.value("context"),
        cluster=line.value("cluster"),
        user=line.value("user"),
        impersonate=line.value("as"),
        impersonate_groups=line.values("as-group"),
    )


class Sources:
    """What is known to one user of one cluster; see `candidates.Known`.

    Args:
        flags: the connection flags of the line.
        environ: the user's environment.
    """

    def __init__(self, flags: ConnectionFlags, environ: Mapping[str, str]) -> None:
        self._flags = flags
        self._environ = environ

    def of_kubeconfig(self, kind: str) -> Sequence[str]:
        """The names of all contexts, clusters or users."""
        return [entry["name"] for entry in self._view[f"{kind}s"]]

    def context(self) -> str:
        """The name of the context that the flags mean; empty where there is none."""
        return self._flags.context or str(self._view["current-context"])

    def namespace(self) -> str:
        """The context's namespace."""
        return self._connection.namespace if self._connection else "default"

    def namespaces(self) -> Sequence[str]:
        """The cluster's namespaces; where they may not be listed, those that are known otherwise."""
        listed = self._asking.names("namespaces", raw_path("v1", "namespaces", "", {})) if self._asking else None
        if listed is not None and listed.names:
            return listed.names
        running = {one.namespace for one in self.running() if one.context == self.context()}
        return sorted({self.namespace(), *running})

    def services(self, namespace: str) -> Sequence[str]:
        """The cluster's Services as `ns/svc`; where they may not all be listed, those of the namespace."""
        if self._asking is None:
            return ()
        everywhere = self._asking.names("services", raw_path("v1", "services", "", {}))
        if not everywhere.forbidden or "/" in namespace:
            return everywhere.names
        return self._asking.names(f"services.{namespace}", raw_path("v1", "services", namespace, {})).names

    def running(self) -> Sequence[Running]:
        """What the state files of the living supervisors say."""
        return self._running

    def programs(self, prefix: str) -> Sequence[str]:
        """The commands in PATH that begin so."""
        found: set[str] = set()
        for directory in self._environ.get("PATH", "").split(os.pathsep):
            try:
                names = os.listdir(directory)
            except OSError:
                continue
            found.update(
                name for name in names if name.startswith(prefix) and os.access(os.path.join(directory, name), os.X_OK)
            )
        return sorted(found)

    @cached_property
    def _view(self) -> dict[str, Any]:
        return read_view(kubeconfig_files(self._flags.kubeconfig, self._environ))

    @cached_property
    def _connection(self) -> Connection | None:
        flags = self._flags
        try:
            return kubeconfig.connection(
                self._view,
                kubectl=find_kubectl(),
                kubeconfig=kubeconfig_files(flags.kubeconfig, self._environ),
                context=flags.context,
                cluster=flags.cluster,
                user=flags.user,
                impersonate=flags.impersonate,
                impersonate_groups=flags.impersonate_groups,
            )
        except LocalizeError:
            return None

    @cached_property
    def _asking(self) -> Asking | None:
        if self._connection is None:
            return None
        cache = NameCache(Paths.from_env(self._environ).root, cache_key(self._connection, os.getuid()))
        return Asking(self._connection, cache, self._environ)

    @cached_property
    def _running(self) -> list[Running]:
        document = read_states(Paths.from_env(self._environ).all_runs(), owner).document
        return [
            Running(item["context"], item["namespace"], item["name"], item.get("kind") == "Exposure")
            for item in document["items"]
        ]


def cache_key(connection: Connection, uid: int) -> str:
    """The name under which a cluster's names are kept: its context's key, and who asks where that is not its user."""
    key = context_key(connection.context, connection.server, uid)
    who = (connection.cluster, connection.user, connection.impersonate, *connection.impersonate_groups)
    if not any(who):
        return key
    return f"{key}-{hashlib.sha256(chr(0).join(who).encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
