"""Where Tab gets its names: from the kubeconfig, the state files of what runs, the cluster, and PATH.

What a source needs is imported when it is asked: most lines need one source or none, and a Tab has no time to lose.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kubectl_localize.cli.completion.candidates import Running
from kubectl_localize.cli.completion.line import Line
from kubectl_localize.cli.main import is_sudo
from kubectl_localize.errors import LocalizeError

if TYPE_CHECKING:
    from kubectl_localize.cli.completion.cluster_names import ClusterNames
    from kubectl_localize.host.paths import Paths
    from kubectl_localize.model import Connection


class Sources:
    """The names that one user may mean on one line; a `candidates.NameSource`.

    Args:
        line: its connection flags say which cluster.
        environ: the user's environment.
    """

    def __init__(self, line: Line, environ: Mapping[str, str]) -> None:
        self._line = line
        self._environ = environ

    def kubeconfig_names(self, kind: str) -> Sequence[str]:
        """The names of all contexts, clusters or users (`context`, `cluster`, `user`)."""
        return [entry["name"] for entry in self._kubeconfig[f"{kind}s"]]

    def context(self) -> str:
        """The name of the context that the flags mean; empty if there is none."""
        return self._line.value("context") or str(self._kubeconfig["current-context"])

    def namespace(self) -> str:
        """The context's namespace."""
        return self._connection.namespace if self._connection else "default"

    def namespaces(self) -> Sequence[str]:
        """The cluster's namespaces; if listing is forbidden, the context's namespace and those of what runs."""
        listed = self._cluster_names.names("namespaces") if self._cluster_names else None
        if listed is not None and listed.names:
            return listed.names
        running = {service.namespace for service in self.running() if service.context == self.context()}
        return sorted({self.namespace(), *running})

    def services(self, namespace: str) -> Sequence[str]:
        """The cluster's Services as `ns/svc`; if listing all is forbidden, those of the namespace."""
        if self._cluster_names is None:
            return ()
        everywhere = self._cluster_names.names("services")
        if not everywhere.forbidden or "/" in namespace:
            return everywhere.names
        return self._cluster_names.names("services", namespace).names

    def running(self) -> Sequence[Running]:
        """What the state files of the live supervisors say."""
        return self._running

    def programs(self, prefix: str) -> Sequence[str]:
        """The commands in PATH that begin so."""
        programs: set[str] = set()
        for directory in self._environ.get("PATH", "").split(os.pathsep):
            try:
                names = os.listdir(directory)
            except OSError:
                continue
            programs.update(
                name for name in names if name.startswith(prefix) and os.access(os.path.join(directory, name), os.X_OK)
            )
        return sorted(programs)

    @property
    def _keeps_nothing(self) -> bool:
        """Whether to leave no files: in a root shell of sudo's they would be root's, in the user's home."""
        return is_sudo(os.geteuid(), self._environ)

    @cached_property
    def _paths(self) -> Paths:
        from kubectl_localize.host.paths import Paths

        return Paths.from_env(self._environ)

    @cached_property
    def _kubeconfig_files(self) -> tuple[str, ...]:
        from kubectl_localize.cli.connection import kubeconfig_files

        # As the shell would pass it: it does not expand what stands behind a `=`.
        path = os.path.expanduser(os.path.expandvars(self._line.value("kubeconfig")))
        return kubeconfig_files(path, self._environ)

    @cached_property
    def _kubeconfig(self) -> dict[str, Any]:
        from kubectl_localize.cli.connection import kubeconfig_view
        from kubectl_localize.cli.file_cache import FileCache

        cache = FileCache(self._paths.root)
        view = kubeconfig_view(cache, self._kubeconfig_files)
        if not self._keeps_nothing:
            cache.save()
        return view

    @cached_property
    def _connection(self) -> Connection | None:
        from kubectl_localize.cli.kubectl_program import find_kubectl
        from kubectl_localize.cluster import kubeconfig

        line = self._line
        try:
            program = find_kubectl()
            return kubeconfig.connection(
                self._kubeconfig,
                kubectl=program.path,
                kubectl_words=program.words,
                kubeconfig=self._kubeconfig_files,
                context=line.value("context"),
                cluster=line.value("cluster"),
                user=line.value("user"),
                impersonate=line.value("as"),
                impersonate_groups=line.values("as-group"),
            )
        except LocalizeError:
            return None

    @cached_property
    def _cluster_names(self) -> ClusterNames | None:
        if self._connection is None or self._keeps_nothing:
            return None
        from kubectl_localize.cli.completion.cluster_names import ClusterNames, NameCache, cache_key

        root = self._paths.root
        cache = NameCache(root, cache_key(self._connection, os.getuid(), root))
        return ClusterNames(self._connection, cache, self._environ)

    @cached_property
    def _running(self) -> list[Running]:
        if not self._paths.all_runs():
            return []
        from kubectl_localize.cli.listing.document import StateFiles
        from kubectl_localize.host.process import owner

        return [
            Running(item.context, item.namespace, item.name, item.kind == "Exposure")
            for item in StateFiles(self._paths, owner).read().document.items
        ]
